//! How a model is run for a picture of some size: decided before anything is loaded.

use super::super::EngineError;
use fresco_api::{ApiError, ErrorCode};
use fresco_diffusion::{
    LoadOptions, Precision,
    fit::{Need, Outline, Savings, TooLarge, Wish},
};

/// How a model is run, and what that takes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The setting.
    pub savings: Savings,
    /// Its bytes.
    pub need: Need,
    /// The bytes that there are for models, where that is known.
    pub room: Option<u64>,
    /// The picture's width and height.
    pub size: (u32, u32),
}

impl Plan {
    /// The setting that fits. A model that is loaded keeps its precision where that fits as well and computes the same:
    /// it need not be read again, and what was drawn before decides no picture.
    ///
    /// # Errors
    /// Nothing that is done by itself makes it fit.
    pub fn new(
        outline: &Outline,
        size: (u32, u32),
        room: Option<u64>,
        wish: Wish,
        had: Option<Precision>,
    ) -> Result<Self, EngineError> {
        let refused = |why: TooLarge| ApiError::new(ErrorCode::OutOfMemory, why.to_string()).at("model");
        let (savings, need) = outline.plan(size, room, wish).map_err(refused)?;
        let same = |precision: Precision| matches!(precision, Precision::F32 | Precision::F16) && outline.is_narrow();
        let as_it_is = had.filter(|had| same(*had) && same(savings.precision));
        let as_it_is = as_it_is.map(|precision| Savings { precision, ..savings });
        let as_it_is = as_it_is.map(|savings| (savings, outline.need(size, savings)));
        let as_it_is = as_it_is.filter(|(_, need)| room.is_none_or(|room| need.peak <= room));
        let (savings, need) = as_it_is.unwrap_or((savings, need));
        Ok(Self { savings, need, room, size })
    }

    /// The setting as the loader takes it.
    pub fn options(&self) -> LoadOptions {
        LoadOptions {
            precision: self.savings.precision,
            text_encoders: !self.savings.offload,
            ..LoadOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_diffusion::{Part, weights::Footprint};

    #[test]
    fn what_is_loaded_stays_where_it_computes_the_same() {
        let layer = Footprint::of_parameters(1 << 20, 100);
        let eight = (0..8).fold(Footprint::default(), |sum, _| sum.plus(layer));
        let outline = Outline { parts: vec![(Part::Denoiser, eight)], ..Outline::default() };
        let plan = |room, had| {
            Plan::new(&outline, (64, 64), Some(room), Wish::default(), had).map(|plan| plan.savings.precision)
        };
        let of = |room, had| plan(room, had).expect("it fits");
        assert_eq!(of(1 << 30, None), Precision::F32);
        assert_eq!(of(1 << 30, Some(Precision::F16)), Precision::F16);
        assert_eq!(of(1 << 30, Some(Precision::Q8)), Precision::F32);
        // 32 MiB as f32; half of it in 16 bits, and 4 MiB for the layer that runs.
        assert_eq!(of(24 << 20, Some(Precision::F32)), Precision::F16);
        let EngineError::Failed(error) = plan(1 << 10, None).expect_err("it does not fit") else { panic!() };
        assert_eq!((error.code, error.field.as_deref()), (ErrorCode::OutOfMemory, Some("model")));
    }
}
