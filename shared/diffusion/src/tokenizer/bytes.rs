//! Bytes as printable characters, as GPT-2's byte-level BPE writes them (Radford et al. 2019).

/// The character of a byte: itself where it is printable Latin-1, else the next free one from U+0100.
pub fn written(byte: u8) -> char {
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !printable(*other)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}
