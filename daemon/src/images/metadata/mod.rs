//! What a picture's file says about how it was made: read from PNG, JPEG and WebP of anybody's.
//!
//! Nothing here decodes a pixel, and no length that a file states is believed before the bytes are there.

pub mod exif;
mod jpeg;
mod png;
#[cfg(test)]
mod tests;
mod webp;

use fresco_api::{ImageFormat, ImageRequest, Infotext, Inspection, Params, SettingsSource};
use image::ImageReader;
use std::io::Cursor;

/// The PNG keyword under which our JSON is found.
const KEYWORD: &str = "fresco";
/// The PNG keyword of the text form, as AUTOMATIC1111 has it.
const INFOTEXT_KEYWORD: &str = "parameters";
/// A longer text is not read, in bytes.
const LONGEST_TEXT: usize = 256 << 10;

/// What a file says, in both forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// As AUTOMATIC1111 writes it.
    pub infotext: Option<String>,
    /// Our parameters as JSON.
    pub json: Option<String>,
}

/// A file of a known format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its format.
    pub format: ImageFormat,
    /// What it says.
    pub texts: Texts,
}

impl Texts {
    /// As the text chunks of a PNG, in the order in which [`fresco_diffusion::Picture::png_with`] writes them.
    pub fn for_png(&self) -> Vec<(&str, &str)> {
        let texts = [(INFOTEXT_KEYWORD, self.infotext.as_deref()), (KEYWORD, self.json.as_deref())];
        let said: Vec<_> = texts.into_iter().filter_map(|(keyword, text)| Some((keyword, text?))).collect();
        if said.is_empty() { said } else { [("Software", SOFTWARE)].into_iter().chain(said).collect() }
    }
}

/// Who wrote a file.
const SOFTWARE: &str = concat!("Fresco ", env!("CARGO_PKG_VERSION"));

/// What a file says; nothing for a file that is of none of these formats.
pub fn read(file: &[u8]) -> Option<Found> {
    let found = |format, texts: Option<Texts>| Found { format, texts: texts.unwrap_or_default() };
    match file {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', chunks @ ..] => {
            Some(found(ImageFormat::Png, Some(png::texts(chunks))))
        }
        [0xFF, 0xD8, segments @ ..] => Some(found(ImageFormat::Jpeg, jpeg::exif(segments).map(exif::read))),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', chunks @ ..] => {
            Some(found(ImageFormat::Webp, webp::exif(chunks).map(exif::read)))
        }
        _ => None,
    }
}

/// What a file says, as a request that makes the picture again.
///
/// # Errors
/// A sentence, when it is no picture.
pub fn inspect(file: &[u8]) -> Result<Inspection, String> {
    let not_one = "Not an image: a PNG, JPEG or WebP file is needed";
    let Found { format, texts } = read(file).ok_or(not_one)?;
    let header = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|_| not_one)?;
    let (width, height) = header.into_dimensions().map_err(|_| "The image is damaged")?;
    let infotext = texts.infotext.as_deref().map(Infotext::parse);
    let params = texts.json.as_deref().and_then(|json| serde_json::from_str::<Params>(json).ok());
    let (source, request, edit) = match (params, &infotext) {
        (Some(params), _) => (Some(SettingsSource::Fresco), Some(ImageRequest::from(&params)), params.edit),
        (None, Some(infotext)) => (Some(SettingsSource::Infotext), Some(infotext.request()), None),
        (None, None) => (None, None, None),
    };
    let settings = infotext.map(|infotext| infotext.settings).unwrap_or_default();
    Ok(Inspection { media_type: format, width, height, source, request, edit, settings })
}
