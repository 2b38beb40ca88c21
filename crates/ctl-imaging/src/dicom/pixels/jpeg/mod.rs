//! JPEG (ITU-T T.81): sequential DCT with 8 or 12 bits and lossless with 2 to 16 bits, Huffman coded.
//!
//! General decoders stop at 8 bits; scanners do not. What the processes of DICOM's transfer syntaxes
//! do not have (progression, hierarchy, arithmetic coding) is refused by name.

mod dct;
mod huffman;
mod lossless;
mod segments;
mod sequential;
mod upsample;

use super::Problem;
use segments::{Frame, Process, Scan, Segment, Tables, Walker};

/// A decoded picture.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Values of a pixel, which lie together.
    pub(super) components: usize,
    pub(super) precision: u32,
    pub(super) values: Vec<u16>,
    /// Whether the stream itself says that its components are red, green and blue.
    pub(super) says_rgb: bool,
    /// Whether the stream says that it is a JFIF file, whose components are Y, Cb and Cr.
    pub(super) says_ycc: bool,
}

/// Decodes one picture.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Problem> {
    let mut walker = Walker::new(bytes)?;
    let mut tables = Tables::default();
    let mut decoder: Option<Decoder> = None;
    let mut jfif = false;
    loop {
        match walker.next(&mut tables)? {
            Segment::Jfif => jfif = true,
            Segment::Frame(frame) if decoder.is_none() => {
                decoder = Some(Decoder::new(frame, bytes.len())?);
            }
            Segment::Frame(_) => return Err(Problem::new("one frame", "a second one")),
            Segment::Scan(scan) => {
                let decoder = decoder
                    .as_mut()
                    .ok_or_else(|| Problem::new("a frame before its scans", "a scan"))?;
                let end = decoder.scan(&scan, &tables, walker.rest())?;
                walker.skip(end);
                if decoder.is_complete() {
                    break;
                }
            }
            Segment::End => break,
        }
    }
    decoder
        .filter(Decoder::is_complete)
        .map(|decoder| decoder.picture(jfif))
        .ok_or_else(|| Problem::new("scans of all components", "fewer (truncated)"))
}

/// The decoder that a frame needs.
enum Decoder {
    Sequential(sequential::Blocks),
    Lossless(lossless::Rows),
}

impl Decoder {
    fn new(frame: Frame, available: usize) -> Result<Self, Problem> {
        Ok(match frame.process {
            Process::Sequential => Self::Sequential(sequential::Blocks::new(frame, available)?),
            Process::Lossless => Self::Lossless(lossless::Rows::new(frame, available)?),
        })
    }

    /// Decodes a scan; returns how many bytes it took.
    fn scan(&mut self, scan: &Scan, tables: &Tables, bytes: &[u8]) -> Result<usize, Problem> {
        match self {
            Self::Sequential(planes) => planes.scan(scan, tables, bytes),
            Self::Lossless(rows) => rows.scan(scan, tables, bytes),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Sequential(planes) => planes.is_complete(),
            Self::Lossless(rows) => rows.is_complete(),
        }
    }

    fn picture(self, jfif: bool) -> Picture {
        let (frame, values) = match self {
            Self::Sequential(planes) => planes.finish(),
            Self::Lossless(rows) => rows.finish(),
        };
        let ids: Vec<u8> = frame.components.iter().map(|part| part.id).collect();
        Picture {
            width: frame.width,
            height: frame.height,
            components: ids.len(),
            precision: frame.precision,
            values,
            says_rgb: ids == *b"RGB" || ids == *b"rgb",
            says_ycc: jfif,
        }
    }
}
