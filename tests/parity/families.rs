//! Stable Diffusion XL and 3: their denoisers' steps, blocks, and whole runs, with weights by formula.

use crate::{BLOCK, RUN, files::golden};
use burn::tensor::{Tensor, TensorData};
use fresco_api::{Params, Sampler};
use fresco_diffusion::{
    Device, FamilyName, LoadError, LoadOptions, Part, Pipeline, RunError, Silent,
    config::{MmditConfig, UNetConfig},
    model::{
        Conditioning,
        mmdit::Mmdit,
        mmdit_block::Joint,
        mmdit_embed::{Moment, Patches},
        unet::UNet,
    },
    weights::{Progress, Scope, Weights},
};
use fresco_kernels::{Fast, Kernels, Plain};
use fresco_tests::{
    golden::{Golden, assert_close, assert_close_nhwc, relative_error},
    memory::Memory,
    synthetic::{Recipe, values},
};
use serde_json::{Value, json};

/// The bound of the MMDiT's steps: the two forms of its activation are closer than [`BLOCK`].
const CLOSE: f64 = 2e-5;

type Open<'a> = Weights<'a, Memory, Silent>;

/// One family's golden files.
pub(crate) struct Family {
    pub(crate) index: Value,
    pub(crate) golden: Golden<'static>,
}

pub(crate) fn sdxl() -> Family {
    let index = serde_json::from_slice(golden!("sdxl.json")).expect("the golden is whole");
    Family { index, golden: Golden::new(golden!("sdxl.safetensors")) }
}

pub(crate) fn sd3() -> Family {
    let index = serde_json::from_slice(golden!("sd3.json")).expect("the golden is whole");
    Family { index, golden: Golden::new(golden!("sd3.safetensors")) }
}

impl Family {
    pub(crate) fn recipe(&self, part: &str) -> Recipe {
        serde_json::from_value(self.index["recipes"][part].clone()).expect("a recipe")
    }

    /// A recipe that is written down as what it has otherwise than another.
    fn recipe_over(&self, base: &str, part: &str) -> Recipe {
        let mut recipe = self.recipe(base);
        recipe.0.extend(self.recipe(part).0);
        recipe
    }

    fn config<T: serde::de::DeserializeOwned>(&self, part: &str) -> T {
        serde_json::from_value(self.index["configs"][part].clone()).expect("a configuration")
    }

    pub(crate) fn text(&self, part: &str) -> String {
        self.index["configs"][part].to_string()
    }
}

/// Reads a network from a recipe's file.
async fn with<T>(
    recipe: &Recipe,
    on: &Device,
    load: impl AsyncFnOnce(Scope<'_, Open<'_>>) -> Result<T, LoadError>,
) -> T {
    let folder = Memory::new(&[("model.safetensors", &recipe.file())]);
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = ["model.safetensors".to_owned()];
    let mut weights = Weights::open(&folder, &files, on, &mut silent, &mut progress).await.expect("the file opens");
    load(weights.root()).await.expect("it loads")
}

/// An input that the reference's script makes by the same formula.
fn input<const D: usize>(name: &str, shape: [usize; D], on: &Device) -> Tensor<D> {
    let numbers = values(&format!("input.{name}"), shape.iter().product(), 1.7, 0.0);
    Tensor::from_data(TensorData::new(numbers, shape), on)
}

fn latents(shape: [usize; 4], on: &Device) -> Tensor<4> {
    input("sample", shape, on).permute([0, 2, 3, 1])
}

pub async fn sdxl_steps(on: &Device) {
    let family = sdxl();
    let config: UNetConfig = family.config("unet");
    let unet = with(&family.recipe("unet"), on, async |root| UNet::load(root, config, on).await).await;
    let told = Conditioning {
        states: input("context", [2, 77, 40], on),
        pooled: Some(input("pooled", [2, 20], on)),
        sizes: vec![16.0, 24.0, 0.0, 0.0, 16.0, 24.0, 64.0, 32.0, 4.0, 8.0, 16.0, 24.0],
    };
    for (body, k) in [("plain", &Plain as &dyn Kernels), ("fast", &Fast)] {
        let y = unet.forward(k, latents([2, 4, 8, 12], on), &[999.0, 250.5], &told, None);
        assert_close_nhwc(&format!("sdxl {body}"), y, &family.golden, "step", BLOCK).await;
    }
}

