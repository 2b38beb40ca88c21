//! What the elements of the image pixel module (PS3.3 section C.7.6.3) say of the pixels.

use crate::Result;
use crate::dicom::data::{Compression, DataSet};
use crate::error::ImagingError;
use crate::volume::SampleType;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::path::Path;

/// Photometric interpretations whose pixels are read.
const KNOWN: [&str; 8] = [
    "MONOCHROME1",
    "MONOCHROME2",
    "PALETTE COLOR",
    "RGB",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_ICT",
    "YBR_RCT",
];

/// The element that holds the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Integers,
    Floats,
    Doubles,
}

impl Store {
    const ALL: [(Self, Tag); 3] = [
        (Self::Integers, tags::PIXEL_DATA),
        (Self::Floats, tags::FLOAT_PIXEL_DATA),
        (Self::Doubles, tags::DOUBLE_FLOAT_PIXEL_DATA),
    ];

    pub(crate) fn tag(self) -> Tag {
        match self {
            Self::Integers => tags::PIXEL_DATA,
            Self::Floats => tags::FLOAT_PIXEL_DATA,
            Self::Doubles => tags::DOUBLE_FLOAT_PIXEL_DATA,
        }
    }
}

/// Shape and type of stored pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) store: Store,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) samples: usize,
    pub(crate) frames: usize,
    pub(crate) photometric: String,
    /// Whether colours lie in planes one after the other.
    pub(crate) planar: bool,
    pub(crate) bits_allocated: u32,
    pub(crate) bits_stored: u32,
    /// The highest bit that belongs to a value; below it lie the other stored bits.
    pub(crate) high_bit: u32,
    pub(crate) signed: bool,
}

impl Layout {
    /// Reads and checks the layout.
    ///
    /// `set` may have been read without its pixels; the store is then taken to be integers.
    pub(crate) fn of(set: &DataSet<'_>, path: &Path) -> Result<Self> {
        let reader = Reader { set, path };
        let store = reader.store()?;
        let samples = reader.within(tags::SAMPLES_PER_PIXEL, "SamplesPerPixel", 1, 4)?;
        if samples == 2 {
            return Err(reader.wrong("SamplesPerPixel", "1, 3 or 4", "2"));
        }
        let bits_allocated = reader.within(tags::BITS_ALLOCATED, "BitsAllocated", 1, 64)? as u32;
        if bits_allocated != 1 && ![8, 16, 32, 64].contains(&bits_allocated) {
            let found = bits_allocated.to_string();
            return Err(reader.wrong("BitsAllocated", "1, 8, 16, 32 or 64", &found));
        }
        let (bits_stored, high_bit, signed) = match store {
            Store::Integers => reader.bits(bits_allocated)?,
            Store::Floats | Store::Doubles => (bits_allocated, bits_allocated - 1, false),
        };
        Ok(Self {
            store,
            rows: reader.within(tags::ROWS, "Rows", 1, 0xFFFF)?,
            columns: reader.within(tags::COLUMNS, "Columns", 1, 0xFFFF)?,
            samples,
            frames: reader.frames()?,
            photometric: reader.photometric()?,
            planar: samples > 1
                && reader.within(tags::PLANAR_CONFIGURATION, "PlanarConfiguration", 0, 1)? == 1,
            bits_allocated,
            bits_stored,
            high_bit,
            signed,
        })
    }

    /// Values in a frame.
    pub(crate) fn frame_values(&self) -> usize {
        self.rows * self.columns * self.samples
    }

    /// The type that holds the values.
    pub(crate) fn sample_type(&self) -> SampleType {
        match (self.store, self.bits_allocated, self.signed) {
            (Store::Floats, ..) => SampleType::Float32,
            (Store::Doubles, ..) => SampleType::Float64,
            (_, 16, false) => SampleType::UInt16,
            (_, 16, true) => SampleType::Int16,
            (_, 32, false) => SampleType::UInt32,
            (_, 32, true) => SampleType::Int32,
            (_, 64, false) => SampleType::UInt64,
            (_, 64, true) => SampleType::Int64,
            (_, 8, true) => SampleType::Int8,
            _ => SampleType::UInt8,
        }
    }

    /// Whether each two neighbours of an uncompressed row share their colours.
    pub(crate) fn is_subsampled(&self, compression: Compression) -> bool {
        compression == Compression::Native
            && self.photometric == "YBR_FULL_422"
            && self.samples == 3
    }
}

struct Reader<'a> {
    set: &'a DataSet<'a>,
    path: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, name: &str, expected: &str, found: &str) -> ImagingError {
        ImagingError::content(self.path, format!("{name} of {expected}"), found.to_owned())
    }

    fn store(&self) -> Result<Store> {
        let present: Vec<Store> = Store::ALL
            .into_iter()
            .filter(|&(_, tag)| self.set.has(tag))
            .map(|(store, _)| store)
            .collect();
        match present[..] {
            [] => Ok(Store::Integers),
            [store] => Ok(store),
            _ => Err(ImagingError::content(
                self.path,
                "one element of pixels",
                format!("{}", present.len()),
            )),
        }
    }

    fn within(&self, tag: Tag, name: &str, low: i64, high: i64) -> Result<usize> {
        let expected = || format!("{low} to {high}");
        let found = match self.set.integer(tag) {
            Some(value) if (low..=high).contains(&value) => return Ok(value as usize),
            Some(value) => value.to_string(),
            None => self
                .set
                .text(tag)
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "none".to_owned()),
        };
        Err(self.wrong(name, &expected(), &found))
    }

    fn bits(&self, allocated: u32) -> Result<(u32, u32, bool)> {
        let stored = self.within(tags::BITS_STORED, "BitsStored", 1, allocated.into())? as u32;
        let signed = self.within(tags::PIXEL_REPRESENTATION, "PixelRepresentation", 0, 1)? == 1;
        let high = if self.set.has(tags::HIGH_BIT) {
            let low = i64::from(stored) - 1;
            self.within(tags::HIGH_BIT, "HighBit", low, i64::from(allocated) - 1)? as u32
        } else {
            stored - 1
        };
        Ok((stored, high, signed))
    }

    fn frames(&self) -> Result<usize> {
        if self.set.word(tags::NUMBER_OF_FRAMES).is_none() {
            return Ok(1);
        }
        self.within(tags::NUMBER_OF_FRAMES, "NumberOfFrames", 1, i32::MAX.into())
    }

    fn photometric(&self) -> Result<String> {
        let name = self
            .set
            .word(tags::PHOTOMETRIC_INTERPRETATION)
            .unwrap_or_else(|| "none".to_owned());
        if KNOWN.contains(&name.as_str()) {
            Ok(name)
        } else {
            Err(self.wrong("PhotometricInterpretation", &KNOWN.join(", "), &name))
        }
    }
}
