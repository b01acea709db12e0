//! Low-rank changes to a model's weights (Hu et al. 2021), as kohya's scripts and diffusers write them.
//!
//! A LoRA is resolved against the names of the model's own tensors and added to each tensor when that
//! is read: the model knows nothing of it, and without the LoRA the same reading gives the base again.

mod names;
mod patches;

use super::{Entry, header};
use crate::{LoadError, Source};
use names::{Place, Role};
pub use patches::{Patched, Patches, Strength};
use std::collections::BTreeMap;

/// The matrices of one layer: `down` `[rank, in, ...]`, `up` `[out, rank, ...]`.
#[derive(Clone, Debug)]
struct Layer {
    down: Entry,
    up: Entry,
    /// A convolution between the two, on `rank` channels.
    mid: Option<Entry>,
    alpha: Alpha,
}

/// What the product is multiplied by, before it is divided by the rank.
#[derive(Clone, Debug)]
enum Alpha {
    /// The rank itself.
    Rank,
    /// A number of the file's notes.
    Said(f32),
    /// A tensor of one value.
    Stored(Entry),
}

/// A LoRA file: its layers by component and name.
#[derive(Clone, Debug)]
pub struct Lora<S> {
    source: S,
    file: String,
    layers: BTreeMap<(Place, String), Layer>,
}

#[derive(Default)]
struct Pieces {
    down: Option<Entry>,
    up: Option<Entry>,
    mid: Option<Entry>,
    alpha: Option<Entry>,
}

impl<S: Source> Lora<S> {
    /// Reads the header of `file`; its matrices are read when they are needed.
    ///
    /// # Errors
    /// The file is damaged, or holds changes of another kind (`LoHa`, `LoKr`, `DoRA`).
    pub async fn open(source: S, file: &str) -> Result<Self, LoadError> {
        let header = header::read(&source, file).await?;
        let said = Said::read(file, header.notes.get("lora_adapter_metadata"))?;
        let mut pieces: BTreeMap<(Place, String), Pieces> = BTreeMap::new();
        for (name, entry) in header.tensors {
            let (module, role) =
                names::role(&name).ok_or_else(|| LoadError::unsupported(file, format!("the tensor {name}")))?;
            let (place, layer) =
                names::place(module).ok_or_else(|| LoadError::unsupported(file, format!("the tensor {name}")))?;
            let piece = pieces.entry((place, layer)).or_default();
            let slot = match role {
                Role::Down => &mut piece.down,
                Role::Up => &mut piece.up,
                Role::Mid => &mut piece.mid,
                Role::Alpha => &mut piece.alpha,
            };
            *slot = Some(entry);
        }
        let mut layers = BTreeMap::new();
        for ((place, name), piece) in pieces {
            let (Some(down), Some(up)) = (piece.down, piece.up) else {
                return Err(LoadError::bad(file, format!("has only one of the two matrices of {name}")));
            };
            let alpha = match (piece.alpha, said.alpha(place)) {
                (Some(stored), _) => Alpha::Stored(stored),
                (None, Some(said)) => Alpha::Said(said),
                (None, None) => Alpha::Rank,
            };
            layers.insert((place, name), Layer { down, up, mid: piece.mid, alpha });
        }
        if layers.is_empty() {
            return Err(LoadError::bad(file, "is no LoRA: it has no layers"));
        }
        Ok(Self { source, file: file.to_owned(), layers })
    }
}

/// The adapter's settings in the notes of a file that diffusers wrote, such as `unet.lora_alpha`.
struct Said(serde_json::Map<String, serde_json::Value>);

impl Said {
    fn read(file: &str, notes: Option<&String>) -> Result<Self, LoadError> {
        let Some(notes) = notes else { return Ok(Self(serde_json::Map::new())) };
        let said: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(notes).map_err(|error| LoadError::bad(file, error))?;
        for (key, value) in &said {
            let empty = value.as_object().is_none_or(serde_json::Map::is_empty);
            let is_plain = match key.rsplit('.').next() {
                Some("use_rslora" | "use_dora" | "lora_bias") => value.as_bool() != Some(true),
                Some("alpha_pattern") => empty,
                _ => true,
            };
            if !is_plain {
                return Err(LoadError::unsupported(file, format!("{key} = {value}")));
            }
        }
        Ok(Self(said))
    }

    fn alpha(&self, place: Place) -> Option<f32> {
        let alpha = |folder: &&str| self.0.get(&format!("{folder}.lora_alpha"))?.as_f64();
        place.folders().iter().find_map(alpha).map(|alpha| alpha as f32)
    }
}
