//! Blobs on a disk: kept, found, compared, removed, swept.

use super::*;
use crate::images::testing::folder;
use std::fs;

fn file(root: &Path, hash: &BlobHash) -> std::path::PathBuf {
    let name = hash.to_string();
    root.join("sha256").join(&name[..2]).join(name)
}

#[tokio::test]
async fn what_is_put_is_got_again_once() {
    let root = folder("put");
    let blobs = Blobs::open(&root).expect("a folder");
    let hash = blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept");
    assert_eq!(hash, BlobHash::of(b"a tent"));
    assert_eq!(blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept"), hash);
    assert_eq!(&blobs.get(&hash).await.expect("is there")[..], b"a tent");
    assert_eq!(blobs.list().await.expect("a list").len(), 1);
    assert_eq!(fs::read(file(&root, &hash)).expect("a file"), b"a tent");
    assert!(fs::read_dir(root.join("tmp")).expect("a folder").next().is_none());
    let again = Blobs::open(&root).expect("a folder");
    assert_eq!(&again.get(&hash).await.expect("is there")[..], b"a tent");
}

#[tokio::test]
async fn many_writers_of_the_same_blob_do_not_meet() {
    let root = folder("writers");
    let blobs = Blobs::open(&root).expect("a folder");
    let bytes = Bytes::from(vec![7; 100_000]);
    let writers = (0..16).map(|_| {
        let (blobs, bytes) = (blobs.clone(), bytes.clone());
        tokio::spawn(async move { blobs.put(bytes).await.expect("is kept") })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert_eq!(writer.await.expect("ends"), BlobHash::of(&bytes));
    }
    assert_eq!(blobs.get(&BlobHash::of(&bytes)).await.expect("is whole"), bytes);
    assert!(fs::read_dir(root.join("tmp")).expect("a folder").next().is_none());
}

#[tokio::test]
async fn a_range_is_cut_to_the_blob() {
    let blobs = Blobs::open(&folder("range")).expect("a folder");
    let hash = blobs.put(Bytes::from_static(b"0123456789")).await.expect("is kept");
    for (range, expected) in [(0..3, "012"), (8..100, "89"), (10..20, ""), (4..4, "")] {
        assert_eq!(&blobs.get_range(&hash, range).await.expect("a part")[..], expected.as_bytes());
    }
}

#[tokio::test]
async fn a_damaged_blob_is_told() {
    let root = folder("damaged");
    let blobs = Blobs::open(&root).expect("a folder");
    let hash = blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept");
    fs::write(file(&root, &hash), b"a tree").expect("is written");
    assert!(matches!(blobs.get(&hash).await, Err(StorageError::Damaged(damaged)) if damaged == hash));
    // One of another length is written anew.
    fs::write(file(&root, &hash), b"a te").expect("is written");
    blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept");
    assert_eq!(&blobs.get(&hash).await.expect("is whole")[..], b"a tent");
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let root = folder("deleted");
    let blobs = Blobs::open(&root).expect("a folder");
    let hash = blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept");
    assert!(blobs.exists(&hash).await.expect("an answer"));
    blobs.settle(&hash, SystemTime::now());
    for _ in 0..2 {
        assert!(blobs.delete(&hash).await.expect("is removed"));
        assert!(!blobs.exists(&hash).await.expect("an answer") && !file(&root, &hash).exists());
    }
    assert!(matches!(blobs.get(&hash).await, Err(StorageError::Missing(missing)) if missing == hash));
    assert_eq!(blobs.signed_url(&hash, FRESH).await.expect("an answer"), None);
}

#[tokio::test]
async fn what_was_put_just_now_is_not_deleted() {
    let blobs = Blobs::open(&folder("fresh")).expect("a folder");
    let before = SystemTime::now() - Duration::from_secs(1);
    let hash = blobs.put(Bytes::from_static(b"a tent")).await.expect("is kept");
    // Somebody else's reference, written before.
    blobs.settle(&hash, before);
    assert!(!blobs.delete(&hash).await.expect("an answer") && blobs.exists(&hash).await.expect("an answer"));
    blobs.settle(&hash, SystemTime::now());
    assert!(blobs.delete(&hash).await.expect("an answer") && !blobs.exists(&hash).await.expect("an answer"));
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_swept() {
    let root = folder("swept");
    let hash = Blobs::open(&root).expect("a folder").put(Bytes::from_static(b"a tent")).await.expect("is kept");
    fs::write(root.join("tmp").join("half"), b"a t").expect("is written");
    let blobs = Blobs::open(&root).expect("a folder");
    blobs.sweep().expect("is swept");
    assert!(fs::read_dir(root.join("tmp")).expect("a folder").next().is_none());
    assert!(blobs.exists(&hash).await.expect("an answer"));
}
