//! The messages between the page and the store: models on their way into this browser, and what it holds.

use fresco_api::{ModelId, ModelInfo, Pull};
use serde::{Deserialize, Serialize};

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Origin {
    /// The daemon that served the page.
    Daemon,
    /// A hub that speaks Hugging Face's protocol.
    Hub {
        /// Its address, such as `https://huggingface.co`.
        endpoint: String,
    },
}

/// What the page tells the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum StoreCommand {
    /// Say what is there.
    List,
    /// Fetch a model, or go on with it.
    Get {
        /// What the catalogue says about it.
        info: Box<ModelInfo>,
        /// What may be done with it.
        licence: String,
        /// Where from.
        from: Origin,
    },
    /// Stop to fetch a model; what came is kept.
    Stop {
        /// Which.
        id: ModelId,
    },
    /// Remove a model, or what came of it.
    Remove {
        /// Which.
        id: ModelId,
    },
    /// Copy files of the user's own. They come beside this text, in the order of `paths`.
    Import {
        /// The name of the folder or file.
        name: String,
        /// Each file's path in the folder.
        paths: Vec<String>,
    },
}

/// What the store tells the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum StoreReport {
    /// The program runs and listens.
    Up,
    /// What is there now.
    Shelf {
        /// Every model, whole or not.
        models: Vec<Kept>,
        /// Bytes that the browser still gives, where it says so.
        free: Option<u64>,
    },
    /// How far a model is.
    Progress {
        /// The same words as the daemon's.
        pull: Pull,
    },
    /// A wish that cannot be granted, or the program has stopped.
    Fatal {
        /// A sentence.
        reason: String,
    },
}

/// A model in this browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// What it takes.
    pub info: ModelInfo,
    /// What may be done with it.
    pub licence: String,
    /// Bytes that are there.
    pub received: u64,
    /// Bytes of all its files.
    pub total: u64,
    /// All of them are there and are what they should be.
    pub whole: bool,
}
