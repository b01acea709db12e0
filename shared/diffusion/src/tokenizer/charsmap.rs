//! SentencePiece's table of characters and what they become (Kudo & Richardson 2018).
//!
//! The table is a double array (Aoe 1989) in the layout of Darts-clone, from UTF-8 bytes to places in
//! a list of texts that each end with a zero byte.

/// What one match may become, in bytes; Unicode's longest compatibility mapping has 33.
const LONGEST: usize = 256;

/// Replaces sequences of characters.
pub struct Charsmap {
    units: Vec<u32>,
    texts: Vec<u8>,
}

impl Charsmap {
    /// Reads a table: the double array's length in bytes, the array, the texts. `None` when it is damaged.
    pub fn read(blob: &[u8]) -> Option<Self> {
        let (size, rest) = blob.split_first_chunk::<4>()?;
        let (array, texts) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, []) = array.as_chunks::<4>() else { return None };
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Some(Self { units, texts: texts.to_vec() })
    }

    /// The text with the longest match at every place replaced, from the left.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (taken, becomes) = self.longest(rest).unwrap_or((first.len_utf8(), &rest[..first.len_utf8()]));
            out.push_str(becomes);
            rest = &rest[taken..];
        }
        out
    }

    /// The longest entry that `text` begins with: its bytes and what they become.
    fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut found = None;
        let mut at = offset(*self.units.first()?);
        for (i, byte) in text.bytes().enumerate() {
            at ^= u32::from(byte);
            let Some(unit) = self.unit(at).filter(|unit| unit & 0x8000_00ff == u32::from(byte)) else { break };
            at ^= offset(unit);
            // The flag says that an entry ends here; its value is the unit at this place.
            if unit & 0x100 != 0 && text.is_char_boundary(i + 1) {
                let entry = self.unit(at).and_then(|value| self.text((value & 0x7fff_ffff) as usize));
                found = entry.map(|entry| (i + 1, entry)).or(found);
            }
        }
        found
    }

    fn unit(&self, at: u32) -> Option<u32> {
        self.units.get(at as usize).copied()
    }

    fn text(&self, start: usize) -> Option<&str> {
        let rest = self.texts.get(start..)?;
        let rest = &rest[..rest.len().min(LONGEST + 1)];
        std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == 0)?]).ok()
    }
}

/// Where a unit's children are, to be combined with their byte.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & 0x200) >> 6)
}
