//! The colours of the small world, as `tests/reference/tiny/world.py` paints it.

/// An 8-bit RGB colour.
pub type Rgb = [f32; 3];

/// A name with its colour.
pub type Named = (&'static str, Rgb);

pub const COLOURS: [Named; 8] = [
    ("red", [215., 30., 40.]),
    ("orange", [255., 120., 0.]),
    ("yellow", [255., 220., 0.]),
    ("green", [0., 140., 60.]),
    ("blue", [30., 60., 215.]),
    ("purple", [130., 30., 165.]),
    ("pink", [255., 105., 185.]),
    ("white", [255., 255., 255.]),
];

/// Top and bottom of the sky.
pub const SKIES: [(&str, Rgb, Rgb); 4] = [
    ("day", [104., 178., 238.], [186., 222., 246.]),
    ("sunset", [104., 62., 122.], [238., 138., 96.]),
    ("night", [12., 16., 46.], [38., 46., 98.]),
    ("sunrise", [240., 168., 168.], [250., 226., 186.]),
];

/// Both tones of the ground, by day.
pub const GROUNDS: [(&str, Rgb, Rgb); 5] = [
    ("mountains", [126., 116., 124.], [112., 103., 112.]),
    ("hills", [138., 178., 96.], [122., 162., 84.]),
    ("desert", [222., 192., 140.], [206., 174., 124.]),
    ("sea", [66., 130., 170.], [58., 118., 158.]),
    ("snow", [206., 220., 236.], [192., 208., 228.]),
];

/// What the hour does to the ground; the same order as `SKIES`.
pub const LIGHT: [Rgb; 4] = [[1., 1., 1.], [0.78, 0.62, 0.66], [0.42, 0.44, 0.58], [0.95, 0.86, 0.84]];

pub const WOOD: Rgb = [96., 62., 44.];
pub const DARK: Rgb = [58., 42., 46.];
pub const ROCK: Rgb = [146., 140., 158.];
pub const SNOW_CAP: Rgb = [226., 230., 236.];

/// A ground colour in the light of an hour.
pub fn tinted(colour: Rgb, time: usize) -> Rgb {
    std::array::from_fn(|i| (colour[i] * LIGHT[time][i]).round_ties_even())
}

/// A share of the way from one colour to another.
pub fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| (from[i] + (to[i] - from[i]) * share).round_ties_even())
}
