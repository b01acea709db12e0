//! What a weights file is, from the names of its tensors.

use super::names::Naming;
use std::collections::BTreeMap;

/// A component of a model, as diffusers divides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The denoiser of Stable Diffusion 1, 2 and XL.
    Unet,
    /// The denoiser of Stable Diffusion 3.
    Transformer,
    /// The autoencoder.
    Vae,
    /// The first text encoder.
    TextEncoder,
    /// The second one: `OpenCLIP`'s bigG.
    TextEncoder2,
    /// The third one: T5.
    TextEncoder3,
}

impl Part {
    /// Its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Part::Unet => "unet",
            Part::Transformer => "transformer",
            Part::Vae => "vae",
            Part::TextEncoder => "text_encoder",
            Part::TextEncoder2 => "text_encoder_2",
            Part::TextEncoder3 => "text_encoder_3",
        }
    }

    /// The component of a folder.
    pub fn of_folder(folder: &str) -> Option<Self> {
        let all = [Part::Unet, Part::Transformer, Part::Vae, Part::TextEncoder, Part::TextEncoder2, Part::TextEncoder3];
        all.into_iter().find(|part| part.folder() == folder)
    }

    /// Its weights file in that folder.
    pub fn file(self) -> String {
        let name = match self {
            Part::Unet | Part::Transformer | Part::Vae => "diffusion_pytorch_model",
            Part::TextEncoder | Part::TextEncoder2 | Part::TextEncoder3 => "model",
        };
        format!("{}/{name}.safetensors", self.folder())
    }
}

/// What a weights file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Components of a model: a whole checkpoint, or a denoiser, autoencoder or text encoder alone.
    Model,
    /// Low-rank changes to a model's weights.
    Lora,
    /// A textual-inversion embedding.
    Embedding,
    /// A tiny autoencoder.
    Taesd,
    /// An RRDB upscaler.
    Upscaler,
    /// A `ControlNet`.
    ControlNet,
    /// Something else.
    Unknown,
}

/// A component's place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Which component.
    pub part: Part,
    /// What its tensors' names begin with there.
    pub prefix: &'static str,
    /// How they go on.
    pub naming: Naming,
}

const fn section(prefix: &'static str, part: Part, naming: Naming) -> Section {
    Section { part, prefix, naming }
}

/// A tensor that a component always has, behind the prefix.
const fn telling(naming: Naming, part: Part) -> &'static str {
    match (naming, part) {
        (Naming::Unet, _) => "input_blocks.0.0.weight",
        (Naming::MmDit, _) => "x_embedder.proj.weight",
        (Naming::Vae, _) => "decoder.mid.block_1.norm1.weight",
        (Naming::OpenClip, _) => "transformer.resblocks.0.ln_1.weight",
        (Naming::FusedClip, _) => "text_model.final_layer_norm.weight",
        (Naming::GgmlT5, _) => "enc.blk.0.attn_q.weight",
        (Naming::Modern, Part::Unet) => "down_blocks.0.resnets.0.norm1.weight",
        (Naming::Modern, Part::Transformer) => "transformer_blocks.0.norm1_context.linear.weight",
        (Naming::Modern, Part::Vae) => "decoder.mid_block.resnets.0.norm1.weight",
        (Naming::Modern, Part::TextEncoder3) => "encoder.block.0.layer.0.SelfAttention.q.weight",
        (Naming::Modern, _) => "text_model.final_layer_norm.weight",
    }
}

/// Where components lie in the files that people publish. A file of one text encoder does not say
/// which; its width does (see [`text_part`]).
const SECTIONS: &[Section] = &[
    section("model.diffusion_model.", Part::Unet, Naming::Unet),
    section("model.diffusion_model.", Part::Transformer, Naming::MmDit),
    section("first_stage_model.", Part::Vae, Naming::Vae),
    section("vae.", Part::Vae, Naming::Vae),
    section("cond_stage_model.transformer.", Part::TextEncoder, Naming::FusedClip),
    section("cond_stage_model.model.", Part::TextEncoder, Naming::OpenClip),
    section("cond_stage_model.1.transformer.", Part::TextEncoder2, Naming::FusedClip),
    section("conditioner.embedders.0.transformer.", Part::TextEncoder, Naming::FusedClip),
    section("conditioner.embedders.1.model.", Part::TextEncoder2, Naming::OpenClip),
    section("text_encoders.clip_l.transformer.", Part::TextEncoder, Naming::FusedClip),
    section("text_encoders.clip_g.transformer.", Part::TextEncoder2, Naming::FusedClip),
    section("text_encoders.t5xxl.transformer.", Part::TextEncoder3, Naming::Modern),
    section("", Part::Unet, Naming::Unet),
    section("", Part::Transformer, Naming::MmDit),
    section("", Part::Vae, Naming::Vae),
    section("", Part::Unet, Naming::Modern),
    section("", Part::Transformer, Naming::Modern),
    section("", Part::Vae, Naming::Modern),
    section("", Part::TextEncoder, Naming::FusedClip),
    section("", Part::TextEncoder, Naming::OpenClip),
    section("", Part::TextEncoder3, Naming::Modern),
    section("", Part::TextEncoder3, Naming::GgmlT5),
];

/// The components of a file.
pub fn sections<T>(tensors: &BTreeMap<String, T>) -> Vec<Section> {
    let there = |section: &&Section| {
        tensors.contains_key(&format!("{}{}", section.prefix, telling(section.naming, section.part)))
    };
    SECTIONS.iter().filter(there).copied().collect()
}

/// Which text encoder one of this width is: 1280 is bigG's.
pub fn text_part(part: Part, width: usize) -> Part {
    match (part, width) {
        (Part::TextEncoder, 1280) => Part::TextEncoder2,
        _ => part,
    }
}

/// Whether a tensor of this name is one.
type Tells = fn(&str) -> bool;

/// Names of which one is enough, in the order in which they are looked for.
const TELLING: &[(Kind, Tells)] = &[
    (Kind::Lora, low_rank),
    (Kind::ControlNet, |name| name.starts_with("control_model.") || name.starts_with("controlnet_cond_embedding.")),
    (Kind::Taesd, |name| {
        matches!(name, "decoder.layers.0.weight" | "encoder.layers.0.weight" | "1.conv.0.weight" | "3.conv.0.weight")
    }),
    (Kind::Upscaler, |name| {
        matches!(
            name,
            "body.0.rdb1.conv1.weight" | "RRDB_trunk.0.RDB1.conv1.weight" | "model.1.sub.0.RDB1.conv1.0.weight"
        )
    }),
    (Kind::Embedding, |name| matches!(name, "emb_params" | "clip_l" | "clip_g")),
];

fn low_rank(name: &str) -> bool {
    let marks = [".lora_", ".lora.", "_lora.", ".hada_w1", ".lokr_w1"];
    marks.iter().any(|mark| name.contains(mark))
}

/// What a file with these tensors is.
pub fn recognise<T>(tensors: &BTreeMap<String, T>) -> Kind {
    for (kind, tells) in TELLING {
        if tensors.keys().any(|name| tells(name)) {
            return *kind;
        }
    }
    if !sections(tensors).is_empty() {
        return Kind::Model;
    }
    // diffusers names the one tensor of an embedding by its word.
    if tensors.len() == 1 { Kind::Embedding } else { Kind::Unknown }
}
