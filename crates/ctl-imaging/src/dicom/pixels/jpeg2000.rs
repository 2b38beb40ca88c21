//! JPEG 2000 (ITU-T T.800) by `OpenJPEG`'s port to Rust.

use super::Problem;
use crate::dicom::data::bytes_at;
use jpeg2k::Image;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Start of codestream and image size, in this order (T.800 figure A.3).
const SOC_SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
/// How a JP2 file starts (T.800 section I.5.1).
const JP2: [u8; 8] = [0, 0, 0, 12, b'j', b'P', b' ', b' '];

/// Most values of a frame: a plane compresses to almost nothing, so the stream's length is no bound.
const MAX_VALUES: usize = 1 << 28;

/// A decoded picture.
pub(super) struct Picture {
    /// Values of a pixel lie together.
    pub(super) values: Vec<i32>,
    pub(super) precision: u32,
    pub(super) signed: bool,
}

/// What a codestream says of its size.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
    components: usize,
    precision: u32,
    signed: bool,
}

/// Decodes a frame that must have this many pixels and values a pixel.
pub(super) fn decode(
    bytes: &[u8],
    columns: usize,
    rows: usize,
    samples: usize,
) -> Result<Picture, Problem> {
    let size = size(bytes)?;
    let found = (size.width as usize, size.height as usize, size.components);
    if (found.0, found.1) != (columns, rows) || found.2 < samples {
        let expected = format!("JPEG 2000 of {columns} x {rows} pixels of {samples}");
        return Err(Problem::new(expected, format!("{found:?}")));
    }
    if columns * rows * found.2 > MAX_VALUES {
        let expected = format!("at most {MAX_VALUES} values of a JPEG 2000 frame");
        return Err(Problem::new(expected, format!("{found:?}")));
    }
    // The port is unsafe code by translation; what of it may panic cannot be told beforehand.
    let image = catch_unwind(AssertUnwindSafe(|| Image::from_bytes(bytes)))
        .map_err(|_| Problem::new("a JPEG 2000 stream", "one that its decoder gave up"))?
        .map_err(|error| Problem::new("a JPEG 2000 stream", error.to_string()))?;
    let components = image.components();
    let fits = |part: &jpeg2k::ImageComponent| {
        part.width() as usize == columns && part.height() as usize == rows
    };
    if components.len() < samples || !components.iter().take(samples).all(fits) {
        return Err(Problem::new(
            "JPEG 2000 components of full resolution",
            "others",
        ));
    }
    let mut values = vec![0; columns * rows * samples];
    for (index, component) in components.iter().take(samples).enumerate() {
        let places = values.iter_mut().skip(index).step_by(samples);
        for (to, &from) in places.zip(component.data()) {
            *to = from;
        }
    }
    Ok(Picture {
        values,
        precision: size.precision,
        signed: size.signed,
    })
}

/// Reads the marker segment SIZ (T.800 section A.5.1).
fn size(bytes: &[u8]) -> Result<Size, Problem> {
    let missing = || Problem::new("the start of a JPEG 2000 codestream", "none");
    let start = codestream(bytes).ok_or_else(missing)?;
    let number = |at| bytes_at(bytes, start + at).map(u32::from_be_bytes);
    let head: [u8; 4] = bytes_at(bytes, start).ok_or_else(missing)?;
    let (Some(x1), Some(y1), Some(x0), Some(y0)) = (number(8), number(12), number(16), number(20))
    else {
        return Err(missing());
    };
    let (Some([high, low]), Some([depth])) =
        (bytes_at(bytes, start + 40), bytes_at(bytes, start + 42))
    else {
        return Err(missing());
    };
    if head != SOC_SIZ {
        return Err(missing());
    }
    let size = Size {
        width: x1.saturating_sub(x0),
        height: y1.saturating_sub(y0),
        components: u16::from_be_bytes([high, low]).into(),
        precision: u32::from(depth & 0x7F) + 1,
        signed: depth & 0x80 != 0,
    };
    if (1..=31).contains(&size.precision) && (1..=4).contains(&size.components) {
        Ok(size)
    } else {
        Err(Problem::new(
            "1 to 4 JPEG 2000 components of at most 31 bits",
            format!("{size:?}"),
        ))
    }
}

