//! The device's kernels against the plain bodies, over sizes that do not divide.

use burn::tensor::{Tensor, TensorData};
use fresco_diffusion::{Device, noise::Generator};
use fresco_kernels::{Conv2d, Fast, Kernels, Norm, Padding, Plain};
use fresco_tests::golden::{read, relative_error};

/// Sums come in another order, nothing else.
const ORDER: f64 = 1e-5;

/// Random tensors of one seed.
struct Random<'a>(Generator, &'a Device);

impl Random<'_> {
    fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.0.normal(shape.iter().product()), shape), self.1)
    }
}

async fn assert_same<const D: usize>(what: &str, ours: Tensor<D>, plain: Tensor<D>) {
    assert_eq!(ours.dims(), plain.dims(), "{what}: shape");
    let error = relative_error(&read(ours).await, &read(plain).await);
    assert!(error <= ORDER, "{what}: off by {error:.1e}");
}

pub async fn group_norms(on: &Device) {
    let mut random = Random(Generator::new(5), on);
    for ([n, h, w, c], groups) in [([1, 1, 1, 4], 4), ([3, 7, 5, 24], 8), ([2, 16, 16, 64], 16), ([1, 33, 31, 96], 32)]
    {
        let x = random.tensor([n, h, w, c]) * 3.0 + 2.0;
        let layer = Norm { gamma: random.tensor([c]), beta: random.tensor([c]), epsilon: 1e-5 };
        let what = format!("{:?} in {groups} groups", [n, h, w, c]);
        for silu in [false, true] {
            let plain = Plain.group_norm(x.clone(), &layer, groups, silu);
            assert_same(&what, Fast.group_norm(x.clone(), &layer, groups, silu), plain).await;
        }
    }
}

pub async fn rows(on: &Device) {
    let mut random = Random(Generator::new(6), on);
    for [n, s, c] in [[1, 1, 4], [2, 77, 64], [1, 5, 33], [3, 300, 320]] {
        let x = random.tensor([n, s, c]) * 2.0 + 1.0;
        let layer = Norm { gamma: random.tensor([c]), beta: random.tensor([c]), epsilon: 1e-5 };
        let plain = Plain.layer_norm(x.clone(), &layer);
        assert_same(&format!("layer norm of {:?}", [n, s, c]), Fast.layer_norm(x, &layer), plain).await;
    }
    for ([n, heads, s, d], t, causal) in
        [([1, 1, 1, 4], 1, false), ([2, 3, 65, 8], 65, true), ([2, 4, 9, 16], 77, false)]
    {
        let (q, k, v) =
            (random.tensor([n, heads, s, d]), random.tensor([n, heads, t, d]), random.tensor([n, heads, t, d]));
        let plain = Plain.attention(q.clone(), k.clone(), v.clone(), causal);
        let what = format!("attention of {s} to {t}");
        assert_same(&what, Fast.attention(q, k, v, causal), plain).await;
    }
}

pub async fn linears(on: &Device) {
    let mut random = Random(Generator::new(7), on);
    for [rows, from, to] in [[1, 4, 1], [2, 320, 7], [33, 12, 65], [77, 64, 128], [5, 6, 9]] {
        let (x, weight) = (random.tensor([rows, from]), random.tensor([to, from]));
        for bias in [None, Some(random.tensor([to]))] {
            let plain = Plain.linear(x.clone(), weight.clone(), bias.clone());
            let what = format!("{rows} rows, {from} to {to}, bias: {}", bias.is_some());
            assert_same(&what, Fast.linear(x.clone(), weight.clone(), bias), plain).await;
        }
    }
    // A view: the kernel must not take memory for order.
    let (x, weight) = (random.tensor([16, 9]), random.tensor([16, 12]));
    let plain = Plain.linear(x.clone().transpose(), weight.clone().transpose(), None);
    let what = "transposed factors";
    assert_same(what, Fast.linear(x.transpose(), weight.transpose(), None), plain).await;
}

pub async fn convolutions(on: &Device) {
    let mut random = Random(Generator::new(8), on);
    let cases = [
        ([1, 1, 1, 4], 1, 3, 1, Padding::same(1)),
        ([2, 9, 7, 8], 5, 3, 1, Padding::same(1)),
        ([2, 9, 7, 8], 6, 3, 2, Padding::same(1)),
        ([1, 8, 6, 12], 9, 3, 2, Padding { begin: 0, end: 1 }),
        ([1, 5, 11, 4], 33, 1, 1, Padding::same(0)),
        ([1, 6, 6, 3], 4, 3, 1, Padding::same(1)),
        ([2, 12, 10, 4], 8, 5, 1, Padding::same(2)),
    ];
    for ([n, h, w, c], out, kernel, stride, padding) in cases {
        let (weight, bias) = (random.tensor([out, kernel, kernel, c]).into(), Some(random.tensor([out])));
        let (x, layer) = (random.tensor([n, h, w, c]), Conv2d { weight, bias, stride, padding });
        let what = format!("{:?} to {out}, window {kernel}, stride {stride}", [n, h, w, c]);
        assert_same(&what, Fast.conv2d(x.clone(), &layer), Plain.conv2d(x.clone(), &layer)).await;
        if stride == 1 && kernel == 3 {
            for size in [[2 * h, 2 * w], [2 * h - 1, 2 * w - 1]] {
                let plain = Plain.upsample_conv2d(x.clone(), size, &layer);
                let what = format!("{what}, doubled to {size:?}");
                assert_same(&what, Fast.upsample_conv2d(x.clone(), size, &layer), plain).await;
            }
        }
    }
}
