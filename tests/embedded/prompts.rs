//! Two hundred prompts with combinations that training never saw.

use crate::{
    model::{generate, params},
    scorer::{Reading, read},
};
use fresco_diffusion::Picture;
use serde::Deserialize;

#[derive(Clone, Deserialize)]
struct Prompt {
    prompt: String,
    seed: u64,
    expected: Expected,
}

#[derive(Clone, Deserialize)]
struct Expected {
    time: String,
    terrain: String,
    colour: Option<String>,
    place: Option<String>,
}

/// Right readings by attribute, and of how many.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    time: usize,
    terrain: usize,
    colour: usize,
    place: usize,
    of: usize,
}

impl Score {
    fn count(&mut self, got: Reading, expected: &Expected) {
        self.time += usize::from(got.time == expected.time);
        self.terrain += usize::from(got.terrain == expected.terrain);
        self.colour += usize::from(got.colour == expected.colour.as_deref());
        self.place += usize::from(got.place == expected.place.as_deref());
        self.of += 1;
    }

    fn sum(&self) -> usize {
        self.time + self.terrain + self.colour + self.place
    }

    fn assert_at_least(&self, percent: [usize; 4]) {
        let counts = [self.time, self.terrain, self.colour, self.place];
        for ((count, least), what) in counts.iter().zip(percent).zip(["time", "terrain", "colour", "place"]) {
            assert!(
                count * 100 >= least * self.of,
                "{what}: {count} of {} right, fewer than {least} %: {self:?}",
                self.of
            );
        }
    }
}

fn prompts() -> Vec<Prompt> {
    serde_json::from_str(include_str!("../reference/tiny/data/prompts.json")).expect("the prompts are whole")
}

fn score(prompts: &[Prompt], guidance: Option<f32>) -> Score {
    let mut score = Score::default();
    for prompt in prompts {
        let mut params = params(&prompt.prompt, prompt.seed);
        params.guidance_scale = guidance.unwrap_or(params.guidance_scale);
        score.count(read(&generate(&params).picture), &prompt.expected);
    }
    score
}

/// The scorer itself, on pictures drawn by the procedure.
#[test]
fn scorer_reads_drawings() {
    let expected: Vec<Expected> =
        serde_json::from_str(include_str!("../reference/tiny/data/scorer.json")).expect("the readings are whole");
    let sheet = decode(include_bytes!("../reference/tiny/data/scorer.png"));
    let mut score = Score::default();
    for (i, expected) in expected.iter().enumerate() {
        score.count(read(&tile(&sheet, i, 10)), expected);
    }
    println!("drawings: {score:?}");
    score.assert_at_least([98; 4]);
}

/// Also that guidance is worth its second half of the batch.
#[test]
fn prompts_are_followed() {
    let prompts = prompts();
    assert_eq!(prompts.len(), 200);
    let (with, without) = (score(&prompts, None), score(&prompts, Some(1.0)));
    println!("held-out prompts: {with:?}; without guidance: {without:?}");
    with.assert_at_least([95, 90, 85, 85]);
    assert!(with.sum() > without.sum(), "with guidance {with:?}, without {without:?}");
}

/// Phrases in another order ask for the same picture.
#[test]
fn order_does_not_matter() {
    let shuffled: Vec<Prompt> = prompts()
        .into_iter()
        .filter(|prompt| prompt.prompt.contains(", "))
        .take(60)
        .map(|prompt| {
            let mut phrases: Vec<&str> = prompt.prompt.split(", ").collect();
            phrases.rotate_left(1);
            Prompt { prompt: phrases.join(", "), ..prompt }
        })
        .collect();
    assert!(shuffled.len() >= 40);
    let score = score(&shuffled, None);
    println!("phrases in another order: {score:?}");
    score.assert_at_least([95, 90, 85, 85]);
}

/// A PNG's pixels.
pub fn decode(png: &[u8]) -> Picture {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("a PNG");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut rgb).expect("a picture");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    Picture { width: info.width, height: info.height, rgb }
}

/// A square picture of a sheet with so many in a row.
fn tile(sheet: &Picture, i: usize, in_row: usize) -> Picture {
    let side = sheet.width as usize / in_row;
    let (left, top) = (i % in_row * side, i / in_row * side);
    let row = |y: usize| {
        let start = ((top + y) * sheet.width as usize + left) * 3;
        &sheet.rgb[start..start + side * 3]
    };
    Picture { width: side as u32, height: side as u32, rgb: (0..side).flat_map(row).copied().collect() }
}
