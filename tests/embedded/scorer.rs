//! Reads time of day, terrain, and the object's colour and place off a picture of the small world.
//!
//! The rules are those of `tests/reference/tiny/score.py`: nearest reference colour, in bands given as
//! fractions of the picture's side.

use super::palette::*;
use fresco_diffusion::Picture;

/// Squared distance beyond which a colour is none of the references.
const REACH: f32 = 3600.0;
/// The least share of all pixels that makes an object.
const LEAST: f32 = 0.01;

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub time: &'static str,
    pub terrain: &'static str,
    pub colour: Option<&'static str>,
    pub place: Option<&'static str>,
}

pub fn read(picture: &Picture) -> Reading {
    let time = nearest(median(rows(picture, 0.0, 0.08)), SKIES.map(|(_, top, _)| top));
    let terrain = nearest(median(rows(picture, 0.92, 1.0)), GROUNDS.map(|(_, _, second)| tinted(second, time)));
    let object = read_object(picture, time, terrain);
    let (colour, place) = object.unzip();
    Reading { time: SKIES[time].0, terrain: GROUNDS[terrain].0, colour, place }
}

/// The colour with most pixels in the band of objects, and the third of the picture they lie in.
fn read_object(picture: &Picture, time: usize, terrain: usize) -> Option<(&'static str, &'static str)> {
    let side = picture.width as usize;
    let references: Vec<Rgb> = COLOURS.iter().map(|(_, c)| *c).chain(background(time, terrain)).collect();
    let labels: Vec<Option<usize>> = rows(picture, 0.29, 0.92).map(|pixel| label(pixel, &references)).collect();
    // A pixel counts when its four neighbours agree: blurred edges mix two colours to a third.
    let agrees = |at: usize| {
        let (x, y, height) = (at % side, at / side, labels.len() / side);
        let inside = x > 0 && y > 0 && x + 1 < side && y + 1 < height;
        inside && [at - 1, at + 1, at - side, at + side].iter().all(|other| labels[*other] == labels[at])
    };
    let columns = |colour: usize| -> Vec<usize> {
        (0..labels.len()).filter(|at| labels[*at] == Some(colour) && agrees(*at)).map(|at| at % side).collect()
    };
    let (best, columns) = (0..COLOURS.len()).map(|c| (c, columns(c))).rev().max_by_key(|(_, columns)| columns.len())?;
    if (columns.len() as f32) < LEAST * (side * side) as f32 {
        return None;
    }
    let mean = (columns.iter().sum::<usize>() as f32 / columns.len() as f32 + 0.5) / side as f32;
    let place = if mean < 0.355 {
        "left"
    } else if mean >= 0.645 {
        "right"
    } else {
        "middle"
    };
    Some((COLOURS[best].0, place))
}

/// Colours in the band of objects that are no object.
fn background(time: usize, terrain: usize) -> Vec<Rgb> {
    let (_, top, bottom) = SKIES[time];
    let sky = (2..=10).map(|tenths| mix(top, bottom, tenths as f32 / 10.0));
    let (_, main, second) = GROUNDS[terrain];
    let (island, pond) = (GROUNDS[2].1, GROUNDS[3].1);
    let ground = [main, second, ROCK, SNOW_CAP, island, pond].map(|colour| tinted(colour, time));
    [WOOD, DARK].into_iter().chain(sky).chain(ground).collect()
}

/// The nearest reference, if any is near.
fn label(pixel: Rgb, references: &[Rgb]) -> Option<usize> {
    let distances = references.iter().map(|reference| distance(pixel, *reference));
    let (nearest, least) = distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (least < REACH).then_some(nearest)
}

fn nearest<const N: usize>(colour: Rgb, references: [Rgb; N]) -> usize {
    let distances = references.into_iter().map(|reference| distance(colour, reference));
    distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)).map_or(0, |(i, _)| i)
}

fn distance(a: Rgb, b: Rgb) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Pixels of the strip between two heights.
fn rows(picture: &Picture, top: f32, bottom: f32) -> impl Iterator<Item = Rgb> + '_ {
    let row = |share: f32| (share * picture.height as f32).round_ties_even() as usize * picture.width as usize * 3;
    picture.rgb[row(top)..row(bottom)].chunks_exact(3).map(|p| [f32::from(p[0]), f32::from(p[1]), f32::from(p[2])])
}

/// The middle value of each channel.
fn median(strip: impl Iterator<Item = Rgb>) -> Rgb {
    let pixels: Vec<Rgb> = strip.collect();
    std::array::from_fn(|channel| {
        let mut values: Vec<f32> = pixels.iter().map(|pixel| pixel[channel]).collect();
        values.sort_by(f32::total_cmp);
        let half = values.len() / 2;
        (values[half] + values[values.len().saturating_sub(1) / 2]) / 2.0
    })
}
