//! Reads little-endian values from the beginning of a file of which more may follow.

use super::parse::Fault;

/// A place in the bytes.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes lie behind.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next `length` bytes, not copied.
    pub fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)).ok_or(Fault::Short)?;
        let part = self.bytes.get(self.at..end).ok_or(Fault::Short)?;
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N as u64)?.try_into().map_err(|_| Fault::Short)
    }

    /// The next u32.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next u64.
    pub fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The next text: its length, then UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.u64()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Fault::Bad("has a name that is no text".to_owned()))
    }
}
