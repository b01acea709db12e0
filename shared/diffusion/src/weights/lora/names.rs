//! Whose layer a LoRA's tensor changes: the spellings of kohya's scripts, of diffusers and of peft.
//!
//! Kohya writes a layer's name with underscores for dots, which cannot be undone by rule. So the
//! model's own names are written that way too, and compared.

use super::super::{
    Listing,
    checkpoint::{Counts, Naming, Part, Target},
};
use std::collections::BTreeMap;

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// From the layer's input to the rank.
    Down,
    /// From the rank to the layer's output.
    Up,
    /// Between the two.
    Mid,
    /// The scale before the division by the rank.
    Alpha,
}

const ROLES: &[(&str, Role)] = &[
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
];

/// The layer's name and the tensor's role.
pub fn role(name: &str) -> Option<(&str, Role)> {
    ROLES.iter().find_map(|(ending, role)| Some((name.strip_suffix(ending)?, *role)))
}

/// The component that a layer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// UNet or transformer, whichever the model has.
    Denoiser,
    /// A text encoder.
    Text(Part),
}

impl Place {
    /// Whether it is this component.
    pub fn is(self, part: Part) -> bool {
        match self {
            Place::Denoiser => matches!(part, Part::Unet | Part::Transformer),
            Place::Text(text) => text == part,
        }
    }

    /// The component's folders.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Place::Denoiser => &["unet", "transformer"],
            Place::Text(Part::TextEncoder2) => &["text_encoder_2"],
            Place::Text(Part::TextEncoder3) => &["text_encoder_3"],
            Place::Text(_) => &["text_encoder"],
        }
    }
}

const PLACES: &[(&str, Place)] = &[
    ("lora_unet_", Place::Denoiser),
    ("lora_transformer_", Place::Denoiser),
    ("lora_te1_", Place::Text(Part::TextEncoder)),
    ("lora_te2_", Place::Text(Part::TextEncoder2)),
    ("lora_te3_", Place::Text(Part::TextEncoder3)),
    ("lora_te_", Place::Text(Part::TextEncoder)),
    ("unet.", Place::Denoiser),
    ("transformer.", Place::Denoiser),
    ("diffusion_model.", Place::Denoiser),
    ("text_encoder_2.", Place::Text(Part::TextEncoder2)),
    ("text_encoder_3.", Place::Text(Part::TextEncoder3)),
    ("text_encoder.", Place::Text(Part::TextEncoder)),
];

/// The component, and the layer's name there with underscores for dots.
pub fn place(module: &str) -> Option<(Place, String)> {
    let found = PLACES.iter().find_map(|(start, place)| Some((*place, module.strip_prefix(start)?)));
    found.map(|(place, layer)| (place, flat(layer)))
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}

/// A component's weights by their layers' flat names.
pub struct Index<'a> {
    layers: BTreeMap<String, &'a str>,
    counts: Counts,
}

/// Parts of names that have an underscore of their own in the original layouts.
const WITH_UNDERSCORE: &[&str] = &[
    "input_blocks",
    "output_blocks",
    "middle_block",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "time_embed",
    "label_emb",
    "joint_blocks",
    "x_block",
    "context_block",
    "context_embedder",
    "x_embedder",
    "t_embedder",
    "y_embedder",
    "adaLN_modulation",
    "final_layer",
];

impl<'a> Index<'a> {
    /// Of a component's tensors.
    pub fn new(listing: &'a Listing) -> Self {
        let names = || listing.tensors.keys().map(String::as_str);
        let layers = names().filter_map(|name| Some((flat(name.strip_suffix(".weight")?), name)));
        Self { layers: layers.collect(), counts: Counts::of_modern(names()) }
    }

    /// What the layer's matrices are added to: tensors of this component, in their published names.
    pub fn find(&self, layer: &str) -> Option<Target> {
        if let Some(name) = self.spelled(layer) {
            return Some(Target::Whole(name.to_owned()));
        }
        let dotted = WITH_UNDERSCORE
            .iter()
            .fold(layer.replace('_', "."), |name, atom| name.replace(&atom.replace('_', "."), atom));
        let named = |naming: Naming| naming.target(&format!("{dotted}.weight"), self.counts);
        // The rest of such a name is still dotted where it should not be: compared flat, that is no matter.
        match named(Naming::Unet).or_else(|| named(Naming::MmDit))? {
            Target::Whole(name) => Some(Target::Whole(self.spelled_weight(&name)?)),
            Target::Swapped(name) => Some(Target::Swapped(self.spelled_weight(&name)?)),
            Target::Thirds([q, k, v]) => {
                let found = [self.spelled_weight(&q)?, self.spelled_weight(&k)?, self.spelled_weight(&v)?];
                Some(Target::Thirds(found))
            }
            Target::Transposed(_) => None,
        }
    }

    fn spelled_weight(&self, name: &str) -> Option<String> {
        self.spelled(&flat(name.strip_suffix(".weight")?)).map(str::to_owned)
    }

    /// The weight of a layer in today's names, or those of older versions of diffusers and transformers.
    fn spelled(&self, layer: &str) -> Option<&'a str> {
        // diffusers had the attention of its UNet in processors, and called the projections of its text
        // encoders like those of its UNet.
        let layer = ["q", "k", "v", "out"].iter().fold(layer.replace("_processor_", "_"), |name, part| {
            name.replace(&format!("self_attn_to_{part}"), &format!("self_attn_{part}_proj"))
        });
        let unprefixed = layer.strip_prefix("text_model_").unwrap_or(&layer);
        let spellings =
            [layer.clone(), unprefixed.to_owned(), format!("text_model_{unprefixed}"), format!("{layer}_0")];
        spellings.iter().find_map(|name| self.layers.get(name).copied())
    }
}
