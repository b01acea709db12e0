//! T5's tokenizer: the most probable cutting of a text into pieces (Kudo 2018).
//!
//! As transformers' `T5Tokenizer`: special tokens are cut out of the raw text, the rest is normalised
//! by the file's character table (SentencePiece's `nmt_nfkc`), cut at white space into words that
//! begin with `▁`, and each word into the pieces with the highest sum of scores. Not covered:
//! transformers looks the table up grapheme by grapheme and can lose a combining mark behind a
//! character that the table changes; here as in SentencePiece the longest match counts.

use super::{
    next_special, unigram_file,
    windows::{Window, padded},
};
use crate::{LoadError, Source, prompt::Prompt};
use std::collections::HashMap;

/// How much less probable than any piece an unknown character is, in its logarithm.
const UNKNOWN: f64 = 10.0;
/// The longest piece, in characters; published ones have 16.
const LONGEST: usize = 256;
/// Begins a word.
const SPACE: char = '▁';

/// Text to token ids.
pub struct Unigram {
    /// The file that errors name.
    file: String,
    pieces: HashMap<String, (f64, u32)>,
    /// The longest piece, in characters.
    longest: usize,
    /// Tokens that are recognised in raw text, with their ids; the longest first.
    special: Vec<(String, u32)>,
    normal: super::normal::Normal,
    continues: bool,
    /// The ids of bytes, where they stand for what no piece covers.
    bytes: Option<Vec<u32>>,
    unknown: u32,
    unknown_score: f64,
    end: u32,
    pad: u32,
    largest: u32,
}

impl Unigram {
    /// Reads a tokenizer's folder: `tokenizer.json`, or `spiece.model`.
    ///
    /// # Errors
    /// Neither form is there, a file is damaged, a special token is in no vocabulary, or something of
    /// the tokenizer is not built.
    pub async fn load(source: &impl Source, folder: &str) -> Result<Self, LoadError> {
        let file = unigram_file::read(source, folder).await?;
        let name = file.name;
        if file.pieces.iter().any(|(text, score, _)| !score.is_finite() || text.chars().count() > LONGEST) {
            return Err(LoadError::bad(&name, "has a piece that is too long, or whose score is no number"));
        }
        let lowest = file.pieces.iter().map(|(_, score, _)| *score).fold(f64::INFINITY, f64::min);
        let longest = file.pieces.iter().map(|(text, _, _)| text.chars().count()).max().unwrap_or_default();
        let pieces: HashMap<_, _> = file.pieces.into_iter().map(|(text, score, id)| (text, (score, id))).collect();
        let mut special = file.special;
        special.retain(|(token, _)| !token.is_empty());
        special.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
        let id = |token: &str| {
            let added = special.iter().find(|(special, _)| special == token).map(|(_, id)| *id);
            added.or_else(|| pieces.get(token).map(|(_, id)| *id))
        };
        let role = |role: &str, token: &str| {
            id(token).ok_or_else(|| LoadError::bad(&name, format!("the {role} token {token:?} is in no vocabulary")))
        };
        let (end, pad) = (role("end", &file.end)?, role("padding", &file.pad)?);
        let bytes = (0..=255u8).map(|byte| id(&format!("<0x{byte:02X}>"))).collect::<Option<Vec<_>>>();
        let bytes = bytes.filter(|_| file.byte_fallback);
        let ids = pieces.values().map(|(_, id)| id).chain(special.iter().map(|(_, id)| id));
        let largest = ids.copied().max().unwrap_or_default().max(file.unknown);
        let (normal, continues, unknown) = (file.normal, file.continues, file.unknown);
        let unknown_score = lowest - UNKNOWN;
        let file = name;
        Ok(Self { file, pieces, longest, special, normal, continues, bytes, unknown, unknown_score, end, pad, largest })
    }

    /// # Errors
    /// A token's id is beyond a text encoder's vocabulary.
    pub fn check_fits(&self, vocabulary: usize) -> Result<(), LoadError> {
        super::check_fits(&self.file, self.largest, vocabulary)
    }

    /// Ids of the text and the end token, cut and padded to `length`.
    pub fn encode(&self, text: &str, length: usize) -> Vec<u32> {
        let mut ids = Vec::new();
        self.tokens(text, &mut ids);
        self.framed(ids, length)
    }

