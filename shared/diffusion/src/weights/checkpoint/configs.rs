//! The configuration files that a single-file checkpoint lacks: sizes from its shapes, the rest as
//! each family was published.

use super::{
    super::{Entry, Listing},
    Family,
    kind::Part,
};
use crate::{LoadError, Source};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The scheduler's file.
pub const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// Every configuration file by its path in a diffusers folder.
///
/// `with_t5` says whether there is T5, in the files or beside them.
pub fn all(
    family: Family,
    components: &BTreeMap<Part, Listing>,
    velocity: bool,
    with_t5: bool,
) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut put = |path: String, value: &Value| files.insert(path, value.to_string().into_bytes());
    put("model_index.json".to_owned(), &index(family, with_t5));
    put(SCHEDULER.to_owned(), &scheduler(family, velocity));
    for (part, listing) in components {
        let config = match part {
            Part::Unet => unet(listing, family, velocity),
            Part::Transformer => transformer(listing),
            Part::Vae => vae(listing, family),
            Part::TextEncoder | Part::TextEncoder2 => text(listing, family, *part),
            Part::TextEncoder3 => t5(listing),
        };
        put(format!("{}/config.json", part.folder()), &config);
    }
    files
}

/// Whether the denoiser predicts velocity.
///
/// The author's note `hint` decides. In Stable Diffusion 2 nothing else in the header tells: there the
/// biases of a late norm do, which spread widely only in the models that were trained for velocity
/// (ComfyUI tells them apart by the same tensor).
pub async fn predicts_velocity(
    source: &impl Source,
    family: Family,
    components: &BTreeMap<Part, Listing>,
    hint: Option<&str>,
) -> Result<bool, LoadError> {
    match hint {
        Some("v" | "v_prediction") => return Ok(true),
        Some("epsilon") => return Ok(false),
        _ => {}
    }
    let name = "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias";
    let tensor = |part: Part| components.get(&part).and_then(|listing| listing.tensors.get(name));
    let entry: Option<&Entry> = tensor(Part::Unet);
    match (family, entry) {
        (Family::Sd2, Some(entry))
            if components.get(&Part::Unet).is_some_and(|unet| unet.side("conv_in.weight", 1) == 4) =>
        {
            Ok(deviation(&entry.read(source, name).await?) > 0.09)
        }
        _ => Ok(false),
    }
}

fn deviation(values: &[f32]) -> f32 {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt()
}

