//! The prompt language of AUTOMATIC1111's web UI: emphasis, `BREAK`, LoRA tags.
//!
//! | written | means |
//! |---|---|
//! | `(word)` | weight 1.1; `((word))` 1.21 |
//! | `[word]` | weight 1/1.1 |
//! | `(word:1.3)` | weight 1.3 |
//! | `\(` `\)` `\[` `\]` `\\` | the character itself |
//! | `BREAK` | what follows starts a new window of the text encoder |
//! | `<lora:name:0.8>` | taken out of the text, see [`LoraTag`] |
//!
//! As there, a bracket that is never closed weighs everything up to the prompt's end, a closing one
//! without an opening one is text, and weights of nested brackets multiply. Different from there: a
//! backslash before any other character is text, `BREAK` may stand inside brackets, and a number that
//! cannot be read is text. Nothing that can be written is an error.

mod embedding;
mod emphasis;
mod lexer;
mod lora;

pub use embedding::{EXPLICIT, Embedding};
pub use emphasis::emphasise;
pub use lora::LoraTag;

use lexer::{Bracket, Lexeme};

/// What a pair of brackets without a number multiplies or divides by.
const STEP: f32 = 1.1;
/// Weights end here, so that nested numbers cannot overflow.
const HEAVIEST: f32 = 1e4;

/// Text of one weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Without brackets, escapes and numbers.
    pub text: String,
    /// 1 where nothing is said; finite, at most 10,000 in size.
    pub weight: f32,
}

/// A prompt as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What stands between the `BREAK`s, at least one; each starts a new window. Neighbouring parts
    /// differ in weight, and a prompt without any of the syntax is one part with the very text.
    pub sections: Vec<Vec<Part>>,
    /// The LoRAs that it asks for, in order.
    pub loras: Vec<LoraTag>,
}

impl Prompt {
    /// The text without syntax, a space for each `BREAK`: for encoders without windows.
    pub fn text(&self) -> String {
        let section = |parts: &Vec<Part>| parts.iter().map(|part| part.text.as_str()).collect::<String>();
        self.sections.iter().map(section).collect::<Vec<_>>().join(" ")
    }

    /// The parts of all sections, a space for each `BREAK`.
    pub fn parts(&self) -> impl Iterator<Item = (&str, f32)> {
        self.sections.iter().enumerate().flat_map(|(i, section)| {
            let space = (i > 0).then_some((" ", 1.0));
            space.into_iter().chain(section.iter().map(|part| (part.text.as_str(), part.weight)))
        })
    }
}

/// Reads a prompt. Every text has a meaning.
pub fn parse(text: &str) -> Prompt {
    let (text, loras) = lora::take(text);
    let mut reader = Reader::default();
    let mut rest = text.as_str();
    while let Some((lexeme, after)) = lexer::next(rest, reader.is_open(Bracket::Round)) {
        reader.take(lexeme, &rest[..rest.len() - after.len()]);
        rest = after;
    }
    reader.close_all();
    Prompt { sections: sections(reader.runs), loras }
}

/// A stretch of the prompt while brackets around it may still be open.
enum Run {
    Text(Part),
    Break,
}

#[derive(Default)]
struct Reader {
    runs: Vec<Run>,
    /// Brackets that are open, with the run at which each began. The two kinds know nothing of each other.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    fn open(&mut self, bracket: Bracket) -> &mut Vec<usize> {
        match bracket {
            Bracket::Round => &mut self.round,
            Bracket::Square => &mut self.square,
        }
    }

    fn is_open(&self, bracket: Bracket) -> bool {
        match bracket {
            Bracket::Round => !self.round.is_empty(),
            Bracket::Square => !self.square.is_empty(),
        }
    }

    /// One lexeme, and how it is written.
    fn take(&mut self, lexeme: Lexeme<'_>, written: &str) {
        match lexeme {
            Lexeme::Open(bracket) => {
                let here = self.runs.len();
                self.open(bracket).push(here);
            }
            Lexeme::Close(bracket, weight) => match self.open(bracket).pop() {
                Some(start) => self.weigh(start, weight.unwrap_or(step(bracket))),
                None => self.text(written),
            },
            Lexeme::Text(text) => self.text(text),
            Lexeme::Break => self.runs.push(Run::Break),
        }
    }

    fn text(&mut self, text: &str) {
        self.runs.push(Run::Text(Part { text: text.to_owned(), weight: 1.0 }));
    }

    fn weigh(&mut self, start: usize, factor: f32) {
        for run in &mut self.runs[start..] {
            if let Run::Text(part) = run {
                part.weight = (part.weight * factor).clamp(-HEAVIEST, HEAVIEST);
            }
        }
    }

    fn close_all(&mut self) {
        for bracket in [Bracket::Round, Bracket::Square] {
            while let Some(start) = self.open(bracket).pop() {
                self.weigh(start, step(bracket));
            }
        }
    }
}

fn step(bracket: Bracket) -> f32 {
    match bracket {
        Bracket::Round => STEP,
        Bracket::Square => 1.0 / STEP,
    }
}

/// Neighbours of equal weight become one part: words must meet the tokenizer as they were written.
fn sections(runs: Vec<Run>) -> Vec<Vec<Part>> {
    let mut sections: Vec<Vec<Part>> = Vec::new();
    let mut section: Vec<Part> = Vec::new();
    for run in runs {
        match run {
            Run::Break => sections.push(std::mem::take(&mut section)),
            Run::Text(part) if part.text.is_empty() => {}
            Run::Text(part) => match section.last_mut() {
                Some(last) if last.weight == part.weight => last.text.push_str(&part.text),
                _ => section.push(part),
            },
        }
    }
    // A break at the very end starts nothing.
    if sections.is_empty() || !section.is_empty() {
        sections.push(section);
    }
    sections
}
