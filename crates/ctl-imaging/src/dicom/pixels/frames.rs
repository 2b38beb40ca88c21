//! Which fragments make a frame (PS3.5 annex A.4).

use crate::Result;
use crate::dicom::data::{DataSet, Encoding, ITEM, SEQUENCE_END, bytes_at, header};
use crate::error::ImagingError;
use dicom_dictionary_std::tags;
use std::borrow::Cow;
use std::path::Path;

/// The marker that ends JPEG, JPEG-LS and JPEG 2000 streams.
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

/// How far before a fragment's end that marker may lie: fragments are padded.
const PADDING: usize = 10;

/// A fragment and where its item starts, counted from the first fragment's item.
struct Fragment<'a> {
    offset: u64,
    bytes: &'a [u8],
}

/// The compressed bytes of each frame.
///
/// Frames are told apart by the extended offset table, the basic one, one fragment for each, or by
/// the marker that ends a stream, whichever there is first. There may be more frames than
/// `count` says; fewer are an error.
pub(super) fn frames<'a>(
    set: &DataSet<'a>,
    count: usize,
    path: &Path,
) -> Result<Vec<Cow<'a, [u8]>>> {
    let value = set
        .get(tags::PIXEL_DATA)
        .map_or(&[][..], |pixels| pixels.value);
    let (table, fragments) = fragments(value, path)?;
    let frames = if let Some((offsets, lengths)) = extended_table(set) {
        by_extended_table(&fragments, &offsets, &lengths)
    } else if !table.is_empty() {
        by_offsets(&fragments, &table)
    } else if count == 1 {
        vec![joined(&fragments)]
    } else if fragments.len() <= count {
        fragments.iter().map(|part| part.bytes.into()).collect()
    } else {
        by_end_of_image(&fragments)
    };
    if frames.len() < count {
        return Err(ImagingError::content(
            path,
            format!("{count} frames of compressed pixels"),
            frames.len().to_string(),
        ));
    }
    Ok(frames)
}

/// The basic offset table and the fragments.
fn fragments<'a>(value: &'a [u8], path: &Path) -> Result<(Vec<u64>, Vec<Fragment<'a>>)> {
    let mut parts: Vec<(usize, &[u8])> = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let fault = |found: String| {
            let expected = format!("an item at byte {at} of the compressed pixels");
            ImagingError::content(path, expected, found)
        };
        let start = header(value, at, Encoding::IMPLICIT).map_err(|error| fault(error.found))?;
        match start.tag {
            SEQUENCE_END => break,
            ITEM => {}
            other => return Err(fault(other.to_string())),
        }
        let end = start.value.saturating_add(start.length as usize);
        let bytes = value.get(start.value..end).ok_or_else(|| {
            fault(format!(
                "one of {} bytes where {} are left",
                start.length,
                value.len().saturating_sub(start.value)
            ))
        })?;
        parts.push((at, bytes));
        at = end;
    }
    let Some(((_, table), parts)) = parts.split_first() else {
        return Err(ImagingError::content(path, "compressed pixels", "none"));
    };
    let table = (0..table.len() / 4)
        .filter_map(|index| bytes_at(table, index * 4).map(u32::from_le_bytes))
        .map(u64::from)
        .collect();
    let first = parts.first().map_or(0, |part| part.0);
    let fragments = parts
        .iter()
        .map(|&(at, bytes)| Fragment {
            offset: (at - first) as u64,
            bytes,
        })
        .collect();
    Ok((table, fragments))
}

fn joined<'a>(fragments: &[Fragment<'a>]) -> Cow<'a, [u8]> {
    match fragments {
        [single] => single.bytes.into(),
        several => {
            let parts: Vec<&[u8]> = several.iter().map(|part| part.bytes).collect();
            parts.concat().into()
        }
    }
}

/// Fragments from each offset up to the next one.
fn by_offsets<'a>(fragments: &[Fragment<'a>], table: &[u64]) -> Vec<Cow<'a, [u8]>> {
    let start_of = |offset: u64| fragments.partition_point(|part| part.offset < offset);
    table
        .iter()
        .enumerate()
        .map(|(frame, &offset)| {
            let from = if frame == 0 { 0 } else { start_of(offset) };
            let to = table
                .get(frame + 1)
                .map_or(fragments.len(), |&next| start_of(next));
            joined(fragments.get(from..to.max(from)).unwrap_or_default())
        })
        .collect()
}

fn extended_table(set: &DataSet<'_>) -> Option<(Vec<u64>, Vec<u64>)> {
    let numbers = |tag| -> Option<Vec<u64>> {
        let value = set.get(tag)?.value;
        (0..value.len() / 8)
            .map(|index| bytes_at(value, index * 8).map(u64::from_le_bytes))
            .collect()
    };
    let offsets = numbers(tags::EXTENDED_OFFSET_TABLE)?;
    let lengths = numbers(tags::EXTENDED_OFFSET_TABLE_LENGTHS)?;
    (!offsets.is_empty() && offsets.len() == lengths.len()).then_some((offsets, lengths))
}

/// Frames of one fragment each, of which the length without padding is told.
fn by_extended_table<'a>(
    fragments: &[Fragment<'a>],
    offsets: &[u64],
    lengths: &[u64],
) -> Vec<Cow<'a, [u8]>> {
    offsets
        .iter()
        .zip(lengths)
        .filter_map(|(&offset, &length)| {
            let part = fragments.iter().find(|part| part.offset == offset)?;
            let length = usize::try_from(length).ok()?.min(part.bytes.len());
            Some(part.bytes[..length].into())
        })
        .collect()
}

fn by_end_of_image<'a>(fragments: &[Fragment<'a>]) -> Vec<Cow<'a, [u8]>> {
    let mut frames = Vec::new();
    let mut first = 0;
    for (index, part) in fragments.iter().enumerate() {
        let tail = &part.bytes[part.bytes.len().saturating_sub(PADDING)..];
        let ends = tail.windows(2).any(|pair| pair == END_OF_IMAGE);
        if ends || index + 1 == fragments.len() {
            frames.push(joined(&fragments[first..=index]));
            first = index + 1;
        }
    }
    frames
}
