//! Checkpoints in the original layouts: every tensor by the name, shape and values that diffusers gives it,
//! and a picture from one.

use crate::{
    files::{a, golden},
    pictures::first_of_a,
};
use fresco_diffusion::{
    Device, LoadError, Source, SourceError,
    config::{ClipConfig, UNetConfig, VaeConfig, read_json},
    weights::{
        Listing,
        checkpoint::{Checkpoint, Family, Nothing, Part},
    },
};
use fresco_tests::{memory::Memory, synthetic::Recipe};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range};

const FILE: &str = "model.safetensors";
/// The components of Stable Diffusion 1.
const WHOLE: [Part; 3] = [Part::Unet, Part::Vae, Part::TextEncoder];
const FAMILIES: [(&str, Family); 4] =
    [("sd1", Family::Sd1), ("sd2", Family::Sd2), ("sdxl", Family::Sdxl), ("sd3", Family::Sd3)];

#[derive(Deserialize)]
struct Expected {
    names: Value,
    parts: BTreeMap<String, String>,
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(golden!("checkpoints.json")).expect("the golden is whole")
}

/// The recipe of a family's checkpoint: every tensor around 0, between -1 and 1.
pub fn recipe(family: &str) -> Recipe {
    let mut recipe = Recipe::default();
    flatten(&expected()[family].names, String::new(), &mut recipe);
    recipe
}

/// The tree of names: a text is a layer's weight and bias, a list a tensor.
fn flatten(tree: &Value, name: String, recipe: &mut Recipe) {
    let mut put = |name: String, shape: Vec<usize>| recipe.0.insert(name, (shape, 1.0, 0.0));
    match tree {
        Value::Object(parts) => {
            let dot = if name.is_empty() { "" } else { "." };
            parts.iter().for_each(|(part, below)| flatten(below, format!("{name}{dot}{part}"), recipe));
        }
        Value::String(sides) => {
            let shape: Vec<usize> = sides.split(',').map(|side| side.parse().expect("a side is a number")).collect();
            put(format!("{name}.bias"), shape[..1].to_vec());
            put(format!("{name}.weight"), shape);
        }
        list => {
            put(name, serde_json::from_value(list.clone()).expect("a shape is a list of numbers"));
        }
    }
}

/// FNV-1a of name, shape and values, folded to 32 bits, as the reference's script computes it.
fn digest(name: &str, shape: &[usize], values: &[f32]) -> String {
    let step = |state: u64, word: u64| (state ^ word).wrapping_mul(0x100_0000_01B3);
    let text = format!("{name}{shape:?}").replace(' ', "");
    let state = text.bytes().fold(0xCBF2_9CE4_8422_2325, |state, byte| step(state, u64::from(byte)));
    let state = values.iter().fold(state, |state, value| step(state, u64::from(value.to_bits())));
    format!("{:08x}", (state ^ (state >> 32)) as u32)
}

async fn open(folder: &Memory) -> Checkpoint<&Memory, Nothing> {
    Checkpoint::open(folder, &[FILE.to_owned()], Nothing).await.expect("the checkpoint opens")
}

pub async fn tensors(_: &Device) {
    for (name, family) in FAMILIES {
        let folder = Memory::new(&[(FILE, &recipe(name).file())]);
        let checkpoint = open(&folder).await;
        assert_eq!(checkpoint.family(), Some(family));
        assert_eq!(checkpoint.inpainting(), name == "sd2");
        assert_eq!(checkpoint.missing(), []);
        let found: Vec<&str> = checkpoint.components().keys().map(|part| part.folder()).collect();
        let golden = &expected()[name].parts;
        let mut parts: Vec<&str> = golden.keys().map(String::as_str).collect();
        parts.sort_by_key(|part| found.iter().position(|other| other == part));
        assert_eq!(found, parts, "the components of {name}");
        for (part, listing) in checkpoint.components() {
            compare(&format!("{name} {}", part.folder()), &folder, listing, &golden[part.folder()]).await;
        }
    }
}

async fn compare(what: &str, source: &impl Source, listing: &Listing, digests: &str) {
    let mut digests = digests.as_bytes().chunks_exact(8).map(|digest| String::from_utf8_lossy(digest).into_owned());
    // In Stable Diffusion 2 diffusers leaves out what the model does not use.
    let used = |name: &str| !(what.starts_with("sd2") && name == "text_projection.weight");
    for (name, entry) in listing.tensors.iter().filter(|(name, _)| used(name)) {
        let values = entry.read(source, name).await.expect("the tensor is read");
        assert_eq!(Some(digest(name, &entry.shape, &values)), digests.next(), "{what}: {name} {:?}", entry.shape);
    }
    assert_eq!(digests.next(), None, "{what}: diffusers has more tensors");
}

