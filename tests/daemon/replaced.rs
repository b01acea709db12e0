//! A model whose files change while the daemon runs.

use fresco_api::{ImageRequest, Params};
use fresco_daemon::{
    engine::{CancellationToken, DeviceChoice, Engine, Progress, local},
    models::Catalogue,
};
use fresco_diffusion::{DeviceKind, Picture};
use std::{fs, path::Path, sync::Arc};

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

#[tokio::test]
async fn is_loaded_anew() {
    let home = std::env::temp_dir().join(format!("fresco-replaced-{}", std::process::id()));
    let folder = home.join("models/mine");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/models/fresco-tiny"), &folder);
    let catalogue = Arc::new(Catalogue::new(&home, Vec::new()));
    let engine = local::start(catalogue.clone(), DeviceChoice::Only(DeviceKind::Cpu)).expect("a thread");
    let make = async || -> Picture {
        let model = catalogue.find(Some(&"mine".into())).expect("the model is there");
        let request = ImageRequest { prompt: "the sea".into(), steps: Some(1), ..Default::default() };
        let params: Params = request.resolve(&model.info, 5).expect("is accepted");
        let progress = Progress::new(CancellationToken::new()).0;
        engine.generate(params.into(), progress).await.expect("a picture").output.picture
    };
    let before = make().await;
    assert_eq!(before, make().await);
    let mut unet = fs::read_dir(folder.join("unet")).expect("the denoiser").flatten().map(|entry| entry.path());
    let weights = unet.find(|path| path.extension().is_some_and(|end| end == "safetensors")).expect("weights");
    let mut bytes = fs::read(&weights).expect("is read");
    let half = bytes.len() / 2;
    bytes[half..].fill(0);
    // Another time even on a coarse clock.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(&weights, bytes).expect("is written");
    assert_ne!(before, make().await);
    fs::remove_dir_all(home).expect("is removed");
}
