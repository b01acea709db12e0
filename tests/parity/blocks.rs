//! Single operations, by the plain bodies and by the device's own.

use crate::{BLOCK, files::golden};
use fresco_diffusion::{Device, device, model::unet::sinusoids};
use fresco_kernels::{Conv2d, Fast, Kernels, Norm, Padding, Plain, plain};
use fresco_tests::golden::{Golden, assert_close, assert_close_nhwc, relative_error};

fn blocks() -> Golden<'static> {
    Golden::new(golden!("blocks.safetensors"))
}

fn bodies() -> [(&'static str, &'static dyn Kernels); 2] {
    [("plain", &Plain), ("fast", &Fast)]
}

pub async fn probe(on: &Device) {
    device::probe(on).await.expect("the device computes");
}

pub async fn convolutions(on: &Device) {
    let golden = blocks();
    let cases = [
        ("conv3x3", 1, Padding::same(1)),
        ("conv3x3_stride2", 2, Padding::same(1)),
        ("conv3x3_stride2_odd", 2, Padding::same(1)),
        ("conv3x3_stride2_asymmetric", 2, Padding { begin: 0, end: 1 }),
        ("conv1x1", 1, Padding::same(0)),
    ];
    for (body, k) in bodies() {
        for (name, stride, padding) in cases {
            let weight = golden.tensor::<4>(&format!("{name}.weight"), on).permute([0, 2, 3, 1]).into();
            let bias = Some(golden.tensor(&format!("{name}.bias"), on));
            let layer = Conv2d { weight, bias, stride, padding };
            let y = k.conv2d(golden.nhwc(&format!("{name}.input"), on), &layer);
            assert_close_nhwc(body, y, &golden, &format!("{name}.output"), BLOCK).await;
        }
    }
}

pub async fn upsampling(on: &Device) {
    let golden = blocks();
    for (body, k) in bodies() {
        let weight = golden.tensor::<4>("upsample_conv3x3.weight", on).permute([0, 2, 3, 1]).into();
        let bias = Some(golden.tensor("upsample_conv3x3.bias", on));
        let layer = Conv2d { weight, bias, stride: 1, padding: Padding::same(1) };
        let y = k.upsample_conv2d(golden.nhwc("upsample_conv3x3.input", on), [10, 14], &layer);
        assert_close_nhwc(body, y, &golden, "upsample_conv3x3.output", BLOCK).await;
    }
}

pub async fn group_norms(on: &Device) {
    let golden = blocks();
    for (body, k) in bodies() {
        for input in ["plain", "small", "offset"] {
            for (spelled, epsilon) in [("eps1e-5", 1e-5), ("eps1e-6", 1e-6)] {
                for (output, silu) in [("output", false), ("silu_output", true)] {
                    let (gamma, beta) = (golden.tensor("groupnorm.weight", on), golden.tensor("groupnorm.bias", on));
                    let x = golden.nhwc(&format!("groupnorm.{input}.input"), on);
                    let y = k.group_norm(x, &Norm { gamma, beta, epsilon }, 8, silu);
                    assert_close_nhwc(body, y, &golden, &format!("groupnorm.{input}.{spelled}.{output}"), BLOCK).await;
                }
            }
        }
    }
}

pub async fn layer_norms(on: &Device) {
    let golden = blocks();
    for (body, k) in bodies() {
        for input in ["plain", "small"] {
            let (gamma, beta) = (golden.tensor("layernorm.weight", on), golden.tensor("layernorm.bias", on));
            let layer = Norm { gamma, beta, epsilon: 1e-5 };
            let y = k.layer_norm(golden.tensor(&format!("layernorm.{input}.input"), on), &layer);
            assert_close(body, y, &golden, &format!("layernorm.{input}.output"), BLOCK).await;
        }
    }
}

pub async fn attentions(on: &Device) {
    let golden = blocks();
    for (body, k) in bodies() {
        for (name, causal) in [("self", false), ("cross", false), ("causal", true)] {
            let part = |part: &str| golden.tensor::<4>(&format!("attention.{name}.{part}"), on);
            let y = k.attention(part("q"), part("k"), part("v"), causal);
            assert_close(body, y, &golden, &format!("attention.{name}.output"), BLOCK).await;
        }
    }
}

/// Queries a few at a time give the same as all at once, whatever does not divide.
pub async fn attention_in_parts(on: &Device) {
    let golden = blocks();
    for (name, causal) in [("self", false), ("cross", false), ("causal", true)] {
        let part = |part: &str| golden.tensor::<4>(&format!("attention.{name}.{part}"), on);
        let y = plain::attention_by(7, part("q"), part("k"), part("v"), causal, plain::softmax);
        assert_close("in parts", y, &golden, &format!("attention.{name}.output"), BLOCK).await;
    }
    assert_eq!(plain::rows_at_once(1, 24, 4096, 4250), 164, "24 heads of 4,096 to 4,250 positions in 64 MiB");
}

pub async fn timestep_embeddings(_: &Device) {
    let golden = blocks();
    let ours = sinusoids(&golden.values("timestep_embedding.timesteps"), 32, true, 0.0);
    let error = relative_error(&ours, &golden.values("timestep_embedding.output"));
    assert!(error <= BLOCK / 10.0, "off by {error:.1e}");
}
