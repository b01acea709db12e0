//! Quantiles of the beta distribution with both parameters 0.6, for noise levels after Lee et al. 2024.

/// Both parameters.
const SHAPE: f64 = 0.6;
/// The complete beta function of the parameters, `Γ(0.6)² / Γ(1.2)`.
const COMPLETE: f64 = 2.415_344_208_002_472_3;
/// Halvings of the interval: more than a double has digits.
const HALVINGS: usize = 60;

/// The place below which the share `part` (0 to 1) of the distribution lies.
pub fn quantile(part: f64) -> f64 {
    if part <= 0.0 || part >= 1.0 {
        return part.clamp(0.0, 1.0);
    }
    if part > 0.5 {
        // The distribution is symmetric, and small places keep more digits.
        return 1.0 - quantile(1.0 - part);
    }
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if below(middle) < part {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The share of the distribution below `x`, 0 to 0.5: the incomplete beta function as a power series
/// (Abramowitz & Stegun 26.5.4).
fn below(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 0..200 {
        let n = f64::from(n);
        term *= x * (2.0 * SHAPE + n) / (SHAPE + 1.0 + n);
        sum += term;
        if term < f64::EPSILON * sum {
            break;
        }
    }
    (x * (1.0 - x)).powf(SHAPE) / (SHAPE * COMPLETE) * sum
}
