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
/// Most steps that the LCM sampler takes: its models were distilled from as many.
pub const MAX_LCM_STEPS: u32 = 50;
