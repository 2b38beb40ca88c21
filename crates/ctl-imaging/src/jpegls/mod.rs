//! JPEG-LS (ITU-T T.87, ISO/IEC 14495-1), lossless and near-lossless.
//!
//! All of the baseline: regular and run mode, the three interleavings, preset parameters, restart
//! intervals, 2 to 16 bits, 1 to 4 components of full resolution. Mapping tables (palettes), point
//! transforms and the colour transforms of HP's encoder are refused by name.

mod bits;
mod header;
mod model;
mod run;
mod scan;

use header::{Frame, Segment, Walker};

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Values of a pixel, 1 to 4.
    pub components: usize,
    /// Bits of a value, 2 to 16.
    pub bits: u32,
    /// By how much values may differ from those that were encoded; 0 is lossless.
    pub near: u32,
    /// Values by rows, those of a pixel together.
    pub samples: Vec<u16>,
}

/// Why a stream cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct JpegLsError {
    expected: String,
    found: String,
}

impl JpegLsError {
    /// What a well-formed stream has.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What this one has.
    pub fn found(&self) -> &str {
        &self.found
    }

    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

type Result<T> = std::result::Result<T, JpegLsError>;

/// Decodes a picture.
///
/// No more is allocated than the lines that have been decoded need, whatever the header says.
///
/// # Arguments
/// * `bytes`: the stream from its first marker (`ff d8`); what follows its end is not looked at.
///
/// # Errors
/// [`JpegLsError`] when the stream is malformed, truncated or uses what is not read.
///
/// # References
/// ITU-T Recommendation T.87 (06/98), annex A (coding) and annex C (syntax).
///
/// # Examples
/// ```
/// // The 4 x 4 example of T.87 annex H.3.
/// let stream = [
///     0xff, 0xd8, 0xff, 0xf7, 0x00, 0x0b, 0x08, 0x00, 0x04, 0x00, 0x04, 0x01, 0x01, 0x11, 0x00, 0xff,
///     0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x6c, 0x80, 0x20, 0x8e,
///     0x01, 0xc0, 0x00, 0x00, 0x57, 0x40, 0x00, 0x00, 0x6e, 0xe6, 0x00, 0x00, 0x01, 0xbc, 0x18, 0x00,
///     0x00, 0x05, 0xd8, 0x00, 0x00, 0x91, 0x60, 0xff, 0xd9,
/// ];
/// let picture = ctl_imaging::jpegls::decode(&stream)?;
/// assert_eq!(
///     picture.samples,
///     [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145]
/// );
/// # Ok::<(), ctl_imaging::jpegls::JpegLsError>(())
/// ```
pub fn decode(bytes: &[u8]) -> Result<Picture> {
    let mut walker = Walker::new(bytes)?;
    let mut picture: Option<Planes> = None;
    loop {
        match walker.next()? {
            Segment::Frame(frame) if picture.is_none() => picture = Some(Planes::new(frame)),
            Segment::Frame(_) => return Err(JpegLsError::new("one frame", "a second one")),
            Segment::Scan(scan) => {
                let planes = picture
                    .as_mut()
                    .ok_or_else(|| JpegLsError::new("a frame before its scans", "a scan"))?;
                let used = planes.decode(&scan, &walker)?;
                walker.skip(used);
                if planes.is_complete() {
                    break;
                }
            }
            Segment::End => break,
        }
    }
    picture
        .filter(Planes::is_complete)
        .map(Planes::finish)
        .ok_or_else(|| JpegLsError::new("scans of all components", "fewer (truncated)"))
}

/// The components that have been decoded.
struct Planes {
    frame: Frame,
    near: u32,
    /// Values of scans of one component each, by component, or of all together in the first.
    values: Vec<Vec<u16>>,
    interleaved: bool,
}

impl Planes {
    fn new(frame: Frame) -> Self {
        Self {
            values: vec![Vec::new(); frame.ids.len()],
            frame,
            near: 0,
            interleaved: false,
        }
    }

    /// Decodes a scan; returns how many bytes it took.
    fn decode(&mut self, scan: &header::Scan, walker: &Walker<'_>) -> Result<usize> {
        let places = scan
            .ids
            .iter()
            .map(|id| self.frame.ids.iter().position(|other| other == id))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| JpegLsError::new("components of the frame", "others"))?;
        let in_order = places.iter().enumerate().all(|(at, &place)| at == place);
        let first = places.first().copied().unwrap_or_default();
        let alone = places.len() == 1;
        if !(alone || in_order && places.len() == self.frame.ids.len()) {
            return Err(JpegLsError::new(
                "scans of one component or of all in their order",
                format!("{} of {}", places.len(), self.frame.ids.len()),
            ));
        }
        if !self.values[first].is_empty() {
            return Err(JpegLsError::new(
                "one scan of each component",
                "a second one",
            ));
        }
        let coding = walker.coding(&self.frame, scan)?;
        let (values, used) = scan::decode(&self.frame, scan, &coding, walker.rest())?;
        self.values[first] = values;
        self.interleaved |= !alone;
        self.near = self.near.max(scan.near);
        Ok(used)
    }

    fn is_complete(&self) -> bool {
        if self.interleaved {
            !self.values[0].is_empty()
        } else {
            self.values.iter().all(|plane| !plane.is_empty())
        }
    }

    fn finish(mut self) -> Picture {
        let components = self.values.len();
        let samples = if self.interleaved || components == 1 {
            std::mem::take(&mut self.values[0])
        } else {
            (0..self.frame.width * self.frame.height)
                .flat_map(|pixel| self.values.iter().map(move |plane| plane[pixel]))
                .collect()
        };
        Picture {
            width: self.frame.width,
            height: self.frame.height,
            components,
            bits: self.frame.bits,
            near: self.near,
            samples,
        }
    }
}
