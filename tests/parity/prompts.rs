//! The prompt language: what is read, how it is cut into windows, and that no text is too strange.

use crate::{
    files::{a, golden},
    texts::{clip, variant},
};
use fresco_api::Params;
use fresco_diffusion::{
    Device, Pipeline, RunError, Silent, config,
    model::clip::Layer,
    prompt::{self, Embedding, Part, Prompt},
    tokenizer::{Tokenizer, Window},
};
use fresco_kernels::Fast;
use fresco_tests::{golden::read, memory::Memory, synthetic};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    length: usize,
    prompts: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    text: String,
    sections: Vec<Vec<(String, f32)>>,
    loras: Vec<Lora>,
    windows: Vec<Cut>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lora {
    name: String,
    weight: f32,
    text_weight: f32,
}

#[derive(Deserialize)]
struct Cut {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

async fn tokenizer() -> Tokenizer {
    Tokenizer::load(&a().folder, "tokenizer").await.expect("it loads")
}

fn close(ours: f32, reference: f32) -> bool {
    (ours - reference).abs() <= 1e-5 * reference.abs()
}

/// Parts, LoRAs and windows as the rules stated again in the reference's script give them.
pub async fn language(_: &Device) {
    let Golden { length, prompts } = serde_json::from_slice(golden!("prompts.json")).expect("the golden is whole");
    let tokenizer = tokenizer().await;
    assert!(prompts.len() >= 20);
    for Entry { text, sections, loras, windows } in prompts {
        let prompt = prompt::parse(&text);
        let texts = |parts: &Vec<Part>| parts.iter().map(|part| part.text.clone()).collect::<Vec<_>>();
        let ours: Vec<_> = prompt.sections.iter().map(texts).collect();
        let expected: Vec<Vec<String>> =
            sections.iter().map(|parts| parts.iter().map(|(text, _)| text.clone()).collect()).collect();
        assert_eq!(ours, expected, "{text:?}");
        for (part, (_, weight)) in prompt.sections.iter().flatten().zip(sections.iter().flatten()) {
            assert!(close(part.weight, *weight), "{text:?}: {} weighs {}, not {weight}", part.text, part.weight);
        }
        assert_eq!(prompt.loras.len(), loras.len(), "{text:?}");
        for (ours, lora) in prompt.loras.iter().zip(&loras) {
            let same = (&ours.name, ours.weight, ours.text_weight) == (&lora.name, lora.weight, lora.text_weight);
            assert!(same, "{text:?}: {ours:?}");
        }
        let ours = tokenizer.windows(&prompt, length);
        assert_eq!(ours.len(), windows.len(), "{text:?}: windows");
        for (ours, cut) in ours.iter().zip(&windows) {
            assert_eq!(ours.ids, cut.ids, "{text:?}");
            assert_eq!(ours.weights.len(), cut.weights.len(), "{text:?}");
            assert!(ours.weights.iter().zip(&cut.weights).all(|(a, b)| close(*a, *b)), "{text:?}: {ours:?}");
        }
    }
}

/// Every prompt of the tokenizer's golden: where there is no syntax, windows are what `encode` gives.
pub async fn plain(_: &Device) {
    let golden: Value = serde_json::from_slice(golden!("tokens.json")).expect("the golden is whole");
    let tokenizer = tokenizer().await;
    let (mut one, mut more) = (0, 0);
    for prompt in golden["prompts"].as_array().expect("prompts") {
        let text = prompt["text"].as_str().expect("a text");
        let parsed = prompt::parse(text);
        if text.contains(['(', ')', '[', ']', '\\']) || text.contains("<lora:") {
            continue;
        }
        assert_eq!(parsed.text(), text);
        let windows = tokenizer.windows(&parsed, 77);
        assert!(windows.iter().all(|window| window.weights == [1.0; 77]), "{text:?}");
        match windows.as_slice() {
            [window] => {
                assert_eq!(window.ids, tokenizer.encode(text, 77), "{text:?}");
                one += 1;
            }
            windows => {
                // The first window has what fits; start and end stand around each.
                assert_eq!(windows[0].ids, tokenizer.encode(text, 77), "{text:?}");
                let joined: Vec<u32> = windows.iter().flat_map(inside).collect();
                let whole = tokenizer.encode(text, 5_000);
                assert_eq!(joined[..], whole[1..=joined.len()], "{text:?}");
                assert_eq!(whole[joined.len() + 1], whole[4_999], "{text:?}: nothing is lost");
                more += 1;
            }
        }
    }
    assert!(one >= 40 && more >= 2, "{one} {more}");
}

/// A window's tokens between start and end.
fn inside(window: &Window) -> Vec<u32> {
    let end = *window.ids.last().expect("a window has an end");
    let tokens = window.ids[1..].iter().copied();
    tokens.take_while(|id| *id != end).collect()
}

/// Numbers by a linear congruence (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn text(&mut self, from: &[&str], most: usize) -> String {
        (0..self.roll(most)).map(|_| self.pick(from)).collect()
    }

    /// A prompt in which all brackets are closed, and its text.
    fn nested(&mut self, depth: usize) -> (String, String) {
        let (mut source, mut text) = (String::new(), String::new());
        for _ in 0..1 + self.roll(4) {
            let word = self.pick(&["red ", "höuse", ", ", "夕焼け", " 1.3;", "a:", "BREAKER", "<b>"]);
            let (inner, plain) = if depth > 0 { self.nested(depth - 1) } else { (word.to_owned(), word.to_owned()) };
            let (around, kept) = match self.roll(7) {
                0 => (format!("({inner})"), plain),
                1 => (format!("[{inner}]"), plain),
                2 => (format!("({inner}:0.7)"), plain),
                3 => (format!("({inner}: +1.25 )"), plain),
                4 => (format!(r"\({inner}\)"), format!("({plain})")),
                5 => (format!(r"{inner}\]\\"), format!(r"{plain}]\")),
                _ => (format!("{inner}<lora:x:0.5>"), plain),
            };
            source.push_str(&around);
            text.push_str(&kept);
        }
        (source, text)
    }
}

const STRANGE: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "\\",
    ":",
    ":1.3)",
    ":-.5)",
    ": 9999999999999999999999999999999999999999999)",
    "BREAK",
    " ",
    "\n",
    "é",
    "夕",
    "<lora:",
    "<lora:a:1>",
    ">",
    ".",
    "1",
    "+",
    "a",
    "_",
    "\u{0}",
    "\u{2028}",
    ":nan)",
    ":..)",
];

