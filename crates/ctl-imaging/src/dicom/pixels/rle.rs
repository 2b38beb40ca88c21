//! Run lengths of bytes (PS3.5 annex G).

use super::Problem;
use crate::dicom::data::bytes_at;

/// Bytes of a frame's header: the number of segments and fifteen offsets.
const HEADER: usize = 64;
const MAX_SEGMENTS: usize = 15;

/// Decodes a frame to little-endian values, the samples of a pixel together.
///
/// Each segment holds one byte of one sample of all pixels, the most significant first.
///
/// `pixels` is the number of pixels, `samples` that of values a pixel, `bytes` that of bytes a
/// value.
pub(super) fn decode(
    frame: &[u8],
    pixels: usize,
    samples: usize,
    bytes: usize,
) -> Result<Vec<u8>, Problem> {
    let offsets = offsets(frame)?;
    if offsets.len() != samples * bytes {
        let expected = format!("{} RLE segments", samples * bytes);
        return Err(Problem::new(expected, offsets.len().to_string()));
    }
    let stride = samples * bytes;
    let mut decoded = Vec::new();
    for (index, &start) in offsets.iter().enumerate() {
        let end = offsets.get(index + 1).copied().unwrap_or(frame.len());
        let segment = frame.get(start..end).ok_or_else(|| {
            let found = format!("bytes {start} to {end} of {}", frame.len());
            Problem::new(format!("RLE segment {index} inside its frame"), found)
        })?;
        let values = unpack(segment, pixels);
        if values.len() < pixels {
            let expected = format!("{pixels} bytes in RLE segment {index}");
            return Err(Problem::new(expected, values.len().to_string()));
        }
        // Only now has a whole plane really arrived.
        decoded.resize(pixels * stride, 0);
        let place = index / bytes * bytes + (bytes - 1 - index % bytes);
        for (pixel, value) in decoded.chunks_exact_mut(stride).zip(values) {
            pixel[place] = value;
        }
    }
    Ok(decoded)
}

fn offsets(frame: &[u8]) -> Result<Vec<usize>, Problem> {
    let header: [u8; HEADER] = bytes_at(frame, 0)
        .ok_or_else(|| Problem::new("64 bytes of RLE header", frame.len().to_string()))?;
    let number = |index: usize| bytes_at(&header, index * 4).map(u32::from_le_bytes);
    let count = number(0).unwrap_or_default() as usize;
    if count > MAX_SEGMENTS {
        let expected = format!("at most {MAX_SEGMENTS} RLE segments");
        return Err(Problem::new(expected, count.to_string()));
    }
    Ok((1..=count)
        .filter_map(number)
        .map(|offset| offset as usize)
        .collect())
}

/// At most `limit` bytes of a segment.
fn unpack(segment: &[u8], limit: usize) -> Vec<u8> {
    let mut values = Vec::new();
    let mut rest = segment;
    while let Some((&control, tail)) = rest.split_first() {
        if values.len() >= limit {
            break;
        }
        rest = match control {
            0..128 => {
                let count = (usize::from(control) + 1).min(tail.len());
                values.extend_from_slice(&tail[..count]);
                &tail[count..]
            }
            128 => tail,
            129.. => match tail.split_first() {
                Some((&value, tail)) => {
                    let count = 257 - usize::from(control);
                    values.resize(values.len() + count, value);
                    tail
                }
                None => tail,
            },
        };
    }
    values.truncate(limit);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(segments: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[0] = segments.len() as u8;
        let mut offset = HEADER;
        for (index, segment) in segments.iter().enumerate() {
            bytes[4 * (index + 1)] = offset as u8;
            bytes.extend_from_slice(segment);
            offset += segment.len();
        }
        bytes
    }

    #[test]
    fn unpacks_runs_and_literals() {
        // The worked example of Apple's TN1023, whose scheme this is.
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let expected = [
            [0xAA; 3].as_slice(),
            &[0x80, 0x00, 0x2A],
            &[0xAA; 4],
            &[0x80, 0x00, 0x2A, 0x22],
            &[0xAA; 10],
        ]
        .concat();
        assert_eq!(unpack(&packed, 24), expected);
        assert_eq!(unpack(&packed, 2), [0xAA; 2]);
    }

    #[test]
    fn most_significant_bytes_come_first() {
        let bytes = frame(&[&[1, 1, 2], &[1, 3, 4]]);
        assert_eq!(decode(&bytes, 2, 1, 2).unwrap(), [3, 1, 4, 2]);
        assert_eq!(decode(&bytes, 2, 2, 1).unwrap(), [1, 3, 2, 4]);
    }

    #[test]
    fn wrong_frames_are_refused() {
        let whole = frame(&[&[1, 1, 2], &[1, 3, 4]]);
        assert!(decode(&whole, 2, 1, 1).is_err());
        assert!(decode(&whole, 3, 1, 2).is_err());
        assert!(decode(&whole[..60], 2, 1, 2).is_err());
        let mut crossed = whole.clone();
        crossed[4] = 70;
        assert!(decode(&crossed, 2, 1, 2).is_err());
        crossed[0] = 16;
        assert!(decode(&crossed, 2, 1, 2).is_err());
    }
}
