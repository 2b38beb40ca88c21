//! What a page can be, by the bytes of its strips or tiles.

use super::decode_error;
use crate::Result;
use crate::error::ImagingError;
use crate::header::jpeg_size;
use ::tiff::decoder::{ChunkType, Decoder};
use ::tiff::tags::{CompressionMethod, Tag};
use std::io::{BufRead, Read, Seek, SeekFrom};
use std::path::Path;

/// Most bytes of one: a code of 12 bits stands for fewer than 4096 (TIFF 6.0 section 13).
const LZW: u64 = 2731;
/// Most bytes of one: a repetition of 128 takes two (TIFF 6.0 section 9).
const PACK_BITS: u64 = 64;
/// Most bytes of one (RFC 1951 section 3.2.5: 258 bytes of two bits).
pub(crate) const DEFLATE: u64 = 1032;
/// Most values of a component: a block of 64 takes a bit or more (T.81 annex G).
const JPEG: u64 = 8 * 64;
/// Most components of a JPEG of which one is sampled at every pixel.
const COMPONENTS: u64 = 4;

/// Checks that the page at which a decoder stands can come out of its strips or tiles, as far as
/// they lie in a file of so many bytes.
///
/// A decoder makes room for a page before it has decoded the first of them.
///
/// # References
/// Adobe 1992, "TIFF Revision 6.0", section 3 (strips) and section 15 (tiles).
pub(crate) fn check_page<R: BufRead + Seek>(
    decoder: &mut Decoder<R>,
    file_bytes: u64,
    path: &Path,
) -> Result<()> {
    let failed = |source| decode_error(path, source);
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let colour = decoder.colortype().map_err(failed)?;
    let components = u64::from(colour.num_samples());
    let row_bits = u64::from(width) * components * u64::from(colour.bit_depth());
    let declared = row_bits.div_ceil(8).saturating_mul(height.into());
    let chunks = chunks(decoder, file_bytes, path)?;
    let held = chunks
        .iter()
        .fold(0, |sum: u64, chunk| sum.saturating_add(chunk.length));
    let method = decoder
        .find_tag_unsigned::<u16>(Tag::Compression)
        .map_err(failed)?
        .map_or(
            CompressionMethod::None,
            CompressionMethod::from_u16_exhaustive,
        );
    let most = match method {
        // Lengths of what is not compressed are known to be wrong, which harms no reader.
        CompressionMethod::None => held.max(file_bytes),
        CompressionMethod::LZW => held.saturating_mul(LZW),
        CompressionMethod::Deflate | CompressionMethod::OldDeflate => held.saturating_mul(DEFLATE),
        CompressionMethod::PackBits => held.saturating_mul(PACK_BITS),
        CompressionMethod::ModernJPEG => {
            check_jpeg(decoder, &chunks, path)?;
            held.saturating_mul(JPEG * components)
        }
        // A line takes a bit or more, whatever its length.
        CompressionMethod::Fax4 => held.saturating_mul(8).saturating_mul(row_bits.div_ceil(8)),
        other => {
            let expected = "no compression, LZW, deflate, PackBits, JPEG or fax of group 4";
            return Err(ImagingError::content(path, expected, format!("{other:?}")));
        }
    };
    if declared <= most {
        return Ok(());
    }
    let expected = format!("a page of at most {most} bytes in {held} of strips or tiles");
    Err(ImagingError::content(path, expected, declared.to_string()))
}

/// A strip or tile, as far as it lies in the file.
struct Chunk {
    offset: u64,
    length: u64,
}

fn chunks<R: BufRead + Seek>(
    decoder: &mut Decoder<R>,
    file_bytes: u64,
    path: &Path,
) -> Result<Vec<Chunk>> {
    let failed = |source| decode_error(path, source);
    let (offsets, lengths) = match decoder.get_chunk_type() {
        ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
        ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
    };
    let offsets = decoder.get_tag_u64_vec(offsets).map_err(failed)?;
    let lengths = decoder.get_tag_u64_vec(lengths).map_err(failed)?;
    let within = |(offset, length): (u64, u64)| Chunk {
        offset,
        length: length.min(file_bytes.saturating_sub(offset)),
    };
    Ok(offsets.into_iter().zip(lengths).map(within).collect())
}