fn index(family: Family, with_t5: bool) -> Value {
    let class = match family {
        Family::Sd1 | Family::Sd2 => "StableDiffusionPipeline",
        Family::Sdxl => "StableDiffusionXLPipeline",
        Family::Sd3 => "StableDiffusion3Pipeline",
    };
    let (encoder, scheduler) = match family {
        Family::Sd1 | Family::Sd2 | Family::Sdxl => ("CLIPTextModel", "EulerDiscreteScheduler"),
        Family::Sd3 => ("CLIPTextModelWithProjection", "FlowMatchEulerDiscreteScheduler"),
    };
    let mut index = json!({
        "_class_name": class,
        "scheduler": ["diffusers", scheduler],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", encoder],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    });
    match family {
        Family::Sd1 | Family::Sd2 | Family::Sdxl => index["unet"] = json!(["diffusers", "UNet2DConditionModel"]),
        Family::Sd3 => index["transformer"] = json!(["diffusers", "SD3Transformer2DModel"]),
    }
    if matches!(family, Family::Sdxl | Family::Sd3) {
        index["text_encoder_2"] = json!(["transformers", "CLIPTextModelWithProjection"]);
        index["tokenizer_2"] = json!(["transformers", "CLIPTokenizer"]);
    }
    if family == Family::Sd3 {
        // Its prompts work without T5: the reference then takes zeros.
        index["text_encoder_3"] = if with_t5 { json!(["transformers", "T5EncoderModel"]) } else { json!([null, null]) };
        index["tokenizer_3"] = if with_t5 { json!(["transformers", "T5TokenizerFast"]) } else { json!([null, null]) };
    }
    index
}

/// The scheduler of models that were distilled to a few steps (the Turbo models), as they were published: timesteps are
/// counted from the last, and XL's sampler adds fresh noise.
pub fn distilled(family: Family) -> Vec<u8> {
    let mut config = scheduler(family, false);
    if family != Family::Sd3 {
        config["timestep_spacing"] = json!("trailing");
    }
    if family == Family::Sdxl {
        config["_class_name"] = json!("EulerAncestralDiscreteScheduler");
    }
    config.to_string().into_bytes()
}

fn scheduler(family: Family, velocity: bool) -> Value {
    if family == Family::Sd3 {
        return json!({"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0});
    }
    json!({
        "_class_name": "EulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": if velocity { "v_prediction" } else { "epsilon" },
        "timestep_spacing": "leading",
        "steps_offset": 1,
    })
}

fn unet(listing: &Listing, family: Family, velocity: bool) -> Value {
    let levels = listing.count("down_blocks.");
    let width = |level: usize| listing.side(&format!("down_blocks.{level}.resnets.0.conv1.weight"), 0);
    let widths: Vec<usize> = (0..levels).map(width).collect();
    let kinds = |way: &str, with: &str, without: &str| {
        let attends = |level: usize| listing.any(&format!("{way}.{level}.attentions."));
        let kind = |level: usize| if attends(level) { with.to_owned() } else { without.to_owned() };
        (0..levels).map(kind).collect::<Vec<String>>()
    };
    // A level without transformers has the depth that is said of it; the last one's is the middle's.
    let depth = |level: usize| {
        let place = if level + 1 == levels { "mid_block".to_owned() } else { format!("down_blocks.{level}") };
        listing.count(&format!("{place}.attentions.0.transformer_blocks.")).max(1)
    };
    let heads: Vec<usize> = match family {
        Family::Sd1 => vec![8; levels],
        Family::Sd2 | Family::Sdxl | Family::Sd3 => widths.iter().map(|width| (width / 64).max(1)).collect(),
    };
    let side = match family {
        Family::Sdxl => 128,
        Family::Sd2 if velocity => 96,
        Family::Sd1 | Family::Sd2 | Family::Sd3 => 64,
    };
    let mut config = json!({
        "_class_name": "UNet2DConditionModel",
        "sample_size": side,
        "in_channels": listing.side("conv_in.weight", 1),
        "out_channels": listing.side("conv_out.weight", 0),
        "block_out_channels": widths,
        "layers_per_block": listing.count("down_blocks.0.resnets."),
        "down_block_types": kinds("down_blocks", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": kinds("up_blocks", "CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": listing.side("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1),
        "transformer_layers_per_block": (0..levels).map(depth).collect::<Vec<_>>(),
        "attention_head_dim": heads,
        "use_linear_projection": family != Family::Sd1,
        "norm_num_groups": 32,
    });
    if family == Family::Sdxl {
        config["addition_embed_type"] = json!("text_time");
        config["addition_time_embed_dim"] = json!(256);
        config["projection_class_embeddings_input_dim"] = json!(listing.side("add_embedding.linear_1.weight", 1));
    }
    config
}

fn vae(listing: &Listing, family: Family) -> Value {
    let levels = listing.count("decoder.up_blocks.");
    let width =
        |level: usize| listing.side(&format!("decoder.up_blocks.{}.resnets.0.conv1.weight", levels - 1 - level), 0);
    let (scaling, shift) = match family {
        Family::Sd1 | Family::Sd2 => (0.18215, None),
        Family::Sdxl => (0.13025, None),
        Family::Sd3 => (1.5305, Some(0.0609)),
    };
    json!({
        "_class_name": "AutoencoderKL",
        "block_out_channels": (0..levels).map(width).collect::<Vec<_>>(),
        "layers_per_block": listing.count("decoder.up_blocks.0.resnets.").saturating_sub(1),
        "latent_channels": listing.side("decoder.conv_in.weight", 1),
        "use_quant_conv": listing.any("quant_conv."),
        "use_post_quant_conv": listing.any("post_quant_conv."),
        "norm_num_groups": 32,
        "scaling_factor": scaling,
        "shift_factor": shift,
    })
}

/// A CLIP text encoder: every published one has heads of 64 channels.
fn text(listing: &Listing, family: Family, part: Part) -> Value {
    let tokens = listing.side("text_model.embeddings.token_embedding.weight", 0);
    let width = listing.side("text_model.embeddings.token_embedding.weight", 1);
    let layers = listing.count("text_model.encoder.layers.");
    let in_open_clip = family == Family::Sd2 || part == Part::TextEncoder2;
    let projection = listing.side("text_projection.weight", 0);
    json!({
        "vocab_size": tokens,
        "hidden_size": width,
        "intermediate_size": listing.side("text_model.encoder.layers.0.mlp.fc1.weight", 0),
        // Stable Diffusion 2 takes the states before the last block, and diffusers leaves that block out.
        "num_hidden_layers": if family == Family::Sd2 && layers == 24 { 23 } else { layers },
        "num_attention_heads": (width / 64).max(1),
        "max_position_embeddings": listing.side("text_model.embeddings.position_embedding.weight", 0),
        "hidden_act": if in_open_clip { "gelu" } else { "quick_gelu" },
        "projection_dim": if projection == 0 { width } else { projection },
        "eos_token_id": tokens.saturating_sub(1),
    })
}

/// T5 version 1.1: heads of 64 channels, a gated GELU.
fn t5(listing: &Listing) -> Value {
    let block = "encoder.block.0.layer";
    json!({
        "vocab_size": listing.side("shared.weight", 0),
        "d_model": listing.side("shared.weight", 1),
        "d_kv": 64,
        "d_ff": listing.side(&format!("{block}.1.DenseReluDense.wi_0.weight"), 0),
        "num_layers": listing.count("encoder.block."),
        "num_heads": listing.side(&format!("{block}.0.SelfAttention.relative_attention_bias.weight"), 1),
        "relative_attention_num_buckets":
            listing.side(&format!("{block}.0.SelfAttention.relative_attention_bias.weight"), 0),
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "feed_forward_proj": "gated-gelu",
        "is_gated_act": true,
        "dense_act_fn": "gelu_new",
        "tie_word_embeddings": false,
    })
}

fn transformer(listing: &Listing) -> Value {
    let width = listing.side("pos_embed.proj.weight", 0);
    let patch = listing.side("pos_embed.proj.weight", 2).max(1);
    let blocks = listing.count("transformer_blocks.");
    let dual = |block: &usize| listing.any(&format!("transformer_blocks.{block}.attn2."));
    let head = listing.side("transformer_blocks.0.attn.norm_q.weight", 0);
    let head = if head == 0 { 64 } else { head };
    json!({
        "_class_name": "SD3Transformer2DModel",
        "sample_size": 128,
        "patch_size": patch,
        "in_channels": listing.side("pos_embed.proj.weight", 1),
        "out_channels": listing.side("proj_out.weight", 0) / (patch * patch),
        "num_layers": blocks,
        "attention_head_dim": head,
        "num_attention_heads": width / head,
        "joint_attention_dim": listing.side("context_embedder.weight", 1),
        "caption_projection_dim": listing.side("context_embedder.weight", 0),
        "pooled_projection_dim": listing.side("time_text_embed.text_embedder.linear_1.weight", 1),
        "pos_embed_max_size": listing.side("pos_embed.pos_embed", 1).isqrt(),
        "dual_attention_layers": (0..blocks).filter(dual).collect::<Vec<_>>(),
        "qk_norm": if listing.any("transformer_blocks.0.attn.norm_q.") { json!("rms_norm") } else { Value::Null },
    })
}