    /// A prompt's tokens and the end token, cut and padded to `length`, with their weights.
    ///
    /// Each part is cut by itself, so that a part begins a word. Without syntax in the prompt the ids
    /// are those of [`Unigram::encode`].
    pub fn window(&self, prompt: &Prompt, length: usize) -> Window {
        let (mut ids, mut weights) = (Vec::new(), Vec::new());
        for (text, weight) in prompt.parts() {
            self.tokens(text, &mut ids);
            weights.resize(ids.len(), weight);
        }
        weights.truncate(length.saturating_sub(1));
        Window { ids: self.framed(ids, length), weights: padded(weights, length, 1.0) }
    }

    fn framed(&self, mut ids: Vec<u32>, length: usize) -> Vec<u32> {
        ids.truncate(length.saturating_sub(1));
        ids.push(self.end);
        padded(ids, length, self.pad)
    }

    fn tokens(&self, text: &str, ids: &mut Vec<u32>) {
        let (mut rest, mut first) = (text, true);
        while let Some((at, token, id)) = next_special(&self.special, rest) {
            self.ordinary(&rest[..at], first, ids);
            ids.push(id);
            (rest, first) = (&rest[at + token.len()..], false);
        }
        self.ordinary(rest, first, ids);
    }

    /// The ids of text without special tokens; `first` when nothing stands before it.
    fn ordinary(&self, text: &str, first: bool, ids: &mut Vec<u32>) {
        let clean = self.normal.apply(text);
        let marked = first || !self.continues || clean.starts_with(char::is_whitespace);
        for (i, word) in clean.split_whitespace().enumerate() {
            let mark = (marked || i > 0) && !word.starts_with(SPACE);
            let word: String = mark.then_some(SPACE).into_iter().chain(word.chars()).collect();
            // The mark may stand in the text itself.
            let starts = word.match_indices(SPACE).map(|(at, _)| at).chain([word.len()]);
            let mut from = 0;
            for to in starts.filter(|to| *to > 0) {
                self.cut(&word[from..to], ids);
                from = to;
            }
        }
    }

    /// Appends the pieces of one word with the highest sum of scores (Viterbi 1967).
    fn cut(&self, word: &str, ids: &mut Vec<u32>) {
        let places: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
        // For each place the best sum up to there, where its last piece starts, and that piece's id.
        let mut best: Vec<Option<(f64, usize, u32)>> = vec![None; places.len()];
        for start in 0..places.len() - 1 {
            let so_far = best[start].map_or(0.0, |(score, _, _)| score);
            let mut offer = |end: usize, score: f64, id: u32| {
                let sum = so_far + score;
                // Of equals the first: the longer piece.
                if best[end].is_none_or(|(score, _, _)| sum > score) {
                    best[end] = Some((sum, start, id));
                }
            };
            let last = (start + self.longest).min(places.len() - 1);
            for end in start + 1..=last {
                if let Some((score, id)) = self.pieces.get(&word[places[start]..places[end]]) {
                    offer(end, *score, *id);
                }
            }
            if !self.pieces.contains_key(&word[places[start]..places[start + 1]]) {
                offer(start + 1, self.unknown_score, self.unknown);
            }
        }
        let mut path = Vec::new();
        let mut end = places.len() - 1;
        while let Some((_, start, id)) = best[end] {
            path.push((id, &word[places[start]..places[end]]));
            end = start;
        }
        path.reverse();
        for unknown in path.chunk_by(|(left, _), (right, _)| (*left, *right) == (self.unknown, self.unknown)) {
            self.write(unknown, ids);
        }
    }

    /// A piece, or several unknown ones that count as one.
    fn write(&self, pieces: &[(u32, &str)], ids: &mut Vec<u32>) {
        match (&self.bytes, pieces) {
            (Some(bytes), [(id, _), ..]) if *id == self.unknown => {
                let text = pieces.iter().flat_map(|(_, text)| text.bytes());
                ids.extend(text.map(|byte| bytes[usize::from(byte)]));
            }
            (_, [(id, _), ..]) => ids.push(*id),
            (_, []) => {}
        }
    }
}
