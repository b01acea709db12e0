//! CLIP's tokenizer: text to the ids of byte-level BPE tokens.
//!
//! The rules are those of OpenAI's CLIP (Radford et al. 2021) as transformers applies them: special
//! tokens are cut out of the raw text, the rest is normalised (NFC, lower case), split by CLIP's
//! pattern, and each piece merged by rank (Sennrich et al. 2016) over bytes written as characters.

mod bytes;
mod files;

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
    vocabulary: HashMap<String, u32>,
    /// The rank of a pair of symbols; lower merges first.
    merges: HashMap<(String, String), usize>,
    /// Tokens that are recognised in raw text, with their ids.
    special: Vec<(String, u32)>,
    pattern: Regex,
    start: u32,
    end: u32,
    pad: u32,
    unknown: u32,
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
        let start = id("start", &roles.bos)?;
        let end = id("end", &roles.eos)?;
        let pad = id("padding", &roles.pad)?;
        let unknown = id("unknown", &roles.unk)?;
        let mut special: Vec<_> =
            special.into_iter().filter_map(|s| vocabulary.get(&s).map(|id| (s.clone(), *id))).collect();
        // The longest first, so that a token is not taken for its own beginning.
        special.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let pattern = Regex::new(PATTERN).map_err(|error| LoadError::bad(&file, error))?;
        let merges = merges.into_iter().enumerate().map(|(rank, pair)| (pair, rank)).collect();
        Ok(Self { vocabulary, merges, special, pattern, start, end, pad, unknown })
    }

    /// Ids of the text between start and end token, cut and padded to `length`.
    pub fn encode(&self, text: &str, length: usize) -> Vec<u32> {
        let mut ids = vec![self.start];
        self.tokens(text, &mut ids);
        ids.truncate(length.saturating_sub(1));
        ids.push(self.end);
        ids.resize(length, self.pad);
        ids
    }

    /// The ids of a text without start, end and padding.
    fn tokens(&self, text: &str, ids: &mut Vec<u32>) {
        let mut rest = text;
        while let Some((at, token, id)) = self.next_special(rest) {
            self.ordinary(&rest[..at], ids);
            ids.push(id);
            rest = &rest[at + token.len()..];
        }
        self.ordinary(rest, ids);
    }

    fn next_special(&self, text: &str) -> Option<(usize, &str, u32)> {
        let found =
            self.special.iter().filter_map(|(token, id)| Some((text.find(token.as_str())?, token.as_str(), *id)));
        // `min_by_key` keeps the first of equals: the longest token at that place.
        found.min_by_key(|(at, _, _)| *at)
    }

    fn ordinary(&self, text: &str, ids: &mut Vec<u32>) {
        let clean: String = text.nfc().flat_map(char::to_lowercase).collect();
        for piece in self.pattern.find_iter(&clean) {
            self.merge(piece.as_str(), ids);
        }
    }

    /// The ids of one piece: bytes as characters, merged pair by pair, the lowest rank first.
    fn merge(&self, piece: &str, ids: &mut Vec<u32>) {
        let mut symbols: Vec<String> = piece.bytes().map(|byte| bytes::written(byte).to_string()).collect();
        if let Some(last) = symbols.last_mut() {
            last.push_str(END);
        }
        while let Some(pair) = self.lowest(&symbols) {
            symbols = joined(symbols, &pair);
        }
        ids.extend(symbols.iter().map(|symbol| self.vocabulary.get(symbol).copied().unwrap_or(self.unknown)));
    }

    /// The adjacent pair that merges first.
    fn lowest(&self, symbols: &[String]) -> Option<(String, String)> {
        let pairs = symbols.windows(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        let ranked = pairs.filter_map(|pair| self.merges.get(&pair).map(|rank| (*rank, pair)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, pair)| pair)
    }
}

/// The symbols with every occurrence of the pair made one, from the left.
fn joined(symbols: Vec<String>, pair: &(String, String)) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(symbols.len());
    let mut rest = symbols.into_iter().peekable();
    while let Some(symbol) = rest.next() {
        match rest.next_if(|next| symbol == pair.0 && *next == pair.1) {
            Some(next) => out.push(symbol + &next),
            None => out.push(symbol),
        }
    }
    out
}
