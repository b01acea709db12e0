//! Weights that stay on the device in fewer bits: what they mean, where they come from, and the picture they make.

use crate::{
    allocations,
    files::{a, b, golden},
    pictures::{first_output, first_run},
};
use fresco_diffusion::{
    Device, LoadError, LoadOptions, Pipeline, Precision, Silent, Source,
    weights::{self, Entry, Listing, Load, Raw, Scope, Storage, lora::Patches},
};
use fresco_kernels::{Form, Packed, Padding, Weight};
use fresco_tests::{
    golden::{Golden, read, relative_error},
    memory::Memory,
    synthetic,
};
use safetensors::{Dtype, serialize, tensor::TensorView};

/// Latents after a whole run with 8-bit matrices, relative to f32: the small random models of the golden files.
const EIGHT: f64 = 0.05;
/// The same with 4-bit matrices.
const FOUR: f64 = 0.5;

/// Every number of each form, by the device's kernel, by plain tensor operations and by the formula.
pub async fn numbers(on: &Device) {
    let every: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for form in [Form::F16, Form::Bf16] {
        let packed = Packed::new(form, every.clone(), Vec::new(), [256, 256], on).expect("as many as the shape says");
        let meant: Vec<f32> = (0..=0xFFFF).map(|bits| form.value(bits)).collect();
        assert_eq!(packed.bytes(), 1 << 17);
        assert_meant(&format!("{form:?}"), &read(packed.unpacked()).await, &meant);
        assert_meant(&format!("{form:?} plainly"), &read(packed.plainly()).await, &meant);
    }
    for (form, numbers) in [(Form::Q8, 256_usize), (Form::Q4, 256)] {
        let bytes: Vec<u8> = (0..numbers).map(|byte| (byte * 37) as u8).collect();
        let values = numbers * 8 / form.bits() as usize;
        let scales: Vec<f32> = (0..values / 32).map(|i| 0.01 * i as f32 - 0.02).collect();
        let bits = form.bits();
        let number = |i: usize| u32::from(bytes[i * bits as usize / 8]) >> (i as u32 * bits % 8) & ((1 << bits) - 1);
        let meant: Vec<f32> = (0..values).map(|i| form.value(number(i)) * scales[i / 32]).collect();
        let packed = Packed::new(form, bytes.clone(), scales, [values], on).expect("as many as the shape says");
        assert_eq!(read(packed.unpacked()).await, meant, "{form:?}");
        assert_eq!(read(packed.plainly()).await, meant, "{form:?} plainly");
    }
}

/// The same numbers; a device may take those for zero that are too small for an exponent.
fn assert_meant(what: &str, found: &[f32], meant: &[f32]) {
    assert_eq!(found.len(), meant.len());
    for (bits, (found, meant)) in found.iter().zip(meant).enumerate() {
        let same = found.to_bits() == meant.to_bits() || found.is_nan() && meant.is_nan();
        let tiny = found.abs() < f32::MIN_POSITIVE && meant.abs() < f32::MIN_POSITIVE;
        assert!(same || tiny, "{what}: {bits:#x} is {found}, not {meant}");
    }
}

/// Counts that fill neither words nor blocks, and numbers of words that do not fit.
pub async fn odd_counts(on: &Device) {
    for (form, values) in [(Form::F16, 1), (Form::Bf16, 7), (Form::Q8, 33), (Form::Q4, 45), (Form::Q8, 40_001)] {
        let (words, scales) = (form.words(values), form.scales(values));
        let bytes = |words: usize| vec![0x11_u8; 4 * words];
        let packed = Packed::new(form, bytes(words), vec![2.0; scales], [values], on).expect("they fit");
        let each = match form {
            Form::Q8 => (17.0 - 128.0) * 2.0,
            Form::Q4 => (1.0 - 8.0) * 2.0,
            half => half.value(0x1111),
        };
        assert_eq!(read(packed.unpacked()).await, vec![each; values], "{form:?} of {values}");
        assert!(Packed::new(form, bytes(words + 1), vec![2.0; scales], [values], on).is_none());
        assert!(Packed::new(form, bytes(words), vec![2.0; scales + 1], [values], on).is_none());
    }
    assert!(Packed::new(Form::F16, Vec::new(), Vec::new(), [0], on).is_none());
}

