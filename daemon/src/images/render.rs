//! Other sizes and formats of a picture. They are made where nothing asynchronous waits, a few at a time; the small
//! ones are kept beside the files and can be made again.

use super::{
    BlobHash,
    metadata::{self, Texts},
};
use fresco_api::{ImageFormat, limits};
use fresco_diffusion::Picture;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageReader, RgbImage,
    codecs::{jpeg::JpegEncoder, webp::WebPEncoder},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};
use tokio::sync::Semaphore;
use tokio_util::bytes::Bytes;
use uuid::Uuid;

/// The widths of small pictures, in pixels. A list, so that nobody fills the disk with every width there is.
pub const WIDTHS: [u32; 4] = [128, 256, 512, 1024];
/// How well a JPEG is written, of 100.
const QUALITY: u8 = 90;
/// So many are made at a time: each holds a decoded picture.
static MAKING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// A size and a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rendition {
    /// One of [`WIDTHS`], or the picture's own. A picture that is not as wide stays as it is.
    pub width: Option<u32>,
    /// The file's format.
    pub format: ImageFormat,
}

/// A picture cannot be made into another.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Its file is none of the formats that are read.
    #[error("it is no PNG, JPEG or WebP file")]
    Format,
    /// It has more pixels than are decoded.
    #[error("it has {0} x {1} pixels, which are too many")]
    Large(u32, u32),
    /// Its file is damaged, or the other cannot be written.
    #[error("{0}")]
    Codec(#[from] image::ImageError),
    /// The thread broke down.
    #[error("its decoder broke down")]
    Broken,
}

/// A picture's file as another. At its own size it carries the same parameters.
///
/// # Errors
/// When the file cannot be decoded.
pub async fn render(file: Bytes, rendition: Rendition) -> Result<Bytes, RenderError> {
    // Nobody closes it.
    let turn = MAKING.clone().acquire_owned().await.map_err(|_| RenderError::Broken)?;
    // The turn ends with the work: a client that hangs up does not end it.
    let work = move || (make(&file, rendition), drop(turn)).0;
    let made = tokio::task::spawn_blocking(work).await;
    made.unwrap_or(Err(RenderError::Broken)).map(Bytes::from)
}

fn make(file: &[u8], rendition: Rendition) -> Result<Vec<u8>, RenderError> {
    let image = decoded(file)?;
    match rendition.width {
        None => {
            let texts = metadata::read(file).map(|found| found.texts).unwrap_or_default();
            encoded(image.into_rgb8(), rendition.format, &texts)
        }
        Some(width) if width < image.width() => {
            encoded(image.thumbnail(width, u32::MAX).into_rgb8(), rendition.format, &Texts::default())
        }
        Some(_) => encoded(image.into_rgb8(), rendition.format, &Texts::default()),
    }
}

/// The pixels of a file whose header says that they are few enough.
fn decoded(file: &[u8]) -> Result<DynamicImage, RenderError> {
    let reader = ImageReader::new(io::Cursor::new(file)).with_guessed_format().map_err(|_| RenderError::Format)?;
    let decoder = reader.into_decoder().map_err(|_| RenderError::Format)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > limits::MAX_RESULT_SIDE {
        return Err(RenderError::Large(width, height));
    }
    Ok(DynamicImage::from_decoder(decoder)?)
}

fn encoded(picture: RgbImage, format: ImageFormat, texts: &Texts) -> Result<Vec<u8>, RenderError> {
    let (width, height) = picture.dimensions();
    let mut file = Vec::new();
    match format {
        ImageFormat::Png => return Ok(Picture { width, height, rgb: picture.into_raw() }.png(&texts.for_png())),
        ImageFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
            // Both formats take it; one that did not would lose the parameters and no pixel.
            _ = encoder.set_exif_metadata(metadata::exif::write(texts));
            encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8)?;
        }
        ImageFormat::Webp => {
            let mut encoder = WebPEncoder::new_lossless(&mut file);
            _ = encoder.set_exif_metadata(metadata::exif::write(texts));
            encoder.write_image(&picture, width, height, ExtendedColorType::Rgb8)?;
        }
    }
    Ok(file)
}

/// Small pictures in a folder: `ab/abcd….256.jpg`.
#[derive(Clone, Debug)]
pub(super) struct Thumbnails {
    folder: Arc<Path>,
}

