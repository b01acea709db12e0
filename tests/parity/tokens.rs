//! Token ids as transformers gives them, from both forms of a tokenizer's files.

use crate::files::{golden, models};
use fresco_diffusion::{
    Device, prompt,
    tokenizer::{Tokenizer, Unigram},
};
use fresco_tests::memory::Memory;
use serde_json::{Value, json};

pub async fn tokens(_: &Device) {
    let golden: Value = serde_json::from_slice(golden!("tokens.json")).expect("the golden is whole");
    let length = golden["maxLength"].as_u64().expect("a length") as usize;
    let prompts = golden["prompts"].as_array().expect("prompts");
    assert!(prompts.len() >= 40);
    for model in models() {
        let tokenizer = Tokenizer::load(&model.folder, "tokenizer").await.expect("it loads");
        for prompt in prompts {
            let text = prompt["text"].as_str().expect("a text");
            let expected: Vec<u32> = serde_json::from_value(prompt[model.name].clone()).expect("ids");
            assert_eq!(tokenizer.encode(text, length), expected, "{}: {text:?}", model.name);
        }
    }
}

const WHOLE: &str = "t5/tokenizer.json";
const MODEL: &str = "t5/spiece.model";

/// The four forms in which T5's tokenizer is published.
fn unigram_folders() -> [(&'static str, Memory); 4] {
    let whole = golden!("t5/tokenizer.json");
    let config = br#"{"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}"#;
    // As older converters wrote it: spaces made one by a pattern, no cutting at white space.
    let mut legacy: Value = serde_json::from_slice(whole).expect("it is JSON");
    let table = legacy["normalizer"].take();
    legacy["normalizer"] = json!({ "type": "Sequence", "normalizers": [
        table,
        { "type": "Strip", "strip_left": false, "strip_right": true },
        { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": "\u{2581}" },
    ]});
    legacy["pre_tokenizer"] = json!({ "type": "Metaspace", "replacement": "\u{2581}", "add_prefix_space": true });
    let legacy = legacy.to_string();
    [
        ("both", Memory::new(&[(WHOLE, whole), (MODEL, b"not read"), ("t5/tokenizer_config.json", config)])),
        ("tokenizer.json", Memory::new(&[(WHOLE, whole)])),
        ("legacy", Memory::new(&[(WHOLE, legacy.as_bytes())])),
        ("spiece.model", Memory::new(&[(MODEL, golden!("t5/spiece.model"))])),
    ]
}

pub async fn unigrams(_: &Device) {
    let golden: Value = serde_json::from_slice(golden!("t5_tokens.json")).expect("the golden is whole");
    let length = golden["maxLength"].as_u64().expect("a length") as usize;
    let prompts = golden["prompts"].as_array().expect("prompts");
    assert!(prompts.len() >= 50);
    for (form, folder) in unigram_folders() {
        let tokenizer = Unigram::load(&folder, "t5").await.expect("it loads");
        let mut compared = 0;
        for prompt in prompts {
            let text = prompt["text"].as_str().expect("a text");
            // These tokens are added by transformers and are not in SentencePiece's own file.
            if form == "spiece.model" && text.contains("<extra_id_") {
                continue;
            }
            let mut expected: Vec<u32> = serde_json::from_value(prompt["ids"].clone()).expect("ids");
            expected.resize(length, 0);
            assert_eq!(tokenizer.encode(text, length), expected, "{form}: {text:?}");
            let parsed = prompt::parse(text);
            if parsed.text() == text {
                let window = tokenizer.window(&parsed, length);
                assert_eq!((window.ids, window.weights), (expected, vec![1.0; length]), "{form}: {text:?}");
                compared += 1;
            }
        }
        assert!(compared >= 45, "{form}: {compared}");
        let window = tokenizer.window(&prompt::parse("a (house:1.3) by night"), 20);
        let plain = tokenizer.encode("a house by night", 20);
        assert_eq!(window.ids, plain, "{form}: parts begin words");
        let heavy = window.weights.iter().filter(|weight| **weight == 1.3).count();
        assert_eq!(heavy, tokenizer.encode("house", 20).iter().position(|id| *id == 1).expect("an end"));
    }
}

/// Bytes for what no piece covers, and damaged or other tokenizers.
pub async fn unigram_files(_: &Device) {
    let whole: Value = serde_json::from_slice(golden!("t5/tokenizer.json")).expect("it is JSON");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut whole = whole.clone();
        change(&mut whole);
        Memory::new(&[(WHOLE, whole.to_string().as_bytes())])
    };
    let bytes = changed(&|whole| {
        whole["model"]["byte_fallback"] = true.into();
        let vocabulary = whole["model"]["vocab"].as_array_mut().expect("a vocabulary");
        vocabulary.extend((0..256).map(|byte| json!([format!("<0x{byte:02X}>"), -20.0])));
    });
    let tokenizer = Unigram::load(&bytes, "t5").await.expect("it loads");
    let first = whole["model"]["vocab"].as_array().expect("a vocabulary").len() as u32;
    let expected: Vec<u32> = "\u{5915}".bytes().map(|byte| first + u32::from(byte)).chain([1]).collect();
    assert_eq!(tokenizer.encode("\u{5915}", 5)[1..], expected);
    assert!(tokenizer.check_fits(first as usize).is_err() && tokenizer.check_fits(first as usize + 256).is_ok());

    let cases: [(&str, Memory); 7] = [
        ("BPE", changed(&|whole| whole["model"]["type"] = "BPE".into())),
        ("BertNormalizer", changed(&|whole| whole["normalizer"] = json!({ "type": "BertNormalizer" }))),
        ("ByteLevel", changed(&|whole| whole["pre_tokenizer"] = json!({ "type": "ByteLevel" }))),
        ("Metaspace", changed(&|whole| whole["pre_tokenizer"] = json!({ "type": "WhitespaceSplit" }))),
        ("base64", changed(&|whole| whole["normalizer"]["precompiled_charsmap"] = "AQ!A".into())),
        ("table", changed(&|whole| whole["normalizer"]["precompiled_charsmap"] = "/////w==".into())),
        ("spiece.model", Memory::new(&[])),
    ];
    for (part, folder) in cases {
        let error = Unigram::load(&folder, "t5").await.err().expect("it is refused").to_string();
        assert!(error.contains(part) && error.contains("tokenizer.json"), "{part}: {error}");
    }
    // Every beginning of the file, and every byte changed: read or refused, never a panic.
    let model = golden!("t5/spiece.model");
    for at in 0..model.len() {
        let mut other = model.to_vec();
        other[at] ^= 0xa5;
        for bytes in [&model[..at], &other] {
            if let Ok(tokenizer) = Unigram::load(&Memory::new(&[(MODEL, bytes)]), "t5").await {
                assert_eq!(tokenizer.encode("a ﬁne ｆull cafe\u{301} …", 30).len(), 30);
            }
        }
    }
}
