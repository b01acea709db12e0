//! Weights by formula, the same as `tests/reference/synthetic.py` gives the reference: no file to commit.

use safetensors::{Dtype, serialize, tensor::TensorView};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Tensor names with shape, scale and offset, as the reference's script wrote them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Recipe(pub BTreeMap<String, (Vec<usize>, f64, f64)>);

impl Recipe {
    /// The bytes of a safetensors file with every tensor of the recipe in f32.
    ///
    /// # Panics
    /// The tensors cannot be written.
    pub fn file(&self) -> Vec<u8> {
        let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .0
            .iter()
            .map(|(name, (shape, scale, offset))| {
                let numbers = values(name, shape.iter().product(), *scale, *offset);
                (name, shape, numbers.into_iter().flat_map(f32::to_le_bytes).collect())
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).expect("as many bytes as the shape says"))
        });
        serialize(views, None).expect("the file can be written")
    }
}

/// The values of the tensor `name`: uniform, `offset` plus or minus `scale`.
pub fn values(name: &str, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
    (1..=count as u64)
        .map(|i| {
            let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            let u = (z >> 40) as f64 / f64::from(1 << 24);
            (offset + scale * (2.0 * u - 1.0)) as f32
        })
        .collect()
}