fn check_shape(text: &str, prompt: &Prompt) {
    assert!(!prompt.sections.is_empty(), "{text:?}");
    for section in &prompt.sections {
        assert!(section.iter().all(|part| !part.text.is_empty() && part.weight.is_finite()), "{text:?}: {section:?}");
        assert!(section.windows(2).all(|pair| pair[0].weight != pair[1].weight), "{text:?}: {section:?}");
    }
}

/// Random texts: none panics, and what is no syntax comes out as it went in.
pub async fn random(_: &Device) {
    let tokenizer = tokenizer().await;
    let mut dice = Dice(7);
    for round in 0..8_000 {
        let text = dice.text(STRANGE, 40);
        let prompt = prompt::parse(&text);
        check_shape(&text, &prompt);
        if round % 100 == 0 {
            for window in tokenizer.windows(&prompt, 16) {
                assert_eq!((window.ids.len(), window.weights.len()), (16, 16), "{text:?}");
            }
        }
        let plain = dice.text(&["red", " ", "\n", ":", "é", "夕", "<", ">", "1.3", "_BREAK", ",", "{", "}", "-"], 20);
        let parts: Vec<Part> =
            Some(Part { text: plain.clone(), weight: 1.0 }).filter(|_| !plain.is_empty()).into_iter().collect();
        assert_eq!(prompt::parse(&plain), Prompt { sections: vec![parts], loras: Vec::new() });
        let (source, expected) = dice.nested(3);
        let prompt = prompt::parse(&source);
        check_shape(&source, &prompt);
        assert_eq!(prompt.text(), expected, "{source:?}");
    }
    // As deep and as long as a request may be.
    for text in ["(".repeat(4_000), "[".repeat(4_000), "(a".repeat(2_000), "a)".repeat(2_000), "<lora:".repeat(666)] {
        check_shape(&text, &prompt::parse(&text));
    }
    for length in 0..4 {
        let windows = tokenizer.windows(&prompt::parse("a (red) house"), length);
        assert!(windows.iter().all(|window| window.ids.len() == length && window.weights.len() == length));
    }
}

/// An embedding file of one or several tensors `[n, width]`.
fn embedding(tensors: &[(&str, [usize; 2], &[f32])]) -> Vec<u8> {
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| {
            (*name, shape.to_vec(), values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape says"))
    });
    serialize(views, None).expect("the file can be written")
}

