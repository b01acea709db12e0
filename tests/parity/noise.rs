//! PyTorch's random numbers.

use crate::files::golden;
use fresco_api::Rng;
use fresco_diffusion::{
    Device,
    noise::{Generator, Mt19937, philox},
};
use fresco_tests::golden::Golden;
use serde::Deserialize;

#[derive(Deserialize)]
struct Index {
    draws: Vec<Draw>,
}

#[derive(Deserialize)]
struct Draw {
    name: String,
    kind: String,
    seed: u64,
    sequence: Option<String>,
}

fn index() -> Vec<Draw> {
    serde_json::from_slice::<Index>(golden!("noise.json")).expect("the index is whole").draws
}

pub async fn uniforms(_: &Device) {
    let golden = Golden::new(golden!("noise.safetensors"));
    let draws = index().into_iter().filter(|draw| draw.kind == "rand");
    let mut seen = 0;
    for draw in draws {
        let expected = golden.values(&draw.name);
        let mut generator = Mt19937::new(draw.seed);
        let ours: Vec<f32> = expected.iter().map(|_| generator.uniform()).collect();
        assert_eq!(ours, expected, "{}: uniforms are bit for bit torch's", draw.name);
        seen += 1;
    }
    assert!(seen >= 2);
}

pub async fn normals(_: &Device) {
    let golden = Golden::new(golden!("noise.safetensors"));
    let mut running: Option<(String, Generator)> = None;
    let mut seen = 0;
    for draw in index().into_iter().filter(|draw| draw.kind == "randn") {
        let expected = golden.values(&draw.name);
        // Draws of one sequence come from one generator, one after the other.
        let mut generator = match (running.take(), &draw.sequence) {
            (Some((name, generator)), Some(sequence)) if name == *sequence => generator,
            _ => Generator::new(draw.seed),
        };
        let ours = generator.normal(expected.len());
        let worst = ours.iter().zip(&expected).map(|(a, b)| ulps(*a, *b)).max().unwrap_or(0);
        assert!(worst <= 2, "{}: {worst} ulp from torch's", draw.name);
        running = draw.sequence.map(|sequence| (sequence, generator));
        seen += 1;
    }
    assert!(seen >= 15);
}

/// Philox's words are those that Random123, the authors' library, is tested with.
pub async fn philox_words(_: &Device) {
    let all = u32::MAX;
    let cases = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([all; 4], [all; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, words) in cases {
        assert_eq!(philox(counter, key), words);
    }
}

/// The CUDA generator's normals: a value a thread, tensor after tensor, and of the right distribution.
pub async fn philox_normals(_: &Device) {
    let seed = 0x0000_0007_0000_002a;
    let mut generator = Generator::of(Rng::Gpu, seed);
    let (first, second) = (generator.normal(20_000), generator.normal(20_000));
    for (drawn, values) in [(0, &first), (1, &second)] {
        for thread in [0u32, 1, 19_999] {
            let [x, y, ..] = philox([drawn, 0, thread, 0], [42, 7]).map(f64::from);
            let (unit, turn) = (2f64.powi(-32), 2f64.powi(-32) * std::f64::consts::TAU);
            let expected = (-2.0 * ((x + 0.5) * unit).ln()).sqrt() * ((y + 0.5) * turn).sin();
            let ours = f64::from(values[thread as usize]);
            assert!((ours - expected).abs() <= 1e-6, "tensor {drawn}, thread {thread}: {ours}, not {expected}");
        }
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.04, "mean {mean}, variance {square}");
    }
    assert_eq!(Generator::of(Rng::Gpu, seed).normal(5), first[..5], "a shorter tensor begins the same");
}

/// Floats between two floats.
fn ulps(a: f32, b: f32) -> u32 {
    let ordered = |x: f32| {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
    };
    ordered(a).abs_diff(ordered(b))
}
