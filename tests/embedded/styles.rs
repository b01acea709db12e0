//! Style transfer with the embedded model: colours come from the style, edges stay the content's.

use crate::model::{edit, generate, info, params};
use fresco_api::{Edit, Params, ResizeMode};
use fresco_diffusion::{Input, Picture, Prepared};

const SEEDS: u64 = 6;
const STRENGTHS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

fn styled(content: &Picture, style: &Picture, style_strength: f32, seed: u64) -> Picture {
    let words = params("hills, a house on the left", seed + 50);
    let edit_of = Edit::StyleTransfer {
        content_image: String::new(),
        style_image: String::new(),
        style_strength,
        content_strength: 0.5,
        resize_mode: ResizeMode::Stretch,
    };
    let params = Params { prompt: String::new(), guidance_scale: 1.0, edit: Some(edit_of), ..words };
    let input = |picture: &Picture| Input { picture: picture.clone(), alpha: None };
    let prepared = Prepared::new(&params, vec![input(content), input(style)]).expect("it is prepared");
    edit(&params, &prepared).picture
}

/// How far two pictures' colours are apart: mean and deviation of each channel.
fn colours_apart(a: &Picture, b: &Picture) -> f64 {
    let statistics = |picture: &Picture| -> [f64; 6] {
        let pixels = f64::from(picture.width * picture.height);
        std::array::from_fn(|i| {
            let values = || picture.rgb.iter().skip(i % 3).step_by(3).map(|value| f64::from(*value));
            let mean = values().sum::<f64>() / pixels;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / pixels;
            if i < 3 { mean } else { variance.sqrt() }
        })
    };
    statistics(a).iter().zip(statistics(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The strength of the edge at each inner pixel (Sobel & Feldman 1968), of the brightness.
fn edges(picture: &Picture) -> Vec<f64> {
    let width = picture.width as usize;
    let grey: Vec<f64> = picture.rgb.chunks_exact(3).map(|p| p.iter().map(|x| f64::from(*x)).sum()).collect();
    let inner = (1..picture.height as usize - 1).flat_map(|y| (1..width - 1).map(move |x| y * width + x));
    let slope = |at: usize, along: usize, across: usize| {
        let side = |at: usize| grey[at - across] + 2.0 * grey[at] + grey[at + across];
        side(at + along) - side(at - along)
    };
    inner.map(|at| slope(at, 1, width).hypot(slope(at, width, 1))).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a_mean, b_mean) = (mean(a), mean(b));
    let sum = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>();
    let both = sum(&mut a.iter().zip(b).map(|(a, b)| (a - a_mean) * (b - b_mean)));
    let spread = |values: &[f64], mean: f64| sum(&mut values.iter().map(|x| (x - mean).powi(2)));
    both / (spread(a, a_mean) * spread(b, b_mean)).sqrt()
}

#[test]
fn a_stronger_style_moves_the_colours_and_leaves_the_edges() {
    let (mut apart, mut like_content, mut like_style) = ([0.0; 5], [0.0; 5], [0.0; 5]);
    let mut between = 0.0;
    for seed in 0..SEEDS {
        let content = generate(&params("hills by day, a red house on the left", seed)).picture;
        let style = generate(&params("the sea at sunset, a yellow boat on the right", seed + 20)).picture;
        assert_eq!(content.width, info().default_side);
        between += correlation(&edges(&content), &edges(&style)) / SEEDS as f64;
        for (i, strength) in STRENGTHS.into_iter().enumerate() {
            let picture = styled(&content, &style, strength, seed);
            apart[i] += colours_apart(&picture, &style) / SEEDS as f64;
            like_content[i] += correlation(&edges(&picture), &edges(&content)) / SEEDS as f64;
            like_style[i] += correlation(&edges(&picture), &edges(&style)) / SEEDS as f64;
        }
    }
    println!("style strength       {STRENGTHS:?}");
    println!("colours apart        {apart:.1?}");
    println!("edges as the content {like_content:.2?}, as the style {like_style:.2?}, between the two {between:.2}");
    assert!(apart.is_sorted_by(|a, b| a > b), "each strength brings the colours nearer: {apart:?}");
    assert!(apart[4] < 0.5 * apart[0], "the strongest style halves the distance: {apart:?}");
    // Day turns to sunset: brightness swaps sides at some edges, and no style is without edges of its own.
    assert!(like_content[..4].iter().all(|like| *like > 0.45), "the content's edges stay: {like_content:?}");
    assert!(like_content[4] > 0.25, "even in the strongest style: {like_content:?}");
    assert!((0..5).all(|i| like_content[i] > 2.0 * like_style[i]), "and not the style's come: {like_style:?}");
}

#[test]
fn no_style_at_all_is_image_to_image() {
    let content = generate(&params("hills by day, a red house on the left", 1)).picture;
    let style = generate(&params("the sea at night", 2)).picture;
    let other = generate(&params("mountains at sunset", 3)).picture;
    assert_eq!(styled(&content, &style, 0.0, 1), styled(&content, &other, 0.0, 1));
}
