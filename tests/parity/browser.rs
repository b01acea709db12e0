//! Every check in a browser's worker, on WebGPU and on the CPU backend compiled to wasm.

use fresco_diffusion::{Device, device};
use std::cell::RefCell;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

thread_local! {
    /// A browser's GPU is opened once.
    static GPU: RefCell<Option<Device>> = const { RefCell::new(None) };
}

async fn gpu() -> Device {
    if let Some(device) = GPU.with_borrow(Clone::clone) {
        return device;
    }
    let device = device::webgpu().await.expect("the browser has WebGPU");
    GPU.with_borrow_mut(|slot| slot.insert(device).clone())
}

macro_rules! on_both {
    ($($name:ident = $check:path;)*) => {
        mod webgpu {
            use super::*;
            $(#[wasm_bindgen_test]
            async fn $name() {
                $check(&gpu().await).await;
            })*
        }
        mod cpu {
            use super::*;
            $(#[wasm_bindgen_test]
            async fn $name() {
                $check(&Device::flex()).await;
            })*
        }
    };
}

on_both! {
    convolutions = crate::blocks::convolutions;
    upsampling = crate::blocks::upsampling;
    group_norms = crate::blocks::group_norms;
    kernel_group_norms = crate::kernels::group_norms;
    kernel_rows = crate::kernels::rows;
    kernel_linears = crate::kernels::linears;
    kernel_convolutions = crate::kernels::convolutions;
    layer_norms = crate::blocks::layer_norms;
    attentions = crate::blocks::attentions;
    attention_in_parts = crate::blocks::attention_in_parts;
    texts = crate::models::texts;
    prompt_embeddings = crate::prompts::embeddings;
    text_encoders = crate::texts::clips;
    text_t5 = crate::texts::t5;
    text_weighted = crate::texts::weighted;
    text_unweighted = crate::texts::unweighted;
    unets = crate::models::unets;
    unet_blocks = crate::models::unet_blocks;
    decoders = crate::models::decoders;
    encoders = crate::models::encoders;
    sixteen_channels = crate::vaes::sixteen_channels;
    tiny_autoencoders = crate::vaes::tiny_autoencoders;
    enlarging_network = crate::vaes::enlarging_network;
    tiled = crate::vaes::tiled;
    previews = crate::pictures::previews;
    whole_pictures = crate::pictures::whole;
    image_to_image = crate::transforms::image_to_image;
    inpainting = crate::transforms::inpainting;
    sdxl_steps = crate::families::sdxl_steps;
    inpainting_steps = crate::families::inpainting_steps;
    mmdit_steps = crate::families::mmdit_steps;
    mmdit_blocks = crate::families::mmdit_blocks;
    sd3_pictures = crate::families::sd3_pictures;
    sdxl_pictures = crate::families::sdxl_pictures;
    text_encoders_apart = crate::families::text_encoders_apart;
    classifiers = crate::classify::classifiers;
    sdxl_transforms = crate::family_modes::sdxl_transforms;
    sd3_transforms = crate::family_modes::sd3_transforms;
    sampler_pictures = crate::samplers::pictures;
    inpainting_checkpoints = crate::transforms::inpainting_checkpoints;
    shared_attention = crate::style::shared_attention;
    cancel_between_steps = crate::pictures::cancel;
    checkpoint_replaced = crate::checkpoints::replaced;
    checkpoint_picture = crate::checkpoints::picture;
    gguf_picture = crate::gguf::picture;
    prompt_words = crate::prompts::words;
    lora_on_a_pipeline = crate::lora::on_a_pipeline;
    lora_applied_and_removed = crate::lora::applied_and_removed;
    packed_numbers = crate::packed::numbers;
    packed_odd_counts = crate::packed::odd_counts;
    packed_from_files = crate::packed::from_files;
    packed_extremes = crate::packed::extremes;
    packed_same_picture = crate::packed::same_picture;
    packed_fewer_bits = crate::packed::fewer_bits;
    packed_loras = crate::lora::on_packed_weights;
    prompts_alone = crate::packed::prompts_alone;
    shared_parts = crate::packed::shared;
    probe = crate::blocks::probe;
}

/// What needs no device runs once.
mod host {
    use super::*;

    #[wasm_bindgen_test]
    async fn noise_uniforms() {
        crate::noise::uniforms(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn noise_normals() {
        crate::noise::normals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn timestep_embeddings() {
        crate::blocks::timestep_embeddings(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn broken_folders() {
        crate::broken::folders(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn transform_refusals() {
        crate::transforms::refusals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn projections() {
        crate::vaes::projections(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn post_pictures() {
        crate::post::pictures(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn resizing() {
        crate::transforms::resizing(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn tokens() {
        crate::tokens::tokens(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn unigrams() {
        crate::tokens::unigrams(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn prompt_language() {
        crate::prompts::language(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn prompt_plain() {
        crate::prompts::plain(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn schedule_numbers() {
        crate::schedules::numbers(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn schedule_runs() {
        crate::schedules::runs(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn sampler_levels() {
        crate::samplers::levels(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn sampler_runs() {
        crate::samplers::runs(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn sampler_refusals() {
        crate::samplers::refusals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn folder_samplers() {
        crate::samplers::folders(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn sampler_cancel() {
        crate::samplers::cancel(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn philox_words() {
        crate::noise::philox_words(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn philox_normals() {
        crate::noise::philox_normals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn checkpoint_tensors() {
        crate::checkpoints::tensors(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn checkpoint_configs() {
        crate::checkpoints::configs(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn checkpoint_refusals() {
        crate::checkpoints::refusals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn gguf_values() {
        crate::gguf::values(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn gguf_thirds() {
        crate::gguf::thirds(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn gguf_to_blocks() {
        crate::gguf::to_blocks(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn floats_of_a_byte() {
        crate::gguf::eighths(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_merges() {
        crate::lora::merges(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_original_names() {
        crate::lora::original_names(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_text_names() {
        crate::lora::text_names(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_strengths() {
        crate::lora::strengths(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_fused() {
        crate::lora::fused(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn lora_notes_and_refusals() {
        crate::lora::notes_and_refusals(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn damaged_headers() {
        crate::fuzz::headers(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn damaged_by_hand() {
        crate::fuzz::by_hand(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn damaged_tokenizers() {
        crate::fuzz::tokenizers(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn family_facts() {
        crate::families::facts(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn family_misfits() {
        crate::families::misfits(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn prompt_random() {
        crate::prompts::random(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn unigram_files() {
        crate::tokens::unigram_files(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn post_edges() {
        crate::post::edges(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn packed_host_memory() {
        crate::packed::host_memory(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn precision_names() {
        crate::packed::names(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn fit_plans() {
        crate::fit::plans(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn fit_advice() {
        crate::fit::advice(&Device::flex()).await;
    }

    #[wasm_bindgen_test]
    async fn fit_sizes() {
        crate::fit::sizes(&Device::flex()).await;
    }
}
