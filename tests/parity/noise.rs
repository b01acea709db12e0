//! PyTorch's random numbers.

use crate::files::golden;
use fresco_diffusion::{Device, noise::Generator};
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
        let mut generator = Generator::new(draw.seed);
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

/// Floats between two floats.
fn ulps(a: f32, b: f32) -> u32 {
    let ordered = |x: f32| {
        let bits = x.to_bits() as i32;
        if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
    };
    ordered(a).abs_diff(ordered(b))
}
