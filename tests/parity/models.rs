//! Text encoder, denoiser and autoencoder of the reference models, whole and block by block.

use crate::{
    BLOCK,
    files::{Model, models},
};
use fresco_diffusion::{
    Device, LoadError, Silent,
    config::{self, ClipConfig, UNetConfig, VaeConfig},
    model::{
        Conditioning,
        clip::Clip,
        resnet::{self, Resnet},
        transformer::{self, Transformer},
        unet::UNet,
        vae::{Decoder, Encoder},
    },
    weights::{Progress, Scope, Weights},
};
use fresco_kernels::{Fast, Kernels, Plain};
use fresco_tests::{
    golden::{assert_close, assert_close_nhwc},
    memory::Memory,
};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";
const VAE: &str = "vae/diffusion_pytorch_model.safetensors";

type Open<'a> = Weights<'a, Memory, Silent>;

/// Opens a weights file and lets `load` read from it.
async fn with<T>(
    folder: &Memory,
    file: &str,
    on: &Device,
    load: impl AsyncFnOnce(Scope<'_, Open<'_>>) -> Result<T, LoadError>,
) -> T {
    let (mut silent, mut progress) = (Silent, Progress::default());
    let mut weights =
        Weights::open(folder, &[file.to_owned()], on, &mut silent, &mut progress).await.expect("the file opens");
    load(weights.root()).await.expect("it loads")
}

async fn read_config<T: serde::de::DeserializeOwned>(model: &Model, part: &str) -> T {
    config::read_json(&model.folder, &format!("{part}/config.json")).await.expect("the configuration is whole")
}

pub async fn texts(on: &Device) {
    for model in models() {
        let config: ClipConfig = read_config(&model, "text_encoder").await;
        let file = "text_encoder/model.safetensors";
        let clip = with(&model.folder, file, on, async |root| Clip::load(root, config, on).await).await;
        let ids = model.text.bytes("ids").as_chunks::<4>().0.iter().map(|four| i32::from_le_bytes(*four) as u32);
        let ids: Vec<u32> = ids.collect();
        let texts: Vec<Vec<u32>> = ids.chunks_exact(77).map(<[u32]>::to_vec).collect();
        let encoded = clip.forward(&Fast, &texts);
        let what = format!("{} text", model.name);
        assert_close(&what, encoded.states, &model.text, "last_hidden_state", BLOCK).await;
        assert_close(&what, encoded.penultimate, &model.text, "penultimate", BLOCK).await;
        assert_close(&what, encoded.pooled, &model.text, "pooled", BLOCK).await;
    }
}

async fn unet(model: &Model, on: &Device) -> UNet {
    let config: UNetConfig = read_config(model, "unet").await;
    with(&model.folder, UNET, on, async |root| UNet::load(root, config, on).await).await
}

pub async fn unets(on: &Device) {
    for model in models() {
        let unet = unet(&model, on).await;
        for (body, k) in [("plain", &Plain as &dyn Kernels), ("fast", &Fast)] {
            for case in ["square", "wide"] {
                let part = |part: &str| format!("{case}.{part}");
                let x = model.unet.nhwc(&part("sample"), on);
                let context = model.unet.tensor(&part("context"), on);
                let told = Conditioning::of(context);
                let y = unet.forward(k, x, &model.unet.values(&part("timesteps")), &told, None);
                let what = format!("{} unet {body}", model.name);
                assert_close_nhwc(&what, y, &model.unet, &part("output"), BLOCK).await;
            }
        }
    }
}

/// The first blocks of the denoiser, each on the reference's own input.
pub async fn unet_blocks(on: &Device) {
    for model in models() {
        let golden = &model.unet;
        let tap = |name: &str| format!("square.tap.{name}");
        let config: UNetConfig = read_config(&model, "unet").await;
        let time = unet(&model, on).await.embed(&golden.values("square.timesteps"));
        let what = format!("{} unet", model.name);
        assert_close(&what, time.clone(), golden, &tap("time_embedding"), BLOCK).await;

        let (channels, groups) = (config.block_out_channels[0], config.norm_num_groups);
        let sizes = resnet::Sizes { from: channels, to: channels, time: Some(4 * channels), groups, epsilon: 1e-5 };
        let block = with(&model.folder, UNET, on, async |mut root| {
            Resnet::load(root.at("down_blocks.0.resnets.0"), sizes).await
        });
        let y = block.await.forward(&Fast, golden.nhwc(&tap("conv_in"), on), Some(&time));
        assert_close_nhwc(&what, y, golden, &tap("down_blocks.0.resnets.0"), BLOCK).await;

        let context = golden.tensor("square.context", on);
        let (heads, depth) = (config.heads(0), config.transformer_layers_per_block.of(0));
        let sizes = transformer::Sizes { channels, heads, context: config.cross_attention_dim.of(0), depth, groups };
        let at = "down_blocks.0.attentions.0";
        let block = with(&model.folder, UNET, on, async |mut root| Transformer::load(root.at(at), sizes).await);
        let y = block.await.forward(&Fast, golden.nhwc(&tap("down_blocks.0.resnets.0"), on), &context, None);
        assert_close_nhwc(&what, y, golden, &tap(at), BLOCK).await;
    }
}

pub async fn decoders(on: &Device) {
    for model in models() {
        let config: VaeConfig = read_config(&model, "vae").await;
        let decoder = with(&model.folder, VAE, on, async |root| Decoder::load(root, &config).await).await;
        for case in ["decode", "decode_wide"] {
            let y = decoder.forward(&Fast, model.vae.nhwc(&format!("{case}.latents"), on));
            let what = format!("{} vae", model.name);
            assert_close_nhwc(&what, y, &model.vae, &format!("{case}.image"), BLOCK).await;
        }
    }
}

pub async fn encoders(on: &Device) {
    for model in models() {
        let config: VaeConfig = read_config(&model, "vae").await;
        let encoder = with(&model.folder, VAE, on, async |root| Encoder::load(root, &config).await).await;
        let y = encoder.forward(&Fast, model.vae.nhwc("encode.image", on));
        let [n, h, w, c] = y.dims();
        let mean = y.clone().slice([0..n, 0..h, 0..w, 0..c / 2]);
        assert_close_nhwc(model.name, mean, &model.vae, "encode.mean", BLOCK).await;
        let logvar = y.slice([0..n, 0..h, 0..w, c / 2..c]);
        assert_close_nhwc(model.name, logvar, &model.vae, "encode.logvar", BLOCK).await;
    }
}
