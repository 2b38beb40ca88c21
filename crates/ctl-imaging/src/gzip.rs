//! Compression on all cores.
//!
//! What is written is cut into pieces of a fixed size, each of which is deflated by itself and
//! ends on a whole byte (a "sync flush"), so that they can be put one behind the other in one gzip
//! member that any reader takes, as `pigz` does. Bytes do not depend on the number of threads.

use flate2::{Compress, CompressError, Compression, Crc, FlushCompress};
use rayon::prelude::*;
use std::io::{self, Write};

/// Bytes of a piece; what they cannot refer back to costs a few hundredths of a per cent.
const PIECE: usize = 1 << 20;

/// Pieces that are gathered for each thread before they are compressed together.
const PIECES_PER_THREAD: usize = 4;

/// Room that a compressed piece gets at a time.
const ROOM: usize = 1 << 16;

/// Header of a member without name and time, from an unknown system (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty block that is the last one (RFC 1951, section 3.2.3).
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Writes gzip into another writer; ends with [`finish`](Self::finish), without which the file is
/// not whole.
pub(crate) struct GzipWriter<W: Write> {
    out: W,
    level: Compression,
    gathered: Vec<u8>,
    /// Bytes that are gathered.
    batch: usize,
    checksum: Crc,
}

impl<W: Write> GzipWriter<W> {
    pub(crate) fn new(mut out: W, level: Compression) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self {
            out,
            level,
            gathered: Vec::new(),
            batch: rayon::current_num_threads() * PIECES_PER_THREAD * PIECE,
            checksum: Crc::new(),
        })
    }

    /// Writes what is left, and the end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.compress()?;
        self.out.write_all(&LAST_BLOCK)?;
        self.out.write_all(&self.checksum.sum().to_le_bytes())?;
        self.out.write_all(&self.checksum.amount().to_le_bytes())
    }

    fn compress(&mut self) -> io::Result<()> {
        let level = self.level;
        let pieces: Vec<(Vec<u8>, Crc)> = self
            .gathered
            .par_chunks(PIECE)
            .map_init(
                || Compress::new(level, false),
                |compress, piece| {
                    let mut checksum = Crc::new();
                    checksum.update(piece);
                    deflated(compress, piece).map(|bytes| (bytes, checksum))
                },
            )
            .collect::<Result<_, CompressError>>()?;
        for (bytes, checksum) in pieces {
            self.out.write_all(&bytes)?;
            self.checksum.combine(&checksum);
        }
        self.gathered.clear();
        Ok(())
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.batch.saturating_sub(self.gathered.len());
        let taken = &bytes[..bytes.len().min(room)];
        self.gathered.extend(taken);
        if self.gathered.len() >= self.batch {
            self.compress()?;
        }
        Ok(taken.len())
    }

    /// Does nothing: pieces stay as long as they are, whatever is flushed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A piece as blocks that end on a whole byte.
fn deflated(compress: &mut Compress, piece: &[u8]) -> Result<Vec<u8>, CompressError> {
    compress.reset();
    let mut out = Vec::with_capacity(piece.len() / 2 + ROOM);
    loop {
        out.reserve(ROOM);
        let done = compress.total_in() as usize;
        compress.compress_vec(&piece[done..], &mut out, FlushCompress::Sync)?;
        // Room that is left shows that all came out.
        if compress.total_in() as usize == piece.len() && out.len() < out.capacity() {
            return Ok(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn packed(bytes: &[u8], level: u32, step: usize) -> Vec<u8> {
        let mut packed = Vec::new();
        let mut writer = GzipWriter::new(&mut packed, Compression::new(level)).unwrap();
        for part in bytes.chunks(step) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap();
        packed
    }

    #[test]
    fn one_member_holds_all_pieces() {
        // Longer than a batch, half of it noise of Knuth's multiplicative hash.
        let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8;
        let long: Vec<u8> = (0..(17 << 20) + 5_u32)
            .map(|index| if index & 4096 == 0 { noise(index) } else { 7 })
            .collect();
        for (bytes, level) in [
            (&long[..], 2),
            (&long[..3], 9),
            (&[][..], 1),
            (&long[..99], 0),
        ] {
            let packed = packed(bytes, level, 1 << 19);
            let mut read = Vec::new();
            // This decoder stops behind the first member.
            GzDecoder::new(&packed[..]).read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
        }
    }

    #[test]
    fn bytes_do_not_depend_on_threads_or_on_how_they_come() {
        let bytes: Vec<u8> = (0..3_000_000_u32)
            .map(|index| (index / 3 % 251) as u8)
            .collect();
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        let expected = one.install(|| packed(&bytes, 2, 77_777));
        assert!(packed(&bytes, 2, bytes.len()) == expected);
        assert!(expected.len() < bytes.len() / 50);
    }
}
