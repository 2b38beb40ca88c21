//! Bytes of a file at any place, plain or gzip.
//!
//! Plain files are read at positions. They are not mapped into memory: a file that somebody else
//! shortens while it is mapped kills the process that looks at it.

use crate::Result;
use crate::bounded;
use crate::error::ImagingError;
use crate::hash::hexadecimal;
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// How a gzip stream starts (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Bytes that are read and converted at a time, while they and their numbers are in the cache.
pub(super) const CHUNK: usize = 1 << 17;

/// Bytes of compressed content that are passed over at a time.
const PASSED_OVER: u64 = 1 << 16;

/// Deflate makes at most 258 bytes of two bits (RFC 1951, 3.2.5), so no more can come out of a
/// compressed file than this times its length.
const MOST_EXPANSION: u64 = 1032;

/// Bytes that may follow the data in a compressed file while its end, with the checksum, is sought.
const TRAILER: u64 = 1 << 20;

/// A file, or the bytes of one.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    store: Store,
    length: u64,
    gzip: bool,
}

#[derive(Debug)]
enum Store {
    File(File),
    Memory(Vec<u8>),
}

/// Numbers within a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// First byte.
    pub(super) offset: u64,
    /// How many numbers.
    pub(super) count: usize,
    /// Bytes of each.
    pub(super) item_bytes: usize,
}

/// What memory is filled with.
pub(super) trait Number: Copy + Default + Send + Sync {}

impl<N: Copy + Default + Send + Sync> Number for N {}

/// Makes numbers of bytes, as many as there are places for.
///
/// It is called for many at a time, so that it need not be known where chunks are read.
pub(super) type Decode<'a, N> = &'a (dyn Fn(&[u8], &mut [N]) + Sync);

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (file, length) = bounded::open_file(path)?;
        Self::new(path, Store::File(file), length)
    }

    pub(super) fn from_bytes(bytes: Vec<u8>, origin: &Path) -> Result<Self> {
        let length = bytes.len() as u64;
        Self::new(origin, Store::Memory(bytes), length)
    }

    fn new(path: &Path, store: Store, length: u64) -> Result<Self> {
        let mut source = Self {
            path: path.to_owned(),
            store,
            length,
            gzip: false,
        };
        let start = source.start(GZIP_MAGIC.len())?;
        source.gzip = start == GZIP_MAGIC;
        Ok(source)
    }

    /// What errors call it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file, as it lies there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// SHA-256 of the file, as it lies there.
    pub(super) fn sha256(&self) -> Result<String> {
        let mut file = Positioned {
            store: &self.store,
            position: 0,
        };
        let mut digest = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hexadecimal(&digest.finalize())),
                Ok(count) => digest.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ImagingError::io(&self.path, "read", error)),
            }
        }
    }

    /// The first bytes, fewer if there are not so many.
    pub(super) fn start(&self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        self.stream()
            .take(count as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed(error, "its start"))?;
        Ok(bytes)
    }

    /// Checks that a plain file reaches to its end; what a compressed one holds shows only later.
    pub(super) fn expect_length(&self, needed: u64) -> Result<()> {
        if self.gzip || self.length >= needed {
            return Ok(());
        }
        Err(ImagingError::content(
            &self.path,
            format!("{needed} bytes"),
            format!("{} (truncated)", self.length),
        ))
    }

    /// A walk through the content, forwards.
    pub(super) fn stream(&self) -> Stream<'_> {
        let plain = Positioned {
            store: &self.store,
            position: 0,
        };
        if self.gzip {
            let decoder = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, plain));
            Stream::Gzip(Box::new(decoder), 0)
        } else {
            Stream::Plain(plain)
        }
    }

    /// Reads exactly at a position that is not before one read already.
    pub(super) fn read_at(
        &self,
        stream: &mut Stream<'_>,
        position: u64,
        bytes: &mut [u8],
    ) -> Result<()> {
        stream
            .skip_to(position)
            .and_then(|()| stream.read_exact(bytes))
            .map_err(|error| {
                let end = position.saturating_add(bytes.len() as u64);
                self.failed(error, &format!("{end} bytes of content"))
            })
    }

    fn failed(&self, error: io::Error, expected: &str) -> ImagingError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return ImagingError::content(&self.path, expected, "fewer (truncated)");
        }
        ImagingError::io(&self.path, "read", error)
    }

    /// All numbers of a place, as `decode` makes them of their bytes.
    ///
    /// Memory is that of the result and of a chunk for each thread.
    pub(super) fn numbers<N: Number>(&self, place: Place, decode: Decode<'_, N>) -> Result<Vec<N>> {
        if self.gzip {
            self.compressed_numbers(place, decode)
        } else {
            self.plain_numbers(place, decode)
        }
    }

    fn plain_numbers<N: Number>(&self, place: Place, decode: Decode<'_, N>) -> Result<Vec<N>> {
        let bytes = (place.count as u64).saturating_mul(place.item_bytes as u64);
        self.expect_length(place.offset.saturating_add(bytes))?;
        if rayon::current_num_threads() == 1 {
            return self.numbers_in_order(place, place.count, decode);
        }
        // The file is known to hold them; untouched memory costs nothing before it is filled.
        let mut numbers = vec![N::default(); place.count];
        self.fill_plain(place, &mut numbers, decode)?;
        Ok(numbers)
    }

    /// Fills memory of the right length with the numbers of a place.
    pub(super) fn fill<N: Number>(
        &self,
        place: Place,
        out: &mut [N],
        decode: Decode<'_, N>,
    ) -> Result<()> {
        if !self.gzip {
            return self.fill_plain(place, out, decode);
        }
        let mut left = out;
        self.for_each_chunk(place, |bytes| {
            let count = bytes.len() / place.item_bytes;
            let (now, later) = std::mem::take(&mut left).split_at_mut(count);
            decode(bytes, now);
            left = later;
        })
    }

    fn fill_plain<N: Number>(
        &self,
        place: Place,
        numbers: &mut [N],
        decode: Decode<'_, N>,
    ) -> Result<()> {
        let item = place.item_bytes;
        let step = CHUNK / item;
        let fill = |buffer: &mut Vec<u8>, (index, out): (usize, &mut [N])| {
            buffer.resize(out.len() * item, 0);
            let position = place.offset + (index * step * item) as u64;
            self.read_at(&mut self.stream(), position, buffer)?;
            decode(buffer, out);
            Ok::<(), ImagingError>(())
        };
        numbers
            .par_chunks_mut(step)
            .enumerate()
            .try_for_each_init(Vec::new, fill)
    }

    fn compressed_numbers<N: Number>(&self, place: Place, decode: Decode<'_, N>) -> Result<Vec<N>> {
        let item = place.item_bytes;
        let most = self.length.saturating_mul(MOST_EXPANSION) / item as u64;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.numbers_in_order(place, place.count.min(most), decode)
    }

    /// Numbers one chunk after the other, in memory with room for so many.
    ///
    /// Only a chunk at a time is zeroed before it is filled, while it is in the cache.
    fn numbers_in_order<N: Number>(
        &self,
        place: Place,
        room: usize,
        decode: Decode<'_, N>,
    ) -> Result<Vec<N>> {
        let item = place.item_bytes;
        let mut numbers = Vec::new();
        numbers.reserve_exact(room);
        self.for_each_chunk(place, |bytes| {
            let from = numbers.len();
            numbers.resize(from + bytes.len() / item, N::default());
            decode(bytes, &mut numbers[from..]);
        })?;
        Ok(numbers)
    }

    /// Shows all bytes of a place in order, whole numbers at a time, and checks the checksum of a
    /// compressed file that ends with them.
    pub(super) fn for_each_chunk(&self, place: Place, mut see: impl FnMut(&[u8])) -> Result<()> {
        let item_bytes = place.item_bytes;
        let mut stream = self.stream();
        let step = CHUNK / item_bytes;
        let mut buffer = vec![0; step.min(place.count) * item_bytes];
        let mut done = 0;
        while done < place.count {
            let count = step.min(place.count - done);
            let position = place.offset + (done * item_bytes) as u64;
            let bytes = &mut buffer[..count * item_bytes];
            self.read_at(&mut stream, position, bytes)?;
            see(bytes);
            done += count;
        }
        if self.gzip {
            io::copy(&mut stream.take(TRAILER), &mut io::sink())
                .map_err(|error| self.failed(error, "a whole gzip stream"))?;
        }
        Ok(())
    }
}

