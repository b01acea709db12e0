//! Deleted is deleted: rows, files, what was made of them; and nothing that is still referred to.

use super::*;
use crate::images::{
    render::Rendition,
    testing::{home, images, params, store},
};
use fresco_api::{ImageChange, ImageFormat, JobId};
use std::path::{Path, PathBuf};

fn day(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

async fn count(images: &Images, table: &'static str) -> i64 {
    let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(images.reader()).await.expect("a count")
}

#[tokio::test]
async fn a_deleted_picture_leaves_nothing_behind() {
    let images = images("gone").await;
    let id = store(&images, &params("a tent", 1), Some(&JobId("job".to_owned())), day(1)).await;
    images.change(&id, ImageChange { favourite: None, tags: Some(vec!["x".to_owned()]) }).await.expect("is changed");
    let stored = images.find(&id).await.expect("is there");
    let small = Rendition { width: Some(128), format: ImageFormat::Jpeg };
    images.rendered(&stored, small).await.expect("a small one");
    let home = home(&images);
    assert_eq!(files(&home).len(), 2, "{:?}", files(&home));
    images.remove(&id).await.expect("is removed");
    assert!(files(&home).is_empty(), "{:?}", files(&home));
    for table in ["images", "image_tags", "cache_entries", "blob_moves"] {
        assert_eq!(count(&images, table).await, 0, "{table}");
    }
    assert!(matches!(images.find(&id).await, Err(ImageError::Unknown)));
    assert!(matches!(images.remove(&id).await, Err(ImageError::Unknown)));
}

#[tokio::test]
async fn a_file_goes_with_its_last_reference() {
    let images = images("shared").await;
    let params = params("a tent", 1);
    let first = store(&images, &params, None, day(1)).await;
    let second = store(&images, &params, None, day(2)).await;
    let stored = images.find(&second).await.expect("is there");
    images.remove(&first).await.expect("is removed");
    images.file(&stored).await.expect("the other picture has its file");
    images.remove(&second).await.expect("is removed");
    assert!(!images.blobs().exists(&stored.hash).await.expect("an answer"));
}

#[tokio::test]
async fn a_file_that_somebody_is_about_to_refer_to_stays() {
    let images = images("about").await;
    let params = params("a tent", 1);
    let first = store(&images, &params, None, day(1)).await;
    let stored = images.find(&first).await.expect("is there");
    // Another job has just made the same file, and has not written its row yet.
    images.blobs().put(crate::images::testing::png(&params).into()).await.expect("is kept");
    images.remove(&first).await.expect("is removed");
    let second = store(&images, &params, None, day(2)).await;
    images.file(&stored).await.expect("the file is there for it");
    // What was noted is crossed off, because something refers to the file again.
    assert!(moves::delete(&images, &stored.hash).await.expect("an answer"));
    images.file(&images.find(&second).await.expect("is there")).await.expect("the file is there");
}

#[tokio::test]
async fn what_is_too_old_goes_unless_it_is_a_favourite() {
    let images = images("old").await;
    let mut ids = Vec::new();
    for number in 1..=4 {
        ids.push(store(&images, &params("a tent", number), None, day(number)).await);
    }
    let favourite = ImageChange { favourite: Some(true), tags: None };
    images.change(&ids[0], favourite).await.expect("is changed");
    let retention = Retention { age: Some(Duration::from_secs(2 * 86_400)), bytes: None };
    assert_eq!(retain(&images, retention, day(5)).await.expect("is kept to"), 1);
    let left = images.page(&crate::images::search::Search::default(), None, 10).await.expect("a page").0;
    let left: Vec<_> = left.into_iter().map(|picture| picture.image.id).collect();
    assert_eq!(left, [ids[3].clone(), ids[2].clone(), ids[0].clone()]);
    assert_eq!(retain(&images, Retention::default(), day(5_000)).await.expect("is kept to"), 0);
}

#[tokio::test]
async fn the_oldest_go_until_the_rest_fits() {
    let images = images("much").await;
    let mut lengths = Vec::new();
    for number in 1..=4 {
        let id = store(&images, &params("a tent", number), None, day(number)).await;
        lengths.push(images.find(&id).await.expect("is there").image.bytes);
    }
    let most = lengths[2] + lengths[3];
    let retention = Retention { age: None, bytes: Some(most) };
    assert_eq!(retain(&images, retention, day(5)).await.expect("is kept to"), 2);
    assert_eq!(retain(&images, retention, day(5)).await.expect("is kept to"), 0);
    assert_eq!(count(&images, "images").await, 2);
}

#[tokio::test]
async fn files_that_nothing_refers_to_are_collected_when_they_are_old() {
    let images = images("orphans").await;
    let id = store(&images, &params("a tent", 1), None, day(1)).await;
    let kept = images.find(&id).await.expect("is there").hash;
    let orphan = images.blobs().put(tokio_util::bytes::Bytes::from_static(b"nobody's")).await.expect("is kept");
    collect(&images, SystemTime::now()).await.expect("is looked for");
    assert_eq!(count(&images, "blob_moves").await, 0, "they are new");
    collect(&images, SystemTime::now() + ORPHAN_AGE + Duration::from_secs(60)).await.expect("is looked for");
    assert_eq!(count(&images, "blob_moves").await, 1);
    images.blobs().settle(&orphan, SystemTime::now());
    assert!(moves::delete(&images, &orphan).await.expect("is removed"));
    assert!(!images.blobs().exists(&orphan).await.expect("an answer"));
    assert!(images.blobs().exists(&kept).await.expect("an answer"));
}
