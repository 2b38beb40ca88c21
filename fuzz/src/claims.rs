//! What inputs that were refused claim to hold, found without the readers under test.
//!
//! Compressed pictures shrink without a bound, so that the length of a file says nothing of their
//! size; readers believe the size that stands in the header within limits of their own. A claim is
//! the largest that stands anywhere in the input, be it a header or not.

/// Bytes of a decoded value: most decoders have 16 bits, that of JPEG 2000 has 32.
const VALUE: usize = 4;

/// Most values of a pixel in DICOM.
const SAMPLES: usize = 4;

/// Most bytes that the readers of pictures believe (256 MiB).
const LARGEST: usize = 256 << 20;

/// Bytes that the frame headers of a JPEG or JPEG-LS stream claim (T.81 section B.2.2, T.87 section
/// C.2.2): after the marker and the length stand precision, lines, columns and components.
pub fn jpeg(bytes: &[u8]) -> usize {
    let headers = bytes.windows(10).filter(|window| {
        window[0] == 0xff && matches!(window[1], 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf | 0xf7)
    });
    let of = |header: &[u8]| {
        let side = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        side(5) * side(7) * usize::from(header[9])
    };
    let values = headers.map(of).max().unwrap_or(0);
    values.saturating_mul(VALUE).min(LARGEST)
}

/// Bytes that a PNG, JPEG or TIFF claims, as far as so short a file can hold them.
pub fn picture(bytes: &[u8]) -> usize {
    /// Bytes of a decoded value, of 16 bits at most.
    const VALUE: usize = 2;
    /// Values that a byte of a JPEG can hold: a block of 64 a bit (T.81 annex G), and three more
    /// of other components to each.
    const BLOCKS: usize = 8 * 64 * SAMPLES;
    let claim = match bytes {
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        [0xff, 0xd8, ..] => jpeg(bytes).min(bytes.len() * BLOCKS * VALUE),
        _ => tiff(bytes).max(jpeg(bytes).min(bytes.len() * BLOCKS * VALUE)),
    };
    claim.min(LARGEST)
}

/// Bytes of the pixels of a PNG, four values each, if deflate can make them of so many bytes (PNG
/// section 11.2.1).
fn png(bytes: &[u8]) -> usize {
    const WIDEST: usize = 4 * size_of::<u16>();
    let Some(&[w0, w1, w2, w3, h0, h1, h2, h3, depth, colour]) = bytes.get(16..26) else {
        return 0;
    };
    let side = |side: [u8; 4]| u32::from_be_bytes(side) as usize;
    let pixels = side([w0, w1, w2, w3]).saturating_mul(side([h0, h1, h2, h3]));
    let values = [1, 1, 3, 1, 2, 1, 4];
    let values = values.get(usize::from(colour)).copied().unwrap_or(1);
    let inflated = pixels.saturating_mul(values * usize::from(depth)) / 8;
    if inflated <= bytes.len() * crate::DEFLATE {
        pixels.saturating_mul(WIDEST)
    } else {
        0
    }
}

/// Bytes that the pages of a TIFF claim, and those of the tables of its tags (TIFF 6.0 section 2).
///
/// Widths and lengths are looked for as tags of one short or long number.
fn tiff(bytes: &[u8]) -> usize {
    /// Widest values of a pixel: four of 64 bits.
    const WIDEST: usize = 4 * size_of::<f64>();
    /// Above what LZW with codes of 12 bits makes of a byte, the most of all compressions but
    /// that of faxes, whose lines take a bit.
    const LZW: usize = 2731;
    /// Bytes of a value of a tag while it is read.
    const TAG: usize = 32;
    let largest = |tag: u8| {
        let values = bytes.windows(12).filter_map(|window| {
            let &[t0, t1, k0, k1, _, _, _, _, v0, v1, v2, v3] = window.first_chunk()?;
            match [t0, t1, k0, k1] {
                [low, 1, 3, 0] if low == tag => Some(usize::from(u16::from_le_bytes([v0, v1]))),
                [1, low, 0, 3] if low == tag => Some(usize::from(u16::from_be_bytes([v0, v1]))),
                [low, 1, _, 0] if low == tag => Some(u32::from_le_bytes([v0, v1, v2, v3]) as usize),
                [1, low, 0, _] if low == tag => Some(u32::from_be_bytes([v0, v1, v2, v3]) as usize),
                _ => None,
            }
        });
        values.max().unwrap_or(0)
    };
    let (width, height) = (largest(0), largest(1));
    let pixels = width.saturating_mul(height).saturating_mul(WIDEST);
    // Of a fax every bit can be a line.
    let lines = bytes.len().saturating_mul(8).saturating_mul(width);
    let held = (bytes.len() * LZW).max(lines);
    pixels.min(held) + bytes.len() * TAG
}

/// Bytes of a table in memory: a row is a record with room for what a manifest gives a meaning,
/// and a cell a text of its own.
pub fn table(bytes: &[u8]) -> usize {
    const ROW: usize = 512;
    const CELL: usize = 64;
    let count = |wanted: &[u8]| bytes.iter().filter(|byte| wanted.contains(byte)).count() + 1;
    count(b"\r\n") * ROW + count(b",\t\r\n") * CELL
}

/// Bytes that the pixels of a DICOM file claim (PS3.3 section C.7.6.3.1), with `frames` of them.
///
/// Rows and columns are looked for as they are encoded with an explicit or implicit
/// representation, least significant byte first or last.
pub fn dicom(bytes: &[u8], frames: usize) -> usize {
    let largest = |element: u8| {
        let values = bytes.windows(10).filter_map(|window| {
            let little = window.starts_with(&[0x28, 0, element, 0]);
            let big = window.starts_with(&[0, 0x28, 0, element]);
            let value = [window[8], window[9]];
            match (little, big) {
                (true, _) => Some(u16::from_le_bytes(value)),
                (_, true) => Some(u16::from_be_bytes(value)),
                _ => None,
            }
        });
        usize::from(values.max().unwrap_or(0))
    };
    let (rows, columns) = (largest(0x10), largest(0x11));
    (rows * columns * SAMPLES).saturating_mul(frames * VALUE)
}
