//! Weights of tokens, laid on the states that a text encoder gives.

use burn::tensor::{Tensor, TensorData};

/// Multiplies each token's state by its weight, then scales each window so that its mean is what it
/// was: the "original" emphasis of AUTOMATIC1111's web UI.
///
/// `states` is `[windows, tokens, width]`, `weights` a row a window. A window whose weights are all 1
/// keeps its very values.
pub fn emphasise(states: Tensor<3>, weights: &[&[f32]]) -> Tensor<3> {
    let plain = |row: &[f32]| row.iter().all(|weight| *weight == 1.0);
    if weights.iter().all(|row| plain(row)) {
        return states;
    }
    let [_, tokens, width] = states.dims();
    let windows = weights.iter().enumerate().map(|(i, row)| {
        let window = states.clone().slice([i..i + 1, 0..tokens, 0..width]);
        if plain(row) { window } else { weighted(window, row) }
    });
    Tensor::cat(windows.collect(), 0)
}

/// One window, `[1, tokens, width]`.
fn weighted(states: Tensor<3>, weights: &[f32]) -> Tensor<3> {
    let factors = TensorData::new(weights.to_vec(), [1, weights.len(), 1]);
    let factors = Tensor::<3>::from_data(factors, &states.device());
    let before = states.clone().mean();
    let states = states * factors;
    let after = states.clone().mean();
    states * (before / after).reshape([1, 1, 1])
}
