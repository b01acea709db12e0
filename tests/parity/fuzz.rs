//! Damaged files at random, the same ones each time: readers of headers and tokenizers answer with an
//! error or a value, never with a panic, read nothing outside the file, and allocate no more than a
//! file of that size can need.

use crate::files::{a, b, golden};
use fresco_diffusion::{
    Device, Source, SourceError,
    tokenizer::Tokenizer,
    weights::{self, checkpoint::Checkpoint, checkpoint::Nothing},
};
use fresco_tests::memory::Memory;
use std::{cell::RefCell, ops::Range};

const ROUNDS: u64 = 4000;

/// SplitMix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A number that a careless reader stumbles over.
    fn awkward(&mut self) -> u64 {
        const AWKWARD: [u64; 12] = [
            0,
            1,
            2,
            255,
            1 << 16,
            u32::MAX as u64,
            1 << 32,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
            u64::MAX - 31,
            1 << 40,
        ];
        AWKWARD[self.below(AWKWARD.len())]
    }

    /// Changes `bytes` in one of several ways, mostly near their beginning, where headers are.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let near = if self.below(3) == 0 { bytes.len() } else { bytes.len().min(400) };
        let at = self.below(near);
        match self.below(8) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.next() as u8,
            3 => bytes.truncate(at),
            4 => {
                let number = self.awkward().to_le_bytes();
                bytes.splice(at..(at + 8).min(bytes.len()), number);
            }
            5 => {
                let number = (self.awkward() as u32).to_le_bytes();
                bytes.splice(at..(at + 4).min(bytes.len()), number);
            }
            6 => {
                let end = (at + self.below(60)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let number = self.awkward().to_string();
                let digits = bytes[at..].iter().position(u8::is_ascii_digit).map_or(at, |offset| at + offset);
                let end = bytes[digits..].iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(0) + digits;
                bytes.splice(digits..end, number.into_bytes());
            }
        }
    }
}

/// A folder that refuses to read outside a file, and remembers that somebody tried.
struct Strict<'a> {
    folder: &'a Memory,
    offence: RefCell<Option<String>>,
}

impl Source for Strict<'_> {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        self.folder.len(file).await
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        let length = self.folder.len(file).await?.unwrap_or_default();
        if range.start > range.end || range.end > length {
            *self.offence.borrow_mut() = Some(format!("{range:?} of {length} bytes of {file}"));
            return Err(SourceError::new(file, "is truncated"));
        }
        self.folder.read(file, range).await
    }
}

/// Runs `read` on the damaged folder and fails if it read outside a file or allocated too much at once.
async fn watched(what: &str, folder: &Memory, size: usize, read: impl AsyncFnOnce(&Strict<'_>)) {
    let strict = Strict { folder, offence: RefCell::default() };
    crate::allocations::forget();
    read(&strict).await;
    let largest = crate::allocations::largest();
    // JSON values in memory are several times as large as their text.
    assert!(largest <= 64 * size + (1 << 16), "{what}: {largest} bytes at once for a file of {size}");
    assert_eq!(strict.offence.into_inner(), None, "{what}");
}

/// Headers of safetensors and GGUF files, what a checkpoint makes of them, and every tensor in them.
pub async fn headers(_: &Device) {
    let checkpoint = small_checkpoint();
    let files: [(&str, &[u8]); 3] = [
        ("model.gguf", golden!("files.gguf")),
        ("text.safetensors", golden!("sd-b/text_encoder/model.safetensors")),
        ("checkpoint.safetensors", &checkpoint),
    ];
    for (file, whole) in files {
        let mut random = Random(whole.len() as u64);
        let mut readable = 0;
        for round in 0..ROUNDS {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    random.damage(&mut bytes);
                }
            }
            let folder = Memory::new(&[(file, &bytes)]);
            watched(&format!("{file}, round {round}"), &folder, bytes.len(), async |source| {
                readable += u64::from(every_tensor(source, file).await);
            })
            .await;
        }
        // Otherwise nothing behind the first check would have been tried.
        assert!((ROUNDS / 50..ROUNDS * 49 / 50).contains(&readable), "{file}: {readable} of {ROUNDS} were readable");
    }
}

