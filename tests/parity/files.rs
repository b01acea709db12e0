//! The golden files, compiled in so that a browser has them too.

use fresco_tests::{golden::Golden, memory::Memory};

macro_rules! golden {
    ($name:expr) => {
        include_bytes!(concat!("../goldens/", $name)).as_slice()
    };
}

macro_rules! folder {
    ($model:literal, $($file:literal),* $(,)?) => {
        Memory::new(&[$(($file, golden!(concat!($model, "/", $file)))),*])
    };
}
pub(crate) use golden;

/// One of the two reference models: its folder and its golden tensors.
pub struct Model {
    /// `a` or `b`.
    pub name: &'static str,
    /// Its files.
    pub folder: Memory,
    /// Its text encoder's golden tensors.
    pub text: Golden<'static>,
    /// Its denoiser's.
    pub unet: Golden<'static>,
    /// Its autoencoder's.
    pub vae: Golden<'static>,
    /// Whole runs.
    pub picture: Golden<'static>,
    /// Runs that start from a picture.
    pub transform: Golden<'static>,
}

/// Both reference models.
pub fn models() -> [Model; 2] {
    [a(), b()]
}

/// f32, prefixed text keys, quick GELU, 1x1 convolutions, leading spacing, epsilon.
pub fn a() -> Model {
    Model {
        name: "a",
        folder: folder!(
            "sd-a",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/special_tokens_map.json",
            "tokenizer/tokenizer_config.json",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        text: Golden::new(golden!("a_text.safetensors")),
        unet: Golden::new(golden!("a_unet.safetensors")),
        vae: Golden::new(golden!("a_vae.safetensors")),
        picture: Golden::new(golden!("a_picture.safetensors")),
        transform: Golden::new(golden!("a_transform.safetensors")),
    }
}

/// f16, plain text keys, GELU, old end-of-text rule, linear projections, trailing spacing, velocity.
pub fn b() -> Model {
    Model {
        name: "b",
        folder: folder!(
            "sd-b",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "tokenizer/tokenizer.json",
            "tokenizer/tokenizer_config.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
        ),
        text: Golden::new(golden!("b_text.safetensors")),
        unet: Golden::new(golden!("b_unet.safetensors")),
        vae: Golden::new(golden!("b_vae.safetensors")),
        picture: Golden::new(golden!("b_picture.safetensors")),
        transform: Golden::new(golden!("b_transform.safetensors")),
    }
}