/// One tensor of a file as a layer's weight.
struct Single<'a> {
    source: &'a Memory,
    entry: Entry,
    device: &'a Device,
    precision: Precision,
}

impl Load for Single<'_> {
    async fn values(&mut self, name: &str, _: &[usize]) -> Result<Vec<f32>, LoadError> {
        self.entry.read(self.source, name).await
    }

    async fn raw(&mut self, name: &str, _: &[usize]) -> Result<Raw, LoadError> {
        self.entry.raw(self.source, name).await
    }

    fn shape(&self, _: &str) -> Option<&[usize]> {
        Some(&self.entry.shape)
    }

    fn device(&self) -> &Device {
        self.device
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

impl Single<'_> {
    async fn matrix(&mut self) -> Weight<2> {
        let [to, from] = self.entry.shape[..] else { panic!("{:?} is no matrix", self.entry.shape) };
        Scope::root(self).linear(from, to, false).await.expect("it is read").weight
    }

    async fn filters(&mut self) -> Weight<4> {
        let [to, from, side, _] = self.entry.shape[..] else { panic!("{:?} are no filters", self.entry.shape) };
        Scope::root(self).filters((from, to), side, 1, Padding::same(1)).await.expect("they are read").weight
    }
}

fn form<const D: usize>(weight: &Weight<D>) -> Option<Form> {
    match weight {
        Weight::Plain(_) => None,
        Weight::Packed(packed) => Some(packed.form()),
    }
}

/// Matrices from every type of file: what the file has in no more bits than asked stays as it is, to the bit, and
/// other values are off by no more than their form says.
pub async fn from_files(on: &Device) {
    let folder = Memory::new(&[("files.gguf", golden!("files.gguf"))]);
    let header = weights::header(&folder, "files.gguf").await.expect("the header is whole");
    let golden = Golden::new(golden!("gguf.safetensors"));
    use Form::{Bf16, F16, Q4, Q8};
    let cases = [
        ("written.F32", [(Precision::F16, F16, 3e-4), (Precision::Q8, Q8, 5e-3), (Precision::Q4, Q4, 0.08)]),
        ("written.F16", [(Precision::F16, F16, 0.0), (Precision::Bf16, F16, 0.0), (Precision::Q8, Q8, 5e-3)]),
        ("written.BF16", [(Precision::F16, Bf16, 0.0), (Precision::Bf16, Bf16, 0.0), (Precision::Q4, Q4, 0.08)]),
        ("written.Q8_0", [(Precision::F16, Q8, 0.0), (Precision::Q8, Q8, 0.0), (Precision::Q4, Q4, 0.08)]),
        ("written.Q4_0", [(Precision::F16, Q4, 0.0), (Precision::Q8, Q4, 0.0), (Precision::Q4, Q4, 0.0)]),
        ("read.Q6_K", [(Precision::F16, F16, 3e-4), (Precision::Bf16, Bf16, 3e-3), (Precision::Q8, Q8, 8e-3)]),
    ];
    for (name, asked) in cases {
        let expected = golden.values(name);
        for (precision, wanted, bound) in asked {
            let entry = header.tensors[name].clone();
            let weight = Single { source: &folder, entry, device: on, precision }.matrix().await;
            let what = format!("{name} in {precision}");
            assert_eq!(form(&weight), Some(wanted), "{what}");
            assert_eq!(weight.dims().to_vec(), header.tensors[name].shape, "{what}");
            let values = read(weight.tensor()).await;
            let error = relative_error(&values, &expected);
            assert!(error <= bound, "{what} is off by {error:.1e}");
            assert!(bound > 0.0 || values == expected, "{what} is not the same");
        }
    }
    // Filters are laid out as f32 ones are, and never below 16 bits.
    let entry = header.tensors["odd.weight"].clone();
    let load = |precision| Single { source: &folder, entry: entry.clone(), device: on, precision };
    let (plain, packed) = (load(Precision::F32).filters().await, load(Precision::Q4).filters().await);
    assert_eq!((form(&plain), form(&packed)), (None, Some(F16)));
    let error = relative_error(&read(packed.tensor()).await, &read(plain.tensor()).await);
    assert!(error <= 3e-4, "filters are off by {error:.1e}");
}

