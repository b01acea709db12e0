//! Token ids as transformers gives them, from both forms of a tokenizer's files.

use crate::files::{golden, models};
use fresco_diffusion::{Device, tokenizer::Tokenizer};
use serde_json::Value;

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