/// Nine channels: latents, mask, the masked picture's latents.
pub async fn inpainting_steps(on: &Device) {
    let family = sdxl();
    let config: UNetConfig = family.config("inpainting");
    let recipe = family.recipe_over("unet", "inpainting");
    let unet = with(&recipe, on, async |root| UNet::load(root, config, on).await).await;
    let told = Conditioning::of(input("context", [2, 77, 40], on));
    let y = unet.forward(&Fast, latents([2, 9, 8, 12], on), &[999.0, 250.5], &told, None);
    assert_close_nhwc("inpainting", y, &family.golden, "inpainting.step", BLOCK).await;
}

fn told_mmdit(on: &Device) -> Conditioning {
    let states = input("context", [2, 9, 48], on);
    Conditioning { states, pooled: Some(input("pooled", [2, 32], on)), sizes: Vec::new() }
}

/// After SD3.5 medium (dual attention), SD3.5 large, and SD3 (no norm of queries and keys).
pub async fn mmdit_steps(on: &Device) {
    let family = sd3();
    for kind in ["medium", "large", "first"] {
        let config: MmditConfig = family.config(kind);
        let recipe = family.recipe_over("medium", kind);
        let mmdit = with(&recipe, on, async |root| Mmdit::load(root, config, on).await).await;
        for (body, k) in [("plain", &Plain as &dyn Kernels), ("fast", &Fast)] {
            let y = mmdit.forward(k, latents([2, 4, 10, 12], on), &[1000.0, 310.5], &told_mmdit(on));
            assert_close_nhwc(&format!("{kind} {body}"), y, &family.golden, &format!("{kind}.step"), CLOSE).await;
        }
    }
}

/// Each block on the reference's own input: with dual attention, and the last, whose prompt ends there.
pub async fn mmdit_blocks(on: &Device) {
    let (family, told) = (sd3(), told_mmdit(on));
    let (config, recipe): (MmditConfig, _) = (family.config("medium"), family.recipe("medium"));
    let at = async |mut root: Scope<'_, Open<'_>>| {
        let patches = Patches::load(root.at("pos_embed"), &config, on).await?;
        let moment = Moment::load(root.at("time_text_embed"), &config, on).await?;
        let context = root.at("context_embedder").linear(48, 16, true).await?;
        let mut blocks = Vec::new();
        for i in 0..3 {
            blocks.push(Joint::load(root.at("transformer_blocks").at(i), &config, i).await?);
        }
        Ok((patches, moment, context, blocks))
    };
    let (patches, moment, context, blocks) = with(&recipe, on, at).await;
    let moment = moment.forward(&[1000.0, 310.5], told.pooled.as_ref());
    let mut x = patches.forward(&Fast, latents([2, 4, 10, 12], on));
    let mut prompt = context.forward(told.states);
    for (i, block) in blocks.iter().enumerate() {
        let (ours, answer) = block.forward(&Fast, x, prompt.clone(), &moment);
        let name = |part: &str| format!("medium.transformer_blocks.{i}.{part}");
        assert_close("medium", ours, &family.golden, &name("x"), CLOSE).await;
        if i + 1 < blocks.len() {
            assert_close("medium", answer, &family.golden, &name("prompt"), CLOSE).await;
            prompt = family.golden.tensor(&name("prompt"), on);
        }
        x = family.golden.tensor(&name("x"), on);
    }
}

