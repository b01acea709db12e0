//! Prompts of any length as windows of a text encoder's length.

use super::Tokenizer;
use crate::prompt::{Part, Prompt};
use std::ops::Range;

/// What a text encoder reads at once: start, tokens, end, padding.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Token ids, as many as the encoder takes.
    pub ids: Vec<u32>,
    /// A weight a token; 1 for start, end and padding.
    pub weights: Vec<f32>,
}

/// A learned word: its name in lower case, and the ids of its vectors.
pub(super) struct Concept {
    name: String,
    ids: Vec<u32>,
}

impl Tokenizer {
    /// Lets `name` stand for these ids, whatever the case of its (ASCII) letters, where no letter or
    /// digit continues it. The same name again replaces the ids.
    pub fn learn(&mut self, name: &str, ids: Vec<u32>) {
        let name = name.to_ascii_lowercase();
        self.concepts.retain(|concept| concept.name != name);
        self.concepts.push(Concept { name, ids });
        // The longest first, so that a name is not taken for its own beginning.
        self.concepts.sort_by_key(|concept| std::cmp::Reverse(concept.name.len()));
    }

    /// Forgets every learned word.
    pub fn forget(&mut self) {
        self.concepts.clear();
    }

    /// A prompt cut into windows of `length` tokens, start and end included; at least one.
    ///
    /// A section starts a new window, a learned word is never cut in two where it fits into one. A
    /// prompt without syntax that fits into one window has the ids of [`Tokenizer::encode`].
    pub fn windows(&self, prompt: &Prompt, length: usize) -> Vec<Window> {
        let mut writer = Writer { tokenizer: self, length, done: Vec::new(), ids: Vec::new(), weights: Vec::new() };
        for section in &prompt.sections {
            for part in section {
                self.write(part, &mut writer);
            }
            writer.finish();
        }
        writer.done
    }

    /// The windows of several prompts, the shorter ones filled up with windows of the empty prompt, so
    /// that all have the same number.
    pub fn batch(&self, prompts: &[Prompt], length: usize) -> Vec<Vec<Window>> {
        let mut batch: Vec<_> = prompts.iter().map(|prompt| self.windows(prompt, length)).collect();
        let most = batch.iter().map(Vec::len).max().unwrap_or_default();
        self.fill(&mut batch, most, length);
        batch
    }

    /// Makes every prompt at least `count` windows of `length` tokens long, by windows of the empty prompt.
    ///
    /// For models with several tokenizers, where a word that only one of them learned can give batches
    /// of different length.
    pub fn fill(&self, batch: &mut [Vec<Window>], count: usize, length: usize) {
        let empty = Window { ids: self.encode("", length), weights: vec![1.0; length] };
        batch.iter_mut().for_each(|windows| windows.resize(windows.len().max(count), empty.clone()));
    }

    fn write(&self, part: &Part, writer: &mut Writer<'_>) {
        // Lower-casing of ASCII letters alone keeps every byte's place.
        let lower = part.text.to_ascii_lowercase();
        let (mut ids, mut from) = (Vec::new(), 0);
        while let Some((found, concept)) = self.next_concept(&lower, from) {
            self.tokens(&part.text[from..found.start], &mut ids);
            ids.drain(..).for_each(|id| writer.push(&[id], part.weight));
            writer.push(&concept.ids, part.weight);
            from = found.end;
        }
        self.tokens(&part.text[from..], &mut ids);
        ids.drain(..).for_each(|id| writer.push(&[id], part.weight));
    }

    /// The first learned word at or behind `from`, the longest of several at that place.
    fn next_concept(&self, lower: &str, from: usize) -> Option<(Range<usize>, &Concept)> {
        let found = self.concepts.iter().filter_map(|concept| {
            let places = lower[from..].match_indices(concept.name.as_str());
            let mut places = places.map(|(at, name)| from + at..from + at + name.len());
            Some((places.find(|place| is_whole(lower, place))?, concept))
        });
        found.min_by_key(|(place, _)| place.start)
    }
}

/// Whether neither end of the place is inside a word.
fn is_whole(text: &str, place: &Range<usize>) -> bool {
    let joined = |at: usize| {
        let before = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        before && text[at..].chars().next().is_some_and(char::is_alphanumeric)
    };
    !joined(place.start) && !joined(place.end)
}

/// Fills windows one after the other.
struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    length: usize,
    done: Vec<Window>,
    /// Of the window that is being filled, without start and end.
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Writer<'_> {
    /// Tokens that stay together if they can.
    fn push(&mut self, ids: &[u32], weight: f32) {
        let room = self.length.saturating_sub(2).max(1);
        if !self.ids.is_empty() && self.ids.len() + ids.len() > room && ids.len() <= room {
            self.finish();
        }
        for id in ids {
            if self.ids.len() == room {
                self.finish();
            }
            self.ids.push(*id);
            self.weights.push(weight);
        }
    }

    fn finish(&mut self) {
        let (ids, weights) = (std::mem::take(&mut self.ids), std::mem::take(&mut self.weights));
        let weights = std::iter::once(1.0).chain(weights).collect();
        let weights = padded(weights, self.length, 1.0);
        self.done.push(Window { ids: self.tokenizer.framed(ids, self.length), weights });
    }
}

/// Exactly `length` values, the missing ones `with`.
pub(super) fn padded<T: Clone>(mut values: Vec<T>, length: usize, with: T) -> Vec<T> {
    values.resize(length, with);
    values
}
