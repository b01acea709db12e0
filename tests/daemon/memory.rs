//! Models and memory: what stays loaded, what goes, and what is done where there is little.

use fresco_api::{ErrorCode, ImageRequest, ModelId, Params};
use fresco_daemon::{
    engine::{CancellationToken, DeviceChoice, Engine, EngineError, Gauge, MemoryOptions, Pinned, Progress, local},
    models::{Catalogue, machine::Memory},
};
use fresco_diffusion::{
    DeviceKind, Picture, Pipeline, Precision,
    fit::{Need, Outline, Savings},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const SIDE: u32 = 64;

/// A home with models, which goes with its test.
struct Home {
    folder: PathBuf,
    catalogue: Arc<Catalogue>,
}

impl Drop for Home {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder is there").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => _ = fs::copy(from, to).expect("a copy"),
        }
    }
}

impl Home {
    /// Copies of the embedded model under these names.
    fn new(test: &str, models: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("fresco-memory-{test}-{}", std::process::id()));
        let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny");
        models.iter().for_each(|model| copy(&embedded, &folder.join("models").join(model)));
        let catalogue = Arc::new(Catalogue::new(&folder, Vec::new()));
        Self { folder, catalogue }
    }

    fn engine(&self, memory: MemoryOptions) -> Pinned {
        let device = DeviceChoice::Only(DeviceKind::Cpu);
        local::start_with(self.catalogue.clone(), device, memory).expect("a thread")
    }

    /// Parameters of a picture of any size, whatever the catalogue would accept.
    fn params(&self, model: &str, prompt: &str, side: u32) -> Params {
        let model = self.catalogue.find(Some(&model.into())).expect("the model is there");
        let id = Some(model.info.id.clone());
        let request = ImageRequest { prompt: prompt.into(), steps: Some(1), model: id, ..ImageRequest::default() };
        Params { width: side, height: side, ..request.resolve(&model.info, 5).expect("is accepted") }
    }

    async fn outline(&self, model: &str) -> Outline {
        let model = self.catalogue.find(Some(&model.into())).expect("the model is there");
        Pipeline::inspect(&model.files).await.expect("it is read").outline()
    }

    async fn draw(&self, engine: &Pinned, model: &str, prompt: &str) -> Picture {
        self.try_draw(engine, model, prompt, SIDE).await.expect("a picture")
    }

    async fn try_draw(&self, engine: &Pinned, model: &str, prompt: &str, side: u32) -> Result<Picture, EngineError> {
        let progress = Progress::new(CancellationToken::new()).0;
        let made = engine.generate(self.params(model, prompt, side).into(), progress).await;
        made.map(|made| made.output.picture)
    }
}

fn need(outline: &Outline, precision: Precision, offload: bool) -> Need {
    outline.need((SIDE, SIDE), Savings { precision, offload, ..Savings::default() })
}

fn budget(bytes: u64) -> MemoryOptions {
    MemoryOptions { budget: Some(bytes), ..MemoryOptions::default() }
}

fn names(engine: &Pinned) -> Vec<String> {
    engine.loaded().into_iter().map(|ModelId(name)| name).collect()
}

#[tokio::test]
async fn the_model_used_longest_ago_goes_first() {
    let home = Home::new("three", &["one", "two", "three"]);
    let need = need(&home.outline("one").await, Precision::F32, false);
    let engine = home.engine(budget(need.resting + need.peak + need.resting / 2));
    let mut pictures = Vec::new();
    for (model, left) in [
        ("one", &["one"][..]),
        ("two", &["one", "two"]),
        ("one", &["two", "one"]),
        ("three", &["one", "three"]),
        ("one", &["three", "one"]),
        ("two", &["one", "two"]),
    ] {
        pictures.push(home.draw(&engine, model, "the sea").await);
        assert_eq!(names(&engine), left, "after {model}");
    }
    assert!(pictures.windows(2).all(|pair| pair[0] == pair[1]), "the same weights make the same picture");
    assert_eq!(engine.unload(Some("two".into())).await.expect("it works"), 1);
    assert_eq!(names(&engine), ["one"]);
    engine.load("three".into(), Progress::new(CancellationToken::new()).0).await.expect("it is loaded");
    assert_eq!(names(&engine), ["one", "three"]);
    assert_eq!(engine.unload(None).await.expect("it works"), 2);
    assert!(names(&engine).is_empty());
    let unknown = engine.load("nine".into(), Progress::new(CancellationToken::new()).0).await;
    assert!(matches!(unknown, Err(EngineError::Failed(error)) if error.code == ErrorCode::UnknownModel));
}

#[tokio::test]
async fn little_memory_makes_the_same_picture_of_files_with_16_bits() {
    let home = Home::new("little", &["mine"]);
    let outline = home.outline("mine").await;
    let roomy = home.draw(&home.engine(budget(1 << 40)), "mine", "a red tent").await;
    let halves = need(&outline, Precision::F16, false);
    let apart = need(&outline, Precision::F16, true);
    assert!(need(&outline, Precision::F32, false).peak > halves.peak && halves.peak > apart.peak);
    // So little that the denoiser must go while a prompt is read.
    let bare = need(&outline, Precision::F32, true);
    assert!(bare.text + bare.resting > bare.peak);
    let wide = MemoryOptions { precision: Some(Precision::F32), offload: Some(true), ..budget(bare.peak) };
    for memory in [budget(halves.peak), budget(apart.peak), wide] {
        let engine = home.engine(memory.clone());
        // The same prompt again, and after another one, when the text encoders are gone.
        for (prompt, same) in [("a red tent", true), ("a red tent", true), ("the sea", false), ("a red tent", true)] {
            let picture = home.draw(&engine, "mine", prompt).await;
            assert_eq!(picture == roomy, same, "{prompt} within {memory:?}");
        }
        assert_eq!(names(&engine), ["mine"]);
    }
    // A precision that the user insists on is kept, and changes the picture.
    let eight = MemoryOptions { precision: Some(Precision::Q8), ..budget(1 << 40) };
    assert!(home.draw(&home.engine(eight), "mine", "a red tent").await != roomy);
}

#[tokio::test]
async fn what_cannot_fit_is_refused_with_advice_and_the_rest_goes_on() {
    let home = Home::new("refused", &["mine"]);
    let outline = home.outline("mine").await;
    // A device with so much memory that a small picture fits, by the system's word.
    let total = need(&outline, Precision::F32, false).peak * 2;
    let says = move |_: &_| Some(Memory { name: "small".to_owned(), total, free: None, host: true });
    let engine = home.engine(MemoryOptions { gauge: Some(Gauge::new(says)), ..MemoryOptions::default() });
    let before = home.draw(&engine, "mine", "the sea").await;
    let refused = home.try_draw(&engine, "mine", "the sea", 512).await;
    let Err(EngineError::Failed(error)) = refused else { panic!("a picture of 512 x 512 was made") };
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::OutOfMemory, Some("model")));
    assert!(error.message.contains("512 x 512 pixels") && error.message.contains("would fit"), "{error}");
    assert_eq!(names(&engine), ["mine"], "what was loaded stays");
    assert!(home.draw(&engine, "mine", "the sea").await == before);
}
