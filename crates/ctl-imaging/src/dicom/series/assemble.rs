//! The values of a grid, read slice by slice in parallel.

use super::SeriesOptions;
use super::plain;
use super::plane::{Header, Plane};
use super::stack::Stack;
use crate::Result;
use crate::bounded::{array_bytes, read_file_into};
use crate::dicom::data::{Source, Until};
use crate::dicom::pixels::{self, Palette, Pixels, StoredBits};
use crate::error::ImagingError;
use crate::volume::{Samples, Scaling, Value, Volume, for_any_type, map_any_type};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Slices that are decoded together: more would only wait in memory.
const BATCH: usize = 32;

/// Reads the planes of a stack into a volume.
pub(super) fn volume(
    headers: &[Header],
    planes: &[&Plane],
    stack: &Stack,
    options: &SeriesOptions,
) -> Result<Volume> {
    let first = &headers[planes[0].file];
    let layout = &first.layout;
    let mut shape = vec![layout.columns, layout.rows, stack.places];
    if stack.times > 1 {
        shape.push(stack.times);
    }
    array_bytes(
        &shape,
        layout.samples * layout.sample_type().bytes(),
        &first.path,
    )?;
    let scaling = if options.single_precision {
        None
    } else {
        common_scaling(planes)
    };
    let samples = match plain::samples(headers, planes, &stack.order, scaling.is_some(), options)? {
        Some(samples) => samples,
        None => decoded(headers, planes, stack, scaling, options)?,
    };
    let components = samples.len() / (layout.rows * layout.columns * stack.order.len()).max(1);
    let volume = Volume::with_components(&shape, components, samples, stack.affine)?;
    volume.with_scaling(scaling.unwrap_or(Scaling::NONE))
}

/// The values of all planes, each of which is decoded by itself.
///
/// # Arguments
/// * `scaling`: that of the volume; numbers are scaled where there is none.
fn decoded(
    headers: &[Header],
    planes: &[&Plane],
    stack: &Stack,
    scaling: Option<Scaling>,
    options: &SeriesOptions,
) -> Result<Samples> {
    let first = &headers[planes[0].file];
    let reader = Reader {
        headers,
        frames: multi_frames(headers, planes)?,
        scaling,
        palette: options.apply_palette,
    };
    let mut samples: Option<Samples> = None;
    for batch in stack.order.chunks(BATCH) {
        let read: Vec<Samples> = batch
            .par_iter()
            .map_init(Vec::new, |buffer, &index| {
                reader.slice(planes[index], buffer)
            })
            .collect::<Result<_>>()?;
        for slice in read {
            samples = Some(match samples.take() {
                None => with_room(slice, stack.order.len()),
                Some(all) => pixels::append(all, slice).ok_or_else(|| {
                    ImagingError::content(&first.path, "slices of one type", "several")
                })?,
            });
        }
    }
    Ok(samples.unwrap_or(Samples::U8(Vec::new())))
}

/// Room for as many slices behind the first: growing would copy all of them over and over.
///
/// Memory that is not filled yet costs nothing; where there is not so much, the error comes when it
/// is needed.
fn with_room(first: Samples, slices: usize) -> Samples {
    map_any_type!(first, values => {
        let mut values = values;
        let _ = values.try_reserve_exact(values.len().saturating_mul(slices - 1));
        values
    })
}

/// The scaling that all planes share.
fn common_scaling(planes: &[&Plane]) -> Option<Scaling> {
    let first = planes[0].scaling;
    planes
        .iter()
        .all(|plane| plane.scaling == first)
        .then_some(first)
}

/// Files of several frames are decoded once.
fn multi_frames(headers: &[Header], planes: &[&Plane]) -> Result<BTreeMap<usize, Pixels>> {
    planes
        .iter()
        .map(|plane| plane.file)
        .filter(|&file| headers[file].layout.frames > 1)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .map(|file| Ok((file, decode(&headers[file].path, &mut Vec::new())?)))
        .collect()
}

/// Decodes a file that is read into a buffer, which may have held another one.
fn decode(path: &Path, buffer: &mut Vec<u8>) -> Result<Pixels> {
    read_file_into(path, buffer)?;
    let source = Source::of_bytes(std::mem::take(buffer), path)?;
    let set = source.sound_data_set(Until::End)?;
    let pixels = pixels::decode(&source, &set, StoredBits::BelowHighBit)?;
    drop(set);
    *buffer = source.into_bytes();
    Ok(pixels)
}

struct Reader<'a> {
    headers: &'a [Header],
    frames: BTreeMap<usize, Pixels>,
    scaling: Option<Scaling>,
    palette: bool,
}

impl Reader<'_> {
    fn slice(&self, plane: &Plane, buffer: &mut Vec<u8>) -> Result<Samples> {
        let header = &self.headers[plane.file];
        let pixels = match self.frames.get(&plane.file) {
            Some(pixels) => frame(pixels, plane.frame, &header.path)?,
            None => decode(&header.path, buffer)?,
        };
        let found = (pixels.rows, pixels.columns, pixels.channels, pixels.frames);
        let layout = &header.layout;
        let expected = (layout.rows, layout.columns, layout.samples, 1);
        if found != expected {
            return Err(ImagingError::content(
                &header.path,
                format!("rows, columns, channels and frames {expected:?}"),
                format!("{found:?}"),
            ));
        }
        let pixels = if self.palette && pixels.photometric == "PALETTE COLOR" {
            let palette = Palette::read(&header.path)?
                .ok_or_else(|| ImagingError::content(&header.path, "a palette", "none"))?;
            palette.apply(&pixels)?
        } else {
            pixels
        };
        Ok(match self.scaling {
            Some(_) => pixels.samples,
            None => rescaled(&pixels.samples, plane.scaling),
        })
    }
}

/// Numbers in single precision, scaled in double precision before they are rounded.
fn rescaled(samples: &Samples, scaling: Scaling) -> Samples {
    for_any_type!(samples, values => Samples::F32(
        values
            .iter()
            .map(|&value| scaling.apply(Value::to_f64(value)) as f32)
            .collect()
    ))
}

/// One of several frames.
fn frame(pixels: &Pixels, index: usize, path: &Path) -> Result<Pixels> {
    let size = pixels.rows * pixels.columns * pixels.channels;
    let range = index * size..(index + 1) * size;
    if range.end > pixels.samples.len() {
        let expected = format!("a frame {index}");
        return Err(ImagingError::content(
            path,
            expected,
            pixels.frames.to_string(),
        ));
    }
    Ok(Pixels {
        frames: 1,
        rows: pixels.rows,
        columns: pixels.columns,
        channels: pixels.channels,
        samples: map_any_type!(&pixels.samples, values => values[range].to_vec()),
        photometric: pixels.photometric.clone(),
    })
}
