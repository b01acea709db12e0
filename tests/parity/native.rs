//! Every check on the CPU backend, natively.

use fresco_diffusion::Device;

fn run(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts").block_on(check);
}

macro_rules! on_cpu {
    ($($name:ident = $check:path;)*) => {$(
        #[test]
        fn $name() {
            run($check(&Device::flex()));
        }
    )*};
}

on_cpu! {
    noise_uniforms = crate::noise::uniforms;
    noise_normals = crate::noise::normals;
    philox_words = crate::noise::philox_words;
    philox_normals = crate::noise::philox_normals;
    tokens = crate::tokens::tokens;
    unigrams = crate::tokens::unigrams;
    unigram_files = crate::tokens::unigram_files;
    prompt_language = crate::prompts::language;
    prompt_plain = crate::prompts::plain;
    prompt_random = crate::prompts::random;
    prompt_embeddings = crate::prompts::embeddings;
    prompt_words = crate::prompts::words;
    text_encoders = crate::texts::clips;
    text_t5 = crate::texts::t5;
    text_weighted = crate::texts::weighted;
    text_unweighted = crate::texts::unweighted;
    schedule_numbers = crate::schedules::numbers;
    schedule_runs = crate::schedules::runs;
    sampler_levels = crate::samplers::levels;
    sampler_runs = crate::samplers::runs;
    sampler_refusals = crate::samplers::refusals;
    folder_samplers = crate::samplers::folders;
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
    timestep_embeddings = crate::blocks::timestep_embeddings;
    texts = crate::models::texts;
    unets = crate::models::unets;
    unet_blocks = crate::models::unet_blocks;
    decoders = crate::models::decoders;
    encoders = crate::models::encoders;
    sixteen_channels = crate::vaes::sixteen_channels;
    tiny_autoencoders = crate::vaes::tiny_autoencoders;
    enlarging_network = crate::vaes::enlarging_network;
    tiled = crate::vaes::tiled;
    projections = crate::vaes::projections;
    post_pictures = crate::post::pictures;
    post_edges = crate::post::edges;
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
    family_facts = crate::families::facts;
    family_misfits = crate::families::misfits;
    sampler_pictures = crate::samplers::pictures;
    sampler_cancel = crate::samplers::cancel;
    inpainting_checkpoints = crate::transforms::inpainting_checkpoints;
    shared_attention = crate::style::shared_attention;
    cancel_between_steps = crate::pictures::cancel;
    broken_folders = crate::broken::folders;
    resizing = crate::transforms::resizing;
    transform_refusals = crate::transforms::refusals;
    checkpoint_tensors = crate::checkpoints::tensors;
    checkpoint_configs = crate::checkpoints::configs;
    checkpoint_picture = crate::checkpoints::picture;
    checkpoint_replaced = crate::checkpoints::replaced;
    checkpoint_refusals = crate::checkpoints::refusals;
    gguf_values = crate::gguf::values;
    gguf_thirds = crate::gguf::thirds;
    gguf_picture = crate::gguf::picture;
    gguf_to_blocks = crate::gguf::to_blocks;
    floats_of_a_byte = crate::gguf::eighths;
    lora_merges = crate::lora::merges;
    lora_applied_and_removed = crate::lora::applied_and_removed;
    lora_on_a_pipeline = crate::lora::on_a_pipeline;
    lora_original_names = crate::lora::original_names;
    lora_text_names = crate::lora::text_names;
    lora_strengths = crate::lora::strengths;
    lora_fused = crate::lora::fused;
    lora_notes_and_refusals = crate::lora::notes_and_refusals;
    damaged_headers = crate::fuzz::headers;
    damaged_by_hand = crate::fuzz::by_hand;
    damaged_tokenizers = crate::fuzz::tokenizers;
    packed_numbers = crate::packed::numbers;
    packed_odd_counts = crate::packed::odd_counts;
    packed_from_files = crate::packed::from_files;
    packed_extremes = crate::packed::extremes;
    packed_same_picture = crate::packed::same_picture;
    packed_fewer_bits = crate::packed::fewer_bits;
    packed_loras = crate::lora::on_packed_weights;
    packed_host_memory = crate::packed::host_memory;
    precision_names = crate::packed::names;
    prompts_alone = crate::packed::prompts_alone;
    shared_parts = crate::packed::shared;
    fit_plans = crate::fit::plans;
    fit_advice = crate::fit::advice;
    fit_sizes = crate::fit::sizes;
    probe = crate::blocks::probe;
}
