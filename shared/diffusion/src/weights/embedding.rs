//! Textual-inversion embeddings (Gal et al. 2022): vectors for words that a model did not know.

use super::header;
use crate::{LoadError, Source, SourceError};
use std::ops::Range;

/// The most values that are read: 1024 vectors of bigG.
const MOST: usize = 1024 * 1280;

/// The vectors of one text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// What the file calls them: `clip_l` or `clip_g` where each encoder has its own, `emb_params`, or
    /// the word itself.
    pub key: String,
    /// How many there are; the word stands for as many tokens.
    pub count: usize,
    /// The width of the text encoder.
    pub width: usize,
    /// `[count, width]`, row-major.
    pub values: Vec<f32>,
}

/// Reads a whole embedding file, safetensors only.
///
/// # Errors
/// It is damaged, a pickle, or has tensors that are no vectors.
pub async fn embedding(file: &str, bytes: &[u8]) -> Result<Vec<Vectors>, LoadError> {
    let source = Bytes(bytes);
    let header = header::read(&source, file).await?;
    let mut all = Vec::new();
    for (key, entry) in header.tensors {
        let (count, width) = match entry.shape[..] {
            [width] => (1, width),
            [count, width] => (count, width),
            _ => (0, 0),
        };
        if count == 0 || width == 0 || count.checked_mul(width).is_none_or(|values| values > MOST) {
            return Err(LoadError::bad(file, format!("tensor {key} of shape {:?} is no embedding", entry.shape)));
        }
        let values = entry.read(&source, &key).await?;
        all.push(Vectors { key, count, width, values });
    }
    match all.is_empty() {
        true => Err(LoadError::bad(file, "has no embedding")),
        false => Ok(all),
    }
}

/// One file in memory.
struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    async fn len(&self, _file: &str) -> Result<Option<u64>, SourceError> {
        Ok(Some(self.0.len() as u64))
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let part = self.0.get(range.start as usize..range.end as usize);
        part.map(<[u8]>::to_vec).ok_or_else(|| SourceError::new(file, "is truncated"))
    }
}
