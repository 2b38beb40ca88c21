//! Marker segments (T.87 annex C).

use super::{JpegLsError, Result};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DRI: u8 = 0xDD;
const SOF: u8 = 0xF7;
const LSE: u8 = 0xF8;
const APP8: u8 = 0xE8;

/// Thresholds of 8 bits (T.87 table C.3).
const BASIC_THRESHOLDS: [i32; 3] = [3, 7, 21];
const DEFAULT_RESET: i32 = 64;

/// A frame header.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) bits: u32,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) ids: Vec<u8>,
}

/// How the values of components follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interleaving {
    /// A scan of one component.
    None,
    /// A line of each.
    Line,
    /// A value of each.
    Sample,
}

/// A scan header.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) ids: Vec<u8>,
    pub(super) near: u32,
    pub(super) interleaving: Interleaving,
}

/// Parameters of the coding of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) max_value: i32,
    pub(super) near: i32,
    pub(super) thresholds: [i32; 3],
    pub(super) reset: i32,
    /// Lines between restart markers, 0 for none.
    pub(super) restart_interval: usize,
}

/// What a decoder has to act upon.
pub(super) enum Segment {
    Frame(Frame),
    Scan(Scan),
    End,
}

/// Goes from segment to segment.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
    /// `MAXVAL`, `T1`, `T2`, `T3`, `RESET`, each 0 for its default.
    presets: [i32; 5],
    restart_interval: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.get(..2) == Some(&[0xFF, SOI]) {
            return Ok(Self {
                bytes,
                at: 2,
                presets: [0; 5],
                restart_interval: 0,
            });
        }
        let found = format!("{:02x?}", bytes.get(..2).unwrap_or(bytes));
        Err(JpegLsError::new("a stream that starts with ff d8", found))
    }

    /// What follows a scan's header.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn next(&mut self) -> Result<Segment> {
        loop {
            let Some(marker) = self.marker()? else {
                return Ok(Segment::End);
            };
            if marker == EOI {
                return Ok(Segment::End);
            }
            let body = self.body(marker)?;
            match marker {
                SOF => return frame(body).map(Segment::Frame),
                SOS => return scan(body).map(Segment::Scan),
                LSE => self.presets(body)?,
                // The length is of two, three or four bytes (T.87 section C.2.5).
                DRI => {
                    self.restart_interval = body
                        .iter()
                        .take(4)
                        .fold(0, |number, &byte| number << 8 | usize::from(byte));
                }
                APP8 if body.starts_with(b"mrfx") && body.get(4) != Some(&0) => {
                    return Err(JpegLsError::new("untransformed colours", "HP's transform"));
                }
                0xC0..=0xCF => {
                    let found = format!("ff {marker:02x}");
                    return Err(JpegLsError::new("a JPEG-LS frame (ff f7)", found));
                }
                _ => {}
            }
        }
    }

    fn marker(&mut self) -> Result<Option<u8>> {
        let rest = self.rest();
        let Some(&first) = rest.first() else {
            return Ok(None);
        };
        if first != 0xFF {
            let expected = format!("a marker at byte {}", self.at);
            return Err(JpegLsError::new(expected, format!("{first:02x}")));
        }
        let Some(fill) = rest.iter().position(|&byte| byte != 0xFF) else {
            return Ok(None);
        };
        self.at += fill + 1;
        Ok(rest.get(fill).copied())
    }

    fn body(&mut self, marker: u8) -> Result<&'a [u8]> {
        let rest = self.rest();
        let length = rest
            .first_chunk()
            .map(|&two| usize::from(u16::from_be_bytes(two)))
            .ok_or_else(|| truncated(marker))?;
        let body = rest.get(2..length).ok_or_else(|| truncated(marker))?;
        self.at += length;
        Ok(body)
    }

    fn presets(&mut self, body: &[u8]) -> Result<()> {
        match body.split_first() {
            Some((1, values)) => {
                let values: &[u8; 10] = values.first_chunk().ok_or_else(|| truncated(LSE))?;
                for (preset, &two) in self.presets.iter_mut().zip(values.as_chunks().0) {
                    *preset = u16::from_be_bytes(two).into();
                }
                Ok(())
            }
            // Mapping tables are refused where a scan uses one.
            Some((2 | 3, _)) => Ok(()),
            Some((kind, _)) => Err(JpegLsError::new(
                "preset parameters or a mapping table",
                format!("a segment ff f8 of kind {kind}"),
            )),
            None => Err(truncated(LSE)),
        }
    }

    /// The parameters that are in force for a scan (T.87 section C.2.4.1.1).
    pub(super) fn coding(&self, frame: &Frame, scan: &Scan) -> Result<Coding> {
        let [max_value, t1, t2, t3, reset] = self.presets;
        let top = (1 << frame.bits) - 1;
        let max_value = if max_value == 0 { top } else { max_value };
        let near = scan.near.cast_signed();
        if max_value > top || near > (max_value / 2).min(255) {
            return Err(JpegLsError::new(
                format!("values of at most {top}, half of which or 255 may be lost"),
                format!("{max_value}, {near}"),
            ));
        }
        let defaults = default_thresholds(max_value, near);
        let or = |preset, default| if preset == 0 { default } else { preset };
        let thresholds = [
            or(t1, defaults[0]),
            or(t2, defaults[1]),
            or(t3, defaults[2]),
        ];
        let reset = or(reset, DEFAULT_RESET);
        let [t1, t2, t3] = thresholds;
        let ordered = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= max_value;
        if !ordered || !(3..=max_value.max(255)).contains(&reset) {
            return Err(JpegLsError::new(
                "thresholds in order and a reset of at least 3",
                format!("{thresholds:?}, {reset}"),
            ));
        }
        Ok(Coding {
            max_value,
            near,
            thresholds,
            reset,
            restart_interval: self.restart_interval,
        })
    }
}

