//! Tests of the text form: what A1111 writes, what we write, and nonsense.

use super::*;
use crate::{Sampler, SigmaSchedule};

/// As A1111 1.10 writes it.
const A1111: &str = "a red tent, (mountains:1.2)\nat sunset <lora:ink:0.8>\nNegative prompt: rain,\nfog\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 1234567890, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned, Denoising strength: 0.75, Lora hashes: \"ink: 0123abcd, x: \\\"q\\\"\", Version: v1.10.1";

fn params() -> Params {
    Params {
        prompt: "mountains, a tent: \"red\"\non the right".to_owned(),
        negative_prompt: "rain".to_owned(),
        width: 512,
        height: 768,
        steps: 25,
        guidance_scale: 7.5,
        sampler: Sampler::Dpmpp2m,
        scheduler: SigmaSchedule::Karras,
        seed: u64::MAX,
        model: "a, model: of mine".into(),
        ..Params::default()
    }
}

#[test]
fn what_a1111_writes_is_read() {
    let text = Infotext::parse(A1111);
    assert_eq!(text.prompt, "a red tent, (mountains:1.2)\nat sunset <lora:ink:0.8>");
    assert_eq!(text.negative_prompt, "rain,\nfog");
    assert_eq!(text.get("Lora hashes"), Some("ink: 0123abcd, x: \"q\""));
    assert_eq!(text.get("Denoising strength"), Some("0.75"));
    let request = text.request();
    assert_eq!((request.width, request.height, request.steps), (Some(512), Some(768), Some(20)));
    assert_eq!((request.guidance_scale, request.seed), (Some(7.5), Some(1_234_567_890)));
    assert_eq!(request.sampler.map(|name| name.sampler), Some(Sampler::Dpmpp2m));
    assert_eq!(request.scheduler, Some(SigmaSchedule::Karras));
    assert_eq!(request.model, Some("v1-5-pruned".into()));
    assert_eq!(request.rng, Some(Rng::Gpu), "A1111 draws its noise on the GPU and does not say so");
}

#[test]
fn what_we_write_is_read_back() {
    for rng in [Rng::Cpu, Rng::Gpu] {
        let params = Params { rng, clip_skip: Some(2), ..params() };
        let request = Infotext::parse(&params.infotext()).request();
        let expected = ImageRequest { rng: Some(rng), ..ImageRequest::from(&params) };
        assert_eq!(request, expected, "{}", params.infotext());
    }
}

#[test]
fn the_text_is_laid_out_as_a1111_does() {
    let params = Params { model: "fresco-tiny".into(), seed: 7, ..params() };
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "mountains, a tent: \"red\"\non the right\nNegative prompt: rain\nSteps: 25, Sampler: DPM++ 2M, \
         Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 512x768, Model: fresco-tiny, RNG: CPU, \
         Version: Fresco {version}"
    );
    assert_eq!(params.infotext(), expected);
}

#[test]
fn a_text_without_settings_is_a_prompt() {
    for text in ["a tent", "a tent\nSteps: 20", "time: noon, place: home"] {
        let parsed = Infotext::parse(text);
        assert_eq!((parsed.prompt.as_str(), parsed.settings.len()), (text, 0));
    }
    let only = Infotext::parse("Steps: 20, Sampler: Euler a, Seed: 3");
    assert_eq!((only.prompt.as_str(), only.request().seed), ("", Some(3)));
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let text =
        "x\nSteps: many, Sampler: Magic, CFG scale: NaN, Seed: -1, Size: 512, Schedule type: Automatic, RNG: dice";
    let request = Infotext::parse(text).request();
    assert_eq!(request, ImageRequest { prompt: "x".to_owned(), ..ImageRequest::default() });
}

/// Cuts, swaps and doubles at random places of real texts; nothing may panic or grow.
#[test]
fn nonsense_is_survived() {
    let ours = params().infotext();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below.max(1)
    };
    for round in 0..20_000 {
        let text = if round % 2 == 0 { A1111 } else { ours.as_str() };
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=random(6) {
            let (at, other) = (random(letters.len()), random(letters.len()));
            match random(4) {
                0 => letters.truncate(at),
                1 => letters.swap(at, other),
                2 => letters.insert(at, ['"', '\\', ',', ':', '\n', '\u{0}', 'é', '𝄞'][random(8)]),
                _ => drop(letters.drain(at.min(other)..at.max(other))),
            }
            if letters.is_empty() {
                letters.push('"');
            }
        }
        let text: String = letters.into_iter().collect();
        let parsed = Infotext::parse(&text);
        let kept: usize = parsed.settings.iter().map(|setting| setting.name.len() + setting.value.len()).sum();
        // A letter that stands for half of a pair becomes one of three bytes, out of six.
        assert!(parsed.prompt.len() + parsed.negative_prompt.len() + kept <= text.len(), "{text:?}");
        _ = parsed.request();
    }
}

#[test]
fn a_long_text_is_read_in_part() {
    let long = format!("{}é\nSteps: 1, Seed: 2, Size: 8x8", "x".repeat(MOST_BYTES - 1));
    assert_eq!(Infotext::parse(&long).prompt.len(), MOST_BYTES - 1);
    let many = format!("x\n{}", "A: 1, ".repeat(10_000));
    assert_eq!(Infotext::parse(&many).settings.len(), MOST_SETTINGS);
}
