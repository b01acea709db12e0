//! A linear layer in PyTorch's layout.

use burn::tensor::Tensor;
use fresco_kernels::Weight;

/// `y = x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as published; the transposition in the product is a view.
    pub weight: Weight<2>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
}

impl Linear {
    /// `x` `[n, s, in]` to `[n, s, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, s, from] = x.dims();
        let [to, _] = self.weight.dims();
        // One product of all rows: a batched product would repeat the weights for every batch.
        self.rows(x.reshape([n * s, from])).reshape([n, s, to])
    }

    /// `x` `[n, in]` to `[n, out]`.
    pub fn rows(&self, x: Tensor<2>) -> Tensor<2> {
        fresco_kernels::fast().linear(x, self.weight.tensor(), self.bias.clone())
    }
}