/// T.87 section C.2.4.1.1.1.
fn default_thresholds(max_value: i32, near: i32) -> [i32; 3] {
    let clamp = |value: i32, low: i32| {
        if value > max_value || value < low {
            low
        } else {
            value
        }
    };
    let [b1, b2, b3] = BASIC_THRESHOLDS;
    let raw = if max_value >= 128 {
        let factor = (max_value.min(4095) + 128) / 256;
        [
            factor * (b1 - 2) + 2 + 3 * near,
            factor * (b2 - 3) + 3 + 5 * near,
            factor * (b3 - 4) + 4 + 7 * near,
        ]
    } else {
        let factor = 256 / (max_value + 1);
        [
            2.max(b1 / factor + 3 * near),
            3.max(b2 / factor + 5 * near),
            4.max(b3 / factor + 7 * near),
        ]
    };
    let t1 = clamp(raw[0], near + 1);
    let t2 = clamp(raw[1], t1);
    [t1, t2, clamp(raw[2], t2)]
}

fn truncated(marker: u8) -> JpegLsError {
    let expected = format!("a whole segment of marker ff {marker:02x}");
    JpegLsError::new(expected, "less (truncated)")
}

fn frame(body: &[u8]) -> Result<Frame> {
    let &[bits, h1, h0, w1, w0, count] = body.first_chunk().ok_or_else(|| truncated(SOF))?;
    let parts = body
        .get(6..6 + 3 * usize::from(count))
        .ok_or_else(|| truncated(SOF))?
        .as_chunks::<3>()
        .0;
    let frame = Frame {
        bits: bits.into(),
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        ids: parts.iter().map(|part| part[0]).collect(),
    };
    let full_resolution = parts.iter().all(|part| part[1] == 0x11);
    let good =
        (2..=16).contains(&bits) && frame.width > 0 && frame.height > 0 && (1..=4).contains(&count);
    if good && full_resolution {
        Ok(frame)
    } else {
        Err(JpegLsError::new(
            "a picture of 2 to 16 bits and 1 to 4 components of full resolution",
            format!("{frame:?}, full resolution {full_resolution}"),
        ))
    }
}

fn scan(body: &[u8]) -> Result<Scan> {
    let (&count, rest) = body.split_first().ok_or_else(|| truncated(SOS))?;
    let count = usize::from(count);
    let (Some(parts), Some(&[near, interleaving, transform])) = (
        rest.get(..2 * count),
        rest.get(2 * count..).and_then(<[u8]>::first_chunk),
    ) else {
        return Err(truncated(SOS));
    };
    let parts = parts.as_chunks::<2>().0;
    if transform != 0 || parts.iter().any(|part| part[1] != 0) {
        return Err(JpegLsError::new(
            "a scan without mapping table and point transform",
            "one with",
        ));
    }
    let interleaving = match (interleaving, count) {
        (0, 1) => Interleaving::None,
        (1, 1..=4) => Interleaving::Line,
        (2, 1..=4) => Interleaving::Sample,
        other => {
            return Err(JpegLsError::new(
                "1 component alone or up to 4 by line or sample",
                format!("{} by mode {}", other.1, other.0),
            ));
        }
    };
    Ok(Scan {
        ids: parts.iter().map(|part| part[0]).collect(),
        near: near.into(),
        interleaving,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_of_the_standard() {
        // T.87 table C.3 gives those of 8 bits; the others follow from its formulas by hand.
        assert_eq!(default_thresholds(255, 0), [3, 7, 21]);
        assert_eq!(default_thresholds(255, 3), [12, 22, 42]);
        assert_eq!(default_thresholds(4095, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(65535, 0), [18, 67, 276]);
        assert_eq!(default_thresholds(15, 0), [2, 3, 4]);
        assert_eq!(default_thresholds(1, 0), [1, 1, 1]);
    }
}
