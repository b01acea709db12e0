//! What a picture shows: vision transformers under each spelling of their tensors.

use crate::{BLOCK, files::golden};
use burn::tensor::{Tensor, TensorData};
use fresco_diffusion::{
    Classifier, Device, Picture, Silent,
    config::VitConfig,
    model::vit::Vit,
    post::{Filter, resize_by},
    weights::{Progress, Weights},
};
use fresco_kernels::Fast;
use fresco_tests::{
    golden::{Golden, assert_close, relative_error},
    memory::Memory,
    synthetic::{Recipe, values},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

fn index() -> Value {
    serde_json::from_slice(golden!("vit.json")).expect("the golden is whole")
}

fn weights_of(kind: &str) -> Vec<u8> {
    let recipe: Recipe = serde_json::from_value(index()[kind]["recipe"].clone()).expect("a recipe");
    recipe.file()
}

/// As transformers writes a folder.
fn folder(kind: &str, weights: &[u8], resample: u32) -> Memory {
    let mut processor = index()["processor"].clone();
    processor["resample"] = json!(resample);
    Memory::new(&[
        ("config.json", index()[kind]["config"].to_string().as_bytes()),
        ("preprocessor_config.json", processor.to_string().as_bytes()),
        ("model.safetensors", weights),
    ])
}

/// As timm writes a folder: its names, queries, keys and values in one.
fn timm() -> Memory {
    let file = weights_of("tiny");
    let tensors = SafeTensors::deserialize(&file).expect("the file is whole");
    let mut fused: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in tensors.tensors() {
        let block = name.strip_prefix("vit.layers.").and_then(|rest| rest.split_once('.'));
        match block {
            Some((i, part)) if part.starts_with("attention.q_proj.") => {
                let kind = part.rsplit('.').next().expect("a kind");
                let parts = ["q", "k", "v"].map(|x| {
                    let name = format!("vit.layers.{i}.attention.{x}_proj.{kind}");
                    tensors.tensor(&name).expect("the layer").data().to_vec()
                });
                let mut shape = view.shape().to_vec();
                shape[0] *= 3;
                fused.push((format!("blocks.{i}.attn.qkv.{kind}"), shape, parts.concat()));
            }
            Some((_, part)) if part.starts_with("attention.k_proj.") || part.starts_with("attention.v_proj.") => {}
            _ => fused.push((timm_name(&name), view.shape().to_vec(), view.data().to_vec())),
        }
    }
    let views = fused.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("as many bytes as the shape says"))
    });
    let file = safetensors::serialize(views, None).expect("it can be written");
    let config = json!({
        "architecture": "vit_tiny_patch16_32", "num_classes": 3, "label_names": ["normal", "nsfw", "other"],
        "pretrained_cfg": {"mean": index()["processor"]["image_mean"], "std": index()["processor"]["image_std"],
            "interpolation": "bicubic", "crop_mode": "squash", "crop_pct": 1.0, "num_classes": 3},
    });
    Memory::new(&[("config.json", config.to_string().as_bytes()), ("model.safetensors", &file)])
}

fn timm_name(name: &str) -> String {
    let whole = [
        ("vit.embeddings.cls_token", "cls_token"),
        ("vit.embeddings.position_embeddings", "pos_embed"),
        ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
        ("vit.layernorm", "norm"),
        ("classifier", "head"),
        ("vit.layers", "blocks"),
    ];
    let (from, to) = whole.iter().find(|(from, _)| name.starts_with(from)).expect("a known tensor");
    let parts = [("attention.o_proj", "attn.proj"), ("layernorm_before", "norm1"), ("layernorm_after", "norm2")];
    parts.iter().fold(name.replacen(from, to, 1), |name, (from, to)| name.replace(from, to))
}

/// As transformers 4 wrote its weights.
fn older(weights: &[u8]) -> Vec<u8> {
    let parts = [
        ("vit.layers.", "vit.encoder.layer."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ];
    let tensors = SafeTensors::deserialize(weights).expect("the file is whole");
    let renamed = tensors
        .tensors()
        .into_iter()
        .map(|(name, view)| (parts.iter().fold(name, |name, (new, old)| name.replace(new, old)), view));
    safetensors::serialize(renamed, None).expect("it can be written")
}

fn picture(golden: &Golden<'_>) -> Picture {
    let rgb: Vec<u8> = values("vit.picture", 52 * 36 * 3, 127.5, 127.5).into_iter().map(|x| x as u8).collect();
    let picture = Picture { width: 52, height: 36, rgb };
    for (kind, side, filter) in [("small", 12, Filter::Bilinear), ("tiny", 32, Filter::Bicubic)] {
        let ours = resize_by(&picture, (side, side), filter).rgb;
        let worst = ours.iter().zip(golden.bytes(&format!("{kind}.resized"))).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{filter:?}: a value is off by {worst:?}");
    }
    picture
}

/// The network by itself, then a whole picture to probabilities, under three spellings.
pub async fn classifiers(on: &Device) {
    let golden = Golden::new(golden!("vit.safetensors"));
    let small = weights_of("small");
    let from = folder("small", &small, 2);
    let config = VitConfig::read(&from).await.expect("it is read");
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = ["model.safetensors".to_owned()];
    let mut weights = Weights::open(&from, &files, on, &mut silent, &mut progress).await.expect("the file opens");
    let network = Vit::load(weights.root(), &config, on).await.expect("it loads");
    let x = TensorData::new(values("input.picture", 2 * 3 * 144, 1.7, 0.0), [2, 3, 12, 12]);
    let x: Tensor<4> = Tensor::from_data(x, on);
    let y = network.forward(&Fast, x.permute([0, 2, 3, 1]));
    assert_close("vit", y, &golden, "small.logits", BLOCK).await;

    let picture = picture(&golden);
    let cases = [
        ("small", from),
        ("small", folder("small", &older(&small), 2)),
        ("tiny", folder("tiny", &weights_of("tiny"), 3)),
        ("tiny", timm()),
    ];
    for (i, (kind, folder)) in cases.into_iter().enumerate() {
        let classifier = Classifier::load(&folder, on, &mut Silent).await.expect("it loads");
        let named = classifier.classify(&picture).await.expect("it sees");
        assert!(named.windows(2).all(|pair| pair[0].1 >= pair[1].1), "the likeliest first");
        let ours: Vec<f32> = ["normal", "nsfw", "other"]
            .map(|label| named.iter().find(|(name, _)| *name == label).map_or(f32::NAN, |(_, likely)| *likely))
            .to_vec();
        // Pillow's fixed-point sums may round a byte otherwise.
        let error = relative_error(&ours, &golden.values(&format!("{kind}.probabilities")));
        assert!(error <= 5e-3, "case {i}: probabilities are off by {error:.1e}");
        let unsafety = classifier.unsafety(&picture).await.expect("it sees");
        assert!((unsafety - ours[1]).abs() < 1e-6, "case {i}");
    }
}
