//! What a run gives: the latents and the picture.

use fresco_api::Params;

/// An RGB picture, 8 bits a channel, rows from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height * width * 3` bytes.
    pub rgb: Vec<u8>,
}

/// The iTXt keyword under which a PNG carries its parameters as JSON.
pub const KEYWORD: &str = "fresco";
/// The iTXt keyword under which a PNG carries its parameters as other programs read them.
pub const INFOTEXT_KEYWORD: &str = "parameters";

impl Picture {
    /// The picture as a PNG file that remembers how it was made: the same file from every engine.
    pub fn png_with(&self, params: &Params) -> Vec<u8> {
        let software = concat!("Fresco ", env!("CARGO_PKG_VERSION"));
        let parameters = serde_json::to_string(params).unwrap_or_default();
        self.png(&[("Software", software), (INFOTEXT_KEYWORD, &params.infotext()), (KEYWORD, &parameters)])
    }

    /// The picture as a PNG file, with `text` as its iTXt chunks (keyword, text).
    pub fn png(&self, text: &[(&str, &str)]) -> Vec<u8> {
        let mut file = Vec::new();
        let written = self.write_png(text, &mut file);
        debug_assert!(written.is_ok(), "a vector takes every byte");
        file
    }

    fn write_png(&self, text: &[(&str, &str)], file: &mut Vec<u8>) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        for (keyword, words) in text {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*words).to_owned())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()
    }
}

/// Final latents as the sampler left them, before the autoencoder's scaling is undone.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// `[n, channels, height / factor, width / factor]`.
    pub shape: [usize; 4],
    /// Values in NCHW order.
    pub values: Vec<f32>,
}

/// What a run gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The picture.
    pub picture: Picture,
    /// The latents it was decoded from.
    pub latents: Latents,
}
