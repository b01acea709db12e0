//! Logarithm, sine and cosine in f32 as torch's vector code computes them: Moshier's Cephes
//! polynomials with fused multiply-adds.
//!
//! The standard library's functions are more exact, but not the same: a few results would be three
//! units in the last place from torch's. These are the same on every platform.

/// ln x for x in (0, 1].
pub fn ln(x: f32) -> f32 {
    let (mantissa, exponent) = split(x);
    // The mantissa is brought from [0.5, 1) to [sqrt(0.5), sqrt(2)), then below and above zero.
    let low = mantissa < std::f32::consts::FRAC_1_SQRT_2;
    let x = if low { mantissa - 1.0 + mantissa } else { mantissa - 1.0 };
    let e = if low { exponent - 1.0 } else { exponent };
    let square = x * x;
    let series = polynomial(
        x,
        &[
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_87e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_7e-1,
            2.000_071_4e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let y = e.mul_add(-2.121_944_4e-4, series * x * square);
    e.mul_add(0.693_359_4, x + square.mul_add(-0.5, y))
}

/// Sine and cosine for x in [0, 2π).
pub fn sin_cos(x: f32) -> (f32, f32) {
    // Octants, rounded up to even: the rest is within π/4 of zero.
    let octant = ((x * (4.0 / std::f32::consts::PI)) as i32 + 1) & !1;
    let turns = octant as f32;
    // π/4 in three parts, so that the difference keeps its digits.
    let x = turns.mul_add(-0.785_156_25, x);
    let x = turns.mul_add(-2.418_756_5e-4, x);
    let x = turns.mul_add(-3.774_895e-8, x);
    let square = x * x;
    let even = polynomial(square, &[2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]) * square * square;
    let even = square.mul_add(-0.5, even) + 1.0;
    let odd = (polynomial(square, &[-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]) * square).mul_add(x, x);
    match octant & 7 {
        0 => (odd, even),
        2 => (even, -odd),
        4 => (-odd, -even),
        _ => (-even, odd),
    }
}

/// Horner's rule, the highest power first.
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().copied().reduce(|sum, c| sum.mul_add(x, c)).unwrap_or(0.0)
}

/// Mantissa in [0.5, 1) and exponent of a positive number; a subnormal counts as the least normal.
fn split(x: f32) -> (f32, f32) {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let exponent = (bits >> 23) as i32 - 126;
    (f32::from_bits(bits & 0x007f_ffff | 0x3f00_0000), exponent as f32)
}
