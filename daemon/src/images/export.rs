//! Pictures and their parameters as a zip file, written as it is read: one picture is in memory at a time.

use super::{ImageError, Images, StorageError, Stored, search::Search};
use async_zip::{Compression, ZipDateTime, ZipDateTimeBuilder, ZipEntryBuilder, base::write::ZipFileWriter};
use fresco_api::ImageId;
use futures_util::stream::{self, Stream};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::bytes::{Bytes, BytesMut};

/// The most pictures that an export names one by one.
pub const MOST_IDS: usize = 10_000;
/// The pictures of a search are asked for so many at a time.
const PAGE: usize = 100;
/// The file is handed on in pieces of at most so many bytes.
const PIECE: usize = 64 << 10;

/// Which pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These, in this order; a name that there is none of is left out.
    Ids(Vec<ImageId>),
    /// All that are found, the newest first.
    Found(Search),
}

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Pictures in the file.
    pub pictures: u64,
    /// Pictures that are not there, or whose file is not. The file lists them too.
    pub left_out: Vec<ImageId>,
}

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The pictures cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The file cannot be written.
    #[error(transparent)]
    Zip(#[from] async_zip::error::ZipError),
    /// Nobody takes what is written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// The zip file as a stream, which ends in an error when the file is not whole.
pub fn stream(images: Images, selection: Selection) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (near, far) = tokio::io::duplex(PIECE);
    // Whoever stops reading drops the near end, and the writer ends at its next piece.
    let writing = tokio::spawn(async move { write(&images, selection, far).await });
    stream::unfold(Some((near, writing)), |state| async move {
        let (mut near, writing) = state?;
        let mut piece = BytesMut::with_capacity(PIECE);
        match near.read_buf(&mut piece).await {
            Err(error) => Some((Err(error), None)),
            Ok(0) => match writing.await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => {
                    tracing::warn!("an export broke off: {error}");
                    Some((Err(io::Error::other("the export broke off")), None))
                }
                Err(_) => Some((Err(io::Error::other("the export broke down")), None)),
            },
            Ok(_) => Some((Ok(piece.freeze()), Some((near, writing)))),
        }
    })
}

