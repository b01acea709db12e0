//! LoRAs resolved against a model: which tensors they change, and weights with the changes added.

use super::{
    super::{
        Entry, Kept, Listing, Load, Precision, Raw,
        checkpoint::{Part, Target},
    },
    Alpha, Layer, Lora,
    names::{Index, Place},
};
use crate::{Device, LoadError, Source};
use std::{collections::BTreeMap, ops::Range};

/// How much of a LoRA is added: 1 is all of it, 0 nothing, below 0 its opposite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// To the denoiser.
    pub denoiser: f32,
    /// To the text encoders.
    pub text: f32,
}

impl From<f32> for Strength {
    fn from(both: f32) -> Self {
        Self { denoiser: both, text: both }
    }
}

/// Several LoRAs with their strengths, resolved against the tensors of a model.
pub struct Patches<S> {
    loras: Vec<(Lora<S>, Strength)>,
    changes: BTreeMap<(Part, String), Vec<Change>>,
}

/// A LoRA's change of one tensor.
struct Change {
    /// Which LoRA.
    lora: usize,
    layer: Layer,
}

impl<S: Source> Patches<S> {
    /// No LoRA.
    pub const fn none() -> Self {
        Self { loras: Vec::new(), changes: BTreeMap::new() }
    }

    /// `loras` with the strength of each, resolved against a model's components.
    ///
    /// Layers of a component that the model does not have are left out.
    ///
    /// # Errors
    /// A LoRA is for a model of other layers or shapes, or changes nothing here.
    pub fn new(loras: Vec<(Lora<S>, Strength)>, components: &[(Part, &Listing)]) -> Result<Self, LoadError> {
        let indices: Vec<(Part, &Listing, Index)> =
            components.iter().map(|(part, listing)| (*part, *listing, Index::new(listing))).collect();
        let mut changes: BTreeMap<(Part, String), Vec<Change>> = BTreeMap::new();
        for (number, (lora, _)) in loras.iter().enumerate() {
            let mut used = false;
            for ((place, name), layer) in &lora.layers {
                let Some((part, listing, index)) = indices.iter().find(|(part, ..)| place.is(*part)) else { continue };
                let refuse = |why: String| LoadError::bad(&lora.file, format!("is for another model: {why}"));
                let target = index.find(name).ok_or_else(|| refuse(format!("this one has no layer {name}")))?;
                for (tensor, layer) in layer.divided(target)? {
                    let shape = listing.shape(&tensor).unwrap_or_default();
                    if !layer.fits(shape) {
                        let have = (&layer.up.shape, &layer.down.shape);
                        return Err(refuse(format!("{tensor} has shape {shape:?}, its matrices {have:?}")));
                    }
                    changes.entry((*part, tensor)).or_default().push(Change { lora: number, layer });
                    used = true;
                }
            }
            if !used {
                return Err(LoadError::bad(&lora.file, "changes no component of this model"));
            }
        }
        Ok(Self { loras, changes })
    }

    /// The tensors that are changed.
    pub fn names(&self) -> impl Iterator<Item = (Part, &str)> {
        self.changes.keys().map(|(part, name)| (*part, name.as_str()))
    }

    /// Adds every change of a tensor to its values.
    async fn add(&self, part: Part, name: &str, values: &mut [f32]) -> Result<(), LoadError> {
        let Some(changes) = self.changes.get(&(part, name.to_owned())) else { return Ok(()) };
        for Change { lora, layer } in changes {
            if let Some((lora, strength)) = self.loras.get(*lora) {
                let weight = if Place::Denoiser.is(part) { strength.denoiser } else { strength.text };
                layer.add(&lora.source, name, weight, values).await?;
            }
        }
        Ok(())
    }
}

/// The rows of a matrix, and the product of its other sides.
fn matrix(shape: &[usize]) -> Option<(usize, usize)> {
    let (rows, others) = shape.split_first()?;
    Some((*rows, others.iter().fold(1, |product: usize, side| product.saturating_mul(*side))))
}

impl Layer {
    /// The layer as it changes each tensor of `target`: `up` decides the rows.
    fn divided(&self, target: Target) -> Result<Vec<(String, Layer)>, LoadError> {
        let ups = target.apply(self.up.clone())?;
        Ok(ups.into_iter().map(|(name, up)| (name, Layer { up, ..self.clone() })).collect())
    }

