//! LoRAs added to model A: the weights that peft merges, and the base again when they are taken away.

use crate::{
    checkpoints,
    files::{a, b, golden},
    pictures::{first_of_a, first_output, first_run},
};
use fresco_diffusion::{
    Device, LoadError, LoadOptions, Pipeline, Precision, Silent,
    weights::{
        Keeping, Kept, Listing, Load, Progress, Scope, Weights,
        checkpoint::{Checkpoint, Nothing, Part},
        listing,
        lora::{Lora, Patched, Patches, Strength},
    },
};
use fresco_kernels::Padding;
use fresco_tests::{
    golden::{Golden, read, relative_error},
    memory::Memory,
    synthetic::Recipe,
};
use safetensors::serialize;
use serde::Deserialize;
use std::{collections::BTreeMap, collections::HashMap};

/// The largest relative error of a merged weight.
const MERGED: f64 = 1e-6;
/// The largest relative error of latents when f32 weights, with a LoRA in them, stay in 16 bits.
const HALVED: f64 = 2e-3;
/// Of a merged weight the golden has every so many rows.
const EACH: usize = 5;
const TO_Q: &str = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
const CONV: &str = "down_blocks.1.resnets.0.conv1";

#[derive(Deserialize)]
struct Expected {
    recipes: BTreeMap<String, Recipe>,
    sgm: BTreeMap<String, String>,
}

fn expected() -> Expected {
    serde_json::from_slice(golden!("lora.json")).expect("the golden is whole")
}

/// The LoRAs of the golden recipes as files.
fn files() -> Memory {
    let mut folder = Memory::default();
    for (name, recipe) in expected().recipes {
        *folder.file(&name) = recipe.file();
    }
    folder
}

async fn component(folder: &Memory, part: Part) -> Listing {
    listing(folder, &[part.file()]).await.expect("the component is whole")
}

async fn patches<'a>(
    loras: &'a Memory,
    asked: &[(&str, f32)],
    model: &Memory,
) -> Result<Patches<&'a Memory>, LoadError> {
    let (unet, text) = (component(model, Part::Unet).await, component(model, Part::TextEncoder).await);
    let mut opened = Vec::new();
    for (file, weight) in asked {
        opened.push((Lora::open(loras, file).await?, Strength::from(*weight)));
    }
    Patches::new(opened, &[(Part::Unet, &unet), (Part::TextEncoder, &text)])
}

/// The tensor `name` of a component of model A with LoRAs.
async fn merged(patches: &Patches<&Memory>, part: Part, name: &str, on: &Device) -> (Vec<usize>, Vec<f32>) {
    let model = a().folder;
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = [part.file()];
    let weights = Weights::open(&model, &files, on, &mut silent, &mut progress).await.expect("the file opens");
    let mut weights = Patched::new(weights, patches, part);
    let shape = weights.shape(name).expect("the tensor is there").to_vec();
    let values = weights.values(name, &shape).await.expect("the tensor is read");
    (shape, values)
}

/// Some rows of what the reference merged.
fn rows(shape: &[usize], values: &[f32]) -> Vec<f32> {
    values.chunks_exact(values.len() / shape[0]).step_by(EACH).flatten().copied().collect()
}

