//! The part of a file that is asked for (RFC 9110, section 14).

use axum::http::{HeaderMap, HeaderValue, header};
use std::ops::Range;

/// What of a file is asked for, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// A part that is not empty.
    Part(Range<u64>),
    /// A part that the file does not have.
    Nothing,
}

/// What of a file of this length is asked for. Of a version that the client does not have, the whole.
pub(super) fn wanted(headers: &HeaderMap, tag: &HeaderValue, length: u64) -> Wanted {
    // A range may be cut only from the version that the client knows.
    let current = headers.get(header::IF_RANGE).is_none_or(|known| known == tag);
    if current { wanted_range(headers, length) } else { Wanted::Whole }
}

/// One range is honoured; of several, or of what is no range, the whole is sent, as the RFC allows.
fn wanted_range(headers: &HeaderMap, length: u64) -> Wanted {
    let said = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = said.and_then(|text| text.strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::Whole;
    };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.trim().is_empty() => length.saturating_sub(suffix)..length,
        _ => return Wanted::Whole,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_honoured() {
        let cases = [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=8-", Wanted::Part(8..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=5-900", Wanted::Part(5..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
        ];
        let tag = HeaderValue::from_static("\"a\"");
        for (range, expected) in cases {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
            assert_eq!(wanted(&headers, &tag, 10), expected, "{range}");
        }
        let other = [(header::RANGE, "bytes=0-0"), (header::IF_RANGE, "\"b\"")];
        let headers = HeaderMap::from_iter(other.map(|(name, value)| (name, HeaderValue::from_static(value))));
        assert_eq!(wanted(&headers, &tag, 10), Wanted::Whole, "another version");
    }
}
