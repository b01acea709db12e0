//! The little of EXIF that parameters need (Exif 2.32, 4.6; TIFF 6.0, section 2): a user comment in UTF-16 holds the
//! text form, as AUTOMATIC1111 writes and reads it, and the image description our JSON.

use super::{LONGEST_TEXT, SOFTWARE, Texts};

const IMAGE_DESCRIPTION: u16 = 0x010E;
const SOFTWARE_TAG: u16 = 0x0131;
const EXIF_DIRECTORY: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;
/// Types of values: text, a number of four bytes, bytes.
const ASCII: u16 = 2;
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;
/// How a user comment says that it is in UTF-16.
const UNICODE: &[u8; 8] = b"UNICODE\0";
/// A JPEG has room for so many bytes, a little less than a segment's 65,533.
const ROOM: usize = 65_000;
/// No directory has more entries.
const MOST_ENTRIES: u16 = 512;

/// EXIF data that says this; empty when nothing is said, or not even the text form has room.
pub fn write(texts: &Texts) -> Vec<u8> {
    let comment = texts.infotext.as_deref().map(|text| {
        let letters = text.encode_utf16().flat_map(u16::to_be_bytes);
        UNICODE.iter().copied().chain(letters).collect::<Vec<u8>>()
    });
    let json = texts.json.as_deref().map(terminated);
    if comment.is_none() && json.is_none() {
        return Vec::new();
    }
    let whole = directories(json.as_deref(), comment.as_deref());
    if whole.len() <= ROOM {
        return whole;
    }
    // The longest prompts have room in one form only; the other programs' comes first.
    let short = directories(None, comment.as_deref());
    if short.len() <= ROOM { short } else { Vec::new() }
}

/// Both directories with what they point to, numbers with the high byte first.
fn directories(json: Option<&[u8]>, comment: Option<&[u8]>) -> Vec<u8> {
    let software = terminated(SOFTWARE);
    let entry = |tag, kind, value| (tag, kind, value);
    let first: Vec<(u16, u16, &[u8])> = json
        .map(|json| entry(IMAGE_DESCRIPTION, ASCII, json))
        .into_iter()
        .chain([entry(SOFTWARE_TAG, ASCII, software.as_slice())])
        .collect();
    let second: Vec<_> = comment.map(|comment| entry(USER_COMMENT, UNDEFINED, comment)).into_iter().collect();
    let length = |entries: usize| 2 + 12 * entries + 4;
    // The first directory has one entry more: where the second one is.
    let second_at = 8 + length(first.len() + 1);
    let mut values_at = second_at + length(second.len());
    let mut file = b"MM\0\x2A\0\0\0\x08".to_vec();
    let mut values = Vec::new();
    for (directory, points) in [(&first, true), (&second, false)] {
        file.extend(number16(directory.len() + usize::from(points)));
        for (tag, kind, value) in directory {
            file.extend(tag.to_be_bytes());
            file.extend(kind.to_be_bytes());
            file.extend(number32(value.len()));
            // Every value here is longer than the four bytes that have room in an entry.
            file.extend(number32(values_at));
            values.extend_from_slice(value);
            // Values begin at even places.
            values.extend(std::iter::repeat_n(0, value.len() % 2));
            values_at += value.len() + value.len() % 2;
        }
        if points {
            file.extend(EXIF_DIRECTORY.to_be_bytes());
            file.extend(LONG.to_be_bytes());
            file.extend(number32(1));
            file.extend(number32(second_at));
        }
        // No directory follows.
        file.extend(number32(0));
    }
    file.extend(values);
    file
}

/// A text with the zero that ends it.
fn terminated(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}

/// Numbers here are far smaller than their types: the whole has to have room in a segment.
fn number16(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes()
}

fn number32(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes()
}

/// What EXIF data says, as far as it makes sense.
pub fn read(data: &[u8]) -> Texts {
    let Some(tiff) = Tiff::new(data) else { return Texts::default() };
    let json = tiff.first().and_then(|at| tiff.value(at, IMAGE_DESCRIPTION)).and_then(text);
    let inner = tiff.first().and_then(|at| tiff.number(at, EXIF_DIRECTORY));
    let infotext = inner.and_then(|at| tiff.value(at, USER_COMMENT)).and_then(comment);
    // Anybody may describe a picture; ours are objects.
    Texts { infotext, json: json.filter(|json| json.starts_with('{')) }
}

/// A text up to its first zero.
fn text(value: &[u8]) -> Option<String> {
    let text = value.split(|byte| *byte == 0).next()?;
    Some(std::str::from_utf8(text).ok()?.trim().to_owned())
}

/// A user comment, whose first eight bytes say how it is written.
fn comment(value: &[u8]) -> Option<String> {
    let (code, rest) = value.split_first_chunk::<8>()?;
    if code != UNICODE {
        return text(rest).filter(|text| !text.is_empty());
    }
    let (pairs, _) = rest.as_chunks::<2>();
    // Which byte comes first is not written down: most letters are Latin, and their high byte is zero.
    let zeros = |place: usize| pairs.iter().filter(|pair| pair[place] == 0).count();
    let number: fn([u8; 2]) -> u16 = if zeros(0) >= zeros(1) { u16::from_be_bytes } else { u16::from_le_bytes };
    let letters = char::decode_utf16(pairs.iter().map(|pair| number(*pair)));
    let text: String = letters.map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.trim_end_matches('\0').to_owned())
}

/// TIFF's directories, read with either order of bytes.
struct Tiff<'a> {
    data: &'a [u8],
    high_first: bool,
}

impl<'a> Tiff<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let high_first = match data.get(..4)? {
            b"MM\0\x2A" => true,
            b"II\x2A\0" => false,
            _ => return None,
        };
        Some(Self { data, high_first })
    }

    /// Where the first directory is.
    fn first(&self) -> Option<usize> {
        self.u32(4)
    }

    /// The bytes of a value in the directory at a place.
    fn value(&self, directory: usize, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(directory, tag)?;
        let length = self.u32(entry.checked_add(4)?)?;
        // All that is read here is made of single bytes.
        if length > LONGEST_TEXT || self.u16(entry.checked_add(2)?)? == LONG {
            return None;
        }
        let inline = entry.checked_add(8)?;
        let at = if length <= 4 { inline } else { self.u32(inline)? };
        self.data.get(at..at.checked_add(length)?)
    }

    /// A number in the directory at a place.
    fn number(&self, directory: usize, tag: u16) -> Option<usize> {
        let entry = self.entry(directory, tag)?;
        self.u32(entry.checked_add(8)?)
    }

    /// Where the entry of a tag is.
    fn entry(&self, directory: usize, tag: u16) -> Option<usize> {
        let entries = self.u16(directory)?.min(MOST_ENTRIES);
        let places = (0..usize::from(entries)).map(|number| directory.checked_add(2 + 12 * number));
        places.map_while(|place| place).find(|place| self.u16(*place) == Some(tag))
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.data.get(at..)?.first_chunk::<2>()?;
        Some(if self.high_first { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<usize> {
        let bytes = *self.data.get(at..)?.first_chunk::<4>()?;
        let number = if self.high_first { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(number).ok()
    }
}
