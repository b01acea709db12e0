//! A model in the browser's private file system: byte ranges of its files, straight into the tensor that wants them.

use fresco_api::{ApiError, ErrorCode, ModelId, ModelInfo};
use fresco_diffusion::{Source, SourceError};
use fresco_web::{
    opfs::{Access, Folder, Opened},
    shelf::{MARK, PLAN, Plan, SHELF, encoded, mark},
};
use std::{cell::RefCell, collections::HashMap, ops::Range, rc::Rc};

/// A model's folder. Its files stay open until it is dropped.
pub struct LocalSource {
    folder: Folder,
    plan: Plan,
    opened: RefCell<HashMap<String, Rc<Opened>>>,
}

impl LocalSource {
    /// The folder of a model, every file of which was checked.
    ///
    /// # Errors
    /// It is not there, or not all of it.
    pub async fn open(id: &ModelId) -> Result<Self, ApiError> {
        let missing = || ApiError::new(ErrorCode::UnknownModel, format!("{id} is not in this browser")).at("model");
        let bad = |why: String| ApiError::new(ErrorCode::BadModel, format!("{id} cannot be read: {why}")).at("model");
        let shelf = Folder::root().await.map_err(bad)?.folder(SHELF, false).await.map_err(bad)?.ok_or_else(missing)?;
        let folder = shelf.folder(&encoded(&id.0), false).await.map_err(bad)?.ok_or_else(missing)?;
        let text = folder.text(PLAN).await.map_err(bad)?.ok_or_else(missing)?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        plan.check().map_err(bad)?;
        for planned in &plan.files {
            let said = folder.text(&(encoded(&planned.file.path) + MARK)).await.map_err(bad)?;
            if said.is_none() || said != mark(&planned.file) {
                return Err(bad(format!("{} is not whole yet; fetch it to the end", planned.file.path)));
            }
        }
        Ok(Self { folder, plan, opened: RefCell::default() })
    }

    /// What the model takes.
    pub fn info(&self) -> &ModelInfo {
        &self.plan.info
    }

    /// Whether it is one file of weights in the original layout.
    pub fn is_single(&self) -> bool {
        self.plan.file(fresco_web::own::SINGLE).is_some()
    }

    async fn file(&self, file: &str) -> Result<Rc<Opened>, SourceError> {
        let known = self.opened.borrow().get(file).cloned();
        if let Some(opened) = known {
            return Ok(opened);
        }
        let opened = self.folder.open(&encoded(file), Access::Read).await;
        let opened = Rc::new(opened.map_err(|why| SourceError::new(file, why))?);
        self.opened.borrow_mut().insert(file.to_owned(), opened.clone());
        Ok(opened)
    }
}

impl Source for LocalSource {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        Ok(self.plan.file(file).map(|planned| planned.file.size))
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let length = self.len(file).await?.ok_or_else(|| SourceError::new(file, "no such file"))?;
        if range.start > range.end || range.end > length {
            return Err(SourceError::new(file, format!("ends at byte {length}, before byte {}", range.end)));
        }
        let opened = self.file(file).await?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let read = opened.read(&mut bytes, range.start).map_err(|why| SourceError::new(file, why))?;
        if read == bytes.len() { Ok(bytes) } else { Err(SourceError::new(file, "ends too early")) }
    }
}
