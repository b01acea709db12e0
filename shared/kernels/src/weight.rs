//! Weights as they rest on a device: as f32, or packed into words until a layer needs them.
//!
//! A packed weight is a tensor of 32-bit words that holds halves, bytes or nibbles, lowest bits first. Just before use
//! it becomes f32 in memory of its own, which is free again behind the layer: what stays on the device is the words.
//! No device needs to know 16-bit numbers for it.

use burn::tensor::{Bytes, DType, Device, Int, Tensor, TensorData};

/// Values that share a scale, in the forms that have scales.
pub const BLOCK: usize = 32;

/// How packed values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// IEEE half.
    F16,
    /// The upper half of an IEEE single.
    Bf16,
    /// 8 bits around 128, times a scale.
    Q8,
    /// 4 bits around 8, times a scale.
    Q4,
}

impl Form {
    /// Bits of a value.
    pub const fn bits(self) -> u32 {
        match self {
            Form::F16 | Form::Bf16 => 16,
            Form::Q8 => 8,
            Form::Q4 => 4,
        }
    }

    /// Whether blocks of [`BLOCK`] values have a scale, which is f32.
    pub const fn is_scaled(self) -> bool {
        matches!(self, Form::Q8 | Form::Q4)
    }

    /// Words for so many values; blocks are whole.
    pub const fn words(self, values: usize) -> usize {
        let whole = if self.is_scaled() { values.next_multiple_of(BLOCK) } else { values };
        whole.div_ceil(32 / self.bits() as usize)
    }

    /// Scales for so many values.
    pub const fn scales(self, values: usize) -> usize {
        if self.is_scaled() { values.div_ceil(BLOCK) } else { 0 }
    }

    /// The number that stands for zero, in the forms that have scales.
    pub const fn middle(self) -> f32 {
        match self {
            Form::Q8 => 128.0,
            _ => 8.0,
        }
    }

    /// What the bits of one value mean, before any scale.
    pub fn value(self, bits: u32) -> f32 {
        match self {
            Form::F16 => half(bits),
            Form::Bf16 => f32::from_bits(bits << 16),
            Form::Q8 | Form::Q4 => bits as f32 - self.middle(),
        }
    }
}

/// The value of an IEEE half's 16 bits.
pub fn half(bits: u32) -> f32 {
    // 2^112: the difference of the exponents' biases. The product is exact, of a subnormal number too.
    const BIAS: f32 = f32::from_bits(239 << 23);
    let size = bits & 0x7FFF;
    let finite = (f32::from_bits(size << 13) * BIAS).to_bits();
    let found = if size < 0x7C00 { finite } else { 0x7F80_0000 | size << 13 };
    f32::from_bits(found | (bits & 0x8000) << 16)
}

/// Values in words on a device, and what they mean.
#[derive(Clone, Debug)]
pub struct Packed<const D: usize> {
    words: Tensor<1, Int>,
    scales: Option<Tensor<1>>,
    shape: [usize; D],
    form: Form,
}

impl<const D: usize> Packed<D> {
    /// Puts words, as little-endian bytes, and scales on a device.
    ///
    /// `None` when they are not as many as `shape` needs in this form, or when there are no values.
    pub fn new(form: Form, words: Vec<u8>, scales: Vec<f32>, shape: [usize; D], device: &Device) -> Option<Self> {
        let values = shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side))?;
        let (count, blocks) = (form.words(values), form.scales(values));
        if values == 0 || Some(words.len()) != count.checked_mul(4) || scales.len() != blocks {
            return None;
        }
        // Bytes that lie as words must are taken as they are: their copy would be as large again.
        let lie_well = words.as_ptr().align_offset(align_of::<u32>()) == 0;
        let words = if lie_well { Bytes::from_elems(words) } else { Bytes::from_bytes_vec(words) };
        let words = Tensor::from_data(TensorData::from_bytes(words, [count], DType::U32), (device, DType::U32));
        let scales = form.is_scaled().then(|| Tensor::from_data(TensorData::new(scales, [blocks]), device));
        Some(Self { words, scales, shape, form })
    }

    /// How its values are written.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        let values = self.shape.iter().product();
        4 * (self.form.words(values) + self.form.scales(values)) as u64
    }

    /// Its values as f32, by the device's own kernel.
    #[cfg(any(feature = "flex", feature = "cube"))]
    pub fn unpacked(&self) -> Tensor<D> {
        let values = self.shape.iter().product();
        crate::device::unpack(self.words.clone(), self.scales.clone(), values, self.form).reshape(self.shape)
    }

    /// Its values as f32.
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    pub fn unpacked(&self) -> Tensor<D> {
        self.plainly()
    }

    /// Its values as f32, by plain tensor operations: the reference.
    pub fn plainly(&self) -> Tensor<D> {
        let values = self.shape.iter().product();
        crate::plain::unpack(self.words.clone(), self.scales.clone(), values, self.form).reshape(self.shape)
    }
}

/// A layer's weights on a device. Boxed: a tensor's handle has half a kilobyte, and layers are moved while they load.
#[derive(Clone, Debug)]
pub enum Weight<const D: usize> {
    /// As they are computed with.
    Plain(Box<Tensor<D>>),
    /// In fewer bits.
    Packed(Box<Packed<D>>),
}

impl<const D: usize> Weight<D> {
    /// Its sides.
    pub fn dims(&self) -> [usize; D] {
        match self {
            Weight::Plain(tensor) => tensor.dims(),
            Weight::Packed(packed) => packed.shape,
        }
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        match self {
            Weight::Plain(tensor) => tensor.device(),
            Weight::Packed(packed) => packed.words.device(),
        }
    }

    /// Its values as f32: what is packed is unpacked anew each time, so that only the layer that runs has them.
    pub fn tensor(&self) -> Tensor<D> {
        match self {
            Weight::Plain(tensor) => (**tensor).clone(),
            Weight::Packed(packed) => packed.unpacked(),
        }
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> u64 {
        match self {
            Weight::Plain(tensor) => 4 * tensor.dims().iter().product::<usize>() as u64,
            Weight::Packed(packed) => packed.bytes(),
        }
    }
}

impl<const D: usize> From<Tensor<D>> for Weight<D> {
    fn from(tensor: Tensor<D>) -> Self {
        Weight::Plain(Box::new(tensor))
    }
}
