//! Self-attention that rows of a batch share: the reference's attention with `StyleAligned`'s rule.

use crate::{
    BLOCK,
    files::{a, golden},
    models::unet,
};
use burn::tensor::{Tensor, TensorData};
use fresco_diffusion::{
    Device,
    model::{Conditioning, attention::Shared},
};
use fresco_kernels::{Fast, Kernels, Plain};
use fresco_tests::{
    golden::{Golden, assert_close_nhwc},
    synthetic,
};

pub async fn shared_attention(on: &Device) {
    let (golden, model) = (Golden::new(golden!("modes.safetensors")), a());
    let unet = unet(&model, on).await;
    let [_, _, width] = model.unet.shape("square.context");
    let values = |name: &str, count: usize| synthetic::values(name, count, 1.7, 0.0);
    let sample = TensorData::new(values("shared.sample", 3 * 4 * 64), [3, 4, 8, 8]);
    let context = TensorData::new(values("shared.context", 3 * 77 * width), [3, 77, width]);
    let context = Conditioning::of(Tensor::from_data(context, on));
    for (body, k) in [("plain", &Plain as &dyn Kernels), ("fast", &Fast)] {
        let x = Tensor::<4>::from_data(sample.clone(), on).permute([0, 2, 3, 1]);
        let shared = Shared { row: 2, weight: 0.6 };
        let y = unet.forward(k, x, &[500.0; 3], &context, Some(shared));
        assert_close_nhwc(body, y, &golden, "shared.output", BLOCK).await;
    }
}
