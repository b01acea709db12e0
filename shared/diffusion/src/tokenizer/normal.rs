//! What happens to a text before a Unigram tokenizer cuts it, as `tokenizer.json` says it.

use super::charsmap::Charsmap;
use crate::LoadError;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

/// A normalizer of `tokenizer.json`. Other types are an error that names them.
#[derive(Deserialize)]
#[serde(tag = "type")]
pub enum Published {
    /// One after the other.
    Sequence {
        /// Which.
        normalizers: Vec<Published>,
    },
    /// A character table in base64.
    Precompiled {
        /// The table.
        precompiled_charsmap: String,
    },
    /// Canonical composition.
    #[serde(rename = "NFC")]
    Nfc,
    /// Compatibility composition.
    #[serde(rename = "NFKC")]
    Nfkc,
    /// Lower case.
    Lowercase,
    /// White space at the ends: it never reaches a word.
    Strip {},
    /// A replacement by pattern; only the one that makes many spaces one is built.
    Replace {
        /// What is replaced.
        pattern: Pattern,
        /// By what.
        content: String,
    },
}

/// What a replacement looks for.
#[derive(Deserialize)]
pub enum Pattern {
    /// A regular expression.
    Regex(String),
    /// A text.
    String(String),
}

enum Step {
    Charsmap(Charsmap),
    Nfc,
    Nfkc,
    Lowercase,
}

/// Normalisation in steps. White space is left to the cutting into words.
#[derive(Default)]
pub struct Normal(Vec<Step>);

impl Normal {
    /// The steps of a `tokenizer.json`.
    pub fn published(file: &str, published: Option<Published>) -> Result<Self, LoadError> {
        let mut normal = Self::default();
        if let Some(published) = published {
            normal.add(file, published)?;
        }
        Ok(normal)
    }

    /// A character table alone; an empty one changes nothing.
    pub fn charsmap(file: &str, blob: &[u8]) -> Result<Self, LoadError> {
        if blob.is_empty() {
            return Ok(Self::default());
        }
        let table = Charsmap::read(blob).ok_or_else(|| LoadError::bad(file, "has a damaged character table"))?;
        Ok(Self(vec![Step::Charsmap(table)]))
    }

    fn add(&mut self, file: &str, published: Published) -> Result<(), LoadError> {
        match published {
            Published::Sequence { normalizers } => {
                return normalizers.into_iter().try_for_each(|one| self.add(file, one));
            }
            Published::Precompiled { precompiled_charsmap } => {
                let blob = decode(&precompiled_charsmap);
                let blob = blob.ok_or_else(|| LoadError::bad(file, "precompiled_charsmap is no base64"))?;
                self.0.extend(Self::charsmap(file, &blob)?.0);
            }
            Published::Nfc => self.0.push(Step::Nfc),
            Published::Nfkc => self.0.push(Step::Nfkc),
            Published::Lowercase => self.0.push(Step::Lowercase),
            Published::Strip {} => {}
            Published::Replace { pattern: Pattern::Regex(spaces), content }
                if spaces == " {2,}" && ["▁", " "].contains(&content.as_str()) => {}
            Published::Replace { pattern: Pattern::Regex(what) | Pattern::String(what), .. } => {
                return Err(LoadError::unsupported(file, format!("a normalizer that replaces {what:?}")));
            }
        }
        Ok(())
    }

    /// The normalised text.
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, step| match step {
            Step::Charsmap(table) => table.apply(&text),
            Step::Nfc => text.nfc().collect(),
            Step::Nfkc => text.nfkc().collect(),
            Step::Lowercase => text.to_lowercase(),
        })
    }
}

/// Base64 (RFC 4648) with or without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for digit in four {
            bits = bits << 6 | sextet(*digit)?;
        }
        bits <<= 6 * (4 - four.len());
        // Four digits are three bytes, three are two, two are one; one digit is nothing whole.
        let whole = (four.len() > 1).then_some(four.len() - 1)?;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..1 + whole]);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