impl Thumbnails {
    /// Those in a folder, which is made when the first is kept.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder: folder.into() }
    }

    /// Removes what a crash left half written.
    pub fn sweep(&self) {
        // Nobody misses it, nor the folder.
        _ = fs::remove_dir_all(self.folder.join("tmp"));
    }

    #[cfg(test)]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One that was made before.
    pub async fn find(&self, hash: &BlobHash, rendition: Rendition) -> Option<Bytes> {
        let path = self.path(hash, rendition)?;
        tokio::task::spawn_blocking(move || fs::read(path).ok().map(Bytes::from)).await.ok()?
    }

    /// Keeps one, if it is small. A disk that does not take it costs time later and nothing else.
    pub async fn keep(&self, hash: &BlobHash, rendition: Rendition, file: Bytes) {
        let Some(path) = self.path(hash, rendition) else { return };
        let temporary = self.folder.join("tmp").join(Uuid::now_v7().to_string());
        let kept = tokio::task::spawn_blocking(move || {
            for folder in [&path, &temporary].into_iter().filter_map(|file| file.parent()) {
                fs::create_dir_all(folder)?;
            }
            fs::write(&temporary, file)?;
            fs::rename(&temporary, &path)
        });
        if let Ok(Err(error)) = kept.await {
            tracing::debug!("a small picture is not kept: {error}");
        }
    }

    /// Removes all of a picture's.
    pub async fn remove(&self, hash: &BlobHash) -> io::Result<()> {
        let sizes = WIDTHS.iter().flat_map(|width| ImageFormat::ALL.iter().map(|format| (Some(*width), *format)));
        let paths: Vec<_> = sizes.filter_map(|(width, format)| self.path(hash, Rendition { width, format })).collect();
        let removed = tokio::task::spawn_blocking(move || {
            paths.iter().try_for_each(|path| match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            })
        });
        removed.await.unwrap_or_else(|_| Err(io::Error::other("the disk's thread broke down")))
    }

    /// Where a small picture is; a large one is nowhere.
    fn path(&self, hash: &BlobHash, rendition: Rendition) -> Option<PathBuf> {
        let (name, ending) = (hash.to_string(), rendition.format.extension());
        let file = format!("{name}.{}.{ending}", rendition.width?);
        Some(self.folder.join(&name[..2]).join(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::testing::{folder, params, png};
    use fresco_api::{Infotext, Params};

    async fn made(width: Option<u32>, format: ImageFormat) -> Vec<u8> {
        let file = png(&params("a tent, é", 3));
        render(file.into(), Rendition { width, format }).await.expect("is made").to_vec()
    }

    #[tokio::test]
    async fn every_format_is_written_and_has_the_parameters() {
        let original = png(&params("a tent, é", 3));
        for format in ImageFormat::ALL {
            let file = made(None, *format).await;
            let image = decoded(&file).expect("a picture");
            assert_eq!((image.width(), image.height()), (48, 32), "{format:?}");
            let found = metadata::read(&file).expect("a known format");
            assert_eq!(found.format, *format);
            let json = found.texts.json.expect("the parameters");
            assert_eq!(serde_json::from_str::<Params>(&json).expect("JSON"), params("a tent, é", 3), "{format:?}");
            let text = Infotext::parse(&found.texts.infotext.expect("the text form"));
            assert_eq!((text.prompt.as_str(), text.request().seed), ("a tent, é", Some(3)), "{format:?}");
            if *format != ImageFormat::Jpeg {
                let pixels = decoded(&original).expect("a picture").into_rgb8();
                assert_eq!(image.into_rgb8(), pixels, "{format:?} loses nothing");
            }
        }
        assert_eq!(made(None, ImageFormat::Png).await, original, "nothing is asked for, nothing changes");
    }

    #[tokio::test]
    async fn the_same_is_made_twice() {
        for format in ImageFormat::ALL {
            assert_eq!(made(None, *format).await, made(None, *format).await, "{format:?}");
        }
    }

    #[tokio::test]
    async fn a_small_one_keeps_its_proportions_and_says_nothing() {
        let wide = Params { width: 400, height: 200, ..params("a tent", 1) };
        for format in ImageFormat::ALL {
            let rendition = Rendition { width: Some(128), format: *format };
            let file = render(png(&wide).into(), rendition).await.expect("is made");
            let image = decoded(&file).expect("a picture");
            assert_eq!((image.width(), image.height()), (128, 64), "{format:?}");
            assert_eq!(metadata::read(&file).expect("a format").texts, Texts::default(), "{format:?}");
        }
        let image = decoded(&made(Some(128), ImageFormat::Png).await).expect("a picture");
        assert_eq!((image.width(), image.height()), (48, 32), "nothing is made larger");
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused() {
        let rendition = Rendition { width: None, format: ImageFormat::Png };
        let refused = |file: &[u8]| render(Bytes::copy_from_slice(file), rendition);
        assert!(matches!(refused(b"").await, Err(RenderError::Format)));
        assert!(matches!(refused(b"<html>").await, Err(RenderError::Format)));
        let file = png(&params("a tent", 1));
        assert!(matches!(refused(&file[..file.len() - 20]).await, Err(RenderError::Codec(_))));
    }

    #[tokio::test]
    async fn a_small_one_is_kept_until_it_is_removed() {
        let thumbnails = Thumbnails::new(folder("thumbnails").join("thumbnails"));
        let (hash, other) = (BlobHash::of(b"a"), BlobHash::of(b"b"));
        let small = Rendition { width: Some(256), format: ImageFormat::Webp };
        let large = Rendition { width: None, format: ImageFormat::Webp };
        assert_eq!(thumbnails.find(&hash, small).await, None);
        for hash in [hash, other] {
            thumbnails.keep(&hash, small, Bytes::from_static(b"x")).await;
            thumbnails.keep(&hash, large, Bytes::from_static(b"y")).await;
        }
        assert_eq!(thumbnails.find(&hash, small).await, Some(Bytes::from_static(b"x")));
        assert_eq!(thumbnails.find(&hash, large).await, None, "only small ones are kept");
        thumbnails.remove(&hash).await.expect("is removed");
        assert_eq!(thumbnails.find(&hash, small).await, None);
        assert!(thumbnails.find(&other, small).await.is_some());
    }
}