/// A model folder of recipes: text encoders and tokenizers are the same in both families.
fn folder(class: &str, denoiser: (&str, &str, &Recipe, String), rest: &Family) -> Memory {
    let shared = sdxl();
    let (folder, denoiser_class, recipe, config) = denoiser;
    let first = if folder == "unet" { "CLIPTextModel" } else { "CLIPTextModelWithProjection" };
    let index = json!({
        "_class_name": class, "force_zeros_for_empty_prompt": true, "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", first], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": [null, null], folder: ["diffusers", denoiser_class],
    });
    let mut files = Memory::new(&[
        ("tokenizer/merges.txt", golden!("sd-a/tokenizer/merges.txt")),
        ("tokenizer/vocab.json", golden!("sd-a/tokenizer/vocab.json")),
        ("tokenizer/special_tokens_map.json", golden!("sd-a/tokenizer/special_tokens_map.json")),
        ("tokenizer/tokenizer_config.json", golden!("sd-a/tokenizer/tokenizer_config.json")),
        ("tokenizer_2/tokenizer.json", golden!("sd-b/tokenizer/tokenizer.json")),
        ("tokenizer_2/tokenizer_config.json", golden!("sd-b/tokenizer/tokenizer_config.json")),
    ]);
    *files.file("model_index.json") = index.to_string().into_bytes();
    for part in ["text_encoder", "text_encoder_2"] {
        *files.file(&format!("{part}/config.json")) = shared.text(part).into_bytes();
        *files.file(&format!("{part}/model.safetensors")) = shared.recipe(part).file();
    }
    *files.file("vae/config.json") = rest.text("vae").into_bytes();
    *files.file("vae/diffusion_pytorch_model.safetensors") = shared.recipe("vae").file();
    *files.file("scheduler/scheduler_config.json") = rest.text("scheduler").into_bytes();
    *files.file(&format!("{folder}/config.json")) = config.into_bytes();
    *files.file(&format!("{folder}/diffusion_pytorch_model.safetensors")) = recipe.file();
    files
}

pub(crate) fn sdxl_folder() -> Memory {
    let family = sdxl();
    let unet = ("unet", "UNet2DConditionModel", &family.recipe("unet"), family.text("unet"));
    folder("StableDiffusionXLPipeline", unet, &family)
}

pub(crate) fn sd3_folder() -> Memory {
    let family = sd3();
    let mmdit = ("transformer", "SD3Transformer2DModel", &family.recipe("medium"), family.text("medium"));
    folder("StableDiffusion3Pipeline", mmdit, &family)
}

fn params(run: &Value) -> Params {
    let mut run = run.clone();
    run["sampler"] = json!(Sampler::Euler);
    run["model"] = json!("golden");
    serde_json::from_value(run).expect("complete parameters")
}

async fn whole(what: &str, family: &Family, folder: &Memory, on: &Device) {
    let pipeline = Pipeline::load(folder, on, &mut Silent).await.expect("it loads");
    for (name, run) in family.index["runs"].as_object().expect("runs") {
        let output = pipeline.generate(&params(run), &mut Silent).await.expect("it runs");
        let error = relative_error(&output.latents.values, &family.golden.values(&format!("{name}.latents")));
        assert!(error <= RUN, "{what} {name}: latents are off by {error:.1e}");
        assert_eq!((output.picture.width, output.picture.height), (24, 16), "{what} {name}");
    }
}

pub async fn sdxl_pictures(on: &Device) {
    whole("sdxl", &sdxl(), &sdxl_folder(), on).await;
}

/// Without T5, and with it.
pub async fn sd3_pictures(on: &Device) {
    let (family, mut folder) = (sd3(), sd3_folder());
    whole("sd3", &family, &folder, on).await;
    add_t5(&mut folder, &family);
    let pipeline = Pipeline::load(&folder, on, &mut Silent).await.expect("it loads");
    let output = pipeline.generate(&params(&family.index["runs"]["guided"]), &mut Silent).await.expect("it runs");
    let error = relative_error(&output.latents.values, &family.golden.values("guided.t5.latents"));
    assert!(error <= RUN, "sd3 with T5: latents are off by {error:.1e}");
    let options = LoadOptions { optional: false, ..LoadOptions::default() };
    let pipeline = Pipeline::load_with(&folder, on, options, &mut Silent).await.expect("it loads");
    assert!(pipeline.facts().components.iter().all(|part| part.folder != "text_encoder_3"), "T5 is left out");
    let output = pipeline.generate(&params(&family.index["runs"]["guided"]), &mut Silent).await.expect("it runs");
    let error = relative_error(&output.latents.values, &family.golden.values("guided.latents"));
    assert!(error <= RUN, "sd3 with T5 left out: latents are off by {error:.1e}");
}

fn add_t5(folder: &mut Memory, family: &Family) {
    let index = folder.file("model_index.json");
    let mut said: Value = serde_json::from_slice(index).expect("an index");
    said["text_encoder_3"] = json!(["transformers", "T5EncoderModel"]);
    *index = said.to_string().into_bytes();
    *folder.file("text_encoder_3/config.json") = family.text("text_encoder_3").into_bytes();
    *folder.file("text_encoder_3/model.safetensors") = family.recipe("text_encoder_3").file();
    *folder.file("tokenizer_3/tokenizer.json") = golden!("t5/tokenizer.json").to_vec();
}

