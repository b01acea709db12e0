//! The EXIF data of a WebP (RFC 9649, 2.7.1.5).

/// The EXIF data in the chunks after a WebP's header.
pub(super) fn exif(chunks: &[u8]) -> Option<&[u8]> {
    let mut rest = chunks;
    loop {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (data, after) = after.split_at_checked(length)?;
        if kind == b"EXIF" {
            // Some writers put JPEG's prefix here too.
            return Some(data.strip_prefix(b"Exif\0\0").unwrap_or(data));
        }
        // Chunks begin at even places.
        rest = after.get(length % 2..)?;
    }
}