/// Content in the order of the file.
pub(super) enum Stream<'a> {
    Plain(Positioned<'a>),
    /// With the number of bytes that came out so far.
    Gzip(Box<MultiGzDecoder<BufReader<Positioned<'a>>>>, u64),
}

impl Stream<'_> {
    fn skip_to(&mut self, position: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.position = position,
            Self::Gzip(_, reached) => {
                let skip = position.checked_sub(*reached).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "a step backwards")
                })?;
                self.pass_over(skip)?;
            }
        }
        Ok(())
    }
}

impl Stream<'_> {
    /// Reads bytes that nobody wants, many at a time: inflating a few at a time is slower.
    fn pass_over(&mut self, mut count: u64) -> io::Result<()> {
        let mut buffer = vec![0; count.min(PASSED_OVER) as usize];
        while count > 0 {
            let now = count.min(PASSED_OVER) as usize;
            self.read_exact(&mut buffer[..now])?;
            count -= now as u64;
        }
        Ok(())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.read(bytes),
            Self::Gzip(decoder, reached) => {
                let count = decoder.read(bytes)?;
                *reached += count as u64;
                Ok(count)
            }
        }
    }
}

/// A reader of its own position in a store that many may read at once.
pub(super) struct Positioned<'a> {
    store: &'a Store,
    position: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = match self.store {
            Store::File(file) => read_file_at(file, bytes, self.position)?,
            Store::Memory(content) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX);
                content.get(start..).unwrap_or_default().read(bytes)?
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

#[cfg(unix)]
fn read_file_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, position)
}

#[cfg(windows)]
fn read_file_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, position)
}
