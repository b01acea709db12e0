//! The browser's private file system, as the store and the engine use it: folders, whole small files, and ranges of
//! large ones without a copy on the heap.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DedicatedWorkerGlobalScope, File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

/// What the file system refused, in words.
pub type Refused = String;

/// A folder.
#[derive(Clone, Debug)]
pub struct Folder(FileSystemDirectoryHandle);

/// Who else may have a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Other readers, where the browser knows such a lock.
    Read,
    /// Nobody.
    Write,
}

/// An open file; closed when dropped.
#[derive(Debug)]
pub struct Opened(FileSystemSyncAccessHandle);

impl Folder {
    /// The file system's root.
    ///
    /// # Errors
    /// The browser has none, or gives none to this page.
    pub async fn root() -> Result<Self, Refused> {
        let root = JsFuture::from(storage()?.get_directory()).await.map_err(refusal)?;
        root.dyn_into().map(Self).map_err(|_| "This browser has no private file system".to_owned())
    }

    /// A folder in this one; `None` when there is none and it is not to be made.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn folder(&self, name: &str, create: bool) -> Result<Option<Self>, Refused> {
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(create);
        let found = JsFuture::from(self.0.get_directory_handle_with_options(name, &options)).await;
        Ok(there(found)?.map(|folder| Self(folder.unchecked_into())))
    }

    /// The names of what is in it.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn names(&self) -> Result<Vec<String>, Refused> {
        let names = self.0.keys();
        let mut found = Vec::new();
        loop {
            let next = JsFuture::from(names.next().map_err(refusal)?).await.map_err(refusal)?;
            match field(&next, "value").and_then(|name| name.as_string()) {
                Some(name) => found.push(name),
                None => return Ok(found),
            }
        }
    }

    /// A file's length; `None` when there is none.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn len(&self, name: &str) -> Result<Option<u64>, Refused> {
        Ok(self.file(name).await?.map(|file| file.size() as u64))
    }

    /// A small file's text; `None` when there is none.
    ///
    /// # Errors
    /// The browser refuses.
    pub async fn text(&self, name: &str) -> Result<Option<String>, Refused> {
        let Some(file) = self.file(name).await? else { return Ok(None) };
        Ok(JsFuture::from(file.text()).await.map_err(refusal)?.as_string())
    }

    /// Writes a small file.
    ///
    /// # Errors
    /// The browser refuses, or somebody has it open.
    pub async fn write(&self, name: &str, text: &str) -> Result<(), Refused> {
        let file = self.open(name, Access::Write).await?;
        file.truncate(0)?;
        file.write(text.as_bytes(), 0)?;
        file.flush()
    }

    /// Opens a file; it is made if it is to be written.
    ///
    /// # Errors
    /// There is none, the browser refuses, or somebody has it open.
    pub async fn open(&self, name: &str, access: Access) -> Result<Opened, Refused> {
        let missing = || "The file is missing".to_owned();
        let file = self.handle(name, access == Access::Write).await?.ok_or_else(missing)?;
        if access == Access::Write {
            return Ok(Opened(JsFuture::from(file.create_sync_access_handle()).await.map_err(busy)?.unchecked_into()));
        }
        // Named by hand: a browser that does not know the mode ignores it.
        let options = Object::new();
        Reflect::set(&options, &"mode".into(), &"read-only".into()).map_err(refusal)?;
        let open = field(&file, "createSyncAccessHandle").and_then(|open| open.dyn_into::<Function>().ok());
        let promise = open.ok_or_else(missing)?.call1(&file, &options).map_err(refusal)?;
        let opened = JsFuture::from(promise.unchecked_into::<Promise>()).await.map_err(busy)?;
        Ok(Opened(opened.unchecked_into()))
    }

    /// Removes a file, or a folder with all that is in it. What is not there is removed already.
    ///
    /// # Errors
    /// The browser refuses, or somebody has a file open.
    pub async fn remove(&self, name: &str) -> Result<(), Refused> {
        let options = Object::new();
        Reflect::set(&options, &"recursive".into(), &true.into()).map_err(refusal)?;
        let remove = field(&self.0, "removeEntry").and_then(|remove| remove.dyn_into::<Function>().ok());
        let remove = remove.ok_or_else(|| "This browser cannot remove files".to_owned())?;
        let promise = remove.call2(&self.0, &name.into(), &options).map_err(refusal)?;
        match JsFuture::from(promise.unchecked_into::<Promise>()).await {
            Err(error) if !is_missing(&error) => Err(busy(error)),
            _ => Ok(()),
        }
    }

    async fn handle(&self, name: &str, create: bool) -> Result<Option<FileSystemFileHandle>, Refused> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        let found = JsFuture::from(self.0.get_file_handle_with_options(name, &options)).await;
        Ok(there(found)?.map(JsCast::unchecked_into))
    }

    async fn file(&self, name: &str) -> Result<Option<File>, Refused> {
        let Some(handle) = self.handle(name, false).await? else { return Ok(None) };
        Ok(Some(JsFuture::from(handle.get_file()).await.map_err(refusal)?.unchecked_into()))
    }
}

