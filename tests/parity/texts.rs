//! The text encoders of Stable Diffusion 1 to 3.5: CLIP-L, OpenCLIP-H and bigG, T5; weights on their states.

use crate::{
    BLOCK,
    files::{a, golden},
};
use fresco_diffusion::{
    Device, LoadError, Silent,
    config::{ClipConfig, T5Config},
    model::{
        clip::{Clip, Layer},
        t5::{self, T5},
    },
    prompt,
    tokenizer::{Tokenizer, Window},
    weights::{Progress, Scope, Weights, files},
};
use fresco_kernels::Fast;
use fresco_tests::{
    golden::{Golden, assert_close, read},
    memory::Memory,
    synthetic::Recipe,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Variants {
    ids: Vec<Vec<u32>>,
    models: BTreeMap<String, Built<ClipConfig>>,
}

/// A model of the reference: its configuration and how its weights are made.
#[derive(Deserialize)]
pub struct Built<C> {
    config: C,
    pub recipe: Recipe,
}

/// The text encoder `name` of the reference.
pub fn variant(name: &str) -> Built<ClipConfig> {
    let Variants { mut models, .. } = serde_json::from_slice(golden!("texts.json")).expect("the golden is whole");
    models.remove(name).expect("the variant is there")
}

type Open<'a> = Weights<'a, Memory, Silent>;

async fn with<T>(
    folder: &Memory,
    stem: &str,
    on: &Device,
    load: impl AsyncFnOnce(Scope<'_, Open<'_>>) -> Result<T, LoadError>,
) -> T {
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = files(folder, stem).await.expect("the files are there");
    let mut weights = Weights::open(folder, &files, on, &mut silent, &mut progress).await.expect("the files open");
    load(weights.root()).await.expect("it loads")
}

pub async fn clip(built: Built<ClipConfig>, on: &Device) -> Clip {
    let folder = Memory::new(&[("text/model.safetensors", &built.recipe.file())]);
    with(&folder, "text/model", on, async |root| Clip::load(root, built.config, on).await).await
}

/// Windows without weights.
fn windows(ids: &[Vec<u32>]) -> Vec<Vec<Window>> {
    ids.iter().map(|ids| vec![Window { ids: ids.clone(), weights: vec![1.0; ids.len()] }]).collect()
}

pub async fn clips(on: &Device) {
    let Variants { ids, models } = serde_json::from_slice(golden!("texts.json")).expect("the golden is whole");
    let golden = Golden::new(golden!("texts.safetensors"));
    assert_eq!(models.len(), 3);
    for (name, built) in models {
        let has_projection = built.recipe.0.contains_key("text_projection.weight");
        let clip = clip(built, on).await;
        let tensor = |part: &str| format!("{name}.{part}");
        let skipped = Layer::LAST.clip_skip(3);
        let layers = [("last", Layer::LAST), ("penultimate", Layer::PENULTIMATE), ("skipped_2_normed", skipped)];
        for (part, layer) in layers {
            let said = clip.encode(&Fast, &windows(&ids), layer);
            assert_close(&name, said.states, &golden, &tensor(part), BLOCK).await;
            assert_close(&name, said.pooled, &golden, &tensor("pooled"), BLOCK).await;
            assert_eq!(said.projected.is_some(), has_projection, "{name}");
            if let Some(projected) = said.projected {
                assert_close(&name, projected, &golden, &tensor("projected"), BLOCK).await;
            }
        }
        let encoded = clip.forward(&Fast, &ids);
        assert_close(&name, encoded.states, &golden, &tensor("last"), BLOCK).await;
        assert_close(&name, encoded.penultimate, &golden, &tensor("penultimate"), BLOCK).await;
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct T5Golden {
    #[serde(flatten)]
    model: Built<T5Config>,
    ids: Vec<Vec<u32>>,
    first_distance: i64,
    buckets: Vec<usize>,
}

pub async fn t5(on: &Device) {
    let T5Golden { model, ids, first_distance, buckets } =
        serde_json::from_slice(golden!("t5.json")).expect("the golden is whole");
    let golden = Golden::new(golden!("t5.safetensors"));
    model.config.check("config.json").expect("the configuration is built");
    for (distance, expected) in (first_distance..).zip(&buckets) {
        assert_eq!(t5::bucket(distance, 32, 128), *expected, "distance {distance}");
    }
    let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let whole = Memory::new(&[("text_encoder_3/model.safetensors", &model.recipe.file())]);
    for folder in [whole, sharded(&model.recipe)] {
        let config = model.config.clone();
        let t5 = with(&folder, "text_encoder_3/model", on, async |root| T5::load(root, config, on).await).await;
        assert_close("t5", t5.forward(&ids), &golden, "states", BLOCK).await;
    }
}

/// The same weights in two files behind an index.
fn sharded(recipe: &Recipe) -> Memory {
    let half = recipe.0.len() / 2;
    let mut map = serde_json::Map::new();
    let mut shards = [Recipe::default(), Recipe::default()];
    for (i, (name, tensor)) in recipe.0.iter().enumerate() {
        let shard = usize::from(i >= half);
        shards[shard].0.insert(name.clone(), tensor.clone());
        map.insert(name.clone(), format!("model-0000{}-of-00002.safetensors", shard + 1).into());
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    Memory::new(&[
        ("text_encoder_3/model.safetensors.index.json", index.as_bytes()),
        ("text_encoder_3/model-00001-of-00002.safetensors", &shards[0].file()),
        ("text_encoder_3/model-00002-of-00002.safetensors", &shards[1].file()),
    ])
}

#[derive(Deserialize)]
struct Prompts {
    length: usize,
    prompts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Weighted prompts, one of them of several windows, against the formula in the reference's script.
pub async fn weighted(on: &Device) {
    let Prompts { length, prompts } = serde_json::from_slice(golden!("prompts.json")).expect("the golden is whole");
    let golden = Golden::new(golden!("prompts.safetensors"));
    let tokenizer = Tokenizer::load(&a().folder, "tokenizer").await.expect("it loads");
    let clip = clip(variant("l"), on).await;
    for i in [2, 5, 15] {
        let text = &prompts[i].text;
        let batch = tokenizer.batch(&[prompt::parse(text)], length);
        let said = clip.encode(&Fast, &batch, Layer::LAST);
        assert_close(text, said.states, &golden, &format!("states.{i}"), BLOCK).await;
    }
    // Beside a longer prompt the states are the same, and what fills up is the empty prompt.
    let all = [&prompts[2].text, &prompts[15].text, ""].map(prompt::parse);
    let said = clip.encode(&Fast, &tokenizer.batch(&all, length), Layer::LAST);
    let [_, tokens, width] = said.states.dims();
    let text = |i: usize, from: usize, to: usize| said.states.clone().slice([i..i + 1, from..to, 0..width]);
    assert!(tokens > length);
    assert_close("the longer one", text(1, 0, tokens), &golden, "states.15", BLOCK).await;
    assert_close("the shorter one", text(0, 0, length), &golden, "states.2", BLOCK).await;
    assert_eq!(read(text(0, length, 2 * length)).await, read(text(2, 0, length)).await);
    let alone = clip.encode(&Fast, &tokenizer.batch(&all[1..2], length), Layer::LAST);
    let [_, width] = said.pooled.dims();
    assert_close("pooled", alone.pooled.clone(), &golden, "pooled.15", BLOCK).await;
    let pooled = read(said.pooled).await;
    assert_eq!(read(alone.pooled).await, pooled[width..2 * width], "pooled is the first window's");
}

/// A prompt without syntax has the very numbers of a plain list of ids.
pub async fn unweighted(on: &Device) {
    let clip = clip(variant("g"), on).await;
    let tokenizer = Tokenizer::load(&a().folder, "tokenizer").await.expect("it loads");
    let texts = ["blurry, rainy day", "a red house beside a lake"];
    let ids = texts.map(|text| tokenizer.encode(text, clip.length()));
    let batch = tokenizer.batch(&texts.map(prompt::parse), clip.length());
    let (plain, said) = (clip.forward(&Fast, &ids), clip.encode(&Fast, &batch, Layer::LAST));
    assert_eq!(read(plain.states).await, read(said.states).await);
    assert_eq!(read(plain.pooled).await, read(said.pooled).await);
}
