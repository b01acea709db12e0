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
    tokens = crate::tokens::tokens;
    schedule_numbers = crate::schedules::numbers;
    schedule_runs = crate::schedules::runs;
    convolutions = crate::blocks::convolutions;
    upsampling = crate::blocks::upsampling;
    group_norms = crate::blocks::group_norms;
    group_norm_sizes = crate::blocks::group_norm_sizes;
    layer_norms = crate::blocks::layer_norms;
    attentions = crate::blocks::attentions;
    attention_in_parts = crate::blocks::attention_in_parts;
    timestep_embeddings = crate::blocks::timestep_embeddings;
    texts = crate::models::texts;
    unets = crate::models::unets;
    unet_blocks = crate::models::unet_blocks;
    decoders = crate::models::decoders;
    encoders = crate::models::encoders;
    whole_pictures = crate::pictures::whole;
    image_to_image = crate::transforms::image_to_image;
    inpainting = crate::transforms::inpainting;
    inpainting_checkpoints = crate::transforms::inpainting_checkpoints;
    shared_attention = crate::style::shared_attention;
    cancel_between_steps = crate::pictures::cancel;
    broken_folders = crate::broken::folders;
    resizing = crate::transforms::resizing;
    transform_refusals = crate::transforms::refusals;
    probe = crate::blocks::probe;
}