pub async fn merges(on: &Device) {
    let golden = Golden::new(golden!("lora.safetensors"));
    let loras = files();
    let both = [("kohya", 0.75), ("peft", -0.5)];
    for (case, asked, count) in [("kohya", &both[..1], 7), ("both", &both[..], 2)] {
        let patches = patches(&loras, asked, &a().folder).await.expect("they are for this model");
        let names: Vec<(Part, &str)> = patches.names().collect();
        assert_eq!(names.len(), 7, "{names:?}");
        let mut compared = 0;
        for (part, name) in names {
            // transformers 5 dropped the prefix that model A's file has.
            let key = format!("{case}/{}/{}", part.folder(), name.trim_start_matches("text_model."));
            if case == "both" && !name.starts_with(TO_Q) && !name.starts_with(CONV) {
                continue;
            }
            let (shape, values) = merged(&patches, part, name, on).await;
            let error = relative_error(&rows(&shape, &values), &golden.values(&key));
            assert!(error <= MERGED, "{key} is off by {error:.1e}");
            compared += 1;
        }
        assert_eq!(compared, count);
    }
    let patches = patches(&loras, &[("tucker", 1.0)], &a().folder).await.expect("it is for this model");
    let (shape, values) = merged(&patches, Part::Unet, "mid_block.resnets.0.conv2.weight", on).await;
    let error = relative_error(&rows(&shape, &values), &golden.values("tucker"));
    assert!(error <= MERGED, "the three convolutions are off by {error:.1e}");
}

/// Layers laid out on the device: built again, only what changed is read, and taking the LoRAs away
/// gives the base to the bit.
pub async fn applied_and_removed(on: &Device) {
    let loras = files();
    let asked = patches(&loras, &[("peft", 1.0)], &a().folder).await.expect("it is for this model");
    let none = Patches::none();
    let mut kept = Kept::default();
    let (base, first) = build(&none, &mut kept, on).await;
    asked.names().for_each(|(_, name)| kept.forget(name));
    let (changed, second) = build(&asked, &mut kept, on).await;
    asked.names().for_each(|(_, name)| kept.forget(name));
    let (again, third) = build(&none, &mut kept, on).await;
    assert_eq!(base, again, "the base after the LoRA was taken away");
    assert!(base.iter().zip(&changed).take(2).all(|(base, changed)| base != changed), "the LoRA changes two layers");
    assert_eq!(base[2], changed[2], "a layer that the LoRA does not name");
    assert!(first > second && second == third && second > 0, "{first}, {second} and {third} bytes were read");
}

/// Three layers of the denoiser, and how many bytes were read for them.
async fn build(patches: &Patches<&Memory>, kept: &mut Kept, on: &Device) -> ([Vec<f32>; 3], u64) {
    let model = a().folder;
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = [Part::Unet.file()];
    let weights = Weights::open(&model, &files, on, &mut silent, &mut progress).await.expect("the file opens");
    let mut weights = Keeping::new(Patched::new(weights, patches, Part::Unet), kept);
    let mut root = Scope::root(&mut weights);
    let linear = root.at(TO_Q).linear(16, 16, false).await.expect("the layer is read");
    let conv = root.at(CONV).conv2d((16, 32), 3, 1, Padding::same(1)).await.expect("the layer is read");
    let other = root.at("conv_in").conv2d((4, 16), 3, 1, Padding::same(1)).await.expect("the layer is read");
    let layers =
        [read(linear.weight.tensor()).await, read(conv.weight.tensor()).await, read(other.weight.tensor()).await];
    (layers, progress.loaded)
}

/// A loaded model takes a LoRA and gives it back: with it, it draws what a folder of merged weights draws.
pub async fn on_a_pipeline(on: &Device) {
    let (model, loras) = (a().folder, files());
    let pipeline = Pipeline::load(&model, on, &mut Silent).await.expect("it loads");
    let base = first_run(&pipeline).await;
    let lora = Lora::open(&loras, "kohya").await.expect("it opens");
    let asked = pipeline.resolve_loras(&model, vec![(lora, 0.75.into())]).await.expect("it is for this model");
    let pipeline = pipeline.with_loras(&model, &asked, &mut Silent).await.expect("it is added");
    let with = first_run(&pipeline).await;
    assert_ne!(with, base, "the LoRA changes the picture");
    assert_eq!(with, first_of_a(&merged_folder(&asked, on).await, on).await, "the picture of merged weights");
    let mut pipeline = pipeline;
    pipeline.drop_text_encoders();
    pipeline.load_text_encoders_with(&model, &asked, &mut Silent).await.expect("they come back");
    assert_eq!(first_run(&pipeline).await, with, "the picture after the text encoders were away");
    let none = Patches::<&Memory>::none();
    let pipeline = pipeline.with_loras(&model, &none, &mut Silent).await.expect("it is taken away");
    assert_eq!(first_run(&pipeline).await, base, "the picture without the LoRA");
}

