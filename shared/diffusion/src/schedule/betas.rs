//! How much noise there is at every timestep of the training, rounded where torch rounds.

use super::{Prediction, ScheduleConfig, config::Betas};

/// What is left of the picture at the last timestep when that should be nothing: half precision's least
/// number, so that its noise level stays finite.
const NEARLY_NOTHING: f32 = 1.0 / 16_777_216.0;

impl ScheduleConfig {
    /// The noise level of every training timestep: `sqrt((1 - a) / a)` with `a` of [`Self::alphas`].
    pub fn sigmas(&self) -> Vec<f32> {
        self.alphas().into_iter().map(|kept| ((1.0 - kept) / kept).sqrt()).collect()
    }

    /// How much of the picture's variance is left at every training timestep: the product of `1 - beta`.
    pub(super) fn alphas(&self) -> Vec<f32> {
        let mut alphas = self.alphas_to_nothing();
        if let (true, Some(last)) = (self.rescale_betas_zero_snr, alphas.last_mut()) {
            *last = NEARLY_NOTHING;
        }
        alphas
    }

    /// The same, but truly nothing is left at the last timestep of a rescaled schedule, where that can be
    /// computed with: noise that is predicted says nothing about a picture that is not there.
    pub(super) fn alphas_with_zero(&self) -> Vec<f32> {
        if self.prediction_type == Prediction::Epsilon { self.alphas() } else { self.alphas_to_nothing() }
    }

    fn alphas_to_nothing(&self) -> Vec<f32> {
        let mut betas = self.betas();
        if self.rescale_betas_zero_snr {
            rescale(&mut betas);
        }
        running_product(&betas)
    }

    fn betas(&self) -> Vec<f32> {
        let n = self.num_train_timesteps;
        match self.beta_schedule {
            Betas::Linear => linspace(self.beta_start as f32, self.beta_end as f32, n),
            Betas::ScaledLinear => {
                let roots = linspace(self.beta_start.sqrt() as f32, self.beta_end.sqrt() as f32, n);
                roots.into_iter().map(|root| root * root).collect()
            }
        }
    }
}

/// `torch.cumprod(1 - betas)`: factors and products are f32, the running product is f64.
fn running_product(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0f64;
    let next = |beta: &f32| {
        product *= f64::from(1.0 - beta);
        product as f32
    };
    betas.iter().map(next).collect()
}

/// Betas whose last timestep is pure noise (Lin et al. 2023, algorithm 1).
fn rescale(betas: &mut [f32]) {
    let roots: Vec<f32> = running_product(betas).into_iter().map(f32::sqrt).collect();
    let (Some(first), Some(last)) = (roots.first(), roots.last()) else { return };
    let factor = first / (first - last);
    let kept = roots.iter().map(|root| {
        let root = (root - last) * factor;
        root * root
    });
    let mut before = 1.0;
    for (beta, kept) in betas.iter_mut().zip(kept) {
        *beta = 1.0 - kept / before;
        before = kept;
    }
}

/// `torch.linspace` in f32: each half counts from its own end.
fn linspace(start: f32, end: f32, n: usize) -> Vec<f32> {
    let step = (end - start) / (n - 1) as f32;
    let at = |i: usize| if i < n / 2 { start + step * i as f32 } else { end - step * (n - 1 - i) as f32 };
    (0..n).map(at).collect()
}