/// Writes the zip file: `ID.png` and `ID.json` for each picture.
///
/// # Errors
/// When pictures cannot be read or the file cannot be written; it is not whole then.
pub async fn write<W: AsyncWrite + Unpin>(
    images: &Images,
    selection: Selection,
    to: W,
) -> Result<Exported, ExportError> {
    let mut zip = Zip { images, writer: ZipFileWriter::with_tokio(to), exported: Exported::default() };
    match selection {
        Selection::Ids(ids) => {
            for id in ids {
                match images.find(&id).await {
                    Ok(stored) => zip.add(&stored).await?,
                    Err(ImageError::Unknown) => zip.exported.left_out.push(id),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Selection::Found(search) => {
            let mut cursor = None;
            loop {
                let (pictures, next) = images.page(&search, cursor.as_ref(), PAGE).await?;
                for stored in &pictures {
                    zip.add(stored).await?;
                }
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
        }
    }
    zip.finish().await
}

type Writer<W> = async_zip::tokio::write::ZipFileWriter<W>;

struct Zip<'a, W> {
    images: &'a Images,
    writer: Writer<W>,
    exported: Exported,
}

impl<W: AsyncWrite + Unpin> Zip<'_, W> {
    async fn add(&mut self, stored: &Stored) -> Result<(), ExportError> {
        let (image, id) = (&stored.image, &stored.image.id);
        let file = match self.images.file(stored).await {
            Ok(file) => file,
            Err(ImageError::Storage(StorageError::Missing(_) | StorageError::Damaged(_))) => {
                self.exported.left_out.push(id.clone());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let time = dos_time(&image.created_at);
        let entry = |name: String| entry(name).last_modification_date(time);
        self.writer.write_entry_whole(entry(format!("{id}.{}", image.media_type.extension())), &file).await?;
        let json = serde_json::to_vec_pretty(image).map_err(io::Error::from)?;
        self.writer.write_entry_whole(entry(format!("{id}.json")), &json).await?;
        self.exported.pictures += 1;
        Ok(())
    }

    async fn finish(mut self) -> Result<Exported, ExportError> {
        if !self.exported.left_out.is_empty() {
            let lines: String = self.exported.left_out.iter().map(|id| format!("{id}\n")).collect();
            self.writer.write_entry_whole(entry("left-out.txt".to_owned()), lines.as_bytes()).await?;
        }
        let mut to = self.writer.close().await?.into_inner();
        to.flush().await?;
        to.shutdown().await?;
        Ok(self.exported)
    }
}

/// A file of the zip file. Not compressed: pictures are already, and what is said about them is short.
fn entry(name: String) -> ZipEntryBuilder {
    ZipEntryBuilder::new(name.into(), Compression::Stored)
}

/// An RFC 3339 time as zip files have it, to two seconds; they know the years from 1980 to 2107.
fn dos_time(time: &str) -> ZipDateTime {
    let part = |from: usize, to: usize| time.get(from..to).and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0);
    let year = i32::try_from(part(0, 4)).unwrap_or(0).clamp(1980, 2107);
    let date = ZipDateTimeBuilder::new().year(year).month(part(5, 7)).day(part(8, 10));
    date.hour(part(11, 13)).minute(part(14, 16)).second(part(17, 19)).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::{images, params, png, store};
    use fresco_api::StoredImage;
    use futures_util::TryStreamExt;
    use std::{
        collections::BTreeMap,
        time::{Duration, SystemTime},
    };

    /// The files of a zip file by name, read from one local header to the next (APPNOTE 4.3.7).
    fn unpacked(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut rest = zip;
        while let Some(header) = rest.strip_prefix(b"PK\x03\x04") {
            let number = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]) as usize;
            let (stored, length) = (number(4) == 0, number(14) + (number(16) << 16));
            let (name, extra) = (number(22), number(24));
            assert!(stored, "nothing is compressed");
            let name = String::from_utf8(header[26..26 + name].to_vec()).expect("a name");
            let (file, after) = header[26 + name.len() + extra..].split_at(length);
            files.insert(name, file.to_vec());
            rest = after;
        }
        assert!(rest.starts_with(b"PK\x01\x02"), "the list of the files follows");
        files
    }

    async fn exported(images: &Images, selection: Selection) -> BTreeMap<String, Vec<u8>> {
        let pieces: Vec<Bytes> = stream(images.clone(), selection).try_collect().await.expect("whole");
        assert!(pieces.iter().all(|piece| piece.len() <= 2 * PIECE));
        unpacked(&pieces.concat())
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    #[tokio::test]
    async fn a_search_is_exported_with_its_parameters() {
        let images = images("export").await;
        let mut ids = Vec::new();
        for seed in 0..3 {
            ids.push(store(&images, &params(if seed == 1 { "a tree" } else { "a tent" }, seed), None, at(seed)).await);
        }
        let search = Search { prompt: "tent".to_owned(), ..Search::default() };
        let files = exported(&images, Selection::Found(search)).await;
        assert_eq!(files.len(), 4, "{:?}", files.keys());
        for (id, seed) in [(&ids[0], 0), (&ids[2], 2)] {
            assert_eq!(files[&format!("{id}.png")], png(&params("a tent", seed)));
            let about: StoredImage = serde_json::from_slice(&files[&format!("{id}.json")]).expect("JSON");
            assert_eq!(about, images.find(id).await.expect("is there").image);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_listed() {
        let images = images("export-ids").await;
        let id = store(&images, &params("a tent", 1), None, at(1)).await;
        let lost = store(&images, &params("a tree", 2), None, at(2)).await;
        let file = images.find(&lost).await.expect("is there").hash;
        images.blobs().delete(&file).await.expect("is removed");
        let nobody = ImageId("nobody".to_owned());
        let files = exported(&images, Selection::Ids(vec![nobody, id.clone(), lost.clone()])).await;
        let names: Vec<_> = files.keys().cloned().collect();
        assert_eq!(names, [format!("{id}.json"), format!("{id}.png"), "left-out.txt".to_owned()]);
        assert_eq!(files["left-out.txt"], format!("nobody\n{lost}\n").into_bytes());
    }

    #[test]
    fn a_time_is_what_zip_files_know() {
        let time = dos_time("2026-11-20T10:36:07.123Z");
        assert_eq!((time.year(), time.month(), time.day()), (2026, 11, 20));
        assert_eq!((time.hour(), time.minute(), time.second()), (10, 36, 6));
        assert_eq!(dos_time("1970-01-01T00:00:00Z").year(), 1980);
        assert_eq!(dos_time("").year(), 1980);
    }
}