/// On weights of 16 bits a LoRA changes the picture nearly as it does on f32, and is gone without a trace.
pub async fn on_packed_weights(on: &Device) {
    let (model, loras) = (a().folder, files());
    let mut latents = Vec::new();
    for precision in [Precision::F32, Precision::F16] {
        let options = LoadOptions { precision, ..LoadOptions::default() };
        let pipeline = Pipeline::load_with(&model, on, options, &mut Silent).await.expect("it loads");
        let base = first_output(&pipeline, "a").await;
        let lora = Lora::open(&loras, "kohya").await.expect("it opens");
        let asked = pipeline.resolve_loras(&model, vec![(lora, 0.75.into())]).await.expect("it is for this model");
        let pipeline = pipeline.with_loras(&model, &asked, &mut Silent).await.expect("it is added");
        let with = first_output(&pipeline, "a").await;
        assert!(relative_error(&with.latents.values, &base.latents.values) > 2.0 * HALVED, "the LoRA is seen");
        latents.push(with.latents.values);
        let none = Patches::<&Memory>::none();
        let pipeline = pipeline.with_loras(&model, &none, &mut Silent).await.expect("it is taken away");
        assert!(first_output(&pipeline, "a").await == base, "{precision}: the base is not as it was");
    }
    let error = relative_error(&latents[1], &latents[0]);
    assert!(error > 0.0 && error <= HALVED, "in 16 bits it is off by {error:.1e}");
}

/// Model A with the changes written into its files.
async fn merged_folder(patches: &Patches<&Memory>, on: &Device) -> Memory {
    let mut folder = a().folder;
    for (part, name) in patches.names() {
        let place = component(&a().folder, part).await.tensors[name].range.clone();
        let (_, values) = merged(patches, part, name, on).await;
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        folder.file(&part.file())[place.start as usize..place.end as usize].copy_from_slice(&bytes);
    }
    folder
}

/// Names of the original layout, in kohya's and in `ComfyUI`'s spelling.
pub async fn original_names(_: &Device) {
    let folder = Memory::new(&[("xl", &checkpoints::recipe("sdxl").file()), ("3", &checkpoints::recipe("sd3").file())]);
    let xl = Checkpoint::open(&folder, &["xl".to_owned()], Nothing).await.expect("it opens");
    let unet = &xl.components()[&Part::Unet];
    for (kohya, name) in expected().sgm {
        let weight = format!("{name}.weight");
        let shape = unet.shape(&weight).unwrap_or_else(|| panic!("there is no {weight}"));
        for start in ["lora_unet_", "diffusion_model."] {
            let found = resolve(&format!("{start}{kohya}"), shape, (Part::Unet, unet)).await.expect("it is found");
            assert_eq!(found, std::slice::from_ref(&weight), "{start}{kohya}");
        }
    }
    let three = Checkpoint::open(&folder, &["3".to_owned()], Nothing).await.expect("it opens");
    let transformer = &three.components()[&Part::Transformer];
    let at = "transformer_blocks.1.attn.to_";
    for spelled in ["lora_unet_joint_blocks_1_x_block_attn_qkv", "diffusion_model.joint_blocks.1.x_block.attn.qkv"] {
        let found = resolve(spelled, &[48, 16], (Part::Transformer, transformer)).await.expect("it is found");
        assert_eq!(found, [format!("{at}k.weight"), format!("{at}q.weight"), format!("{at}v.weight")]);
    }
    let shape = [16, 16];
    let found = resolve(&format!("transformer.{at}q"), &shape, (Part::Transformer, transformer)).await;
    assert_eq!(found.expect("it is found"), [format!("{at}q.weight")]);
}

