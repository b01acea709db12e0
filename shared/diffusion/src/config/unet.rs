//! `unet/config.json` of a `UNet2DConditionModel`.

use super::{count, only};
use crate::LoadError;
use serde::Deserialize;
use serde_json::Value;

/// One number for all levels, or one a level.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PerBlock {
    /// For all.
    All(usize),
    /// From the first (highest resolution) level to the last.
    Each(Vec<usize>),
}

impl PerBlock {
    /// The number of a level.
    pub fn of(&self, level: usize) -> usize {
        match self {
            PerBlock::All(value) => *value,
            PerBlock::Each(values) => values.get(level).copied().unwrap_or_default(),
        }
    }
}

/// Whether a level has attention to the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum BlockKind {
    /// With, on the way down.
    #[serde(rename = "CrossAttnDownBlock2D")]
    CrossDown,
    /// Without, on the way down.
    #[serde(rename = "DownBlock2D")]
    Down,
    /// With, on the way up.
    #[serde(rename = "CrossAttnUpBlock2D")]
    CrossUp,
    /// Without, on the way up.
    #[serde(rename = "UpBlock2D")]
    Up,
}

impl BlockKind {
    /// Whether the level has transformers.
    pub fn has_attention(self) -> bool {
        matches!(self, BlockKind::CrossDown | BlockKind::CrossUp)
    }

    fn goes_down(self) -> bool {
        matches!(self, BlockKind::CrossDown | BlockKind::Down)
    }
}

/// What the denoiser is told besides timestep and prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addition {
    /// The pooled prompt and six numbers about the picture's size (Podell et al. 2023, section 2.2).
    TextTime,
}

/// The denoiser of the Stable Diffusion UNet family.
#[derive(Clone, Debug, Deserialize)]
pub struct UNetConfig {
    /// Channels of the latents that come in.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// Levels on the way down.
    pub down_block_types: Vec<BlockKind>,
    /// Levels on the way up.
    pub up_block_types: Vec<BlockKind>,
    /// Residual blocks a level; one more on the way up.
    pub layers_per_block: PerBlock,
    /// Heads of each level: the number, not the size, whatever the name says.
    pub attention_head_dim: PerBlock,
    /// Heads under their right name; wins where it is given.
    #[serde(default)]
    pub num_attention_heads: Option<PerBlock>,
    /// Width of the prompt's states.
    pub cross_attention_dim: PerBlock,
    /// Transformer blocks of each level.
    #[serde(default = "one")]
    pub transformer_layers_per_block: PerBlock,
    /// Groups of the group norms.
    #[serde(default = "thirty_two")]
    pub norm_num_groups: usize,
    /// Added to the variance in the residual blocks' norms.
    #[serde(default = "epsilon")]
    pub norm_eps: f64,
    /// Cosines before sines in the timestep's embedding.
    #[serde(default = "yes")]
    pub flip_sin_to_cos: bool,
    /// Shift of the timestep embedding's frequencies.
    #[serde(default)]
    pub freq_shift: f64,
    /// What is added to the timestep's embedding.
    #[serde(default)]
    pub addition_embed_type: Option<Addition>,
    /// Width of each size number's sinusoids.
    #[serde(default)]
    pub addition_time_embed_dim: Option<usize>,
    /// Width of what is added: the pooled prompt and the sinusoids.
    #[serde(default)]
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Latent rows and columns the model was trained for.
    #[serde(default)]
    pub sample_size: Option<PerBlock>,
    /// Everything else.
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

/// Numbers about the picture's size: original height and width, crop from above and left, target height
/// and width.
pub const SIZES: usize = 6;

fn one() -> PerBlock {
    PerBlock::All(1)
}

fn thirty_two() -> usize {
    32
}

fn epsilon() -> f64 {
    1e-5
}

fn yes() -> bool {
    true
}

/// Keys that change the network, with the values for which it is built. A missing key, `null`
/// included, has diffusers' default, which is built.
const BUILT: &[(&str, &[&str])] = &[
    ("act_fn", &["\"silu\"", "\"swish\""]),
    ("mid_block_type", &["\"UNetMidBlock2DCrossAttn\""]),
    ("time_embedding_type", &["\"positional\""]),
    ("attention_type", &["\"default\""]),
    ("resnet_time_scale_shift", &["\"default\""]),
    ("downsample_padding", &["1"]),
    ("mid_block_scale_factor", &["1", "1.0"]),
    ("resnet_out_scale_factor", &["1", "1.0"]),
    ("conv_in_kernel", &["3"]),
    ("conv_out_kernel", &["3"]),
    ("center_input_sample", &["false"]),
    ("dual_cross_attention", &["false"]),
    ("only_cross_attention", &["false"]),
    ("resnet_skip_time_act", &["false"]),
    ("class_embeddings_concat", &["false"]),
    ("class_embed_type", &[]),
    ("num_class_embeds", &[]),
    ("encoder_hid_dim", &[]),
    ("encoder_hid_dim_type", &[]),
    ("cross_attention_norm", &[]),
    ("time_embedding_dim", &[]),
    ("time_embedding_act_fn", &[]),
    ("timestep_post_act", &[]),
    ("time_cond_proj_dim", &[]),
    ("mid_block_only_cross_attention", &[]),
    ("reverse_transformer_layers_per_block", &[]),
];

impl UNetConfig {
    /// Heads of a level.
    pub fn heads(&self, level: usize) -> usize {
        self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim).of(level)
    }

