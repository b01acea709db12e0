//! The EXIF data of a JPEG (ITU-T T.81, annex B; Exif 2.32, 4.5.4).

/// The EXIF data in the segments after a JPEG's first marker.
pub(super) fn exif(segments: &[u8]) -> Option<&[u8]> {
    let mut rest = segments;
    loop {
        let (marker, after) = marker(rest)?;
        rest = match marker {
            // Pixels follow, or nothing.
            0xDA | 0xD9 => return None,
            // These stand alone.
            0x01 | 0xD0..=0xD7 => after,
            _ => {
                let (length, after) = after.split_first_chunk::<2>()?;
                // The length counts itself.
                let length = usize::from(u16::from_be_bytes(*length)).checked_sub(2)?;
                let (data, after) = after.split_at_checked(length)?;
                if let (0xE1, Some(exif)) = (marker, data.strip_prefix(b"Exif\0\0")) {
                    return Some(exif);
                }
                after
            }
        };
    }
}

/// The next marker, and what follows it. Any number of 0xFF may stand before it.
fn marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(&[0xFF])?;
    let at = rest.iter().position(|byte| *byte != 0xFF)?;
    Some((*rest.get(at)?, rest.get(at + 1..)?))
}
