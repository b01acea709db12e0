//! A cap on bytes a second, shared by all files of a pull.

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;

/// Waits where bytes come faster than wanted.
#[derive(Debug)]
pub(super) struct Rate(Option<(DefaultDirectRateLimiter, NonZeroU32)>);

impl Rate {
    /// `bytes` a second at most, with half a second's worth at once; 0 is no cap.
    pub fn new(bytes: u32) -> Self {
        let limiter = |most: NonZeroU32| {
            let burst = NonZeroU32::new(most.get() / 2).unwrap_or(NonZeroU32::MIN);
            (RateLimiter::direct(Quota::per_second(most).allow_burst(burst)), burst)
        };
        Self(NonZeroU32::new(bytes).map(limiter))
    }

    /// Returns once `bytes` more may have come.
    pub async fn take(&self, bytes: usize) {
        let Some((limiter, burst)) = &self.0 else { return };
        let mut left = u32::try_from(bytes).unwrap_or(u32::MAX);
        while let Some(part) = NonZeroU32::new(left.min(burst.get())) {
            // The part is no larger than the burst, so it is let through in the end.
            _ = limiter.until_n_ready(part).await;
            left -= part.get();
        }
    }
}