/// The spellings of a text encoder's attention, for files with transformers' old prefix and without.
pub async fn text_names(_: &Device) {
    for (model, prefix) in [(a(), "text_model."), (b(), "")] {
        let text = component(&model.folder, Part::TextEncoder).await;
        let name = format!("{prefix}encoder.layers.1.self_attn.q_proj.weight");
        let shape = text.shape(&name).expect("the tensor is there");
        for module in [
            "lora_te_text_model_encoder_layers_1_self_attn_q_proj",
            "lora_te1_text_model_encoder_layers_1_self_attn_q_proj",
            "text_encoder.text_model.encoder.layers.1.self_attn.q_proj",
            "text_encoder.encoder.layers.1.self_attn.q_proj",
            "text_encoder.text_model.encoder.layers.1.self_attn.to_q",
        ] {
            let found = resolve(module, shape, (Part::TextEncoder, &text)).await.expect("it is found");
            assert_eq!(found, [name.as_str()], "{module}");
        }
    }
}

/// The tensors that a LoRA of one layer changes.
async fn resolve(module: &str, shape: &[usize], model: (Part, &Listing)) -> Result<Vec<String>, LoadError> {
    let loras = Memory::new(&[("one", &one(module, shape, 2).file())]);
    let lora = Lora::open(&loras, "one").await?;
    let patches = Patches::new(vec![(lora, 1.0.into())], &[model])?;
    Ok(patches.names().map(|(_, name)| name.to_owned()).collect())
}

fn one(module: &str, shape: &[usize], rank: usize) -> Recipe {
    let down = [&[rank], &shape[1..]].concat();
    let up = [&[shape[0], rank][..], &vec![1; shape.len() - 2]].concat();
    Recipe(BTreeMap::from([
        (format!("{module}.lora_down.weight"), (down, 1.0, 0.0)),
        (format!("{module}.lora_up.weight"), (up, 1.0, 0.0)),
    ]))
}

/// A thirds' product: the rows of a fused LoRA go to query, key and value in this order.
pub async fn fused(on: &Device) {
    let folder = Memory::new(&[("3", &checkpoints::recipe("sd3").file())]);
    let model = Checkpoint::open(&folder, &["3".to_owned()], Nothing).await.expect("it opens");
    let transformer = &model.components()[&Part::Transformer];
    let recipe = one("lora_unet_joint_blocks_1_x_block_attn_qkv", &[48, 16], 2);
    let loras = Memory::new(&[("one", &recipe.file())]);
    let lora = Lora::open(&loras, "one").await.expect("it opens");
    let patches = Patches::new(vec![(lora, 0.5.into())], &[(Part::Transformer, transformer)]).expect("it fits");
    let (mut silent, mut progress) = (Silent, Progress::default());
    let files = [Part::Transformer.file()];
    let base = Weights::open(&model, &files, on, &mut silent, &mut progress).await.expect("the file opens");
    let mut weights = Patched::new(base, &patches, Part::Transformer);
    let matrix = |name: &str| {
        let name = format!("lora_unet_joint_blocks_1_x_block_attn_qkv.{name}.weight");
        let (shape, scale, offset) = &recipe.0[&name];
        fresco_tests::synthetic::values(&name, shape.iter().product(), *scale, *offset)
    };
    let (down, up) = (matrix("lora_down"), matrix("lora_up"));
    let whole = "model.diffusion_model.joint_blocks.1.x_block.attn.qkv.weight";
    let whole = fresco_tests::synthetic::values(whole, 48 * 16, 1.0, 0.0);
    let expected = |row: usize, column: usize| {
        whole[row * 16 + column] + 0.5 * (up[2 * row] * down[column] + up[2 * row + 1] * down[16 + column])
    };
    for (third, part) in ["q", "k", "v"].iter().enumerate() {
        let name = format!("transformer_blocks.1.attn.to_{part}.weight");
        let values = weights.values(&name, &[16, 16]).await.expect("the tensor is read");
        let wanted: Vec<f32> = (0..256).map(|i| expected(third * 16 + i / 16, i % 16)).collect();
        assert!(relative_error(&values, &wanted) <= MERGED, "{name}");
    }
}