impl Opened {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn length(&self) -> Result<u64, Refused> {
        self.0.get_size().map(|size| size as u64).map_err(refusal)
    }

    /// Fills `bytes` from `at` on; the number of bytes that were there.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn read(&self, bytes: &mut [u8], at: u64) -> Result<usize, Refused> {
        self.0.read_with_u8_array_and_options(bytes, &place(at)).map(|read| read as usize).map_err(refusal)
    }

    /// Writes `bytes` at `at`.
    ///
    /// # Errors
    /// The browser refuses; most often because it gives no more room.
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<(), Refused> {
        let written = self.0.write_with_u8_array_and_options(bytes, &place(at)).map_err(refusal)?;
        if written as usize == bytes.len() { Ok(()) } else { Err("The browser gives no more room".to_owned()) }
    }

    /// Cuts it to a length.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn truncate(&self, length: u64) -> Result<(), Refused> {
        self.0.truncate_with_f64(length as f64).map_err(refusal)
    }

    /// Waits until what was written lasts.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn flush(&self) -> Result<(), Refused> {
        self.0.flush().map_err(refusal)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Bytes that the browser still gives this page; `None` where it does not say.
pub async fn free() -> Option<u64> {
    let told = JsFuture::from(storage().ok()?.estimate().ok()?).await.ok()?;
    let told = told.unchecked_into::<StorageEstimate>();
    Some((told.get_quota()? - told.get_usage().unwrap_or(0.0)).max(0.0) as u64)
}

fn storage() -> Result<StorageManager, Refused> {
    let scope = js_sys::global().unchecked_into::<DedicatedWorkerGlobalScope>();
    let storage = field(&scope.navigator(), "storage").filter(JsValue::is_object);
    let missing = || "This browser keeps no files for pages, or the page is not on https or localhost".to_owned();
    storage.map(JsCast::unchecked_into).ok_or_else(missing)
}

fn place(at: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at_f64(at as f64);
    options
}

/// `None` for what is not there.
fn there(found: Result<JsValue, JsValue>) -> Result<Option<JsValue>, Refused> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(refusal(error)),
    }
}

fn is_missing(error: &JsValue) -> bool {
    field(error, "name").and_then(|name| name.as_string()).is_some_and(|name| name == "NotFoundError")
}

fn busy(error: JsValue) -> Refused {
    let name = field(&error, "name").and_then(|name| name.as_string()).unwrap_or_default();
    if name == "NoModificationAllowedError" || name == "InvalidStateError" {
        return "Another tab of this browser is using the model".to_owned();
    }
    refusal(error)
}

fn refusal(error: JsValue) -> Refused {
    let text = |name: &str| field(&error, name).and_then(|text| text.as_string()).filter(|text| !text.is_empty());
    match text("name").as_deref() {
        Some("QuotaExceededError") => "The browser gives no more room".to_owned(),
        _ => text("message").unwrap_or_else(|| "The browser refuses".to_owned()),
    }
}

fn field(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &name.into()).ok()
}

/// Each of an array's items that is a file.
pub fn files(list: &JsValue) -> Vec<File> {
    list.dyn_ref::<Array>().into_iter().flat_map(Array::iter).filter_map(|file| file.dyn_into().ok()).collect()
}