/// Where the codestream starts, which may lie in a JP2 file though it should not.
fn codestream(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(&JP2) {
        return Some(0);
    }
    let mut at = JP2.len() + 4;
    loop {
        let length = u32::from_be_bytes(bytes_at(bytes, at)?) as usize;
        if bytes_at(bytes, at + 4)? == *b"jp2c" {
            return Some(at + 8);
        }
        at = at.checked_add(length.max(8))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// A stream of `OpenJPEG` (`tests/golden/make_jpeg2000.py`).
    #[derive(Deserialize)]
    struct Case {
        rows: usize,
        columns: usize,
        components: usize,
        bits: u32,
        signed: bool,
        lossless: bool,
        stream: String,
        values: String,
    }

    impl Case {
        fn all() -> Vec<Self> {
            let text = include_str!("../../../tests/golden/jpeg2000.json");
            serde_json::from_str(text).unwrap()
        }

        fn stream(&self) -> Vec<u8> {
            unhex(&self.stream)
        }

        fn decode(&self, stream: &[u8]) -> Result<Picture, Problem> {
            decode(stream, self.columns, self.rows, self.components)
        }
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    /// A sequence that looks random (Marsaglia 2003, "Xorshift RNGs", section 4).
    fn next(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as usize
    }

    #[test]
    fn golden_streams() {
        let cases = Case::all();
        assert_eq!(cases.len(), 8);
        for (number, case) in cases.iter().enumerate() {
            let picture = case.decode(&case.stream());
            let picture = picture.unwrap_or_else(|problem| panic!("{number}: {}", problem.found));
            assert_eq!(
                (picture.precision, picture.signed),
                (case.bits, case.signed)
            );
            let expected = unhex(&case.values);
            let (expected, _) = expected.as_chunks();
            assert_eq!(picture.values.len(), expected.len());
            // Floats are rounded differently by the translation.
            let tolerance = u32::from(!case.lossless);
            for (&found, &expected) in picture.values.iter().zip(expected) {
                let expected = i32::from_le_bytes(expected);
                assert!(found.abs_diff(expected) <= tolerance, "{number}");
            }
        }
    }

    /// Every way to be cut short ends with values or an error, and without the header there are
    /// no values.
    #[test]
    fn truncated_streams() {
        for case in Case::all() {
            let stream = case.stream();
            for length in 0..stream.len() {
                let read = case.decode(&stream[..length]);
                let values = case.rows * case.columns * case.components;
                match read {
                    Ok(picture) => assert_eq!(picture.values.len(), values),
                    Err(problem) => assert!(!problem.expected.is_empty()),
                }
            }
            let header = codestream(&stream).unwrap() + 42;
            assert!(case.decode(&stream[..header]).is_err());
        }
    }

    /// Bits turned over, bytes replaced and left out: whatever comes of it, it is values of the
    /// size that was asked for or an error.
    #[test]
    fn damaged_streams() {
        const SWEEPS: usize = 400;
        let mut state = 0x2026_1129;
        let mut refused = 0;
        for case in Case::all() {
            let stream = case.stream();
            let values = case.rows * case.columns * case.components;
            for sweep in 0..SWEEPS {
                let mut damaged = stream.clone();
                for _ in 0..=sweep % 4 {
                    let at = next(&mut state) % damaged.len();
                    match next(&mut state) % 4 {
                        0 => damaged[at] = next(&mut state) as u8,
                        1 => drop(damaged.remove(at)),
                        _ => damaged[at] ^= 1 << (next(&mut state) % 8),
                    }
                }
                match case.decode(&damaged) {
                    Ok(picture) => assert_eq!(picture.values.len(), values),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 0);
    }
}
