//! Textual inversion (Gal et al. 2022): learned vectors that stand for a word in the prompt.

use crate::{LoadError, Source, model::clip::Clip, tokenizer::Tokenizer, weights};
use std::collections::BTreeMap;

/// What may stand before a learned word, as ComfyUI writes it.
pub const EXPLICIT: &str = "embedding:";

/// The most vectors of one embedding: as many as a window holds.
const MOST_VECTORS: usize = 75;
/// The widest text encoder.
const WIDEST: usize = 1 << 14;

/// A named embedding, for one text encoder or several of different width.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// What stands for it in a prompt.
    pub name: String,
    file: String,
    /// Width to vectors, one after the other.
    vectors: BTreeMap<usize, Vec<f32>>,
}

impl Embedding {
    /// Reads a safetensors file in one of the published layouts: `emb_params`; `clip_l` and `clip_g`;
    /// or one tensor `[n, width]` or `[width]` named as its token. Only the last one names itself;
    /// others are called like the file.
    ///
    /// # Errors
    /// The file is missing, truncated, or of none of these layouts.
    pub async fn read(source: &impl Source, file: &str) -> Result<Self, LoadError> {
        let mut tensors = weights::header(source, file).await?.tensors;
        let known = ["emb_params", "clip_l", "clip_g"].map(|key| tensors.remove_entry(key));
        let mut chosen: Vec<_> = known.into_iter().flatten().collect();
        let mut name = stem(file);
        if chosen.is_empty() {
            let Some((key, entry)) = tensors.pop_first().filter(|_| tensors.is_empty()) else {
                return Err(LoadError::bad(file, "is no textual inversion embedding: it has several tensors"));
            };
            name.clone_from(&key);
            chosen.push((key, entry));
        }
        let mut vectors = BTreeMap::new();
        for (key, entry) in chosen {
            let width = width(&entry.shape).ok_or_else(|| {
                LoadError::bad(file, format!("{key} has shape {:?}, not 1 to {MOST_VECTORS} vectors", entry.shape))
            })?;
            vectors.insert(width, entry.read(source, &key).await?);
        }
        Ok(Self { name, file: file.to_owned(), vectors })
    }

    /// Whether it has vectors for a text encoder of this width.
    pub fn has_width(&self, width: usize) -> bool {
        self.vectors.contains_key(&width)
    }

    /// Gives the vectors to a text encoder, and its tokenizer the name: from then on the name in a
    /// prompt, alone or behind `embedding:`, stands for them. The same name again replaces what it stood for.
    ///
    /// # Errors
    /// There are no vectors of the encoder's width, or the name is empty.
    pub fn teach(&self, tokenizer: &mut Tokenizer, encoder: &mut Clip) -> Result<(), LoadError> {
        let width = encoder.width();
        let Some(values) = self.vectors.get(&width) else {
            let widths: Vec<_> = self.vectors.keys().collect();
            let message = format!("has vectors of width {widths:?}, the text encoder's is {width}");
            return Err(LoadError::bad(&self.file, message));
        };
        if self.name.trim().is_empty() {
            return Err(LoadError::bad(&self.file, "the embedding has no name"));
        }
        let ids = encoder.learn(values);
        tokenizer.learn(self.name.trim(), ids.clone());
        tokenizer.learn(&format!("{EXPLICIT}{}", self.name.trim()), ids);
        Ok(())
    }
}

/// The width of a tensor of vectors.
fn width(shape: &[usize]) -> Option<usize> {
    let (count, width) = match *shape {
        [width] => (1, width),
        [count, width] => (count, width),
        _ => return None,
    };
    ((1..=MOST_VECTORS).contains(&count) && (1..=WIDEST).contains(&width)).then_some(width)
}

fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".safetensors").unwrap_or(name).to_owned()
}
