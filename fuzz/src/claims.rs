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

/// Bytes that a PNG, JPEG or TIFF claims.
pub fn picture(bytes: &[u8]) -> usize {
    /// Above what the compressions of TIFF reach (LZW with codes of 12 bits: below 2731).
    const TIFF: usize = 1 << 12;
    /// A bit of a palette is four bytes of a pixel.
    const PALETTE: usize = 32;
    let claim = match bytes {
        [0x89, b'P', b'N', b'G', ..] => bytes.len() * crate::DEFLATE * PALETTE,
        [0xff, 0xd8, ..] => jpeg(bytes),
        _ => bytes.len() * TIFF,
    };
    claim.min(LARGEST)
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
