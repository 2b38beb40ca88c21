//! Marker segments (T.81 annex B).

use super::Problem;
use super::huffman::Table;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const DHT: u8 = 0xC4;
const APP0: u8 = 0xE0;

/// In which order a block's coefficients are stored (T.81 figure A.6).
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Where the coefficient number `index` of a stream lies in its block.
pub(super) fn zigzag(index: usize) -> usize {
    usize::from(ZIGZAG[index & 63])
}

/// The coding process of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Baseline and extended sequential DCT, processes 1, 2 and 4.
    Sequential,
    /// Process 14.
    Lossless,
}

/// A component of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    pub(super) quantisation: usize,
}

/// A frame header.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) precision: u32,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
}

/// A component of a scan: its place in the frame and its tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) id: u8,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// A scan header.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    /// First coefficient, or the predictor of a lossless scan.
    pub(super) start: u8,
    /// Last coefficient.
    pub(super) end: u8,
    /// Successive approximation, or the point transform of a lossless scan.
    pub(super) approximation: u8,
}

/// Tables that are in force.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) dc: [Option<Table>; 4],
    pub(super) ac: [Option<Table>; 4],
    /// Units between restart markers, 0 for none.
    pub(super) restart_interval: usize,
}

/// What a decoder has to act upon.
pub(super) enum Segment {
    Jfif,
    Frame(Frame),
    Scan(Scan),
    End,
}

/// Goes from segment to segment.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Problem> {
        if bytes.get(..2) == Some(&[0xFF, SOI]) {
            Ok(Self { bytes, at: 2 })
        } else {
            let found = format!("{:02x?}", bytes.get(..2).unwrap_or(bytes));
            Err(Problem::new(
                "a JPEG stream, which starts with ff d8",
                found,
            ))
        }
    }

    /// What follows a scan's header.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The next segment that is not a table, which are kept in `tables`.
    pub(super) fn next(&mut self, tables: &mut Tables) -> Result<Segment, Problem> {
        loop {
            let Some(marker) = self.marker()? else {
                return Ok(Segment::End);
            };
            if marker == EOI {
                return Ok(Segment::End);
            }
            let body = self.body(marker)?;
            match marker {
                DQT => quantisation(body, tables)?,
                DHT => huffman(body, tables)?,
                DRI => {
                    tables.restart_interval = body
                        .first_chunk()
                        .map(|&two| usize::from(u16::from_be_bytes(two)))
                        .ok_or_else(|| truncated(marker))?;
                }
                SOS => return scan(body).map(Segment::Scan),
                APP0 if body.starts_with(b"JFIF") => return Ok(Segment::Jfif),
                0xC0..=0xCF => return frame(marker, body).map(Segment::Frame),
                _ => {}
            }
        }
    }

    /// The next marker, after fill bytes; `None` at the end.
    fn marker(&mut self) -> Result<Option<u8>, Problem> {
        let rest = self.rest();
        let Some(&first) = rest.first() else {
            return Ok(None);
        };
        if first != 0xFF {
            let expected = format!("a marker at byte {} of the JPEG stream", self.at);
            return Err(Problem::new(expected, format!("{first:02x}")));
        }
        let Some(fill) = rest.iter().position(|&byte| byte != 0xFF) else {
            return Ok(None);
        };
        self.at += fill + 1;
        Ok(rest.get(fill).copied())
    }

    fn body(&mut self, marker: u8) -> Result<&'a [u8], Problem> {
        let rest = self.rest();
        let length = rest
            .first_chunk()
            .map(|&two| usize::from(u16::from_be_bytes(two)))
            .ok_or_else(|| truncated(marker))?;
        let body = rest.get(2..length).ok_or_else(|| truncated(marker))?;
        self.at += length;
        Ok(body)
    }
}

fn truncated(marker: u8) -> Problem {
    let expected = format!("a whole segment of marker ff {marker:02x}");
    Problem::new(expected, "less (truncated)")
}

