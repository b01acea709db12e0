//! RRDB, the network of ESRGAN and Real-ESRGAN (Wang et al. 2018, 2021): a picture four times as wide and high.
//!
//! Names are those of the published files (`conv_first`, `body.0.rdb1.conv1`, `conv_up1`...), converted to
//! safetensors.

use crate::{
    LoadError,
    weights::{Load, Scope},
};
use burn::tensor::{Tensor, activation};
use fresco_kernels::{Conv2d, Kernels, Padding};

const SAME: Padding = Padding::same(1);
/// The slope of the activation below 0.
const SLOPE: f64 = 0.2;
/// How much of a block is added to what it got.
const SHARE: f64 = 0.2;

/// The sizes of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Blocks in the body.
    pub blocks: usize,
    /// Channels between blocks.
    pub width: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
}

/// `RealESRGAN_x4plus`.
pub const X4: Sizes = Sizes { blocks: 23, width: 64, growth: 32 };

/// The network.
pub struct Rrdb {
    first: Conv2d,
    body: Vec<[Dense; 3]>,
    behind_body: Conv2d,
    up: [Conv2d; 2],
    fine: Conv2d,
    last: Conv2d,
}

/// Five convolutions, each of which sees what all before it gave (Huang et al. 2017).
struct Dense {
    convs: Vec<Conv2d>,
}

impl Rrdb {
    /// Reads it from the file's root.
    ///
    /// # Errors
    /// A tensor is missing, truncated or of another shape.
    pub async fn load(mut root: Scope<'_, impl Load>, sizes: Sizes) -> Result<Self, LoadError> {
        let Sizes { blocks, width, .. } = sizes;
        let first = root.at("conv_first").conv2d((3, width), 3, 1, SAME).await?;
        let mut body = Vec::new();
        for i in 0..blocks {
            let mut at = root.at("body");
            let mut at = at.at(i);
            let first = Dense::load(at.at("rdb1"), sizes).await?;
            let second = Dense::load(at.at("rdb2"), sizes).await?;
            body.push([first, second, Dense::load(at.at("rdb3"), sizes).await?]);
        }
        let same = (width, width);
        Ok(Self {
            first,
            body,
            behind_body: root.at("conv_body").conv2d(same, 3, 1, SAME).await?,
            up: [
                root.at("conv_up1").conv2d(same, 3, 1, SAME).await?,
                root.at("conv_up2").conv2d(same, 3, 1, SAME).await?,
            ],
            fine: root.at("conv_hr").conv2d(same, 3, 1, SAME).await?,
            last: root.at("conv_last").conv2d((width, 3), 3, 1, SAME).await?,
        })
    }

    /// `pictures` `[n, h, w, 3]` in 0 to 1, to `[n, 4 * h, 4 * w, 3]` around 0 to 1.
    pub fn forward(&self, k: &dyn Kernels, pictures: Tensor<4>) -> Tensor<4> {
        let x = k.conv2d(pictures, &self.first);
        let y = self
            .body
            .iter()
            .fold(x.clone(), |x, blocks| blocks.iter().fold(x.clone(), |x, block| block.forward(k, x)) * SHARE + x);
        let x = x + k.conv2d(y, &self.behind_body);
        let x = self.up.iter().fold(x, |x, conv| {
            let [_, h, w, _] = x.dims();
            activation::leaky_relu(k.upsample_conv2d(x, [2 * h, 2 * w], conv), SLOPE)
        });
        k.conv2d(activation::leaky_relu(k.conv2d(x, &self.fine), SLOPE), &self.last)
    }
}

impl Dense {
    async fn load(mut at: Scope<'_, impl Load>, Sizes { width, growth, .. }: Sizes) -> Result<Self, LoadError> {
        let mut convs = Vec::new();
        for i in 0..5 {
            let to = if i < 4 { growth } else { width };
            convs.push(at.at(format_args!("conv{}", i + 1)).conv2d((width + i * growth, to), 3, 1, SAME).await?);
        }
        Ok(Self { convs })
    }

    fn forward(&self, k: &dyn Kernels, x: Tensor<4>) -> Tensor<4> {
        let mut seen = x.clone();
        let mut y = x.clone();
        for (i, conv) in self.convs.iter().enumerate() {
            y = k.conv2d(seen.clone(), conv);
            if i + 1 < self.convs.len() {
                y = activation::leaky_relu(y, SLOPE);
                seen = Tensor::cat(vec![seen, y.clone()], 3);
            }
        }
        y * SHARE + x
    }
}
