//! Opening a file: preamble, meta information, transfer syntax (PS3.10 section 7).

use super::set::{DataSet, Until};
use super::structure::{bytes_at, extent, header};
use super::syntax::{Compression, Encoding, TransferSyntax};
use crate::Result;
use crate::bounded::{MAX_FILE_BYTES, open_file, read_file};
use crate::error::ImagingError;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use flate2::read::DeflateDecoder;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

const PREAMBLE: usize = 128;
const MAGIC: &[u8; 4] = b"DICM";
const META_GROUP: u16 = 0x0002;

/// What of a file is read first when only its header is wanted; grown until pixels are reached.
const FIRST_BYTES: u64 = 1 << 15;

/// The bytes of a file and what its meta information says of them.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Bytes of the whole file, of which only the first may be here.
    length: u64,
    /// Where the data set starts.
    start: usize,
    meta: Range<usize>,
    has_preamble: bool,
    syntax: Option<TransferSyntax>,
    encoding: Encoding,
}

impl Source {
    /// Reads a whole file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::of_bytes(read_file(path)?, path)
    }

    /// Reads a file as far as its pixels, or all of it where there are none.
    pub(crate) fn read_header(path: &Path) -> Result<Self> {
        let (mut file, length) = open_file(path)?;
        let length = length.min(MAX_FILE_BYTES);
        let mut bytes = Vec::new();
        let mut wanted = FIRST_BYTES;
        loop {
            let more = wanted.min(length) - bytes.len() as u64;
            let read = file
                .by_ref()
                .take(more)
                .read_to_end(&mut bytes)
                .map_err(|source| ImagingError::io(path, "read", source))?;
            let complete = bytes.len() as u64 >= length || (read as u64) < more;
            let is_deflated =
                |source: &Self| source.syntax.as_ref().is_some_and(|syntax| syntax.deflated);
            // A deflated data set is only whole with its last byte.
            match Self::of_bytes(bytes, path) {
                Ok(source) if complete => return Ok(source),
                Ok(mut source) if !is_deflated(&source) => {
                    if source.data_set(Until::Pixels).stopped_before().is_some() {
                        source.length = length;
                        return Ok(source);
                    }
                    bytes = source.bytes;
                }
                Err(error) if complete => return Err(error),
                _ => return Self::read(path),
            }
            wanted = wanted.saturating_mul(4);
        }
    }

    /// Takes the bytes of a file apart; `path` names it in errors.
    pub(crate) fn of_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let has_preamble = bytes.get(PREAMBLE..PREAMBLE + 4) == Some(MAGIC);
        let meta_start = if has_preamble { PREAMBLE + 4 } else { 0 };
        let meta_end = end_of_meta(&bytes, meta_start);
        let meta = meta_start..meta_end;
        let uid = DataSet::parse(&bytes[meta.clone()], Encoding::EXPLICIT, Until::End)
            .word(tags::TRANSFER_SYNTAX_UID);
        let syntax = uid.as_deref().map(TransferSyntax::of_uid);
        let mut source = Self {
            path: path.to_owned(),
            length: bytes.len() as u64,
            start: meta_end,
            meta,
            has_preamble,
            encoding: syntax
                .as_ref()
                .map_or_else(|| guess(&bytes[meta_end..]), |syntax| syntax.encoding),
            syntax,
            bytes,
        };
        if source.syntax.as_ref().is_some_and(|syntax| syntax.deflated) {
            source.inflate()?;
        }
        Ok(source)
    }

    fn inflate(&mut self) -> Result<()> {
        let mut inflated = self.bytes[..self.start].to_vec();
        let decoder = DeflateDecoder::new(&self.bytes[self.start..]);
        decoder
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut inflated)
            .map_err(|source| ImagingError::decode(&self.path, "deflated DICOM", source))?;
        self.bytes = inflated;
        Ok(())
    }

    /// The bytes, to be filled by another file.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file starts with 128 bytes and `DICM`.
    pub(crate) fn has_preamble(&self) -> bool {
        self.has_preamble
    }

    /// What the meta information says; `None` where it does not.
    pub(crate) fn syntax(&self) -> Option<&TransferSyntax> {
        self.syntax.as_ref()
    }

    /// How the data set is written, guessed where the meta information does not say.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(crate) fn compression(&self) -> Compression {
        self.syntax
            .as_ref()
            .map_or(Compression::Native, |syntax| syntax.compression)
    }

    /// Where in the file the values of uncompressed pixels lie that end with it; `None` where they
    /// do not, or their bytes are exchanged.
    ///
    /// # Arguments
    /// * `set`: the data set, read as far as its pixels.
    pub(crate) fn plain_pixels(&self, set: &DataSet<'_>) -> Option<Range<u64>> {
        let is_plain = self.compression() == Compression::Native
            && !self.encoding.big_endian
            && !self.syntax.as_ref().is_some_and(|syntax| syntax.deflated);
        let pixels = set.stopped_before()?;
        let start = (self.start + pixels.value) as u64;
        let end = start + u64::from(pixels.length);
        // An undefined length is larger than any file that is read.
        (is_plain && pixels.tag == tags::PIXEL_DATA && end == self.length).then_some(start..end)
    }

    /// The meta information.
    pub(crate) fn meta(&self) -> DataSet<'_> {
        DataSet::parse(
            &self.bytes[self.meta.clone()],
            Encoding::EXPLICIT,
            Until::End,
        )
    }

    /// The data set, with what is wrong in it.
    pub(crate) fn data_set(&self, until: Until) -> DataSet<'_> {
        DataSet::parse(&self.bytes[self.start..], self.encoding, until)
    }

    /// The data set, if it is whole.
    pub(crate) fn sound_data_set(&self, until: Until) -> Result<DataSet<'_>> {
        let set = self.data_set(until);
        if let Some(fault) = set.fault() {
            return Err(self.fault(fault));
        }
        if set.elements().is_empty() {
            return Err(ImagingError::content(
                &self.path,
                "a DICOM data set",
                "no elements",
            ));
        }
        Ok(set)
    }

    pub(crate) fn fault(&self, fault: &super::Fault) -> ImagingError {
        let expected = format!("{} at byte {} of the data set", fault.expected, fault.at);
        ImagingError::content(&self.path, expected, fault.found.clone())
    }
}

/// Where the elements of group 2 end. Their group length is often wrong and not needed.
fn end_of_meta(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Ok(element) = header(bytes, at, Encoding::EXPLICIT) {
        if element.tag.group() != META_GROUP {
            break;
        }
        match extent(bytes, &element, Encoding::EXPLICIT, 0) {
            Ok(end) => at = end.element_end,
            Err(_) => break,
        }
    }
    at
}

/// How a data set without meta information is written, told by its first element: letters of a
/// representation make it explicit, and a first group of 1024 or more has its bytes exchanged.
fn guess(bytes: &[u8]) -> Encoding {
    let Some([group_low, group_high, _, _, first, second]) = bytes_at(bytes, 0) else {
        return Encoding::IMPLICIT;
    };
    if VR::from_binary([first, second]).is_none() {
        Encoding::IMPLICIT
    } else if u16::from_le_bytes([group_low, group_high]) >= 1024 {
        Encoding::EXPLICIT_BIG
    } else {
        Encoding::EXPLICIT
    }
}