/// Values that a half cannot hold stay numbers, and what is no number is seen.
pub async fn extremes(on: &Device) {
    let source = Memory::new(&[("x", &file(&[("weight", Dtype::F32, vec![1, 32], large())]))]);
    let header = weights::header(&source, "x").await.expect("the header is whole");
    for (precision, wanted) in [(Precision::F16, Form::Bf16), (Precision::Q8, Form::Q8), (Precision::Q4, Form::Q4)] {
        let entry = header.tensors["weight"].clone();
        let weight = Single { source: &source, entry, device: on, precision }.matrix().await;
        assert_eq!(form(&weight), Some(wanted));
        let values = read(weight.tensor()).await;
        assert!((values[3] - 1e6).abs() <= 4e3 && values[4] == 0.0, "{precision}: {values:?}");
    }
    let broken: Vec<u8> = [f32::NAN; 32].into_iter().flat_map(f32::to_le_bytes).collect();
    let source = Memory::new(&[("x", &file(&[("weight", Dtype::F32, vec![1, 32], broken)]))]);
    for precision in [Precision::F16, Precision::Q8, Precision::Q4] {
        let entry = header.tensors["weight"].clone();
        let weight = Single { source: &source, entry, device: on, precision }.matrix().await;
        assert!(read(weight.tensor()).await.iter().all(|value| value.is_nan()), "{precision}");
    }
}

/// Zeros and one number that no half can hold.
fn large() -> Vec<u8> {
    (0..32).map(|i| if i == 3 { 1e6_f32 } else { 0.0 }).flat_map(f32::to_le_bytes).collect()
}

/// A safetensors file of these tensors.
fn file(tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("as many bytes as the shape says"))
    });
    serialize(views, None).expect("a file")
}

async fn load(source: &impl Source, precision: Precision, on: &Device) -> Pipeline {
    let options = LoadOptions { precision, ..LoadOptions::default() };
    Pipeline::load_with(source, on, options, &mut Silent).await.expect("it loads")
}

/// A file's own halves make the same picture as their f32 values, to the bit.
pub async fn same_picture(on: &Device) {
    let folder = b().folder;
    let wide = first_output(&load(&folder, Precision::F32, on).await, "b").await;
    for precision in [Precision::F16, Precision::Bf16] {
        let kept = first_output(&load(&folder, precision, on).await, "b").await;
        assert!(kept == wide, "{precision} makes another picture");
    }
}

/// Fewer bits than the file has: how far the latents move.
pub async fn fewer_bits(on: &Device) {
    let folder = b().folder;
    let wide = first_output(&load(&folder, Precision::F32, on).await, "b").await;
    for (precision, bound) in [(Precision::Q8, EIGHT), (Precision::Q4, FOUR)] {
        let packed = first_output(&load(&folder, precision, on).await, "b").await;
        let error = relative_error(&packed.latents.values, &wide.latents.values);
        assert!(error <= bound && error > 0.0, "{precision} is off by {error:.1e}");
    }
}

/// A prompt that is read before the denoiser is there makes the same picture.
pub async fn prompts_alone(on: &Device) {
    let folder = a().folder;
    let whole = load(&folder, Precision::F16, on).await;
    let expected = first_run(&whole).await;
    drop(whole);
    let (params, none) = (crate::pictures::first_params("a"), Patches::<&Memory>::none());
    let options = LoadOptions { precision: Precision::F16, text_encoders: false, ..LoadOptions::default() };
    let told =
        Pipeline::read_prompts(&folder, &none, on, options, (&params, &[]), &mut Silent).await.expect("they are read");
    let pipeline = Pipeline::load_with(&folder, on, options, &mut Silent).await.expect("it loads");
    assert!(!pipeline.has_text_encoders());
    let output = pipeline.draw(&params, None, Some(&told), &mut Silent).await.expect("it runs");
    assert_eq!(output.picture.rgb, expected);
}

