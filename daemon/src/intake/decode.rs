//! One picture from the text of a field. Its header is asked for its size before anything is decoded.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use fresco_api::{ApiError, limits};
use fresco_diffusion::{Input, Picture};
use image::{DynamicImage, ImageDecoder, ImageReader};
use sha2::{Digest, Sha256};
use std::{fmt::Write, io::Cursor};

/// Padding at the end may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The picture of a data URL or of bare base64, its file, and the file's hash as `sha256:…`.
///
/// The file is a PNG, JPEG or WebP of at most [`limits::MAX_PIXELS`]; it is turned as its EXIF says.
///
/// # Errors
/// What is wrong with it, at `field`. The text itself is never repeated: it may be long.
pub fn picture(field: &str, text: &str) -> Result<(Input, Vec<u8>, String), ApiError> {
    let bytes = file(text).map_err(|reason| ApiError::field(field, reason))?;
    let input = decoded(&bytes).map_err(|reason| ApiError::field(field, reason))?;
    let hash = hash(&bytes);
    Ok((input, bytes, hash))
}

/// The file in the text of a data URL or of bare base64.
///
/// # Errors
/// A sentence that says what is wrong; it does not repeat the text.
pub(crate) fn file(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let base64 = match text.strip_prefix("data:") {
        None => text,
        Some(rest) => match rest.split_once(',') {
            Some((kind, data)) if kind.ends_with(";base64") => data,
            _ => return Err("Not a data URL in base64".to_owned()),
        },
    };
    if base64.is_empty() {
        return Err("A picture is required".to_owned());
    }
    // Broken into lines, as some writers do.
    let joined: Vec<u8> = base64.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(joined).map_err(|_| {
        "Not an image: the file itself is needed, as a data URL or in base64; paths and addresses are not read"
            .to_owned()
    })
}

/// The pixels of a file, which is checked as [`picture`] does it.
///
/// # Errors
/// What is wrong with it.
pub fn decoded(bytes: &[u8]) -> Result<Input, String> {
    let not_one = "Not an image: a PNG, JPEG or WebP file is needed";
    let broken = "The image is damaged";
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| not_one)?;
    let mut decoder = reader.into_decoder().map_err(|_| not_one)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(broken.to_owned());
    }
    if u64::from(width) * u64::from(height) > limits::MAX_PIXELS {
        return Err(format!("The image is too large: {width} x {height} pixels, {} are the most", limits::MAX_PIXELS));
    }
    if width.max(height) > limits::MAX_INPUT_SIDE {
        let most = limits::MAX_INPUT_SIDE;
        return Err(format!("The image is too long: {width} x {height} pixels, {most} a side are the most"));
    }
    let orientation = decoder.orientation().map_err(|_| broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|_| broken)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    if !image.color().has_alpha() {
        return Ok(Input { picture: Picture { width, height, rgb: image.into_rgb8().into_raw() }, alpha: None });
    }
    let rgba = image.into_rgba8().into_raw();
    let alpha: Vec<u8> = rgba.as_chunks::<4>().0.iter().map(|pixel| pixel[3]).collect();
    let rgb = rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let clear = alpha.iter().any(|alpha| *alpha < 255);
    Ok(Input { picture: Picture { width, height, rgb }, alpha: clear.then_some(alpha) })
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // A string takes everything.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;
    use image::{ExtendedColorType, ImageEncoder, ImageFormat, codecs::png::PngEncoder};

    /// A picture of 3 x 2 pixels in a format.
    fn small(format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let pixels = image::RgbImage::from_fn(3, 2, |x, _| image::Rgb([if x == 0 { 250 } else { 5 }; 3]));
        pixels.write_to(&mut file, format).expect("is written");
        file.into_inner()
    }

    fn refused(text: &str) -> ApiError {
        let error = picture("initImage", text).expect_err("is refused");
        assert_eq!(error.field.as_deref(), Some("initImage"));
        assert!(error.message.len() < 200, "{error}");
        error
    }

    #[test]
    fn every_format_is_read_from_data_urls_and_bare_base64() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let text = BASE64_STANDARD.encode(small(format));
            let bare = picture("image", &text).expect("a picture");
            assert_eq!((bare.0.picture.width, bare.0.picture.height), (3, 2), "{format:?}");
            assert!(bare.0.picture.rgb[0] > 200 && bare.0.picture.rgb[8] < 60, "{format:?}");
            let url = format!("data:{};base64,{text}", format.to_mime_type());
            assert_eq!(picture("image", &url).expect("a picture"), bare);
            let lines = format!("{}\n{}", &text[..40], text[40..].trim_end_matches('='));
            assert_eq!(picture("image", &lines).expect("a picture"), bare);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let cut = small(ImageFormat::Png);
        let cut = BASE64_STANDARD.encode(&cut[..cut.len() - 30]);
        for text in
            ["", "data:,", "data:image/png;base64,", "/etc/passwd", "http://localhost/x.png", "file:///x", "aGVsbG8="]
        {
            refused(text);
        }
        assert!(refused(&cut).message.contains("damaged"));
    }

    #[test]
    fn a_large_picture_is_refused_by_its_header() {
        // The header and the first chunk of data of a picture that would take 16 GiB.
        let mut bomb = Vec::new();
        PngEncoder::new(&mut bomb).write_image(&[7; 3], 1, 1, ExtendedColorType::Rgb8).expect("is written");
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let sum = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&sum.to_be_bytes());
        let error = refused(&BASE64_STANDARD.encode(&bomb));
        assert!(error.message.contains("65535 x 65535"), "{error}");
    }

    /// The check sum of a PNG's chunk.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
        })
    }

    #[test]
    fn transparency_counts_only_where_there_is_some() {
        let with = |alpha: u8| {
            let mut file = Vec::new();
            let pixels = [10, 20, 30, 255, 40, 50, 60, alpha];
            PngEncoder::new(&mut file).write_image(&pixels, 2, 1, ExtendedColorType::Rgba8).expect("is written");
            picture("mask", &BASE64_STANDARD.encode(file)).expect("a picture").0
        };
        assert_eq!(with(255).alpha, None);
        assert_eq!((with(9).alpha, with(9).picture.rgb), (Some(vec![255, 9]), vec![10, 20, 30, 40, 50, 60]));
    }
}
