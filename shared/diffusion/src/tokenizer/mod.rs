//! The tokenizers: CLIP's here, T5's in [`Unigram`], windows for prompts of any length.
//!
//! CLIP's gives the ids of byte-level BPE tokens. The rules are those of OpenAI's CLIP (Radford et al.
//! 2021) as transformers applies them: special tokens are cut out of the raw text, the rest is
//! normalised (NFC, lower case), split by CLIP's pattern, and each piece merged by rank (Sennrich et al.
//! 2016) over bytes written as characters.

mod bytes;
mod charsmap;
mod files;
mod normal;
mod spiece;
mod unigram;
mod unigram_file;
mod windows;

pub use unigram::Unigram;
pub use windows::Window;

use crate::{LoadError, Source};
use regex::Regex;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// CLIP's pattern. The special tokens of the original are left out: they are cut out before, and
/// what looks like one in other letter case falls apart into these pieces anyway.
const PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";
/// Ends the last symbol of a piece.
const END: &str = "</w>";

/// Text to token ids.
pub struct Tokenizer {
    /// The file that errors name.
    file: String,
    /// The ids of every byte, inside a piece and at its end.
    bytes: [[u32; 2]; 256],
    /// Two symbols that merge: their rank, lower first, and what they become.
    merges: HashMap<(u32, u32), (usize, u32)>,
    /// Tokens that are recognised in raw text, with their ids; the longest first.
    special: Vec<(String, u32)>,
    pattern: Regex,
    start: u32,
    end: u32,
    pad: u32,
    largest: u32,
    /// Words that stand for learned vectors, the longest first.
    concepts: Vec<windows::Concept>,
}

impl Tokenizer {
    /// Reads a tokenizer's folder: `vocab.json` and `merges.txt`, or `tokenizer.json`.
    ///
    /// # Errors
    /// Neither form is there, a file is damaged, or a special token is in no vocabulary.
    pub async fn load(source: &impl Source, folder: &str) -> Result<Self, LoadError> {
        let files::Files { file, vocabulary, merges, special, roles } = files::read(source, folder).await?;
        let id = |role: &str, token: &str| {
            let id = vocabulary.get(token).copied();
            id.ok_or_else(|| LoadError::bad(&file, format!("the {role} token {token:?} is not in the vocabulary")))
        };
        let (start, end) = (id("start", &roles.bos)?, id("end", &roles.eos)?);
        let (pad, unknown) = (id("padding", &roles.pad)?, id("unknown", &roles.unk)?);
        let mut special: Vec<_> = special
            .into_iter()
            .filter(|s| !s.is_empty())
            .filter_map(|s| vocabulary.get(&s).map(|id| (s.clone(), *id)))
            .collect();
        // The longest first, so that a token is not taken for its own beginning.
        special.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let pattern = Regex::new(PATTERN).map_err(|error| LoadError::bad(&file, error))?;
        let byte = |byte: u8, ending: &str| {
            vocabulary.get(&format!("{}{ending}", bytes::written(byte))).copied().unwrap_or(unknown)
        };
        let bytes = std::array::from_fn(|i| [byte(i as u8, ""), byte(i as u8, END)]);
        let merge = |(rank, (left, right)): (usize, &(String, String))| {
            let ids = (*vocabulary.get(left)?, *vocabulary.get(right)?);
            Some((ids, (rank, *vocabulary.get(&format!("{left}{right}"))?)))
        };
        let merges = merges.iter().enumerate().filter_map(merge).collect();
        let largest = vocabulary.values().copied().max().unwrap_or_default();
        Ok(Self { bytes, merges, special, pattern, start, end, pad, largest, file, concepts: Vec::new() })
    }

    /// # Errors
    /// A token's id is beyond a text encoder's vocabulary.
    pub fn check_fits(&self, vocabulary: usize) -> Result<(), LoadError> {
        check_fits(&self.file, self.largest, vocabulary)
    }

    /// Ids of the text between start and end token, cut and padded to `length`.
    pub fn encode(&self, text: &str, length: usize) -> Vec<u32> {
        let mut ids = Vec::new();
        self.tokens(text, &mut ids);
        self.framed(ids, length)
    }

    /// The ids between start and end token, cut and padded to `length`.
    fn framed(&self, mut ids: Vec<u32>, length: usize) -> Vec<u32> {
        ids.insert(0, self.start);
        ids.truncate(length.saturating_sub(1));
        ids.push(self.end);
        ids.resize(length, self.pad);
        ids
    }

    /// The ids of a text without start, end and padding.
    fn tokens(&self, text: &str, ids: &mut Vec<u32>) {
        let mut rest = text;
        while let Some((at, token, id)) = next_special(&self.special, rest) {
            self.ordinary(&rest[..at], ids);
            ids.push(id);
            rest = &rest[at + token.len()..];
        }
        self.ordinary(rest, ids);
    }

    fn ordinary(&self, text: &str, ids: &mut Vec<u32>) {
        let clean: String = text.nfc().flat_map(char::to_lowercase).collect();
        for piece in self.pattern.find_iter(&clean) {
            ids.extend(self.merge(piece.as_str()));
        }
    }

    /// The ids of one piece: bytes merged pair by pair, the lowest rank first, every occurrence of a
    /// pair at once. A round is linear, and there are no more rounds than different merges.
    fn merge(&self, piece: &str) -> Vec<u32> {
        let mut ids: Vec<u32> = piece.bytes().map(|byte| self.bytes[usize::from(byte)][0]).collect();
        if let (Some(id), Some(byte)) = (ids.last_mut(), piece.bytes().last()) {
            *id = self.bytes[usize::from(byte)][1];
        }
        while let Some((pair, merged)) = self.lowest(&ids) {
            ids = joined(&ids, pair, merged);
        }
        ids
    }

    /// The adjacent pair that merges first, and what it becomes.
    fn lowest(&self, ids: &[u32]) -> Option<((u32, u32), u32)> {
        let pairs = ids.windows(2).map(|pair| (pair[0], pair[1]));
        let ranked = pairs.filter_map(|pair| self.merges.get(&pair).map(|(rank, merged)| (*rank, (pair, *merged))));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, merge)| merge)
    }
}

/// The symbols with every occurrence of the pair made one, from the left.
fn joined(ids: &[u32], pair: (u32, u32), merged: u32) -> Vec<u32> {
    let mut out = Vec::with_capacity(ids.len());
    let mut rest = ids.iter().copied().peekable();
    while let Some(id) = rest.next() {
        let meets = id == pair.0 && rest.next_if_eq(&pair.1).is_some();
        out.push(if meets { merged } else { id });
    }
    out
}

/// The first special token in a text: where, how it is written, its id. `special` has the longest first.
fn next_special<'a>(special: &'a [(String, u32)], text: &str) -> Option<(usize, &'a str, u32)> {
    let found = special.iter().filter_map(|(token, id)| Some((text.find(token.as_str())?, token.as_str(), *id)));
    // `min_by_key` keeps the first of equals: the longest token at that place.
    found.min_by_key(|(at, _, _)| *at)
}

/// Fails when the id `largest` is beyond a vocabulary of so many tokens.
fn check_fits(file: &str, largest: u32, vocabulary: usize) -> Result<(), LoadError> {
    if (largest as usize) < vocabulary {
        return Ok(());
    }
    Err(LoadError::bad(file, format!("has the token id {largest}, the text encoder knows {vocabulary} tokens")))
}
