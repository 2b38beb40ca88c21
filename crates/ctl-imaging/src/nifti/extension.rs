//! What may stand between header and data.

use super::header::Endianness;
use super::source::Stream;
use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use std::io::Read;
use std::path::Path;

/// Bytes of size and code in front of an extension's content.
const HEAD: u64 = 8;

/// Sizes on disk are multiples of this.
const UNIT: usize = 16;

/// A header extension: bytes of some program, which are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Registered code of the program or kind: 2 for DICOM, 4 for AFNI, 6 for a comment.
    pub code: i32,
    /// What it holds, with the zeros that fill it up in the file.
    pub content: Vec<u8>,
}

impl Extension {
    /// A text, such as a comment (code 6).
    pub fn text(code: i32, text: &str) -> Self {
        Self {
            code,
            content: text.as_bytes().to_vec(),
        }
    }

    /// The content without the zeros at its end, as nibabel gives it.
    pub fn trimmed(&self) -> &[u8] {
        let end = self.content.iter().rposition(|&byte| byte != 0);
        &self.content[..end.map_or(0, |end| end + 1)]
    }

    /// Bytes in a file: a multiple of 16.
    pub(super) fn stored_bytes(&self) -> usize {
        (self.content.len() + HEAD as usize).next_multiple_of(UNIT)
    }

    /// Appends size, code and content, filled up with zeros.
    pub(super) fn put(&self, order: Endianness, bytes: &mut Vec<u8>) {
        let size = self.stored_bytes();
        let end = bytes.len() + size;
        // Longer ones were refused before.
        let stored = i32::try_from(size).unwrap_or(i32::MAX);
        for number in [stored, self.code] {
            bytes.extend(match order {
                Endianness::Little => number.to_le_bytes(),
                Endianness::Big => number.to_be_bytes(),
            });
        }
        bytes.extend(&self.content);
        bytes.resize(end, 0);
    }
}

/// The extensions between the reached place of a stream and the data.
///
/// # Arguments
/// * `room`: bytes before the data, or `None` where nothing else follows.
///
/// # Returns
/// The extensions, and a warning for every size that is no multiple of 16.
pub(super) fn read(
    stream: &mut Stream<'_>,
    room: Option<u64>,
    order: Endianness,
    path: &Path,
) -> Result<(Vec<Extension>, Vec<String>)> {
    let mut left = room.unwrap_or(bounded::MAX_FILE_BYTES);
    let mut extensions = Vec::new();
    let mut warnings = Vec::new();
    while left >= UNIT as u64 {
        let mut head = Vec::new();
        stream
            .by_ref()
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(|source| ImagingError::io(path, "read", source))?;
        if head.is_empty() && room.is_none() {
            break;
        }
        let (size, code) = sizes(&head, order, path)?;
        if size < HEAD || size > left {
            return Err(ImagingError::content(
                path,
                format!("an extension of {HEAD} to {left} bytes"),
                size.to_string(),
            ));
        }
        if !size.is_multiple_of(UNIT as u64) {
            warnings.push(format!("extension of {size} bytes, no multiple of {UNIT}"));
        }
        let content = bounded::read_exactly(&mut *stream, size - HEAD, path)?;
        left -= size;
        extensions.push(Extension { code, content });
    }
    Ok((extensions, warnings))
}

fn sizes(head: &[u8], order: Endianness, path: &Path) -> Result<(u64, i32)> {
    let parts: Vec<[u8; 4]> = head.as_chunks().0.to_vec();
    let [size, code] = parts[..] else {
        return Err(ImagingError::content(
            path,
            "size and code of an extension",
            format!("{} bytes", head.len()),
        ));
    };
    let number = |bytes| match order {
        Endianness::Little => i32::from_le_bytes(bytes),
        Endianness::Big => i32::from_be_bytes(bytes),
    };
    // A negative size is below every allowed one.
    Ok((u64::try_from(number(size)).unwrap_or(0), number(code)))
}