fn quantisation(mut body: &[u8], tables: &mut Tables) -> Result<(), Problem> {
    while let Some((&kind, rest)) = body.split_first() {
        let bytes = if kind >> 4 == 0 { 1 } else { 2 };
        let values = rest.get(..64 * bytes).ok_or_else(|| truncated(DQT))?;
        let mut table = [0; 64];
        for (index, value) in values.chunks_exact(bytes).enumerate() {
            table[zigzag(index)] = value
                .iter()
                .fold(0, |number, &byte| number << 8 | u16::from(byte));
        }
        tables.quantisation[usize::from(kind & 3)] = Some(table);
        body = &rest[64 * bytes..];
    }
    Ok(())
}

fn huffman(mut body: &[u8], tables: &mut Tables) -> Result<(), Problem> {
    while let Some((&kind, rest)) = body.split_first() {
        let counts: &[u8; 16] = rest.first_chunk().ok_or_else(|| truncated(DHT))?;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = rest.get(16..16 + total).ok_or_else(|| truncated(DHT))?;
        let table = Some(Table::new(counts, symbols)?);
        let place = usize::from(kind & 3);
        if kind >> 4 == 0 {
            tables.dc[place] = table;
        } else {
            tables.ac[place] = table;
        }
        body = &rest[16 + total..];
    }
    Ok(())
}

fn frame(marker: u8, body: &[u8]) -> Result<Frame, Problem> {
    let process = match marker {
        0xC0 | 0xC1 => Process::Sequential,
        0xC3 => Process::Lossless,
        other => {
            let found = format!("process ff {other:02x} (progressive, hierarchical or arithmetic)");
            return Err(Problem::new("sequential or lossless Huffman JPEG", found));
        }
    };
    let &[precision, h1, h0, w1, w0, count] =
        body.first_chunk().ok_or_else(|| truncated(marker))?;
    let parts = body
        .get(6..6 + 3 * usize::from(count))
        .ok_or_else(|| truncated(marker))?;
    let frame = Frame {
        process,
        precision: precision.into(),
        width: usize::from(u16::from_be_bytes([w1, w0])),
        height: usize::from(u16::from_be_bytes([h1, h0])),
        components: parts
            .as_chunks()
            .0
            .iter()
            .map(|&[id, factors, quantisation]| Component {
                id,
                horizontal: usize::from(factors >> 4),
                vertical: usize::from(factors & 15),
                quantisation: usize::from(quantisation & 3),
            })
            .collect(),
    };
    check(&frame)?;
    Ok(frame)
}

fn check(frame: &Frame) -> Result<(), Problem> {
    let precisions = match frame.process {
        Process::Sequential => [8, 12].contains(&frame.precision),
        Process::Lossless => (2..=16).contains(&frame.precision),
    };
    if !precisions {
        let expected = "8 or 12 bits of DCT, 2 to 16 of lossless JPEG";
        return Err(Problem::new(expected, frame.precision.to_string()));
    }
    let components = frame.components.len();
    if frame.width == 0 || frame.height == 0 || !(1..=4).contains(&components) {
        let found = format!("{} x {} of {components}", frame.width, frame.height);
        return Err(Problem::new("a JPEG picture of 1 to 4 components", found));
    }
    let factors =
        |part: &Component| (1..=4).contains(&part.horizontal) && (1..=4).contains(&part.vertical);
    if !frame.components.iter().all(factors) {
        return Err(Problem::new("sampling factors of 1 to 4", "others"));
    }
    Ok(())
}

fn scan(body: &[u8]) -> Result<Scan, Problem> {
    let (&count, rest) = body.split_first().ok_or_else(|| truncated(SOS))?;
    let count = usize::from(count);
    let (Some(parts), Some(&[start, end, approximation])) = (
        rest.get(..2 * count),
        rest.get(2 * count..).and_then(<[u8]>::first_chunk),
    ) else {
        return Err(truncated(SOS));
    };
    if !(1..=4).contains(&count) {
        return Err(Problem::new(
            "1 to 4 components of a scan",
            count.to_string(),
        ));
    }
    Ok(Scan {
        parts: parts
            .as_chunks()
            .0
            .iter()
            .map(|&[id, tables]| Part {
                id,
                dc: usize::from(tables >> 4 & 3),
                ac: usize::from(tables & 3),
            })
            .collect(),
        start,
        end,
        approximation,
    })
}
