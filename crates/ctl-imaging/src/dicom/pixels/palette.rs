//! Palettes (PS3.3 section C.7.6.3.1.5 and C.7.9).

use super::Pixels;
use crate::Result;
use crate::dicom::data::{DataSet, Source, Until, bytes_at};
use crate::error::ImagingError;
use crate::volume::{Samples, Value, for_any_type};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use std::path::Path;

const CHANNELS: [(&str, Tag, Tag, Tag); 3] = [
    (
        "red",
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        "green",
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        "blue",
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
];

/// A table of colours for indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// The index of the first entry.
    first: i64,
    /// Bits of an entry, 8 or 16.
    bits: i64,
    entries: [Vec<u16>; 3],
}

impl Palette {
    /// Reads the palette of a file.
    ///
    /// # Returns
    /// `None` when the file has none.
    ///
    /// # Errors
    /// [`ImagingError::Io`] when the file cannot be read; [`ImagingError::Content`] when it is no
    /// DICOM file, or its palette is malformed or segmented (which is not read).
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let source = Source::read_header(path)?;
        Self::of(&source.data_set(Until::Pixels), path)
    }

    fn of(set: &DataSet<'_>, path: &Path) -> Result<Option<Self>> {
        let Some((first, bits)) = CHANNELS
            .iter()
            .find_map(|&(_, descriptor, ..)| descriptor_of(set, descriptor))
            .map(|(_, first, bits)| (first, bits))
        else {
            return Ok(None);
        };
        if ![8, 16].contains(&bits) {
            let expected = "palette entries of 8 or 16 bits";
            return Err(ImagingError::content(path, expected, bits.to_string()));
        }
        let mut entries = [const { Vec::new() }; 3];
        for (channel, to) in CHANNELS.iter().zip(&mut entries) {
            *to = channel_of(set, channel, (first, bits), path)?;
        }
        Ok(Some(Self {
            first,
            bits,
            entries,
        }))
    }

    /// The colours of indices.
    ///
    /// # Returns
    /// Pixels with three channels, of 8 or 16 bits like the palette's entries. Indices before the
    /// first entry get its colour, those behind the last that one's (PS3.3 section C.7.6.3.1.5).
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when the pixels have several channels.
    pub fn apply(&self, pixels: &Pixels) -> Result<Pixels> {
        if pixels.channels != 1 {
            return Err(ImagingError::argument(
                "pixels to colour",
                "indices, one a pixel",
                format!("{} values a pixel", pixels.channels),
            ));
        }
        let colours = for_any_type!(&pixels.samples, values => values
            .iter()
            .flat_map(|&index| self.colour(Value::to_f64(index) as i64))
            .collect::<Vec<u16>>());
        Ok(Pixels {
            channels: 3,
            photometric: "RGB".to_owned(),
            samples: if self.bits == 8 {
                Samples::U8(colours.iter().map(|&value| value as u8).collect())
            } else {
                Samples::U16(colours)
            },
            frames: pixels.frames,
            rows: pixels.rows,
            columns: pixels.columns,
        })
    }

    fn colour(&self, index: i64) -> [u16; 3] {
        let place = (index - self.first).max(0) as usize;
        [0, 1, 2].map(|channel: usize| {
            let entries = &self.entries[channel];
            entries.get(place).or(entries.last()).copied().unwrap_or(0)
        })
    }
}

/// Number of entries, first index, bits of an entry.
fn descriptor_of(set: &DataSet<'_>, tag: Tag) -> Option<(usize, i64, i64)> {
    let element = set.get(tag)?;
    let number =
        |index: usize| bytes_at(element.value, index * 2).map(|two| element.encoding.u16(two));
    let first = number(1)?;
    let count = match number(0)? {
        0 => 1 << 16,
        count => count.into(),
    };
    let first = if set.is_signed() {
        first.cast_signed().into()
    } else {
        first.into()
    };
    Some((count, first, number(2)?.into()))
}

fn channel_of(
    set: &DataSet<'_>,
    &(name, descriptor, data, segmented): &(&str, Tag, Tag, Tag),
    common: (i64, i64),
    path: &Path,
) -> Result<Vec<u16>> {
    let wrong = |expected: String, found: String| ImagingError::content(path, expected, found);
    let (count, first, bits) = descriptor_of(set, descriptor)
        .ok_or_else(|| wrong(format!("a descriptor of the {name} palette"), "none".into()))?;
    if (first, bits) != common {
        let expected = "one first index and depth of all palettes";
        return Err(wrong(expected.into(), format!("others of the {name} one")));
    }
    let Some(element) = set.get(data) else {
        let found = if set.has(segmented) {
            "a segmented one, which is not read"
        } else {
            "none"
        };
        return Err(wrong(format!("data of the {name} palette"), found.into()));
    };
    // Entries of 8 bits lie two in a word, or each in its own.
    let words = element.value.len() >= 2 * count;
    let entries: Vec<u16> = if bits == 8 && !words {
        element
            .value
            .iter()
            .take(count)
            .map(|&byte| byte.into())
            .collect()
    } else {
        let pairs = element.value.as_chunks().0.iter().take(count);
        pairs.map(|&two| element.encoding.u16(two)).collect()
    };
    if entries.len() < count {
        let expected = format!("{count} entries of the {name} palette");
        return Err(wrong(expected, format!("{} (truncated)", entries.len())));
    }
    Ok(entries)
}
