//! Pictures that come in with a request: decoded by the browser, and brought into the run's form.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use fresco_api::{ApiError, Edit, Mode, ModelInfo, Params, Request, limits};
use fresco_diffusion::{Input, Picture, Prepared};
use js_sys::{Array, Function, Object, Promise, Reflect, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, ImageBitmap, ImageData};

#[wasm_bindgen]
extern "C" {
    /// A canvas without a page.
    type OffscreenCanvas;

    #[wasm_bindgen(constructor, catch)]
    fn new(width: u32, height: u32) -> Result<OffscreenCanvas, JsValue>;

    #[wasm_bindgen(method, catch, js_name = getContext)]
    fn get_context(this: &OffscreenCanvas, kind: &str) -> Result<Context, JsValue>;

    /// What draws on it.
    type Context;

    #[wasm_bindgen(method, catch, js_name = drawImage)]
    fn draw_image(this: &Context, image: &ImageBitmap, x: f64, y: f64) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = getImageData)]
    fn image_data(this: &Context, x: f64, y: f64, width: f64, height: f64) -> Result<ImageData, JsValue>;
}

/// Padding at the end may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes a request's pictures and resolves it.
///
/// # Errors
/// The first field that cannot be used. Numbers are looked at before any picture is decoded.
pub async fn ready<M: Mode>(
    mut request: Request<M>,
    model: &ModelInfo,
    random_seed: u64,
) -> Result<(Params, Prepared), ApiError> {
    request.resolve(model, random_seed, (model.default_side, model.default_side))?;
    let mut inputs = Vec::new();
    for (field, text) in request.mode.pictures() {
        let bytes = file(text).map_err(|reason| ApiError::field(field, reason))?;
        inputs.push(decoded(&bytes).await.map_err(|reason| ApiError::field(field, reason))?);
        *text = hash(&bytes);
    }
    let size = inputs.first().map_or((0, 0), |input| (input.picture.width, input.picture.height));
    let params = request.resolve(model, random_seed, size)?;
    // A region is put back into its picture, and that is what is finished.
    if let Some(Edit::Inpaint { only_masked_padding: Some(_), outpaint, .. }) = &params.edit {
        params.post.check(outpaint.grown(size))?;
    }
    let prepared = Prepared::new(&params, inputs)?;
    Ok((params, prepared))
}

/// The file in a data URL.
fn file(text: &str) -> Result<Vec<u8>, String> {
    let data = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).map_or(text, |(_, data)| data);
    let bytes = BASE64.decode(data.trim()).map_err(|_| "Not an image: the file itself is needed".to_owned())?;
    if bytes.is_empty() { Err("A picture is required".to_owned()) } else { Ok(bytes) }
}

/// The pixels of a file, turned as its EXIF says.
async fn decoded(bytes: &[u8]) -> Result<Input, String> {
    let not_one = || "Not an image: a PNG, JPEG or WebP file is needed".to_owned();
    let bitmap = bitmap(bytes).await.map_err(|_| not_one())?;
    let (width, height) = (bitmap.width(), bitmap.height());
    if width == 0 || height == 0 {
        return Err(not_one());
    }
    if u64::from(width) * u64::from(height) > limits::MAX_PIXELS || width.max(height) > limits::MAX_INPUT_SIDE {
        return Err(format!("The image is too large: {width} x {height} pixels"));
    }
    let rgba = pixels(&bitmap).map_err(|_| "The browser cannot read this image".to_owned())?;
    bitmap.close();
    let alpha: Vec<u8> = rgba.as_chunks::<4>().0.iter().map(|pixel| pixel[3]).collect();
    let rgb = rgba.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let clear = alpha.iter().any(|alpha| *alpha < 255);
    Ok(Input { picture: Picture { width, height, rgb }, alpha: clear.then_some(alpha) })
}

/// Decoded without a colour profile, as the daemon does, so that both start from the same numbers.
async fn bitmap(bytes: &[u8]) -> Result<ImageBitmap, JsValue> {
    let parts = Array::of1(&Uint8Array::from(bytes));
    let blob = Blob::new_with_u8_array_sequence(&parts)?;
    let options = Object::new();
    for (name, value) in [("colorSpaceConversion", "none"), ("premultiplyAlpha", "none")] {
        Reflect::set(&options, &name.into(), &value.into())?;
    }
    let global = js_sys::global();
    let create = Reflect::get(&global, &"createImageBitmap".into())?.dyn_into::<Function>()?;
    let promise = create.call2(&global, &blob, &options)?.dyn_into::<Promise>()?;
    JsFuture::from(promise).await?.dyn_into()
}

fn pixels(bitmap: &ImageBitmap) -> Result<Vec<u8>, JsValue> {
    let canvas = OffscreenCanvas::new(bitmap.width(), bitmap.height())?;
    let context = canvas.get_context("2d")?;
    context.draw_image(bitmap, 0.0, 0.0)?;
    Ok(context.image_data(0.0, 0.0, f64::from(bitmap.width()), f64::from(bitmap.height()))?.data().0)
}

fn hash(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}
