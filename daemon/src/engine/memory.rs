//! How much of a device's memory models may take.

use crate::models::machine::{self, Memory};
use fresco_diffusion::{Candidate, Precision, fit::Wish};
use std::{fmt, sync::Arc};

/// What a user says about memory; the engine decides the rest from what there is.
#[derive(Clone, Debug, Default)]
pub struct MemoryOptions {
    /// Bytes that models may take together, weights and what is computed with; a share of the device's memory when
    /// nothing is said.
    pub budget: Option<u64>,
    /// In how many bits weights stay on the device.
    pub precision: Option<Precision>,
    /// Whether text encoders leave the device once a prompt is read.
    pub offload: Option<bool>,
    /// Who says how much memory a device has; the system when there is nobody else.
    pub gauge: Option<Gauge>,
}

/// Says how much memory a device has now: for tests of devices of any size.
#[derive(Clone)]
pub struct Gauge(Arc<Measure>);

/// What a device has, where anybody can tell.
type Measure = dyn Fn(&Candidate) -> Option<Memory> + Send + Sync;

impl Gauge {
    /// One that asks `says`.
    pub fn new(says: impl Fn(&Candidate) -> Option<Memory> + Send + Sync + 'static) -> Self {
        Self(Arc::new(says))
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gauge")
    }
}

impl MemoryOptions {
    /// What the user insists on.
    pub fn wish(&self) -> Wish {
        Wish { precision: self.precision, offload: self.offload }
    }

    /// Bytes that models may take on a device, those included that they take already, `held`; `None` where nobody
    /// knows.
    ///
    /// A budget that the user gave is believed. Otherwise something is left to the system and to other programs: of
    /// the machine's own memory more than of a GPU's; and never is more taken than nobody else uses now.
    pub fn room(&self, device: &Candidate, held: u64) -> Option<u64> {
        if self.budget.is_some() {
            return self.budget;
        }
        let memory = match &self.gauge {
            Some(gauge) => (gauge.0)(device),
            None => machine::of_device(device, machine::memories()),
        }?;
        let hundredths = if memory.host { 70 } else { 90 };
        let share = memory.total / 100 * hundredths;
        Some(memory.free.map_or(share, |free| share.min(free.saturating_add(held))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fresco_diffusion::device::cpu;

    fn options(total: u64, free: Option<u64>, host: bool) -> MemoryOptions {
        let memory = Memory { name: "made up".to_owned(), total, free, host };
        MemoryOptions { gauge: Some(Gauge::new(move |_| Some(memory.clone()))), ..MemoryOptions::default() }
    }

    #[test]
    fn something_is_left_to_others() {
        assert_eq!(options(1000, None, true).room(&cpu(), 0), Some(700));
        assert_eq!(options(1000, None, false).room(&cpu(), 0), Some(900));
        // What models hold already is not free, and theirs.
        assert_eq!(options(1000, Some(100), true).room(&cpu(), 200), Some(300));
        assert_eq!(options(1000, Some(900), true).room(&cpu(), 200), Some(700));
        let budget = MemoryOptions { budget: Some(5), ..options(1000, None, true) };
        assert_eq!(budget.room(&cpu(), 0), Some(5));
        let unknown = MemoryOptions { gauge: Some(Gauge::new(|_| None)), ..MemoryOptions::default() };
        assert_eq!(unknown.room(&cpu(), 0), None);
    }
}