/// Damage that chance seldom finds.
pub async fn by_hand(_: &Device) {
    let file =
        |json: &str, data: usize| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &vec![0; data]].concat();
    let tensor = |shape: &str, end: usize| format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}"#);
    for (json, data) in [
        (format!(r#"{{"a":{}}}"#, tensor("[2]", 4)), 4),
        (format!(r#"{{"a":{}}}"#, tensor("[2]", 8)), 7),
        (format!(r#"{{"a":{},"b":{}}}"#, tensor("[1]", 4), tensor("[1]", 4)), 8),
        (format!(r#"{{"a":{}}}"#, tensor("[4294967296,4294967296,4294967296]", 0)), 0),
        (r#"{"a":{"x":"y"}}"#.to_owned(), 0),
    ] {
        let folder = Memory::new(&[("f", &file(&json, data))]);
        let error = weights::header(&folder, "f").await.expect_err("it is damaged").to_string();
        assert!(error.contains("damaged header") || error.contains("truncated"), "{json}: {error}");
    }
    // A fused matrix that is none.
    let at = "transformer.resblocks.0";
    let fused = r#"{"dtype":"X","shape":[],"data_offsets":[4,7]}"#;
    let json = format!(r#"{{"{at}.ln_1.weight":{},"{at}.attn.in_proj_weight":{fused}}}"#, tensor("[1]", 4));
    let folder = Memory::new(&[("f", &file(&json, 7))]);
    let error = Checkpoint::open(&folder, &["f".to_owned()], Nothing).await.err().expect("it is damaged");
    assert!(error.to_string().contains("has no thirds"), "{error}");
}

/// Whether the header could be read.
async fn every_tensor(source: &Strict<'_>, file: &str) -> bool {
    let header = weights::header(source, file).await;
    for (name, entry) in header.iter().flat_map(|header| &header.tensors) {
        let _ = entry.read(source, name).await;
    }
    if let Ok(checkpoint) = Checkpoint::open(source, &[file.to_owned()], Nothing).await {
        for (name, entry) in checkpoint.components().values().flat_map(|listing| &listing.tensors) {
            let _ = entry.read(source, name).await;
        }
    }
    header.is_ok()
}

/// A few tensors of each kind that a checkpoint treats apart.
fn small_checkpoint() -> Vec<u8> {
    let telling = [
        "input_blocks.0.0.weight",
        "middle_block.1.proj_in.weight",
        "middle_block.0.in_layers.0.weight",
        "output_blocks.11.1.transformer_blocks.0.norm1.bias",
        "x_embedder.proj.weight",
        "joint_blocks.0.x_block.attn.qkv",
        "joint_blocks.0.context_block.adaLN_modulation.1.weight",
        "final_layer.adaLN_modulation.1.weight",
    ];
    let mut recipe = crate::checkpoints::recipe("sd2");
    recipe.0.retain(|name, _| telling.iter().any(|part| name.ends_with(part)) || name.contains("resblocks.0"));
    recipe.file()
}

/// Vocabulary, merges and the single-file form of a tokenizer, which then reads a text.
pub async fn tokenizers(_: &Device) {
    for (folder, file) in [
        (a().folder, "tokenizer/vocab.json"),
        (a().folder, "tokenizer/merges.txt"),
        (a().folder, "tokenizer/special_tokens_map.json"),
        (b().folder, "tokenizer/tokenizer.json"),
    ] {
        let whole = folder.clone().file(file).clone();
        let mut random = Random(whole.len() as u64);
        for round in 0..ROUNDS / 20 {
            let mut damaged = folder.clone();
            let bytes = damaged.file(file);
            random.damage(bytes);
            let size = 4 * whole.len() + 40_000;
            watched(&format!("{file}, round {round}"), &damaged, size, async |source| {
                if let Ok(tokenizer) = Tokenizer::load(source, "tokenizer").await {
                    let _ = tokenizer.check_fits(770);
                    let _ = tokenizer.encode("a red circle, naïve café 🎨 <|endoftext|>", 77);
                }
            })
            .await;
        }
    }
}
