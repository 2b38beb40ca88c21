//! The tags of a first page, looked at before a decoder allocates what they declare.

use crate::Result;
use crate::error::ImagingError;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Where numbers lie in either form of the format.
struct Form {
    big_endian: bool,
    /// `BigTIFF`, whose offsets and counts have 64 bits.
    wide: bool,
}

/// Checks that the values of the first page's tags can be in a file of so many bytes.
///
/// A decoder makes room for as many values as a tag declares before it reads them. What is
/// malformed in another way is left to the decoder, which says it better. The reader is left
/// where it was found, at its start.
///
/// # References
/// Adobe 1992, "TIFF Revision 6.0", section 2 ("TIFF structure").
pub(crate) fn check_first_tags(
    reader: &mut (impl Read + Seek),
    file_bytes: u64,
    path: &Path,
) -> Result<()> {
    let declared = longest(reader, file_bytes);
    reader
        .seek(SeekFrom::Start(0))
        .map_err(|source| ImagingError::io(path, "read", source))?;
    match declared {
        Some((tag, bytes)) if bytes > file_bytes => {
            let expected = format!("values of tag {tag} within {file_bytes} bytes of a TIFF file");
            Err(ImagingError::content(
                path,
                expected,
                format!("{bytes} bytes of them"),
            ))
        }
        _ => Ok(()),
    }
}

/// The tag with the most bytes of values, as far as the tags can be read.
fn longest(reader: &mut (impl Read + Seek), file_bytes: u64) -> Option<(u64, u64)> {
    let [first, second, ..] = bytes::<4>(reader)?;
    let mut form = Form {
        big_endian: (first, second) == (b'M', b'M'),
        wide: false,
    };
    reader.seek(SeekFrom::Start(2)).ok()?;
    form.wide = form.number(&bytes::<2>(reader)?) == 43;
    let start = if form.wide {
        reader.seek(SeekFrom::Start(8)).ok()?;
        form.number(&bytes::<8>(reader)?)
    } else {
        form.number(&bytes::<4>(reader)?)
    };
    reader.seek(SeekFrom::Start(start)).ok()?;
    let count = if form.wide {
        form.number(&bytes::<8>(reader)?)
    } else {
        form.number(&bytes::<2>(reader)?)
    };
    let mut longest = None;
    // There cannot be more than the file has room for.
    for _ in 0..count.min(file_bytes) {
        let Some(entry) = form.entry(reader) else {
            break;
        };
        if longest.is_none_or(|(_, bytes)| entry.1 > bytes) {
            longest = Some(entry);
        }
    }
    longest
}

impl Form {
    /// A tag and the bytes of its values.
    fn entry(&self, reader: &mut impl Read) -> Option<(u64, u64)> {
        let tag = self.number(&bytes::<2>(reader)?);
        let kind = self.number(&bytes::<2>(reader)?);
        let count = if self.wide {
            let count = self.number(&bytes::<8>(reader)?);
            bytes::<8>(reader)?;
            count
        } else {
            let count = self.number(&bytes::<4>(reader)?);
            bytes::<4>(reader)?;
            count
        };
        let each = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        Some((tag, count.saturating_mul(each)))
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        }
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn check(bytes: &[u8]) -> Result<()> {
        let mut reader = Cursor::new(bytes);
        let checked = check_first_tags(&mut reader, bytes.len() as u64, Path::new("x.tif"));
        assert_eq!(reader.position(), 0);
        checked
    }

    /// One tag of 786,433 words, found by fuzzing: a decoder made room for all of them.
    #[test]
    fn more_values_than_the_file_has_bytes() {
        let little = b"II*\0\x08\0\0\0\x01\0\x06\x01\x03\0\x01\0\x0c\0\0\0\0\0\0\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x06\0\x03\0\x0c\0\x01\0\0\0\0\0\0\0\0";
        let wide = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
                     \x06\x01\x03\0\x01\0\x0c\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for bytes in [&little[..], &big[..], &wide[..]] {
            let error = check(bytes).unwrap_err().to_string();
            let found = "tag 262 within";
            assert!(
                error.contains(found) && error.contains("1572866"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_left_to_the_decoder() {
        let fitting = b"II*\0\x08\0\0\0\x01\0\x06\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
        let cut = b"II*\0\x08\0\0\0\x09\0\x06\x01\x03\0\x01\0\0\0\0\0\0\0";
        let beyond = b"II*\0\xff\xff\0\0";
        for bytes in [&fitting[..], &cut[..], &beyond[..], b"II", b""] {
            check(bytes).unwrap();
        }
    }
}
