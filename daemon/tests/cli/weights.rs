//! Files of weights that tests make up: small networks in the layouts that people publish.

use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use std::{collections::BTreeMap, fs, path::Path};

/// Tensors by name: their shapes and values.
#[derive(Clone, Default)]
pub struct Tensors(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Tensors {
    /// Values around `middle`, which depend on the name.
    pub fn put(&mut self, name: &str, shape: &[usize], middle: f32, spread: f32) {
        let mut state = name.bytes().fold(17_u32, |state, byte| state.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            middle + spread * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        };
        let values = (0..shape.iter().product::<usize>()).map(|_| next()).collect();
        self.0.insert(name.to_owned(), (shape.to_vec(), values));
    }

    /// A matrix or a convolution of such a size that values neither grow nor vanish, with a bias.
    pub fn layer(&mut self, name: &str, shape: &[usize]) {
        self.filters(name, shape);
        self.put(&format!("{name}.bias"), &shape[..1], 0.0, 0.05);
    }

    /// The same without a bias.
    pub fn filters(&mut self, name: &str, shape: &[usize]) {
        let inputs = shape[1..].iter().product::<usize>() as f32;
        self.put(&format!("{name}.weight"), shape, 0.0, 1.5 / inputs.sqrt());
    }

    /// A normalisation.
    pub fn norm(&mut self, name: &str, width: usize) {
        self.put(&format!("{name}.weight"), &[width], 1.0, 0.2);
        self.put(&format!("{name}.bias"), &[width], 0.0, 0.1);
    }

    pub fn insert(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        self.0.insert(name.to_owned(), (shape.to_vec(), values));
    }

    /// Those whose names begin with `prefix`, without it.
    pub fn below(&self, prefix: &str) -> Self {
        let inside = |(name, tensor): (&String, &(Vec<usize>, Vec<f32>))| {
            Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
        };
        Self(self.0.iter().filter_map(inside).collect())
    }

    /// A safetensors file in f32.
    pub fn write(&self, file: &Path) {
        let bytes = self.0.iter().map(|(name, (shape, values))| (name, shape, to_bytes(values)));
        let bytes: Vec<_> = bytes.collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes);
            (*name, view.expect("as many bytes as the shape says"))
        });
        serialize_to_file(views, None, file).expect("the file is written");
    }

    /// A GGUF file of version 3 in f32: magic, counts, one note, where each tensor is, then their bytes.
    pub fn write_gguf(&self, file: &Path) {
        const ALIGNED: usize = 32;
        let text = |text: &str| [(text.len() as u64).to_le_bytes().as_slice(), text.as_bytes()].concat();
        let mut head = b"GGUF".to_vec();
        head.extend(3_u32.to_le_bytes());
        head.extend((self.0.len() as u64).to_le_bytes());
        head.extend(1_u64.to_le_bytes());
        head.extend([text("general.architecture"), 8_u32.to_le_bytes().to_vec(), text("sd1")].concat());
        let mut data = Vec::new();
        for (name, (shape, values)) in &self.0 {
            head.extend(text(name));
            head.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|side| head.extend((*side as u64).to_le_bytes()));
            // ggml's number of f32.
            head.extend(0_u32.to_le_bytes());
            head.extend((data.len() as u64).to_le_bytes());
            data.extend(to_bytes(values));
            data.resize(data.len().next_multiple_of(ALIGNED), 0);
        }
        head.resize(head.len().next_multiple_of(ALIGNED), 0);
        fs::write(file, [head, data].concat()).expect("the file is written");
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// What a checkpoint's denoiser is called in the original layout.
pub const DENOISER: &str = "model.diffusion_model.";
/// What its autoencoder is called.
pub const VAE: &str = "first_stage_model.";
/// What its text encoder is called.
const TEXT: &str = "cond_stage_model.transformer.text_model.";

/// The width of the text encoder's states.
const CONTEXT: usize = 64;
/// The width of the embedded time.
const TIME: usize = 128;

