//! The text chunks of a PNG (ISO/IEC 15948, 11.3.4). Compressed ones are not read: nobody who writes parameters
//! compresses them, and nothing has to be unpacked that may be anything.

use super::{INFOTEXT_KEYWORD, KEYWORD, LONGEST_TEXT, Texts};

/// What the chunks after a PNG's signature say.
pub(super) fn texts(chunks: &[u8]) -> Texts {
    let mut texts = Texts::default();
    let mut rest = chunks;
    while let Some((kind, data, after)) = chunk(rest) {
        let said = match kind {
            b"tEXt" => latin1(data),
            b"iTXt" => international(data),
            b"IEND" => break,
            _ => None,
        };
        match said {
            Some((INFOTEXT_KEYWORD, text)) => texts.infotext = Some(text),
            Some((KEYWORD, text)) => texts.json = Some(text),
            _ => {}
        }
        rest = after;
    }
    texts
}

/// A chunk's kind and data, and what follows its check sum.
fn chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (data, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    // The last chunk may have lost its check sum; what it says is read all the same.
    Some((kind, data, rest.get(4..).unwrap_or_default()))
}

/// Keyword and text of a `tEXt` chunk, which is in Latin-1.
fn latin1(data: &[u8]) -> Option<(&str, String)> {
    let (keyword, text) = split(data)?;
    let text = text.get(..text.len().min(LONGEST_TEXT))?;
    Some((keyword, text.iter().map(|byte| char::from(*byte)).collect()))
}

/// Keyword and text of an `iTXt` chunk that is not compressed, which is in UTF-8.
fn international(data: &[u8]) -> Option<(&str, String)> {
    let (keyword, rest) = split(data)?;
    let (0, rest) = rest.split_first().map(|(compressed, rest)| (*compressed, rest))? else { return None };
    // Behind the kind of compression come a language and the keyword in that language.
    let (_, rest) = split(rest.get(1..)?)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = rest.get(end + 1..).filter(|text| text.len() <= LONGEST_TEXT)?;
    Some((keyword, String::from_utf8_lossy(text).into_owned()))
}

/// What stands before the first zero, and what after it.
fn split(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == 0)?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}
