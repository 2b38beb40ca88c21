//! Where elements, items and sequences start and end (PS3.5 section 7).
//!
//! Nothing here is allocated by a declared length: a value is a part of the bytes that are there.

use super::syntax::Encoding;
use dicom_core::{Tag, VR};

/// Deepest nesting of sequences that is followed.
const MAX_DEPTH: usize = 64;

/// A length that is not told: the value ends with a delimiter.
pub(crate) const UNDEFINED: u32 = u32::MAX;

pub(crate) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(crate) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(crate) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// What is wrong with the bytes, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Byte of the data set.
    pub(crate) at: usize,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Fault {
    pub(crate) fn new(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            at,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// The start of an element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) tag: Tag,
    /// The two letters as they are written; `None` where they are left out.
    pub(crate) code: Option<[u8; 2]>,
    pub(crate) length: u32,
    /// Where the value starts.
    pub(crate) value: usize,
}

impl Header {
    pub(crate) fn vr(&self) -> Option<VR> {
        self.code.and_then(VR::from_binary)
    }
}

/// The `N` bytes at `at`.
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Whether an explicit element of this representation has a length of four bytes.
pub(crate) fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// Reads the header at `at`.
///
/// Writers exist that change to implicit elements inside an explicit data set; they are told by
/// letters that cannot be a representation.
pub(crate) fn header(bytes: &[u8], at: usize, encoding: Encoding) -> Result<Header, Fault> {
    let start: [u8; 8] = bytes_at(bytes, at).ok_or_else(|| {
        let left = bytes.len().saturating_sub(at);
        Fault::new(at, "8 bytes of an element", format!("{left} (truncated)"))
    })?;
    let [a, b, c, d, e, f, g, h] = start;
    let tag = Tag(encoding.u16([a, b]), encoding.u16([c, d]));
    let code = [e, f];
    let is_delimiter = tag.group() == ITEM.group();
    if encoding.implicit || is_delimiter || !is_capital_pair(code) {
        return Ok(Header {
            tag,
            code: None,
            length: encoding.u32([e, f, g, h]),
            value: at + 8,
        });
    }
    let long = VR::from_binary(code).is_some_and(has_long_length);
    let (length, value) = if long {
        let length = bytes_at(bytes, at + 8)
            .ok_or_else(|| Fault::new(at, format!("the length of {tag}"), "the end (truncated)"))?;
        (encoding.u32(length), at + 12)
    } else {
        (u32::from(encoding.u16([g, h])), at + 8)
    };
    Ok(Header {
        tag,
        code: Some(code),
        length,
        value,
    })
}

/// In byte order between `AA` and `ZZ`, the letters of a representation or of one to come.
fn is_capital_pair(code: [u8; 2]) -> bool {
    (*b"AA"..=*b"ZZ").contains(&code)
}

/// The end of a value, and of the element with its delimiter if it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) value_end: usize,
    pub(crate) element_end: usize,
}

/// Finds the end of the element with this header.
pub(crate) fn extent(
    bytes: &[u8],
    header: &Header,
    encoding: Encoding,
    depth: usize,
) -> Result<Extent, Fault> {
    if header.length != UNDEFINED {
        let end = header.value.saturating_add(header.length as usize);
        return if end <= bytes.len() {
            Ok(Extent {
                value_end: end,
                element_end: end,
            })
        } else {
            let left = bytes.len().saturating_sub(header.value);
            Err(Fault::new(
                header.value,
                format!("{} bytes of {}", header.length, header.tag),
                format!("{left} (truncated)"),
            ))
        };
    }
    let first = bytes_at(bytes, header.value).map(|[a, b, c, d]| tag(encoding, [a, b, c, d]));
    if matches!(first, Some(ITEM | SEQUENCE_END)) {
        sequence_end(
            bytes,
            header.value,
            item_encoding(bytes, header, encoding),
            depth,
        )
    } else {
        delimiter(bytes, header, encoding)
    }
}

fn tag(encoding: Encoding, [a, b, c, d]: [u8; 4]) -> Tag {
    Tag(encoding.u16([a, b]), encoding.u16([c, d]))
}

/// How the items of a sequence are written.
///
/// A sequence whose representation was not known to its writer (`UN`) keeps its implicit
/// little-endian form (PS3.5 section 6.2.2, note 2), but not all writers know; the first element of
/// the first item tells.
pub(crate) fn item_encoding(bytes: &[u8], header: &Header, encoding: Encoding) -> Encoding {
    let first: Option<[u8; 2]> = bytes_at(bytes, header.value + 8 + 4);
    let explicit = first.is_some_and(|code| VR::from_binary(code).is_some());
    match (header.vr(), explicit) {
        (Some(VR::UN), false) => Encoding::IMPLICIT,
        (None, true) if encoding.implicit => Encoding {
            implicit: false,
            ..encoding
        },
        _ => encoding,
    }
}

/// Follows items from `at` to the sequence's delimiter.
fn sequence_end(
    bytes: &[u8],
    mut at: usize,
    encoding: Encoding,
    depth: usize,
) -> Result<Extent, Fault> {
    loop {
        let start = header(bytes, at, encoding)?;
        match start.tag {
            SEQUENCE_END => {
                return Ok(Extent {
                    value_end: at,
                    element_end: start.value,
                });
            }
            ITEM => at = item_extent(bytes, &start, encoding, depth)?.element_end,
            other => {
                return Err(Fault::new(
                    at,
                    "an item or the end of a sequence",
                    other.to_string(),
                ));
            }
        }
    }
}

/// The end of an item with this header.
pub(crate) fn item_extent(
    bytes: &[u8],
    start: &Header,
    encoding: Encoding,
    depth: usize,
) -> Result<Extent, Fault> {
    if start.length != UNDEFINED {
        return extent(bytes, start, encoding, depth);
    }
    if depth >= MAX_DEPTH {
        let expected = format!("at most {MAX_DEPTH} nested sequences");
        return Err(Fault::new(start.value, expected, "more"));
    }
    let mut at = start.value;
    loop {
        let inner = header(bytes, at, encoding)?;
        if inner.tag == ITEM_END {
            return Ok(Extent {
                value_end: at,
                element_end: inner.value,
            });
        }
        at = extent(bytes, &inner, encoding, depth + 1)?.element_end;
    }
}

/// Searches the delimiter of a value of undefined length that has no items.
fn delimiter(bytes: &[u8], header: &Header, encoding: Encoding) -> Result<Extent, Fault> {
    let pattern: [u8; 4] = if encoding.big_endian {
        [0xFF, 0xFE, 0xE0, 0xDD]
    } else {
        [0xFE, 0xFF, 0xDD, 0xE0]
    };
    let rest = bytes.get(header.value..).unwrap_or_default();
    rest.windows(8)
        .position(|window| window[..4] == pattern)
        .map(|offset| Extent {
            value_end: header.value + offset,
            element_end: header.value + offset + 8,
        })
        .ok_or_else(|| {
            let expected = format!("the end of {}, whose length is undefined", header.tag);
            Fault::new(header.value, expected, "none")
        })
}