/// A whole checkpoint of Stable Diffusion 1 in the original layout, its networks as small as the layout lets them be.
/// It fits the embedded model's tokenizer.
pub fn checkpoint() -> Tensors {
    let mut all = Tensors::default();
    denoiser(&mut all);
    autoencoder(&mut all);
    text_encoder(&mut all);
    all
}

/// Two levels of 32 and 64 channels, one residual block each, transformers in the lower one.
fn denoiser(all: &mut Tensors) {
    let at = |name: &str| format!("{DENOISER}{name}");
    all.layer(&at("time_embed.0"), &[TIME, 32]);
    all.layer(&at("time_embed.2"), &[TIME, TIME]);
    all.layer(&at("input_blocks.0.0"), &[32, 4, 3, 3]);
    residual(all, &at("input_blocks.1.0"), 32, 32);
    all.layer(&at("input_blocks.2.0.op"), &[32, 32, 3, 3]);
    residual(all, &at("input_blocks.3.0"), 32, 64);
    transformer(all, &at("input_blocks.3.1"), 64);
    residual(all, &at("middle_block.0"), 64, 64);
    transformer(all, &at("middle_block.1"), 64);
    residual(all, &at("middle_block.2"), 64, 64);
    residual(all, &at("output_blocks.0.0"), 128, 64);
    transformer(all, &at("output_blocks.0.1"), 64);
    residual(all, &at("output_blocks.1.0"), 96, 64);
    transformer(all, &at("output_blocks.1.1"), 64);
    all.layer(&at("output_blocks.1.2.conv"), &[64, 64, 3, 3]);
    residual(all, &at("output_blocks.2.0"), 96, 32);
    residual(all, &at("output_blocks.3.0"), 64, 32);
    all.norm(&at("out.0"), 32);
    all.layer(&at("out.2"), &[4, 32, 3, 3]);
}

fn residual(all: &mut Tensors, name: &str, from: usize, to: usize) {
    all.norm(&format!("{name}.in_layers.0"), from);
    all.layer(&format!("{name}.in_layers.2"), &[to, from, 3, 3]);
    all.layer(&format!("{name}.emb_layers.1"), &[to, TIME]);
    all.norm(&format!("{name}.out_layers.0"), to);
    all.layer(&format!("{name}.out_layers.3"), &[to, to, 3, 3]);
    if from != to {
        all.layer(&format!("{name}.skip_connection"), &[to, from, 1, 1]);
    }
}

fn transformer(all: &mut Tensors, name: &str, width: usize) {
    all.norm(&format!("{name}.norm"), width);
    all.layer(&format!("{name}.proj_in"), &[width, width, 1, 1]);
    let block = format!("{name}.transformer_blocks.0");
    for (attention, context) in [("attn1", width), ("attn2", CONTEXT)] {
        all.filters(&format!("{block}.{attention}.to_q"), &[width, width]);
        all.filters(&format!("{block}.{attention}.to_k"), &[width, context]);
        all.filters(&format!("{block}.{attention}.to_v"), &[width, context]);
        all.layer(&format!("{block}.{attention}.to_out.0"), &[width, width]);
    }
    (1..=3).for_each(|i| all.norm(&format!("{block}.norm{i}"), width));
    all.layer(&format!("{block}.ff.net.0.proj"), &[8 * width, width]);
    all.layer(&format!("{block}.ff.net.2"), &[width, 4 * width]);
    all.layer(&format!("{name}.proj_out"), &[width, width, 1, 1]);
}

