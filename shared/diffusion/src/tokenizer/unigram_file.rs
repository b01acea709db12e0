//! The two published forms of a Unigram tokenizer: `tokenizer.json` and `spiece.model`.

use super::{
    files::{Added, said},
    normal::{Normal, Published},
    spiece::{self, Kind},
};
use crate::{
    LoadError, Source,
    config::{read_json, read_text},
};
use serde::Deserialize;

/// What both forms say.
pub struct File {
    /// The file that errors name.
    pub name: String,
    /// Text, score and id of what a text is cut into.
    pub pieces: Vec<(String, f64, u32)>,
    /// Tokens recognised in raw text.
    pub special: Vec<(String, u32)>,
    /// What happens to a text before it is cut.
    pub normal: Normal,
    /// Whether what follows a special token directly is not marked as a word's beginning.
    pub continues: bool,
    /// Whether bytes stand for what no piece covers.
    pub byte_fallback: bool,
    /// Stands for what no piece covers.
    pub unknown: u32,
    /// Ends a text.
    pub end: String,
    /// Fills up to the length.
    pub pad: String,
}

#[derive(Deserialize)]
struct Whole {
    model: Model,
    normalizer: Option<Published>,
    pre_tokenizer: Option<Cutting>,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

/// Other types are an error that names them.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Model {
    Unigram {
        unk_id: Option<u32>,
        vocab: Vec<(String, f64)>,
        #[serde(default)]
        byte_fallback: bool,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Cutting {
    Sequence {
        pretokenizers: Vec<Cutting>,
    },
    WhitespaceSplit,
    Metaspace {
        replacement: String,
        /// Newer files.
        prepend_scheme: Option<Prepend>,
        /// Older files.
        #[serde(default = "yes")]
        add_prefix_space: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Prepend {
    Always,
    First,
    Never,
}

fn yes() -> bool {
    true
}

/// Reads whichever form is in `folder`; `tokenizer.json` wins where both are.
pub async fn read(source: &impl Source, folder: &str) -> Result<File, LoadError> {
    let (whole, model) = (format!("{folder}/tokenizer.json"), format!("{folder}/spiece.model"));
    let mut file = if source.len(&whole).await?.is_some() {
        read_whole(source, whole).await?
    } else if let Some(bytes) = read_text(source, &model).await? {
        read_model(model, &bytes)?
    } else {
        return Err(LoadError::bad(&whole, "the file is missing, and there is no spiece.model either"));
    };
    let said = said(source, folder).await?;
    let role = |key: &str, usual: &str| said.get(key).cloned().unwrap_or_else(|| usual.to_owned());
    (file.end, file.pad) = (role("eos_token", "</s>"), role("pad_token", "<pad>"));
    Ok(file)
}

async fn read_whole(source: &impl Source, name: String) -> Result<File, LoadError> {
    let Whole { model, normalizer, pre_tokenizer, added_tokens } = read_json(source, &name).await?;
    let Model::Unigram { unk_id, vocab, byte_fallback } = model;
    let unknown = unk_id.ok_or_else(|| LoadError::unsupported(&name, "a vocabulary without unk_id"))?;
    let mut continues = None;
    if let Some(cutting) = &pre_tokenizer {
        metaspace(&name, cutting, &mut continues)?;
    }
    let continues = continues.ok_or_else(|| LoadError::unsupported(&name, "a pre_tokenizer without Metaspace"))?;
    let pieces = vocab.into_iter().zip(0..).map(|((text, score), id)| (text, score, id)).collect();
    let special = added_tokens.into_iter().map(|token| (token.content, token.id)).collect();
    let normal = Normal::published(&name, normalizer)?;
    let (end, pad) = Default::default();
    Ok(File { name, pieces, special, normal, continues, byte_fallback, unknown, end, pad })
}

fn metaspace(file: &str, cutting: &Cutting, continues: &mut Option<bool>) -> Result<(), LoadError> {
    match cutting {
        Cutting::Sequence { pretokenizers } => pretokenizers.iter().try_for_each(|one| metaspace(file, one, continues)),
        Cutting::WhitespaceSplit => Ok(()),
        Cutting::Metaspace { replacement, prepend_scheme, add_prefix_space } => {
            let usual = if *add_prefix_space { Prepend::Always } else { Prepend::Never };
            let scheme = prepend_scheme.unwrap_or(usual);
            if replacement != "▁" || scheme == Prepend::Never {
                return Err(LoadError::unsupported(file, "a Metaspace that marks no word's beginning with ▁"));
            }
            *continues = Some(scheme == Prepend::First);
            Ok(())
        }
    }
}

fn read_model(name: String, bytes: &[u8]) -> Result<File, LoadError> {
    let spiece::Model { pieces, charsmap, byte_fallback } = spiece::read(&name, bytes)?;
    let unknown = pieces.iter().zip(0..).find(|(piece, _)| piece.kind == Kind::Unknown).map(|(_, id)| id);
    let unknown = unknown.ok_or_else(|| LoadError::bad(&name, "has no piece for what is unknown"))?;
    let named = |kinds: &'static [Kind]| {
        let pieces = pieces.iter().zip(0..);
        pieces.filter(|(piece, _)| kinds.contains(&piece.kind))
    };
    let special = named(&[Kind::Unknown, Kind::Control, Kind::UserDefined]);
    let special = special.map(|(piece, id)| (piece.text.clone(), id)).collect();
    let normal = Normal::charsmap(&name, &charsmap)?;
    // All have a score that counts for the unknown's, as the reference has it.
    let pieces = pieces.into_iter().zip(0..).map(|(piece, id)| (piece.text, f64::from(piece.score), id)).collect();
    let (end, pad) = Default::default();
    Ok(File { name, pieces, special, normal, continues: false, byte_fallback, unknown, end, pad })
}