/// The configurations that the shapes imply, read as the pipeline reads them.
pub async fn configs(_: &Device) {
    let folder = Memory::new(&[(FILE, &recipe("sdxl").file())]);
    let checkpoint = open(&folder).await;
    let unet: Value = read_json(&checkpoint, "unet/config.json").await.expect("it is there");
    for (key, value) in [
        ("block_out_channels", "[8,8,16]"),
        ("layers_per_block", "2"),
        ("down_block_types", r#"["DownBlock2D","CrossAttnDownBlock2D","CrossAttnDownBlock2D"]"#),
        ("up_block_types", r#"["CrossAttnUpBlock2D","CrossAttnUpBlock2D","UpBlock2D"]"#),
        ("transformer_layers_per_block", "[1,2,1]"),
        ("cross_attention_dim", "40"),
        ("addition_embed_type", "\"text_time\""),
        ("projection_class_embeddings_input_dim", "36"),
    ] {
        assert_eq!(unet[key].to_string(), value, "{key}");
    }
    let second: Value = read_json(&checkpoint, "text_encoder_2/config.json").await.expect("it is there");
    for (key, value) in [("hidden_size", "24"), ("num_hidden_layers", "2"), ("projection_dim", "20")] {
        assert_eq!(second[key].to_string(), value, "{key}");
    }
    let folder = Memory::new(&[(FILE, &recipe("sd3").file())]);
    let checkpoint = open(&folder).await;
    let transformer: Value = read_json(&checkpoint, "transformer/config.json").await.expect("it is there");
    for (key, value) in [
        ("num_layers", "3"),
        ("attention_head_dim", "8"),
        ("num_attention_heads", "2"),
        ("in_channels", "4"),
        ("out_channels", "4"),
        ("patch_size", "2"),
        ("pos_embed_max_size", "4"),
        ("joint_attention_dim", "24"),
        ("pooled_projection_dim", "12"),
        ("dual_attention_layers", "[0,1]"),
        ("qk_norm", "\"rms_norm\""),
    ] {
        assert_eq!(transformer[key].to_string(), value, "{key}");
    }
    let vae: VaeConfig = read_json(&checkpoint, "vae/config.json").await.expect("it is there");
    assert_eq!((vae.latent_channels, vae.use_quant_conv, vae.shift_factor), (16, false, Some(0.0609)));
    let third: Value = read_json(&checkpoint, "text_encoder_3/config.json").await.expect("it is there");
    assert_eq!(
        (third["num_layers"].as_u64(), third["num_heads"].as_u64(), third["d_ff"].as_u64()),
        (Some(2), Some(2), Some(24))
    );
    // The types that the pipeline reads take what is written.
    let folder = Memory::new(&[(FILE, &recipe("sd1").file())]);
    let checkpoint = open(&folder).await;
    let _: UNetConfig = read_json(&checkpoint, "unet/config.json").await.expect("it is a configuration");
    let text: ClipConfig = read_json(&checkpoint, "text_encoder/config.json").await.expect("it is a configuration");
    assert_eq!((text.hidden_size, text.num_hidden_layers, text.vocab_size), (32, 2, 770));
}

/// A checkpoint's weights with the configurations and the tokenizer of a folder.
struct Mixed(Checkpoint<Memory, Memory>, Memory);

impl Source for Mixed {
    async fn len(&self, file: &str) -> Result<Option<u64>, SourceError> {
        if file.ends_with("config.json") { self.1.len(file).await } else { self.0.len(file).await }
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>, SourceError> {
        if file.ends_with("config.json") { self.1.read(file, range).await } else { self.0.read(file, range).await }
    }

    fn listing(&self, file: &str) -> Option<&Listing> {
        self.0.listing(file)
    }
}

/// Components of golden model A in the original layout: each tensor under the name whose place in the
/// file the checkpoint gives it.
async fn original(parts: &[Part]) -> Vec<u8> {
    let file = recipe("sd1").file();
    let places = safetensors::SafeTensors::read_metadata(&file).expect("the header is whole");
    let (start, metadata) = (places.0 as u64 + 8, places.1);
    let folder = Memory::new(&[(FILE, &file)]);
    let checkpoint = open(&folder).await;
    let model = a().folder;
    let mut all = Vec::new();
    for (part, listing) in checkpoint.components().iter().filter(|(part, _)| parts.contains(part)) {
        let bytes = model.clone().file(&part.file()).clone();
        let published = safetensors::SafeTensors::deserialize(&bytes).expect("the golden is whole");
        for (name, entry) in &listing.tensors {
            let place = (entry.range.start - start) as usize;
            let mut tensors = metadata.tensors().into_iter();
            let (original, info) = tensors.find(|(_, info)| info.data_offsets.0 == place).expect("it is somewhere");
            all.push((original, info.shape.clone(), published.tensor(name).expect("A has it").data().to_vec()));
        }
    }
    let views = all.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).expect("it fits"))
    });
    safetensors::serialize(views, None).expect("the file can be written")
}