/// Four levels of 32 channels, one residual block each on the way down and two on the way up.
fn autoencoder(all: &mut Tensors) {
    let at = |name: &str| format!("{VAE}{name}");
    for (side, enter, leave) in [("encoder", 3, 8), ("decoder", 4, 3)] {
        all.layer(&at(&format!("{side}.conv_in")), &[32, enter, 3, 3]);
        all.layer(&at(&format!("{side}.conv_out")), &[leave, 32, 3, 3]);
        all.norm(&at(&format!("{side}.norm_out")), 32);
        all.norm(&at(&format!("{side}.mid.attn_1.norm")), 32);
        ["q", "k", "v", "proj_out"]
            .iter()
            .for_each(|part| all.layer(&at(&format!("{side}.mid.attn_1.{part}")), &[32, 32, 1, 1]));
        plain(all, &at(&format!("{side}.mid.block_1")));
        plain(all, &at(&format!("{side}.mid.block_2")));
    }
    for level in 0..4 {
        plain(all, &at(&format!("encoder.down.{level}.block.0")));
        plain(all, &at(&format!("decoder.up.{level}.block.0")));
        plain(all, &at(&format!("decoder.up.{level}.block.1")));
        if level < 3 {
            all.layer(&at(&format!("encoder.down.{level}.downsample.conv")), &[32, 32, 3, 3]);
            all.layer(&at(&format!("decoder.up.{}.upsample.conv", level + 1)), &[32, 32, 3, 3]);
        }
    }
    all.layer(&at("quant_conv"), &[8, 8, 1, 1]);
    all.layer(&at("post_quant_conv"), &[4, 4, 1, 1]);
}

/// A residual block of the autoencoder.
fn plain(all: &mut Tensors, name: &str) {
    for i in 1..=2 {
        all.norm(&format!("{name}.norm{i}"), 32);
        all.layer(&format!("{name}.conv{i}"), &[32, 32, 3, 3]);
    }
}

/// One block, and the embedded model's vocabulary.
fn text_encoder(all: &mut Tensors) {
    let at = |name: &str| format!("{TEXT}{name}");
    all.put(&at("embeddings.token_embedding.weight"), &[744, CONTEXT], 0.0, 1.0);
    all.put(&at("embeddings.position_embedding.weight"), &[77, CONTEXT], 0.0, 0.2);
    for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
        all.layer(&at(&format!("encoder.layers.0.self_attn.{part}")), &[CONTEXT, CONTEXT]);
    }
    all.norm(&at("encoder.layers.0.layer_norm1"), CONTEXT);
    all.norm(&at("encoder.layers.0.layer_norm2"), CONTEXT);
    all.layer(&at("encoder.layers.0.mlp.fc1"), &[128, CONTEXT]);
    all.layer(&at("encoder.layers.0.mlp.fc2"), &[CONTEXT, 128]);
    all.norm(&at("final_layer_norm"), CONTEXT);
}

/// A TAESD's decoder for latents of so many channels, in diffusers' names; activations and enlargements count as layers.
pub fn tiny_decoder(channels: usize) -> Tensors {
    let (mut all, at) = (Tensors::default(), |layer: usize| format!("decoder.layers.{layer}"));
    all.layer(&at(0), &[64, channels, 3, 3]);
    for block in [2, 3, 4, 7, 8, 9, 12, 13, 14, 17] {
        [0, 2, 4].iter().for_each(|i| all.layer(&format!("{}.conv.{i}", at(block)), &[64, 64, 3, 3]));
    }
    [6, 11, 16].iter().for_each(|layer| all.filters(&at(*layer), &[64, 64, 3, 3]));
    all.layer(&at(18), &[3, 64, 3, 3]);
    all
}

/// An RRDB network of one block of 8 channels.
pub fn upscaler() -> Tensors {
    let mut all = Tensors::default();
    all.layer("conv_first", &[8, 3, 3, 3]);
    for dense in 1..=3 {
        for conv in 1..=5 {
            let to = if conv < 5 { 4 } else { 8 };
            all.layer(&format!("body.0.rdb{dense}.conv{conv}"), &[to, 8 + 4 * (conv - 1), 3, 3]);
        }
    }
    ["conv_body", "conv_up1", "conv_up2", "conv_hr"].iter().for_each(|name| all.layer(name, &[8, 8, 3, 3]));
    all.layer("conv_last", &[3, 8, 3, 3]);
    all
}
