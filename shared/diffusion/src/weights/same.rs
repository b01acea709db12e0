//! Whether two models have the same weights in some part, to keep these once.

use super::{Entry, Listing};
use crate::{LoadError, Source};

/// What is compared at once, in bytes.
const PIECE: u64 = 1 << 20;

/// Whether a part of a model in `one` has the tensors of a part in `other`: names, types, shapes and every byte.
///
/// Reads both parts where they are the same, and stops at the first difference.
///
/// # Errors
/// A source fails.
pub async fn same(
    (one, ours): (&impl Source, &Listing),
    (other, theirs): (&impl Source, &Listing),
) -> Result<bool, LoadError> {
    let alike = |a: &Entry, b: &Entry| {
        (&a.storage, &a.shape, a.view) == (&b.storage, &b.shape, b.view)
            && a.range.end - a.range.start == b.range.end - b.range.start
    };
    let listed = ours.tensors.len() == theirs.tensors.len()
        && ours.tensors.iter().all(|(name, a)| theirs.tensors.get(name).is_some_and(|b| alike(a, b)));
    if !listed {
        return Ok(false);
    }
    for (name, a) in &ours.tensors {
        let Some(b) = theirs.tensors.get(name) else { return Ok(false) };
        let length = a.range.end - a.range.start;
        let mut done = 0;
        while done < length {
            let more = PIECE.min(length - done);
            let (from, until) = (a.range.start + done, b.range.start + done);
            let ours = one.read(&a.file, from..from + more).await?;
            if ours != other.read(&b.file, until..until + more).await? {
                return Ok(false);
            }
            done += more;
        }
    }
    Ok(true)
}
