//! `spiece.model`: SentencePiece's own file, as far as a Unigram tokenizer needs it.
//!
//! A protocol buffer: fields of a number and a wire type. Read by hand, because five fields are wanted.

use crate::LoadError;

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Normal,
    /// Stands for what no piece covers.
    Unknown,
    /// A mark that no text contains, such as the end.
    Control,
    /// Always cut out whole.
    UserDefined,
    /// Not to be used.
    Unused,
    /// One byte of what no piece covers.
    Byte,
}

/// An entry of the vocabulary.
#[derive(Clone, Debug)]
pub struct Piece {
    /// With `▁` for a space.
    pub text: String,
    /// Logarithm of its probability.
    pub score: f32,
    /// What it is for.
    pub kind: Kind,
}

/// The file.
#[derive(Default)]
pub struct Model {
    /// By id.
    pub pieces: Vec<Piece>,
    /// What characters become, see [`super::charsmap`].
    pub charsmap: Vec<u8>,
    /// Whether bytes stand for what no piece covers.
    pub byte_fallback: bool,
}

/// Reads the file's bytes.
///
/// # Errors
/// It is damaged, or a tokenizer of another kind.
pub fn read(file: &str, bytes: &[u8]) -> Result<Model, LoadError> {
    let damaged = || LoadError::bad(file, "is no SentencePiece model, or a damaged one");
    let mut model = Model::default();
    for field in Fields(bytes) {
        match field.ok_or_else(damaged)? {
            (1, Value::Bytes(piece)) => model.pieces.push(read_piece(piece).ok_or_else(damaged)?),
            (2, Value::Bytes(trainer)) => {
                for field in Fields(trainer) {
                    match field.ok_or_else(damaged)? {
                        (3, Value::Number(kind)) if kind != 1 => {
                            return Err(LoadError::unsupported(file, format!("model_type {kind}, not Unigram,")));
                        }
                        (35, Value::Number(yes)) => model.byte_fallback = yes != 0,
                        _ => {}
                    }
                }
            }
            (3, Value::Bytes(normalizer)) => {
                for field in Fields(normalizer) {
                    match field.ok_or_else(damaged)? {
                        (2, Value::Bytes(table)) => model.charsmap = table.to_vec(),
                        // A space before the text, many spaces as one, spaces as `▁`: what Unigram does.
                        (3..=5, Value::Number(0)) => {
                            return Err(LoadError::unsupported(file, "a normalizer that keeps white space"));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(model)
}

fn read_piece(bytes: &[u8]) -> Option<Piece> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(text)) => piece.text = std::str::from_utf8(text).ok()?.to_owned(),
            (2, Value::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Value::Number(kind)) => {
                piece.kind = match kind {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    _ => return None,
                }
            }
            _ => {}
        }
    }
    Some(piece)
}

enum Value<'a> {
    Number(u64),
    Four([u8; 4]),
    Eight,
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` once where it is damaged, and then the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.bytes(8).map(|_| Value::Eight)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.bytes(usize::try_from(length).ok()?)?)
            }
            5 => Value::Four(self.bytes(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}
