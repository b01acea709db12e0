//! Bounds that every request keeps, whatever the model; a model may be stricter.

/// The longest prompt, in characters (not bytes).
pub const MAX_PROMPT_CHARS: usize = 4_000;
/// The fewest denoising steps.
pub const MIN_STEPS: u32 = 1;
/// The most denoising steps.
pub const MAX_STEPS: u32 = 150;
/// The largest guidance scale; 1 and below means no guidance.
pub const MAX_GUIDANCE: f32 = 50.0;
/// The largest width and height of any model, in pixels.
pub const MAX_SIDE: u32 = 4_096;
/// The largest width and height of a picture that was enlarged, in pixels.
pub const MAX_RESULT_SIDE: u32 = 8_192;
/// The longest side of a picture that comes in, in pixels: a line of pixels is no picture, and costs as much as one
/// to bring to another size.
pub const MAX_INPUT_SIDE: u32 = 16_384;
/// The largest factor of brightness, contrast and sharpness; 1 changes nothing.
pub const MAX_ENHANCE: f32 = 8.0;
/// The largest standard deviation of a blur, in pixels.
pub const MAX_BLUR: f32 = 128.0;
/// The most pixels of a picture that comes in, and of a canvas that grows: asked of its header before
/// it is decoded.
pub const MAX_PIXELS: u64 = 4_096 * 4_096;
/// The softest edge of a mask, in pixels.
pub const MAX_MASK_BLUR: f32 = 64.0;
/// The most LoRAs that a request, or a prompt, may name: each is added to a model in full.
pub const MAX_LORAS: usize = 16;
/// The largest weight of a LoRA; the least is its opposite.
pub const MAX_LORA_WEIGHT: f32 = 10.0;
/// The longest name of a file, in bytes: most file systems end there.
pub const MAX_NAME_BYTES: usize = 200;
/// The largest clip skip: the shallowest text encoder that was published has so many blocks.
pub const MAX_CLIP_SKIP: u32 = 12;
/// The most windows of a text encoder that a prompt is cut into.
pub const MAX_PROMPT_WINDOWS: usize = 32;
/// Most steps that the LCM sampler takes: its models were distilled from as many.
pub const MAX_LCM_STEPS: u32 = 50;