/// Checks that the JPEG streams of strips or tiles are no larger than their bytes allow: the
/// decoder goes by their own headers.
fn check_jpeg<R: BufRead + Seek>(
    decoder: &mut Decoder<R>,
    chunks: &[Chunk],
    path: &Path,
) -> Result<()> {
    let tables = match decoder.find_tag(Tag::JPEGTables) {
        Ok(Some(tables)) => tables.into_u8_vec(),
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let tables = tables.map_err(|source| decode_error(path, source))?;
    for chunk in chunks {
        // Tables take the place of the start of the stream and go without their own end.
        let mut stream = tables[..tables.len().saturating_sub(2)].to_vec();
        let skipped = if stream.is_empty() { 0 } else { 2 };
        let io = |source| ImagingError::io(path, "read", source);
        let reader = decoder.inner();
        let start = chunk.offset.saturating_add(skipped);
        reader.seek(SeekFrom::Start(start)).map_err(io)?;
        let length = chunk.length.saturating_sub(skipped);
        reader.take(length).read_to_end(&mut stream).map_err(io)?;
        let Some((width, height, components)) = jpeg_size(&stream) else {
            let found = "none (truncated or damaged)";
            return Err(ImagingError::content(path, "a JPEG frame header", found));
        };
        let values = width * height * u64::from(components);
        let most = (stream.len() as u64).saturating_mul(JPEG * COMPONENTS);
        if values > most {
            let expected = format!("at most {most} values of a JPEG strip or tile");
            return Err(ImagingError::content(path, expected, values.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A page of grey bytes in one strip with the given content.
    fn page(width: u32, height: u32, method: u32, strip: &[u8]) -> Vec<u8> {
        const TAGS: u32 = 8;
        const OFFSET: u32 = 8 + 2 + TAGS * 12 + 4;
        let length = strip.len() as u32;
        let long = |tag: u16, value: u32| {
            let head = [tag.to_le_bytes(), 4_u16.to_le_bytes()].concat();
            [&head[..], &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let tags = [
            long(256, width),
            long(257, height),
            long(258, 8),
            long(259, method),
            long(262, 1),
            long(273, OFFSET),
            long(278, height),
            long(279, length),
        ];
        let count = (TAGS as u16).to_le_bytes();
        let start = [b"II*\0\x08\0\0\0", &count[..]].concat();
        [&start[..], &tags.concat(), &[0; 4], strip].concat()
    }

    fn check(width: u32, height: u32, method: u32, strip: &[u8]) -> Result<()> {
        let bytes = page(width, height, method, strip);
        let mut decoder = Decoder::new(Cursor::new(&bytes)).unwrap();
        check_page(&mut decoder, bytes.len() as u64, Path::new("x.tif"))
    }

    /// A frame header of grey bytes, alone.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let ([h0, h1], [w0, w1]) = (height.to_be_bytes(), width.to_be_bytes());
        vec![
            0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, h0, h1, w0, w1, 1, 1, 0x11, 0, 0xff, 0xd9,
        ]
    }

    #[test]
    fn pages_that_their_strips_can_hold() {
        check(4, 2, 1, &[0; 8]).unwrap();
        check(2731, 4, 5, &[0; 4]).unwrap();
        check(1032, 4, 8, &[0; 4]).unwrap();
        check(64, 4, 0x8005, &[0; 4]).unwrap();
        check(100, 80, 7, &jpeg(100, 80)).unwrap();
        check(60_000, 32, 4, &[0; 4]).unwrap();
    }

    #[test]
    fn pages_larger_than_their_strips() {
        // What is not compressed may lie anywhere in the file.
        for (method, width, height) in [
            (1, 8 + 102 + 17 + 8, 1),
            (5, 2732, 17),
            (8, 1033, 17),
            (0x8005, 65, 17),
            (4, 60_000, 8 * 17 + 1),
        ] {
            let error = check(width, height, method, &jpeg(8, 8)).unwrap_err();
            let found = error.to_string();
            let size = (width * height).to_string();
            assert!(found.contains(&size), "{method}: {found}");
        }
    }

    /// The decoder makes room for what the stream says, whatever the page is.
    #[test]
    fn jpeg_strips_larger_than_their_bytes() {
        let error = check(8, 8, 7, &jpeg(16_384, 16_384)).unwrap_err();
        assert!(error.to_string().contains("268435456"), "{error}");
        let error = check(8, 8, 7, b"\xff\xd8\xff\xd9").unwrap_err();
        assert!(error.to_string().contains("frame header"), "{error}");
    }

    #[test]
    fn compressions_that_are_not_read() {
        let error = check(8, 8, 50_000, &[0; 64]).unwrap_err();
        assert!(error.to_string().contains("ZSTD"), "{error}");
    }
}