/// All of golden model A in the original layout, as a safetensors file.
pub async fn original_of_a() -> Vec<u8> {
    original(&WHOLE).await
}

/// The picture of golden model A with its weights from a file, which must be that of its folder.
pub async fn same_picture(name: &str, file: &[u8], on: &Device) {
    let folder = Memory::new(&[(name, file)]);
    let beside = WHOLE.iter().fold(a().folder, |folder, part| folder.without(&part.file()));
    let checkpoint = Checkpoint::open(folder, &[name.to_owned()], beside.clone()).await.expect("the checkpoint opens");
    let drawn = first_of_a(&Mixed(checkpoint, beside), on).await;
    assert_eq!(drawn, first_of_a(&a().folder, on).await, "the picture of {name} and of the folder");
}

pub async fn picture(on: &Device) {
    same_picture(FILE, &original_of_a().await, on).await;
}

/// An autoencoder's file in place of a folder's own.
pub async fn replaced(on: &Device) {
    let folder = Memory::new(&[(FILE, &original(&[Part::Vae]).await)]);
    let beside = a().folder.without(&Part::Vae.file());
    let checkpoint = Checkpoint::open(folder, &[FILE.to_owned()], beside).await.expect("the checkpoint opens");
    assert_eq!(checkpoint.family(), None);
    let drawn = first_of_a(&checkpoint, on).await;
    assert_eq!(drawn, first_of_a(&a().folder, on).await, "the picture of the file and of the folder");
}

/// What is no model, or not all of one, is refused with a sentence.
pub async fn refusals(_: &Device) {
    let no_denoiser = |recipe: &mut Recipe| recipe.0.retain(|name, _| !name.contains("diffusion_model"));
    let zip = b"PK\x03\x04 and the rest of an archive".to_vec();
    let pickle = [b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec(), vec![0; 64]].concat();
    for (bytes, expected) in [
        (zip, "pickle"),
        (pickle, "pickle"),
        (changed(no_denoiser), "no denoiser, only vae, text_encoder"),
        (changed(|recipe| recipe.0.retain(|name, _| name.contains("ema"))), "is no model"),
        (renamed("lora_unet_x.lora_down.weight"), "it is a LoRA"),
        (renamed("body.0.rdb1.conv1.weight"), "it is an upscaler"),
        (renamed("decoder.layers.0.weight"), "tiny autoencoder"),
        (renamed("emb_params"), "textual-inversion"),
        (renamed("control_model.input_blocks.0.0.weight"), "ControlNet"),
    ] {
        let folder = Memory::new(&[(FILE, &bytes)]);
        let error = Checkpoint::open(&folder, &[FILE.to_owned()], Nothing).await.err().map(|error| error.to_string());
        let error = error.unwrap_or_else(|| panic!("{expected}: it was opened"));
        assert!(error.contains(expected) && error.starts_with(FILE), "{error:?} does not say {expected:?}");
    }
    let folder = Memory::new(&[(FILE, &recipe("sd1").file())]);
    let checkpoint = open(&folder).await;
    let error: LoadError = checkpoint.len("tokenizer/vocab.json").await.expect_err("there is none").into();
    assert!(error.to_string().contains("holds no tokenizer"), "{error}");
}

fn changed(change: impl FnOnce(&mut Recipe)) -> Vec<u8> {
    let mut recipe = recipe("sd1");
    change(&mut recipe);
    recipe.file()
}

fn renamed(name: &str) -> Vec<u8> {
    Recipe(BTreeMap::from([(name.to_owned(), (vec![2, 2], 1.0, 0.0)), ("other".to_owned(), (vec![1], 1.0, 0.0))]))
        .file()
}
