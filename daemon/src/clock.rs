//! Times and chance: RFC 3339 in UTC, and seeds for requests that bring none.

use std::time::SystemTime;
use uuid::Uuid;

/// A time as the wire has it, such as `2026-11-20T10:36:00.123Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// A seed drawn at random. 32 bits, because the generator reads no more and JavaScript keeps them exactly.
pub(crate) fn random_seed() -> u64 {
    // A version 7 UUID ends in 62 random bits.
    let random = Uuid::now_v7().as_u128();
    (random & 0xffff_ffff) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(random_seed(), random_seed());
    }
}
