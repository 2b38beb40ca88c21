//! The tags of pages, looked at before a decoder allocates what they declare.

use crate::Result;
use crate::error::ImagingError;
use std::collections::BTreeSet;
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
/// malformed in another way is left to the decoder, which says it better. Wherever the reader was
/// found, it is left at its start.
///
/// # References
/// Adobe 1992, "TIFF Revision 6.0", section 2 ("TIFF structure").
pub(crate) fn check_first_tags(
    reader: &mut (impl Read + Seek),
    file_bytes: u64,
    path: &Path,
) -> Result<()> {
    check_tags(reader, 1, file_bytes, path)
}

/// Checks the tags of all pages as [`check_first_tags`] does those of the first.
pub(crate) fn check_all_tags(
    reader: &mut (impl Read + Seek),
    file_bytes: u64,
    path: &Path,
) -> Result<()> {
    check_tags(reader, usize::MAX, file_bytes, path)
}

fn check_tags(
    reader: &mut (impl Read + Seek),
    pages: usize,
    file_bytes: u64,
    path: &Path,
) -> Result<()> {
    let mut declared = Declared::default();
    // Where the tags can be read no further there is nothing more to be said of them here.
    let _ = declared.look(reader, pages, file_bytes);
    reader
        .seek(SeekFrom::Start(0))
        .map_err(|source| ImagingError::io(path, "read", source))?;
    if let Some((tag, bytes)) = declared.longest.filter(|&(_, bytes)| bytes > file_bytes) {
        let expected = format!("values of tag {tag} within {file_bytes} bytes of a TIFF file");
        let found = format!("{bytes} bytes of them");
        return Err(ImagingError::content(path, expected, found));
    }
    // Each takes some bytes of its own, unless pages share them.
    if declared.tags > file_bytes {
        let expected = format!("at most {file_bytes} tags in a file of so many bytes");
        return Err(ImagingError::content(path, expected, "more"));
    }
    Ok(())
}

/// What tags declare.
#[derive(Default)]
struct Declared {
    /// The tag with the most bytes of values.
    longest: Option<(u64, u64)>,
    /// How many have been looked at.
    tags: u64,
}

impl Declared {
    /// Looks at the tags of the first pages, as far as they can be read.
    fn look(
        &mut self,
        reader: &mut (impl Read + Seek),
        pages: usize,
        file_bytes: u64,
    ) -> Option<()> {
        let (form, mut start) = form(reader)?;
        let mut seen = BTreeSet::new();
        while seen.len() < pages && start != 0 && seen.insert(start) {
            reader.seek(SeekFrom::Start(start)).ok()?;
            let count = if form.wide {
                form.number(&bytes::<8>(reader)?)
            } else {
                form.number(&bytes::<2>(reader)?)
            };
            for _ in 0..count {
                let entry = form.entry(reader)?;
                if self.longest.is_none_or(|(_, bytes)| entry.1 > bytes) {
                    self.longest = Some(entry);
                }
                self.tags += 1;
                if self.tags > file_bytes {
                    return None;
                }
            }
            start = form.place(reader)?;
        }
        Some(())
    }
}

/// The form of a file, and where the tags of its first page are.
fn form(reader: &mut (impl Read + Seek)) -> Option<(Form, u64)> {
    reader.seek(SeekFrom::Start(0)).ok()?;
    let [first, second] = bytes::<2>(reader)?;
    let mut form = Form {
        big_endian: (first, second) == (b'M', b'M'),
        wide: false,
    };
    form.wide = form.number(&bytes::<2>(reader)?) == 43;
    if form.wide {
        reader.seek(SeekFrom::Start(8)).ok()?;
    }
    let start = form.place(reader)?;
    Some((form, start))
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

    /// A place in the file.
    fn place(&self, reader: &mut impl Read) -> Option<u64> {
        Some(if self.wide {
            self.number(&bytes::<8>(reader)?)
        } else {
            self.number(&bytes::<4>(reader)?)
        })
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
        // Whoever asked for the length of the file has left the reader at its end.
        reader.seek(SeekFrom::End(0)).unwrap();
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

    /// Two pages of one tag each, the second of which claims too much; the first points to it.
    #[test]
    fn tags_of_later_pages() {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x06\x01\x03\0\x01\0\0\0\0\0\0\0\x1a\0\0\0\
                          \x01\0\x06\x01\x03\0\x01\0\x0c\0\0\0\0\0\0\0\0\0"
            .to_vec();
        check(&bytes).unwrap();
        let all = |bytes: &[u8]| {
            let length = bytes.len() as u64;
            check_all_tags(&mut Cursor::new(bytes), length, Path::new("x.tif"))
        };
        let error = all(&bytes).unwrap_err().to_string();
        assert!(error.contains("tag 262 within"), "{error}");
        // In a circle there is nothing new.
        bytes[22] = 8;
        all(&bytes).unwrap();
    }

    /// Pages that share their bytes: each has 20 tags, all but the first of which are tags of the
    /// next page as well.
    #[test]
    fn more_tags_than_bytes() {
        const TAGS: usize = 20;
        const PAGES: usize = 60;
        const ENTRY: usize = 12;
        let start = |page: usize| 8 + page * ENTRY;
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.resize(start(PAGES + TAGS) + 6, 0);
        for page in 0..PAGES {
            bytes[start(page)] = TAGS as u8;
            let next = start(page + 1) as u16;
            // Behind the tags, where another page has number and kind of one of its own.
            let place = start(page) + 2 + TAGS * ENTRY;
            bytes[place..place + 2].copy_from_slice(&next.to_le_bytes());
        }
        let mut reader = Cursor::new(&bytes);
        let length = bytes.len() as u64;
        let error = check_all_tags(&mut reader, length, Path::new("x.tif")).unwrap_err();
        assert!(error.to_string().contains("tags in a file"), "{error}");
        assert_eq!(reader.position(), 0);
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