/// A part that two models have alike is lent by one to the other, without being read or held again.
pub async fn shared(on: &Device) {
    let (one, mut other) = (a().folder, a().folder);
    // Another denoiser behind the same text encoder.
    let unet = other.file("unet/diffusion_pytorch_model.safetensors");
    let half = unet.len() / 2;
    unet[half..half + 4096].fill(0);
    let (ours, theirs) = (listing(&one, "text_encoder/model").await, listing(&other, "text_encoder/model").await);
    assert!(weights::same((&one, &ours), (&other, &theirs)).await.expect("they are read"));
    let unets = ("unet/diffusion_pytorch_model", "unet/diffusion_pytorch_model");
    let (ours, theirs) = (listing(&one, unets.0).await, listing(&other, unets.1).await);
    assert!(!weights::same((&one, &ours), (&other, &theirs)).await.expect("they are read"));

    let lender = load(&one, Precision::F16, on).await;
    let alone = first_run(&load(&other, Precision::F16, on).await).await;
    let lent = lender.lend("text_encoder").expect("it is loaded");
    let bytes = lent.bytes();
    assert!(bytes > 0 && lender.lend("vae").is_none());
    let shelves = [("text_encoder".to_owned(), lent)].into();
    let options = LoadOptions { precision: Precision::F16, ..LoadOptions::default() };
    let borrower = Pipeline::load_sharing(&other, on, options, shelves, &mut Silent).await.expect("it loads");
    assert_eq!(first_run(&borrower).await, alone);
    assert_eq!(borrower.lend("text_encoder").map(|kept| kept.bytes()), Some(bytes));
}

async fn listing(folder: &Memory, stem: &str) -> Listing {
    let files = weights::files(folder, stem).await.expect("there are weights");
    weights::listing(folder, &files).await.expect("they are whole")
}

/// What stays on the processor's side while one layer is loaded and behind it. Values of 16 bits never become f32.
pub async fn host_memory(on: &Device) {
    const SIDE: usize = 1024;
    const VALUES: usize = SIDE * SIDE;
    let halves: Vec<u8> = synthetic::values("halves", VALUES, 0.5, 0.0)
        .into_iter()
        .flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes())
        .collect();
    let singles: Vec<u8> =
        synthetic::values("singles", VALUES, 0.5, 0.0).into_iter().flat_map(f32::to_le_bytes).collect();
    let tensors = [
        ("halves", Dtype::BF16, vec![SIDE, SIDE], halves.clone()),
        ("filters", Dtype::BF16, vec![SIDE, SIDE / 4, 2, 2], halves),
        ("singles", Dtype::F32, vec![SIDE, SIDE], singles),
    ];
    let source = Memory::new(&[("x", &file(&tensors))]);
    let header = weights::header(&source, "x").await.expect("the header is whole");
    // What is left, and the most in between, in bytes a value.
    let cases = [
        ("halves", Precision::F32, 4.0, 6.0),
        ("halves", Precision::F16, 2.0, 2.0),
        ("halves", Precision::Q8, 1.125, 3.125),
        ("halves", Precision::Q4, 0.625, 2.625),
        ("filters", Precision::F16, 2.0, 4.0),
        ("singles", Precision::F16, 2.0, 4.0),
        ("singles", Precision::Q8, 1.125, 5.125),
    ];
    for (name, precision, left, most) in cases {
        let mut single = Single { source: &source, entry: header.tensors[name].clone(), device: on, precision };
        let before = allocations::start();
        let kept: (Option<Weight<2>>, Option<Weight<4>>) = match name {
            "filters" => (None, Some(single.filters().await)),
            _ => (Some(single.matrix().await), None),
        };
        let (held, peak) = allocations::since(before);
        drop(kept);
        let each = |bytes: i64| bytes as f64 / VALUES as f64;
        let slack = 0.07;
        assert!(each(held) <= left + slack, "{name} in {precision}: {} bytes a value are left", each(held));
        assert!(each(peak) <= most + slack, "{name} in {precision}: {} bytes a value at once", each(peak));
    }
}

/// A type's name in a header, and the precisions' names both ways.
pub async fn names(_: &Device) {
    for precision in Precision::ALL {
        assert_eq!(precision.name().parse(), Ok(precision));
    }
    assert!("half".parse::<Precision>().is_err_and(|error| error.contains("bf16")));
    assert_eq!(Storage::Bf16.name(), "BF16");
}
