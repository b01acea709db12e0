//! From the names of the original layouts (CompVis, Stability, OpenAI, ggml) to those of diffusers and
//! transformers, which the models ask for.

mod clip;
mod mmdit;
mod t5;
mod unet;
mod vae;

use super::super::Entry;
use crate::LoadError;

/// How a component's tensors are named in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As diffusers and transformers name them.
    Modern,
    /// The UNet of CompVis and of Stability's `generative-models`.
    Unet,
    /// The transformer of Stability's `sd3.5`.
    MmDit,
    /// The autoencoder of CompVis.
    Vae,
    /// `OpenCLIP`'s text encoder.
    OpenClip,
    /// transformers' CLIP with query, key and value in one matrix.
    FusedClip,
    /// llama.cpp's T5.
    GgmlT5,
}

/// The counts that decide what a number in a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Residual blocks of a level of the UNet.
    pub layers: usize,
    /// Levels of the autoencoder.
    pub levels: usize,
    /// Joint blocks of the transformer.
    pub blocks: usize,
}

/// What a tensor becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The tensor of this name.
    Whole(String),
    /// The transpose of the tensor of this name.
    Transposed(String),
    /// The tensor of this name with the halves of its rows exchanged.
    Swapped(String),
    /// Three tensors, a third of the rows each.
    Thirds([String; 3]),
}

impl Naming {
    /// What the tensor `name`, without the component's prefix, becomes; `None` when no model asks for it.
    pub fn target(self, name: &str, counts: Counts) -> Option<Target> {
        match self {
            Naming::Modern => Some(Target::Whole(name.to_owned())),
            Naming::Unet => unet::modern(name, counts.layers).map(Target::Whole),
            Naming::Vae => vae::modern(name, counts.levels).map(Target::Whole),
            Naming::MmDit => mmdit::modern(name, counts.blocks),
            Naming::OpenClip => clip::from_open(name),
            Naming::FusedClip => clip::from_fused(name),
            Naming::GgmlT5 => t5::modern(name).map(Target::Whole),
        }
    }
}

impl Counts {
    /// Counts from original names without prefix.
    pub fn of<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let first_shrink = names.clone().filter(|name| name.ends_with(".0.op.weight"));
        let first_shrink = first_shrink.filter_map(|name| number(name.strip_prefix("input_blocks.")?)).min();
        let levels = |prefix: &str| after(names.clone(), prefix).max().map_or(0, |last| last + 1);
        Self {
            layers: first_shrink.map_or(2, |first| first.saturating_sub(1).max(1)),
            levels: levels("decoder.up.").max(levels("encoder.down.")),
            blocks: levels("joint_blocks."),
        }
    }

    /// Counts from modern names.
    pub fn of_modern<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let count = |prefix: &str| after(names.clone(), prefix).max().map_or(0, |last| last + 1);
        Self {
            layers: count("down_blocks.0.resnets.").max(1),
            levels: count("decoder.up_blocks."),
            blocks: count("transformer_blocks."),
        }
    }
}

/// The numbers behind `prefix`.
fn after<'n>(names: impl Iterator<Item = &'n str>, prefix: &str) -> impl Iterator<Item = usize> {
    names.filter_map(move |name| number(name.strip_prefix(prefix)?)).filter(|number| *number < 1 << 16)
}

/// The number with which `rest` begins, up to a dot.
fn number(rest: &str) -> Option<usize> {
    rest.split('.').next()?.parse().ok()
}

/// A number with a dot behind it, and what follows.
fn split_number(rest: &str) -> Option<(usize, &str)> {
    let (number, rest) = rest.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// `name` with the first row's old beginning that fits replaced by the new one.
fn by_table(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(old, new)| {
        let rest = name.strip_prefix(old)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| format!("{new}{rest}"))
    })
}

impl Target {
    /// The tensors that `entry` becomes.
    ///
    /// # Errors
    /// It has no thirds.
    pub fn apply(self, entry: Entry) -> Result<Vec<(String, Entry)>, LoadError> {
        Ok(match self {
            Target::Whole(name) => vec![(name, entry)],
            Target::Transposed(name) => vec![(name, entry.transposed())],
            Target::Swapped(name) => vec![(name, entry.halves_swapped())],
            Target::Thirds(names) => names.into_iter().zip(entry.thirds()?).collect(),
        })
    }

    /// The names of the tensors.
    pub fn names(&self) -> &[String] {
        match self {
            Target::Whole(name) | Target::Transposed(name) | Target::Swapped(name) => std::slice::from_ref(name),
            Target::Thirds(names) => names,
        }
    }
}