/// Embeddings made of known words' vectors: the learned word then says exactly what the words say.
pub async fn embeddings(on: &Device) {
    let built = variant("l");
    let name = "text_model.embeddings.token_embedding.weight";
    let (shape, scale, offset) = built.recipe.0[name].clone();
    let table = synthetic::values(name, shape.iter().product(), scale, offset);
    let mut tokenizer = tokenizer().await;
    let red_house = &tokenizer.encode("red house", 16)[1..3];
    let rows: Vec<f32> =
        red_house.iter().flat_map(|id| &table[*id as usize * shape[1]..][..shape[1]]).copied().collect();
    let files = Memory::new(&[
        ("a/my-style.safetensors", &embedding(&[("emb_params", [2, 24], &rows)])),
        ("xl.safetensors", &embedding(&[("clip_g", [1, 32], &[0.5; 32]), ("clip_l", [2, 24], &rows)])),
        ("learned_embeds.safetensors", &embedding(&[("<cosy>", [2, 24], &rows)])),
        ("narrow.safetensors", &embedding(&[("emb_params", [2, 16], &rows[..32])])),
        ("several.safetensors", &embedding(&[("one", [1, 24], &rows[..24]), ("two", [1, 24], &rows[..24])])),
        ("empty.safetensors", &embedding(&[("emb_params", [0, 24], &[])])),
        ("cut.safetensors", &embedding(&[("emb_params", [2, 24], &rows)])[..90]),
    ]);
    let mut clip = clip(built, on).await;
    for file in ["a/my-style.safetensors", "xl.safetensors", "learned_embeds.safetensors"] {
        let embedding = Embedding::read(&files, file).await.expect("it is an embedding");
        embedding.teach(&mut tokenizer, &mut clip).expect("it fits");
    }
    let said = |text: &str| {
        let batch = tokenizer.batch(&[prompt::parse(text)], 16);
        (batch.len(), clip.encode(&Fast, &batch, Layer::LAST))
    };
    let (_, expected) = said("a red house by a lake");
    let expected = (read(expected.states).await, read(expected.pooled).await);
    for text in [
        "a my-style by a lake",
        "a MY-STYLE by a lake",
        "a embedding:my-style by a lake",
        "a Embedding:XL by a lake",
        "a xl by a lake",
        "a <cosy> by a lake",
    ] {
        let (_, ours) = said(text);
        assert_eq!((read(ours.states).await, read(ours.pooled).await), expected, "{text:?}");
    }
    for text in ["a xla by a lake", "a 1xl by a lake"] {
        let plain = Tokenizer::load(&a().folder, "tokenizer").await.expect("it loads");
        assert_eq!(tokenizer.windows(&prompt::parse(text), 16), plain.windows(&prompt::parse(text), 16), "{text:?}");
    }
    // Thirteen tokens and a word of two vectors: the word goes to the next window as a whole.
    let windows = tokenizer.windows(&prompt::parse(&format!("{}(xl:1.5)", "a ".repeat(13))), 16);
    let learned = |id: &u32| *id as usize >= shape[0];
    assert_eq!(windows.len(), 2);
    assert!(!windows[0].ids.iter().any(learned) && windows[1].ids[1..3].iter().all(learned));
    assert_eq!(windows[1].weights[..4], [1.0, 1.5, 1.5, 1.0]);
    for (file, part) in [("several", "several"), ("empty", "shape"), ("cut", "truncated"), ("none", "missing")] {
        let error = Embedding::read(&files, &format!("{file}.safetensors")).await.expect_err("it is refused");
        assert!(error.to_string().contains(part) && error.to_string().contains(file), "{error}");
    }
    let narrow = Embedding::read(&files, "narrow.safetensors").await.expect("it is an embedding");
    let error = narrow.teach(&mut tokenizer, &mut clip).expect_err("it is too narrow").to_string();
    assert!(error.contains("16") && error.contains("24"), "{error}");
}

/// A pipeline knows its words also after its text encoders went and came back, and forgets them when it is told to.
pub async fn words(on: &Device) {
    let folder = a().folder;
    let said: Value = config::read_json(&folder, "text_encoder/config.json").await.expect("a configuration");
    let width = said["hidden_size"].as_u64().expect("a width") as usize;
    let values = synthetic::values("a word", 2 * width, 2.0, 0.0);
    let files = Memory::new(&[
        ("zorn.safetensors", &embedding(&[("emb_params", [2, width], &values)])),
        ("narrow.safetensors", &embedding(&[("emb_params", [2, 16], &values[..32])])),
    ]);
    let word = |file: &'static str| Embedding::read(&files, file);
    let mut pipeline = Pipeline::load(&folder, on, &mut Silent).await.expect("it loads");
    let params = Params { prompt: "a house by zorn".to_owned(), width: 32, height: 32, steps: 1, ..Params::default() };
    let told = async |pipeline: &Pipeline| read(pipeline.condition(&params).expect("it reads").states).await;
    let plain = told(&pipeline).await;
    pipeline.set_words(vec![word("zorn.safetensors").await.expect("a word")]).expect("it learns");
    let learned = told(&pipeline).await;
    assert_ne!(plain, learned);
    pipeline.drop_text_encoders();
    pipeline.load_text_encoders(&folder, &mut Silent).await.expect("they load");
    assert_eq!(told(&pipeline).await, learned, "they learned it again");
    let narrow = word("narrow.safetensors").await.expect("a word");
    assert!(!pipeline.can_learn(&narrow));
    assert!(pipeline.set_words(vec![narrow]).expect_err("it is too narrow").to_string().contains("narrow"));
    assert_eq!(told(&pipeline).await, learned, "nothing is changed");
    pipeline.set_words(Vec::new()).expect("it forgets");
    assert_eq!(told(&pipeline).await, plain);
    let long = Params { prompt: "house ".repeat(3_000), ..params.clone() };
    match pipeline.condition(&long) {
        Err(RunError::Request(error)) => assert_eq!(error.field.as_deref(), Some("prompt"), "{error}"),
        other => panic!("it is too long: {:?}", other.is_ok()),
    }
}