    /// The widths of the pooled prompt and of a size number's sinusoids, where they are added.
    pub fn added(&self) -> Option<(usize, usize)> {
        let Addition::TextTime = self.addition_embed_type?;
        let sinusoids = self.addition_time_embed_dim?;
        let pooled = self.projection_class_embeddings_input_dim?.checked_sub(SIZES.checked_mul(sinusoids)?)?;
        Some((pooled, sinusoids))
    }

    /// The longer side of the latents that the model was trained for.
    pub fn native_side(&self) -> usize {
        match &self.sample_size {
            None => 64,
            Some(PerBlock::All(side)) => *side,
            Some(PerBlock::Each(sides)) => sides.iter().copied().max().unwrap_or_default(),
        }
    }

    /// # Errors
    /// A size that is zero or does not divide, or a variant that is not built.
    pub fn check(&self, file: &str) -> Result<(), LoadError> {
        for (key, built) in BUILT {
            match self.others.get(*key) {
                None | Some(Value::Null) => {}
                Some(value) if built.contains(&value.to_string().as_str()) => {}
                Some(value) => return Err(LoadError::unsupported(file, format!("{key} = {value}"))),
            }
        }
        let levels = self.block_out_channels.len();
        count(file, "the number of block_out_channels", levels, 8)?;
        only(file, "the number of down_block_types", &self.down_block_types.len(), &levels)?;
        only(file, "the number of up_block_types", &self.up_block_types.len(), &levels)?;
        let ways =
            self.down_block_types.iter().all(|k| k.goes_down()) && !self.up_block_types.iter().any(|k| k.goes_down());
        only(file, "every down block in down_block_types", &ways, &true)?;
        count(file, "sample_size", self.native_side(), 1 << 12)?;
        count(file, "in_channels", self.in_channels, 64)?;
        count(file, "out_channels", self.out_channels, 64)?;
        count(file, "norm_num_groups", self.norm_num_groups, 1 << 12)?;
        self.check_added(file)?;
        (0..levels).try_for_each(|level| self.check_level(file, level))
    }

    fn check_added(&self, file: &str) -> Result<(), LoadError> {
        match (self.addition_embed_type, self.added()) {
            (None, _) => Ok(()),
            (Some(_), Some((pooled, sinusoids))) => {
                count(file, "addition_time_embed_dim", sinusoids, 1 << 12)?;
                count(file, "projection_class_embeddings_input_dim", pooled, 1 << 14)
            }
            (Some(_), None) => Err(LoadError::bad(
                file,
                "addition_embed_type needs addition_time_embed_dim and projection_class_embeddings_input_dim",
            )),
        }
    }

    fn check_level(&self, file: &str, level: usize) -> Result<(), LoadError> {
        let channels = self.block_out_channels[level];
        count(file, "block_out_channels", channels, 1 << 14)?;
        count(file, "layers_per_block", self.layers_per_block.of(level), 16)?;
        count(file, "attention_head_dim", self.heads(level), 1 << 10)?;
        count(file, "cross_attention_dim", self.cross_attention_dim.of(level), 1 << 14)?;
        count(file, "transformer_layers_per_block", self.transformer_layers_per_block.of(level), 64)?;
        if !channels.is_multiple_of(self.norm_num_groups) || !channels.is_multiple_of(self.heads(level)) {
            let message = format!("block_out_channels {channels} does not divide into its groups and heads");
            return Err(LoadError::bad(file, message));
        }
        Ok(())
    }
}
