//! The two published forms of a CLIP tokenizer.

use crate::{
    LoadError, Source,
    config::{read_json, read_text},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// What both forms say.
pub struct Files {
    /// The file that errors name.
    pub file: String,
    /// Token to id.
    pub vocabulary: HashMap<String, u32>,
    /// Pairs by rank.
    pub merges: Vec<(String, String)>,
    /// Tokens recognised in raw text.
    pub special: BTreeSet<String>,
    /// Which token plays which part.
    pub roles: Roles,
}

/// The tokens with a part of their own.
pub struct Roles {
    /// Starts a text.
    pub bos: String,
    /// Ends a text.
    pub eos: String,
    /// Fills up to the length.
    pub pad: String,
    /// Stands for what is in no vocabulary.
    pub unk: String,
}

#[derive(Deserialize)]
struct Whole {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

/// A token of `tokenizer.json` that is recognised in raw text.
#[derive(Deserialize)]
pub struct Added {
    /// Its id.
    pub id: u32,
    /// How it is written.
    pub content: String,
}

/// Reads whichever form is in `folder`; `vocab.json` wins where both are.
pub async fn read(source: &impl Source, folder: &str) -> Result<Files, LoadError> {
    let (plain, whole) = (format!("{folder}/vocab.json"), format!("{folder}/tokenizer.json"));
    let (file, vocabulary, merges, mut special) = if source.len(&plain).await?.is_some() {
        let vocabulary = read_json(source, &plain).await?;
        let merges = read_merges(source, &format!("{folder}/merges.txt")).await?;
        (plain, vocabulary, merges, BTreeSet::new())
    } else if source.len(&whole).await?.is_some() {
        let Whole { model, added_tokens } = read_json(source, &whole).await?;
        let mut vocabulary = model.vocab;
        vocabulary.extend(added_tokens.iter().map(|token| (token.content.clone(), token.id)));
        let special = added_tokens.into_iter().map(|token| token.content).collect();
        let merges = model.merges.into_iter().map(pair).collect::<Option<Vec<_>>>();
        let merges = merges.ok_or_else(|| LoadError::bad(&whole, "a merge is not two symbols"))?;
        (whole, vocabulary, merges, special)
    } else {
        return Err(LoadError::bad(&plain, "the file is missing, and there is no tokenizer.json either"));
    };
    let roles = read_roles(source, folder).await?;
    special.extend([&roles.bos, &roles.eos, &roles.pad, &roles.unk].map(String::clone));
    Ok(Files { file, vocabulary, merges, special, roles })
}

fn pair(merge: Merge) -> Option<(String, String)> {
    match merge {
        Merge::Pair(left, right) => Some((left, right)),
        Merge::Line(line) => split(&line),
    }
}

fn split(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    Some((left.to_owned(), right.to_owned()))
}

async fn read_merges(source: &impl Source, file: &str) -> Result<Vec<(String, String)>, LoadError> {
    let bytes = read_text(source, file).await?.ok_or_else(|| LoadError::bad(file, "the file is missing"))?;
    let text = String::from_utf8(bytes).map_err(|error| LoadError::bad(file, error))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
    let merges =
        lines.map(|line| split(line).ok_or_else(|| LoadError::bad(file, format!("{line:?} is not two symbols"))));
    merges.collect()
}

/// What `special_tokens_map.json`, or else `tokenizer_config.json`, says in words: `eos_token` and others.
pub async fn said(source: &impl Source, folder: &str) -> Result<HashMap<String, String>, LoadError> {
    let mut said: HashMap<String, String> = HashMap::new();
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let file = format!("{folder}/{name}");
        if source.len(&file).await?.is_some() {
            let keys: serde_json::Map<String, Value> = read_json(source, &file).await?;
            for (key, value) in keys {
                if let Some(token) = content(&value) {
                    said.entry(key).or_insert(token);
                }
            }
        }
    }
    Ok(said)
}

/// The roles that the folder names, CLIP's own where it does not.
async fn read_roles(source: &impl Source, folder: &str) -> Result<Roles, LoadError> {
    let said = said(source, folder).await?;
    let role = |key: &str, usual: &str| said.get(key).cloned().unwrap_or_else(|| usual.to_owned());
    let eos = role("eos_token", "<|endoftext|>");
    Ok(Roles {
        bos: role("bos_token", "<|startoftext|>"),
        pad: role("pad_token", &eos),
        unk: role("unk_token", &eos),
        eos,
    })
}

/// A token as a string, or as an object with its `content`.
fn content(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
}
