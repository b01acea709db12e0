//! Pictures in a bucket: uploaded, read in whole and in part, signed; and an outage that loses nothing.

use crate::support::{daemon::PATIENCE, s3::Bucket};
use axum::body::Bytes;
use fresco_daemon::{
    data::Database,
    engine::CancellationToken,
    images::{BlobHash, Blobs, Images, Retention},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A data folder that no other test has.
fn home(name: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("storage").join(name);
    _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).expect("a folder");
    home
}

/// Pictures whose files go into the bucket.
async fn open(home: &Path, bucket: &Bucket) -> Images {
    let data = Database::open(home).await.expect("a database");
    let (reader, writer) = (data.reader().clone(), data.writer().clone());
    Images::open(home, Some(&bucket.settings()), reader, writer).expect("a folder")
}

/// Starts what moves files; the token stops it.
fn work(images: &Images) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(images.clone().work(Retention::default(), stop.clone()));
    stop
}

/// Every blob on the disk.
fn on_disk(home: &Path) -> usize {
    let fans = fs::read_dir(home.join("blobs").join("sha256")).expect("a folder").flatten();
    fans.map(|fan| fs::read_dir(fan.path()).expect("a folder").count()).sum()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn put(images: &Images, bytes: &'static str) -> BlobHash {
    images.blobs().put(Bytes::from_static(bytes.as_bytes())).await.expect("is kept")
}

#[tokio::test]
async fn a_file_is_uploaded_read_signed_and_deleted() {
    let (bucket, home) = (Bucket::start().await, home("upload"));
    let images = open(&home, &bucket).await;
    let blobs = images.blobs();
    let hash = put(&images, "0123456789").await;
    assert_eq!((on_disk(&home), blobs.signed_url(&hash, PATIENCE).await.expect("an answer")), (1, None));
    let stop = work(&images);
    until("is uploaded", async || on_disk(&home) == 0).await;
    assert_eq!(bucket.objects().get(&Bucket::path(&hash)).map(|object| &object[..]), Some(&b"0123456789"[..]));
    assert_eq!(&blobs.get(&hash).await.expect("is there")[..], b"0123456789");
    assert_eq!(&blobs.get_range(&hash, 3..5).await.expect("a part")[..], b"34");
    assert!(blobs.exists(&hash).await.expect("an answer"));
    let url = blobs.signed_url(&hash, Duration::from_secs(60)).await.expect("is signed").expect("an address");
    let answer = reqwest::get(&url).await.expect("answers");
    assert_eq!((answer.status().as_u16(), answer.text().await.expect("text")), (200, "0123456789".to_owned()));
    let unsigned = reqwest::get(url.split('?').next().expect("an address")).await.expect("answers");
    assert_eq!(unsigned.status().as_u16(), 403);
    assert_eq!(bucket.refused(), 1, "only the one without a signature");
    stop.cancel();
    // Another program does not know that it was put just now.
    let other = open(&home, &bucket).await;
    assert!(other.blobs().delete(&hash).await.expect("is removed"));
    assert!(bucket.objects().is_empty() && !blobs.exists(&hash).await.expect("an answer"));
    assert!(blobs.get(&hash).await.is_err());
}

#[tokio::test]
async fn an_outage_loses_nothing() {
    let (bucket, home) = (Bucket::start().await, home("outage"));
    bucket.set_down(true);
    let mut hashes = Vec::new();
    {
        let images = open(&home, &bucket).await;
        let stop = work(&images);
        for bytes in ["one", "two", "three"] {
            hashes.push((put(&images, bytes).await, bytes));
        }
        assert_eq!(images.waiting_uploads().await.expect("a count"), 3);
        for (hash, bytes) in &hashes {
            assert_eq!(images.blobs().get(hash).await.expect("is here"), bytes.as_bytes());
        }
        stop.cancel();
    }
    // The program starts anew while the bucket is still down, and knows what it owes it.
    let images = open(&home, &bucket).await;
    let stop = work(&images);
    hashes.push((put(&images, "four").await, "four"));
    assert_eq!((images.waiting_uploads().await.expect("a count"), on_disk(&home)), (4, 4));
    bucket.set_down(false);
    until("everything is uploaded", async || on_disk(&home) == 0).await;
    until("nothing is owed", async || images.waiting_uploads().await.expect("a count") == 0).await;
    assert_eq!(bucket.objects().len(), 4);
    for (hash, bytes) in &hashes {
        assert_eq!(images.blobs().get(hash).await.expect("is there"), bytes.as_bytes());
    }
    stop.cancel();
}

/// A crash between the disk and the note, and files from before there was a bucket.
#[tokio::test]
async fn a_file_that_nobody_noted_is_uploaded_at_the_next_start() {
    let (bucket, home) = (Bucket::start().await, home("unnoted"));
    let before = Blobs::open(&home.join("blobs")).expect("a folder");
    let hash = before.put(Bytes::from_static(b"from before")).await.expect("is kept");
    let images = open(&home, &bucket).await;
    let stop = work(&images);
    until("is uploaded", async || bucket.objects().contains_key(&Bucket::path(&hash))).await;
    stop.cancel();
}

#[tokio::test]
async fn a_damaged_object_is_not_handed_out() {
    let (bucket, home) = (Bucket::start().await, home("damaged"));
    let images = open(&home, &bucket).await;
    let hash = put(&images, "whole").await;
    let stop = work(&images);
    until("is uploaded", async || on_disk(&home) == 0).await;
    bucket.damage(&hash);
    assert!(images.blobs().get(&hash).await.is_err());
    bucket.set_down(true);
    assert!(images.blobs().get(&hash).await.is_err());
    stop.cancel();
}
