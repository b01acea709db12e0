//! Golden tensors written by the reference implementation, and how close ours are.

use burn::tensor::{Tensor, TensorData};
use fresco_diffusion::Device;
use safetensors::SafeTensors;

/// A file of tensors.
pub struct Golden<'a>(SafeTensors<'a>);

impl<'a> Golden<'a> {
    /// Reads a file's bytes.
    ///
    /// # Panics
    /// They are no safetensors file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(SafeTensors::deserialize(bytes).expect("the golden file is whole"))
    }

    /// A tensor's f32 values.
    ///
    /// # Panics
    /// It is not there.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let view = self.0.tensor(name).unwrap_or_else(|_| panic!("there is no golden {name}"));
        view.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
    }

    /// A tensor's bytes.
    ///
    /// # Panics
    /// It is not there.
    pub fn bytes(&self, name: &str) -> &'a [u8] {
        self.0.tensor(name).unwrap_or_else(|_| panic!("there is no golden {name}")).data()
    }

    /// A tensor's shape.
    ///
    /// # Panics
    /// It is not there or has another rank.
    pub fn shape<const D: usize>(&self, name: &str) -> [usize; D] {
        let view = self.0.tensor(name).unwrap_or_else(|_| panic!("there is no golden {name}"));
        view.shape().try_into().unwrap_or_else(|_| panic!("{name} has shape {:?}", view.shape()))
    }

    /// A tensor on a device.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values(name), self.shape::<D>(name)), device)
    }

    /// An NCHW tensor on a device as NHWC.
    pub fn nhwc(&self, name: &str, device: &Device) -> Tensor<4> {
        self.tensor::<4>(name, device).permute([0, 2, 3, 1])
    }
}

/// `‖ours − reference‖ / ‖reference‖`.
pub fn relative_error(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len(), "as many values as the reference has");
    let square = |x: f64| x * x;
    let difference: f64 = ours.iter().zip(reference).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let size: f64 = reference.iter().map(|b| square(f64::from(*b))).sum();
    // A NaN anywhere makes the sum NaN, which no bound holds for.
    (difference / size).sqrt()
}

/// The values of a tensor, read as a browser must.
///
/// # Panics
/// The device failed.
pub async fn read<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data_async().await.expect("the device works").try_into_vec().expect("the values are f32")
}

/// Fails unless our NHWC tensor is within `bound` of the NCHW golden.
pub async fn assert_close_nhwc(what: &str, ours: Tensor<4>, golden: &Golden<'_>, name: &str, bound: f64) {
    assert_close(what, ours.permute([0, 3, 1, 2]), golden, name, bound).await;
}

/// Fails unless our tensor is within `bound` of the golden, and has its shape.
pub async fn assert_close<const D: usize>(what: &str, ours: Tensor<D>, golden: &Golden<'_>, name: &str, bound: f64) {
    assert_eq!(ours.dims(), golden.shape::<D>(name), "{what}: shape of {name}");
    let error = relative_error(&read(ours).await, &golden.values(name));
    assert!(error <= bound, "{what}: {name} is off by {error:.2e}, more than {bound:.0e}");
}
