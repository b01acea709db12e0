//! The tanh approximation of GELU (Hendrycks & Gimpel 2016), as T5 and MMDiT were trained with.

use burn::tensor::{Tensor, activation};

/// `0.5 x (1 + tanh(u))` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, of any shape.
///
/// Written with the logistic function and products, which is the same: on a GPU a power of a negative number is not a
/// number, and a hyperbolic tangent may overflow to one that is none either.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let cube = x.clone() * x.clone() * x.clone();
    let twice_u = (x.clone() + cube * 0.044_715) * (2.0 * (2.0 / std::f64::consts::PI).sqrt());
    x * activation::sigmoid(twice_u)
}
