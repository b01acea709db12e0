//! Image to image and inpainting with the embedded model.

use crate::{
    model::{generate, info, params, transform},
    scorer::{Reading, read},
};
use fresco_diffusion::{Mask, Picture, Start};

const SEEDS: u64 = 12;

fn mean_difference(a: &Picture, b: &Picture) -> f64 {
    let sum: f64 = a.rgb.iter().zip(&b.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.rgb.len() as f64
}

fn original(seed: u64) -> Picture {
    generate(&params("hills by day, a red house on the left", seed)).picture
}

/// A little strength keeps the picture, much follows the new prompt.
#[test]
fn strength_goes_from_picture_to_prompt() {
    let (mut kept, mut followed, mut near, mut far) = (0, 0, 0.0, 0.0);
    for seed in 0..SEEDS {
        let picture = original(seed);
        let asked = params("the sea at night, a yellow boat on the right", seed + 100);
        let weak = transform(&asked, &Start { picture: &picture, strength: 0.3, mask: None, style: None }).picture;
        let strong = transform(&asked, &Start { picture: &picture, strength: 0.9, mask: None, style: None }).picture;
        let (before, weak_reading, strong_reading) = (read(&picture), read(&weak), read(&strong));
        // Composition: what is where, under which sky. The ground's colour may turn.
        let composition = |r: Reading| (r.time, r.colour, r.place);
        kept += usize::from(composition(weak_reading) == composition(before));
        let asked = Reading { time: "night", terrain: "sea", colour: Some("yellow"), place: Some("right") };
        followed += usize::from(strong_reading == asked);
        near += mean_difference(&picture, &weak) / SEEDS as f64;
        far += mean_difference(&picture, &strong) / SEEDS as f64;
    }
    println!("kept at 0.3: {kept}, followed at 0.9: {followed} of {SEEDS}; moved by {near:.1} and {far:.1}");
    assert!(kept * 10 >= SEEDS as usize * 9, "strength 0.3 keeps the composition in {kept} of {SEEDS}");
    assert!(followed * 10 >= SEEDS as usize * 9, "strength 0.9 follows the prompt in {followed} of {SEEDS}");
    assert!(near * 2.0 < far, "strength 0.9 changes more than twice as much as 0.3");
}

/// Only the masked third changes: outside, the original's very pixels.
#[test]
fn inpainting_changes_only_the_mask() {
    let side = info().default_side;
    let repaint = (0..side * side).map(|i| if i % side >= side * 2 / 3 { 255 } else { 0 }).collect();
    let mask = Mask { width: side, height: side, repaint };
    let mut changed = 0;
    for seed in 0..SEEDS {
        let picture = original(seed);
        let asked = params("hills by day, a blue tent on the right", seed + 200);
        let painted =
            transform(&asked, &Start { picture: &picture, strength: 1.0, mask: Some(&mask), style: None }).picture;
        for (i, (new, old)) in painted.rgb.chunks_exact(3).zip(picture.rgb.chunks_exact(3)).enumerate() {
            let (x, y) = (i as u32 % side, i as u32 / side);
            assert!(mask.at(x, y) || new == old, "seed {seed}: pixel {x},{y} changed outside the mask");
        }
        // The red house on the left stays; what is read on the masked third alone is the new tent.
        let third = right_third(&painted);
        changed += usize::from(read(&third).colour == Some("blue"));
    }
    println!("a blue tent in the mask: {changed} of {SEEDS}");
    assert!(changed * 10 >= SEEDS as usize * 9, "the mask shows a blue tent in {changed} of {SEEDS}");
}

/// The picture with everything but its right third under the sky's and the ground's colours.
fn right_third(picture: &Picture) -> Picture {
    let (width, kept) = (picture.width as usize, picture.width as usize * 2 / 3);
    let mut rgb = picture.rgb.clone();
    for row in rgb.chunks_exact_mut(width * 3) {
        let edge: [u8; 3] = [row[kept * 3], row[kept * 3 + 1], row[kept * 3 + 2]];
        row[..kept * 3].as_chunks_mut::<3>().0.fill(edge);
    }
    Picture { rgb, ..*picture }
}
