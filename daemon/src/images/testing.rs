//! What the tests of this room share: folders of their own, a database in memory, pictures.

use super::{BlobHash, Images, NewImage, history};
use fresco_api::{ImageFormat, ImageId, JobId, Params};
use fresco_diffusion::Picture;
use sqlx::{SqlitePool, migrate::Migrator, sqlite::SqlitePoolOptions};
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};
use tokio_util::bytes::Bytes;
use uuid::Uuid;

/// An empty folder that no other test has.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("fresco-images-{name}-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

/// A database in memory with every migration applied.
pub async fn database() -> SqlitePool {
    let options = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = options.connect("sqlite::memory:").await.expect("a database");
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    Migrator::new(migrations).await.expect("migrations").run(&pool).await.expect("are applied");
    pool
}

/// Pictures in a folder and a database of their own.
pub async fn images(name: &str) -> Images {
    let pool = database().await;
    Images::open(&folder(name), None, pool.clone(), pool).expect("a folder")
}

/// The data folder of pictures.
pub fn home(images: &Images) -> PathBuf {
    images.thumbnails.folder().parent().expect("lies in the data folder").to_owned()
}

/// Parameters with a prompt and a seed.
pub fn params(prompt: &str, seed: u64) -> Params {
    let (width, height, steps) = (48, 32, 4);
    Params {
        prompt: prompt.to_owned(),
        width,
        height,
        steps,
        seed,
        model: "fresco-tiny".into(),
        guidance_scale: 2.5,
        ..Params::default()
    }
}

/// A PNG of those parameters; every seed has another.
pub fn png(params: &Params) -> Vec<u8> {
    let pixel = |i: u32| [(u64::from(i) * 3 + params.seed) as u8, (i / params.width * 5) as u8, params.seed as u8];
    let rgb = (0..params.width * params.height).flat_map(pixel).collect();
    Picture { width: params.width, height: params.height, rgb }.png_with(params)
}

/// Stores a picture as a finished job does.
pub async fn store(images: &Images, params: &Params, job: Option<&JobId>, created: SystemTime) -> ImageId {
    let file = png(params);
    let bytes = file.len() as u64;
    let hash: BlobHash = images.blobs().put(Bytes::from(file)).await.expect("is kept");
    let id = ImageId(Uuid::now_v7().to_string());
    let new = NewImage {
        id: id.clone(),
        job: job.cloned(),
        position: 0,
        hash,
        format: ImageFormat::Png,
        bytes,
        width: params.width,
        height: params.height,
        created,
        owner: String::new(),
        params: params.clone(),
    };
    let mut connection = images.writer.acquire().await.expect("a connection");
    history::insert(&mut connection, &new).await.expect("is inserted");
    images.blobs().settle(&hash, SystemTime::now());
    id
}