    /// Whether it changes a tensor of this shape.
    fn fits(&self, shape: &[usize]) -> bool {
        let (Some((rows, columns)), Some((rank, across)), Some((out, inner))) =
            (matrix(shape), matrix(&self.down.shape), matrix(&self.up.shape))
        else {
            return false;
        };
        let across = match self.mid.as_ref().map(|mid| &mid.shape[..]) {
            None => across,
            Some([a, b, height, width]) if (*a, *b) == (rank, rank) => {
                across.saturating_mul(*height).saturating_mul(*width)
            }
            Some(_) => return false,
        };
        rank > 0 && (rows, columns, rank) == (out, across, inner)
    }

    /// Adds `weight * alpha / rank * up * down` to `values`, row by row: the change is never held whole.
    async fn add(&self, source: &impl Source, name: &str, weight: f32, values: &mut [f32]) -> Result<(), LoadError> {
        let up = self.up.read(source, name).await?;
        let mut down = self.down.read(source, name).await?;
        let rank = self.down.shape.first().copied().unwrap_or(1).max(1);
        if let Some(mid) = &self.mid {
            down = joined(&mid.read(source, name).await?, &down, rank);
        }
        let alpha = match &self.alpha {
            Alpha::Rank => rank as f32,
            Alpha::Said(alpha) => *alpha,
            Alpha::Stored(entry) => one(entry, source, name).await?,
        };
        let scale = weight * (alpha / rank as f32);
        let columns = (down.len() / rank).max(1);
        let mut change = vec![0.0; columns];
        for (row, factors) in values.chunks_exact_mut(columns).zip(up.chunks_exact(rank)) {
            change.fill(0.0);
            for (factor, direction) in factors.iter().zip(down.chunks_exact(columns)) {
                for (sum, value) in change.iter_mut().zip(direction) {
                    *sum += factor * value;
                }
            }
            for (value, sum) in row.iter_mut().zip(&change) {
                *value += scale * sum;
            }
        }
        Ok(())
    }
}

/// `down` `[rank, in]` behind the convolution `mid` `[rank, rank, taps]`: `[rank, in, taps]`.
fn joined(mid: &[f32], down: &[f32], rank: usize) -> Vec<f32> {
    let (taps, from) = (mid.len() / (rank * rank), down.len() / rank);
    let mut joined = vec![0.0; rank * from * taps];
    for (a, out) in joined.chunks_exact_mut((from * taps).max(1)).enumerate() {
        for b in 0..rank {
            let kernel = &mid[(a * rank + b) * taps..][..taps];
            for (factor, sums) in down[b * from..][..from].iter().zip(out.chunks_exact_mut(taps.max(1))) {
                for (sum, tap) in sums.iter_mut().zip(kernel) {
                    *sum += factor * tap;
                }
            }
        }
    }
    joined
}

/// The value of a tensor that has one.
async fn one(entry: &Entry, source: &impl Source, name: &str) -> Result<f32, LoadError> {
    match entry.read(source, name).await?[..] {
        [value] => Ok(value),
        _ => Err(LoadError::bad(&entry.file, format!("the alpha of {name} is not one number"))),
    }
}

/// A component's weights with LoRAs added.
pub struct Patched<'a, W, S> {
    weights: W,
    patches: &'a Patches<S>,
    part: Part,
}

impl<'a, W, S> Patched<'a, W, S> {
    /// `weights` of the component `part` with `patches`.
    pub fn new(weights: W, patches: &'a Patches<S>, part: Part) -> Self {
        Self { weights, patches, part }
    }

    fn is_changed(&self, name: &str) -> bool {
        self.patches.changes.contains_key(&(self.part, name.to_owned()))
    }
}

impl<W: Load, S: Source> Load for Patched<'_, W, S> {
    async fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let mut values = self.weights.values(name, shape).await?;
        self.patches.add(self.part, name, &mut values).await?;
        Ok(values)
    }

    async fn raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw, LoadError> {
        match self.is_changed(name) {
            true => Ok(Raw::Values(self.values(name, shape).await?)),
            false => self.weights.raw(name, shape).await,
        }
    }

    async fn part(&mut self, name: &str, shape: &[usize], part: Range<usize>) -> Result<Vec<f32>, LoadError> {
        if !self.is_changed(name) {
            return self.weights.part(name, shape, part).await;
        }
        let values = self.values(name, shape).await?;
        let found = values.get(part.clone()).map(<[f32]>::to_vec);
        found.ok_or_else(|| LoadError::bad(name, format!("has no values {part:?}")))
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.shape(name)
    }

    fn device(&self) -> &Device {
        self.weights.device()
    }

    fn precision(&self) -> Precision {
        self.weights.precision()
    }

    fn kept(&mut self) -> Option<&mut Kept> {
        self.weights.kept()
    }
}
