//! A linear layer in PyTorch's layout.

use burn::tensor::Tensor;

/// `y = x W^T + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as published; the transposition in the product is a view.
    pub weight: Tensor<2>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
}

impl Linear {
    /// `x` `[n, s, in]` to `[n, s, out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, s, from] = x.dims();
        let [to, _] = self.weight.dims();
        // One product of all rows: a batched product would repeat the weights for every batch.
        let y = fresco_kernels::fast().linear(x.reshape([n * s, from]), self.weight.clone(), self.bias.clone());
        y.reshape([n, s, to])
    }
}