/// What the files say without loading, and sizes that a transformer over patches refuses.
pub async fn facts(on: &Device) {
    let facts = Pipeline::inspect(&sdxl_folder()).await.expect("it is read");
    assert_eq!((facts.family, facts.side_multiple, facts.longest_side), (FamilyName::StableDiffusionXl, 2, None));
    let parts: Vec<_> = facts.components.iter().map(|part| (part.part, part.folder.as_str())).collect();
    let texts = [(Part::Text, "text_encoder"), (Part::Text, "text_encoder_2")];
    assert_eq!(parts[..2], texts);
    assert_eq!(parts[2..], [(Part::Denoiser, "unet"), (Part::Autoencoder, "vae")]);
    assert_eq!(facts.bytes, facts.components.iter().map(|part| part.bytes).sum::<u64>());
    assert!(facts.components.iter().all(|part| part.parameters * 4 < part.bytes && part.parameters * 5 > part.bytes));

    let pipeline = Pipeline::load(&sd3_folder(), on, &mut Silent).await.expect("it loads");
    let facts = pipeline.facts();
    assert_eq!((facts.family, facts.side_multiple, facts.longest_side), (FamilyName::StableDiffusion3, 4, Some(24)));
    let run = params(&sd3().index["runs"]["guided"]);
    for (field, size) in [("width", (18, 16)), ("height", (24, 14)), ("width", (28, 16)), ("width", (0, 16))] {
        let params = Params { width: size.0, height: size.1, ..run.clone() };
        match pipeline.generate(&params, &mut Silent).await {
            Err(RunError::Request(error)) => assert_eq!(error.field.as_deref(), Some(field), "{error}"),
            other => panic!("{size:?}: {other:?}"),
        }
    }
}

/// Text encoders come and go without the rest, and a model that was loaded without them says so.
pub async fn text_encoders_apart(on: &Device) {
    let (family, folder) = (sdxl(), sdxl_folder());
    let options = LoadOptions { text_encoders: false, ..LoadOptions::default() };
    let mut pipeline = Pipeline::load_with(&folder, on, options, &mut Silent).await.expect("it loads");
    let params = params(&family.index["runs"]["guided"]);
    assert!(matches!(pipeline.condition(&params), Err(RunError::Request(_))));
    pipeline.load_text_encoders(&folder, &mut Silent).await.expect("they load");
    let told = pipeline.condition(&params).expect("they read");
    pipeline.drop_text_encoders();
    let output = pipeline.paint(&params, None, &told, &mut Silent).await.expect("it runs");
    let error = relative_error(&output.latents.values, &family.golden.values("guided.latents"));
    assert!(error <= RUN, "latents are off by {error:.1e}");
}

/// Folders whose parts do not fit each other: the error names the file, and what is wrong in it.
pub async fn misfits(_: &Device) {
    let cases = [
        (sdxl_folder(), "text_encoder_2/config.json", "\"projection_dim\":20", "\"projection_dim\":24", "unet/config"),
        (sdxl_folder(), "unet/config.json", "\"cross_attention_dim\":40", "\"cross_attention_dim\":44", "unet/config"),
        (sdxl_folder(), "unet/config.json", "text_time", "image_hint", "unet/config"),
        (sdxl_folder(), "model_index.json", "CLIPTextModelWithProjection", "CLIPTextModel", "text_encoder_2"),
        (
            sd3_folder(),
            "transformer/config.json",
            "\"pooled_projection_dim\":32",
            "\"pooled_projection_dim\":33",
            "pooled",
        ),
        (sd3_folder(), "transformer/config.json", "rms_norm", "layer_norm", "transformer/config.json"),
        (sd3_folder(), "transformer/config.json", "\"in_channels\":4", "\"in_channels\":5", "in_channels"),
        (sd3_folder(), "transformer/config.json", "[0,1]", "[0,3]", "dual_attention_layers"),
    ];
    for (mut folder, file, from, to, named) in cases {
        let before = String::from_utf8(folder.file(file).clone()).expect("text");
        assert!(before.contains(from), "{file} has no {from}");
        *folder.file(file) = before.replace(from, to).into_bytes();
        let said = Pipeline::inspect(&folder).await.expect_err(to).to_string();
        assert!(said.contains(named), "{to}: {said:?} does not name {named:?}");
    }
}