/// Denoiser and text encoders have a strength each.
pub async fn strengths(on: &Device) {
    let (loras, model) = (files(), a().folder);
    let (unet, text) = (component(&model, Part::Unet).await, component(&model, Part::TextEncoder).await);
    let strengths = Strength { denoiser: 0.0, text: 1.0 };
    let lora = Lora::open(&loras, "kohya").await.expect("it opens");
    let patches = Patches::new(vec![(lora, strengths)], &[(Part::Unet, &unet), (Part::TextEncoder, &text)]);
    let (patches, none) = (patches.expect("it is for this model"), Patches::none());
    for (part, name) in patches.names() {
        let same = merged(&patches, part, name, on).await == merged(&none, part, name, on).await;
        assert_eq!(same, part == Part::Unet, "{name}");
    }
}

/// The alpha of diffusers' notes, and what is refused.
pub async fn notes_and_refusals(on: &Device) {
    let name = format!("{TO_Q}.weight");
    let plain = one(&format!("unet.{TO_Q}"), &[16, 16], 2);
    let mut with_alpha = plain.clone();
    with_alpha.0.insert(format!("unet.{TO_Q}.alpha"), (vec![], 0.0, 6.0));
    let said = noted(&plain, r#"{"unet.lora_alpha": 6, "unet.r": 2, "unet.use_rslora": false}"#);
    let loras = Memory::new(&[("stored", &with_alpha.file()), ("said", &said)]);
    let stored = patches(&loras, &[("stored", 1.0)], &a().folder).await.expect("it fits");
    let said = patches(&loras, &[("said", 1.0)], &a().folder).await.expect("it fits");
    assert_eq!(merged(&stored, Part::Unet, &name, on).await, merged(&said, Part::Unet, &name, on).await);

    let mut dora = plain.clone();
    dora.0.insert(format!("unet.{TO_Q}.dora_scale"), (vec![16], 1.0, 0.0));
    let mut half = plain.clone();
    half.0.retain(|name, _| name.contains("lora_down"));
    for (bytes, expected) in [
        (
            one("lora_unet_nothing_like_it", &[16, 16], 2).file(),
            "for another model: this one has no layer nothing_like_it",
        ),
        (one(&format!("unet.{TO_Q}"), &[16, 24], 2).file(), "for another model: down_blocks.0"),
        (one("lora_te2_text_model_encoder_layers_0_mlp_fc1", &[16, 24], 2).file(), "changes no component"),
        (dora.file(), "dora_scale is not supported"),
        (half.file(), "only one of the two matrices"),
        (noted(&plain, r#"{"unet.use_rslora": true}"#), "use_rslora = true is not supported"),
        (noted(&plain, r#"{"unet.alpha_pattern": {"to_q": 3}}"#), "alpha_pattern"),
        (noted(&plain, "no JSON"), "one:"),
    ] {
        let loras = Memory::new(&[("one", &bytes)]);
        let error = patches(&loras, &[("one", 1.0)], &a().folder).await.err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{error:?} does not say {expected:?}");
    }
}

/// A recipe's file with an adapter's settings in its notes.
fn noted(recipe: &Recipe, notes: &str) -> Vec<u8> {
    let file = recipe.file();
    let tensors = safetensors::SafeTensors::deserialize(&file).expect("the file is whole");
    let notes = HashMap::from([("lora_adapter_metadata".to_owned(), notes.to_owned())]);
    serialize(tensors.tensors(), Some(notes)).expect("the file can be written")
}
