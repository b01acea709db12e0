//! A small computation with a known result, before a device is believed.

use super::Device;
use burn::tensor::Tensor;
use fresco_kernels::{Conv2d, Norm, Padding};

/// Runs every operation that models lean on, by the bodies that models use, and compares with known numbers.
///
/// # Errors
/// A sentence that says what went wrong.
pub async fn probe(device: &Device) -> Result<(), String> {
    let ramp = Tensor::<1>::from_floats(std::array::from_fn::<f32, 64, _>(|i| value(i) as f32).as_slice(), device);
    let k = fresco_kernels::fast();
    let square = ramp.clone().reshape([8, 8]);
    let product = all(|i, j, n| value(8 * i + n) * value(8 * n + j));
    check("matrix product", square.clone().matmul(square.clone()).sum(), product).await?;
    let across = all(|i, j, n| value(8 * i + n) * value(8 * j + n));
    check("linear layer", k.linear(square.clone(), square.clone(), None).sum(), across).await?;
    check("exponential", ramp.clone().exp().sum(), (0..64).map(|i| value(i).exp()).sum()).await?;

    let picture = ramp.clone().reshape([1, 4, 4, 4]);
    let layer = Conv2d {
        weight: Tensor::<4>::ones([1, 3, 3, 4], device).into(),
        bias: Some(Tensor::ones([1], device)),
        stride: 1,
        padding: Padding::same(0),
    };
    // Four windows of three by three pixels with four channels, and the bias in each.
    let windows = all_pixels(|row, column| value(16 * row + 4 * column) * 4.0 + 6.0 / 64.0);
    check("convolution", k.conv2d(picture.clone(), &layer).sum(), windows + 4.0).await?;
    let norm = Norm { gamma: Tensor::ones([4], device), beta: Tensor::zeros([4], device), epsilon: 0.0 };
    check("group norm", k.group_norm(picture, &norm, 2, false).square().sum(), 64.0).await?;
    let norm = Norm { gamma: Tensor::ones([8], device), beta: Tensor::zeros([8], device), epsilon: 0.0 };
    check("layer norm", k.layer_norm(ramp.clone().reshape([1, 8, 8]), &norm).square().sum(), 64.0).await?;
    let heads = ramp.reshape([1, 1, 8, 8]);
    // Weights of a row add up to one, so that attention to equal rows gives that row.
    let attended = k.attention(heads.clone(), heads.clone(), Tensor::ones([1, 1, 8, 8], device), false);
    check("attention", attended.sum(), 64.0).await
}

/// The ramp's values.
fn value(i: usize) -> f64 {
    i as f64 / 64.0
}

/// The sum over two rows, or columns, and what they share.
fn all(term: impl Fn(usize, usize, usize) -> f64) -> f64 {
    (0..512).map(|i| term(i / 64, i / 8 % 8, i % 8)).sum()
}

/// The sum over every pixel of every window.
fn all_pixels(pixel: impl Fn(usize, usize) -> f64) -> f64 {
    (0..36).map(|i| pixel(i / 18 + i / 6 % 3, i / 3 % 2 + i % 3)).sum()
}

async fn check(what: &str, sum: Tensor<1>, expected: f64) -> Result<(), String> {
    let data = sum.into_data_async().await.map_err(|error| format!("the {what} failed: {error}"))?;
    let got = data.try_into_vec::<f32>().ok().and_then(|values| values.first().copied()).unwrap_or(f32::NAN);
    if (f64::from(got) - expected).abs() <= 1e-3 * expected.abs() {
        return Ok(());
    }
    Err(format!("the {what} gave {got} instead of {expected}"))
}
