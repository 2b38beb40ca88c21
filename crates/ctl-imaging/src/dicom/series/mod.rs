//! Series of slices as volumes.

mod assemble;
mod find;
mod group;
mod keys;
mod plain;
mod plane;
mod stack;

pub(crate) use find::refuse_damaged;
pub use find::{Discovery, SeriesFiles, discover_series};
pub use keys::SeriesAxis;
pub(crate) use plane::unplaced_kind;

use super::Window;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{self, Volume, VolumeHeader};
use find::{Found, nothing};
use group::Group;
use plane::{Header, Plane};
use rayon::prelude::*;
use stack::Stack;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What to do about slices that are not equally far apart.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Gaps {
    /// Report them as an error that names where.
    #[default]
    Refuse,
    /// Put the slices that there are beside each other, with a warning.
    Report,
}

/// How slices become volumes.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesOptions {
    /// What to do about missing and unequally spaced slices.
    pub gaps: Gaps,
    /// Part of the spacing by which distances may differ from it, 0 to 0.5; 0.01 mm always may.
    pub spacing_tolerance: f64,
    /// Whether indices into a palette become its colours.
    pub apply_palette: bool,
    /// Whether stored values become rescaled numbers in single precision as they are read, which
    /// spares the memory of both; otherwise they do only where slices differ in their scaling.
    pub single_precision: bool,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self {
            gaps: Gaps::Refuse,
            spacing_tolerance: 0.01,
            apply_palette: false,
            single_precision: false,
        }
    }
}

impl SeriesOptions {
    fn validate(&self) -> Result<()> {
        if (0.0..=0.5).contains(&self.spacing_tolerance) {
            return Ok(());
        }
        Err(ImagingError::argument(
            "spacing_tolerance",
            "0 to 0.5",
            self.spacing_tolerance.to_string(),
        ))
    }
}

/// A series of slices (or one of its stacks) as a volume.
#[derive(Debug, Clone)]
pub struct Series {
    /// `SeriesInstanceUID`.
    pub uid: String,
    /// `StudyInstanceUID`, empty where it is absent.
    pub study: String,
    /// `Modality`, empty where it is absent.
    pub modality: String,
    /// `SeriesDescription`, empty where it is absent.
    pub description: String,
    /// Its files, in the order of their first slice in the volume.
    pub files: Vec<PathBuf>,
    /// Values `[columns, rows, slices, times]` with their place in the patient.
    ///
    /// Where all slices have one slope and intercept, values keep their type and the scaling is the
    /// volume's; otherwise, and where [`SeriesOptions::single_precision`] asks for it, they are
    /// rescaled numbers in single precision.
    pub volume: Volume,
    /// What the fourth axis counts, if there is one.
    pub axis: Option<SeriesAxis>,
    /// Its values, as far as they are single numbers.
    pub axis_values: Vec<f64>,
    /// Angle between the slices' normal and the way from one to the next, in degrees.
    pub tilt_degrees: f64,
    /// First and last stored value that stand for no tissue (`PixelPaddingValue`).
    pub padding: Option<(i64, i64)>,
    /// Whether low values are to be shown bright (`MONOCHROME1`); the volume is not inverted.
    pub inverted_display: bool,
    /// Windows of the first file.
    pub windows: Vec<Window>,
    /// What is unusual about it.
    pub warnings: Vec<String>,
}

impl SeriesFiles {
    /// Reads the series.
    ///
    /// # Errors
    /// Those of [`read_series_files`].
    pub fn read(&self, options: &SeriesOptions) -> Result<Vec<Series>> {
        read_series_files(&self.files, options)
    }
}

/// Reads all series of images of a folder as volumes.
///
/// # Arguments
/// * `folder`: is searched through with all folders in it; what is no image of the patient
///   (structured reports, segmentations) is left out.
///
/// # Errors
/// Those of [`read_series_files`], also of a file that is damaged or cannot be opened; the reason
/// for which a file was left out, when there is no other.
pub fn read_series(folder: &Path, options: &SeriesOptions) -> Result<Vec<Series>> {
    options.validate()?;
    let mut found = Found::in_folder(folder)?;
    if found.series.is_empty() {
        return Err(nothing(folder, found.skipped));
    }
    refuse_damaged(&mut found.skipped)?;
    let mut all = Vec::new();
    for headers in &found.series {
        all.extend(read_all(headers, options)?);
    }
    Ok(all)
}

/// Reads files as volumes, one for each series and stack.
///
/// Files are grouped by series, orientation, size and type. Slices are sorted along their normal;
/// several of one place become a fourth axis by what tells them apart ([`SeriesAxis`]). Where a
/// series mixes stacks of several acquisitions that do not fit together, each is a volume of its
/// own. Affines are those of RAS+ mm and keep the shear of a tilted gantry.
///
/// # Arguments
/// * `files`: in any order; enhanced files with several frames as well as one slice a file.
///
/// # Errors
/// [`ImagingError::Io`] when a file cannot be read; [`ImagingError::Content`] when one is no image
/// that can be placed in the patient, slices are missing or not equally far apart (by more than the
/// tolerance of `options`), or nothing tells images of one place apart; [`ImagingError::Argument`]
/// when an option is out of range or there are no files.
///
/// # References
/// PS3.3 sections C.7.6.2 (image plane), C.7.6.16 (functional groups), C.11.1 (modality LUT).
pub fn read_series_files(files: &[PathBuf], options: &SeriesOptions) -> Result<Vec<Series>> {
    options.validate()?;
    if files.is_empty() {
        return Err(ImagingError::argument("files of a series", "some", "none"));
    }
    let headers = read_headers(files)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    read_all(&headers, options)
}

fn read_all(headers: &[Header], options: &SeriesOptions) -> Result<Vec<Series>> {
    of_groups(headers, |group| read_group(headers, group, options))
}

/// Shape and place of the volumes of a file or folder, from headers alone.
///
/// # Errors
/// Those of [`read_series`] that do not concern pixels.
pub(crate) fn read_series_headers(path: &Path) -> Result<Vec<VolumeHeader>> {
    let options = SeriesOptions::default();
    let of_series =
        |headers: &[Header]| of_groups(headers, |group| group_header(headers, group, &options));
    if !path.is_dir() {
        return of_series(&[Header::read(path, 0)?]);
    }
    let mut found = Found::in_folder(path)?;
    if found.series.is_empty() {
        return Err(nothing(path, found.skipped));
    }
    refuse_damaged(&mut found.skipped)?;
    let mut all = Vec::new();
    for headers in &found.series {
        all.extend(of_series(headers)?);
    }
    Ok(all)
}

/// What `read` gives for each group of planes that make a volume.
fn of_groups<T>(headers: &[Header], read: impl Fn(&Group<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for group in group::groups(headers) {
        match read(&group) {
            Ok(one) => all.push(one),
            Err(error) => {
                // The stacks of several acquisitions may fit where all slices together do not.
                let parts = group.by_acquisition().ok_or(error)?;
                for part in &parts {
                    all.push(read(part)?);
                }
            }
        }
    }
    Ok(all)
}

/// Shape and place of the volumes that files make, from headers alone.
///
/// # Errors
/// Those of [`read_series_files`] but for what is wrong with pixels.
pub(crate) fn series_headers(files: &[PathBuf]) -> Result<Vec<VolumeHeader>> {
    let options = SeriesOptions::default();
    let headers = read_headers(files)
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    of_groups(&headers, |group| group_header(&headers, group, &options))
}

/// The planes of a group in order.
fn stacked(headers: &[Header], group: &Group<'_>, options: &SeriesOptions) -> Result<Stack> {
    let first = group.first;
    let name = |index: usize| {
        let plane = group.planes[index];
        let header = &headers[plane.file];
        let file = header.path.file_name().unwrap_or_default();
        let file = file.to_string_lossy().into_owned();
        if header.planes.len() > 1 {
            format!("frame {} of {file}", plane.frame)
        } else {
            file
        }
    };
    let folder = first.path.parent().unwrap_or(&first.path);
    stack::stack(&group.planes, options, &name, folder)
}

fn group_header(
    headers: &[Header],
    group: &Group<'_>,
    options: &SeriesOptions,
) -> Result<VolumeHeader> {
    let stack = stacked(headers, group, options)?;
    let layout = &group.first.layout;
    let shape = [layout.columns, layout.rows, stack.places, stack.times];
    let place = (layout.sample_type(), stack.affine);
    volume::of_shape(&shape, layout.samples, place, &group.first.path)
}

fn read_group(headers: &[Header], group: &Group<'_>, options: &SeriesOptions) -> Result<Series> {
    let first = group.first;
    let stack = stacked(headers, group, options)?;
    let volume = assemble::volume(headers, &group.planes, &stack, options)?;
    Ok(Series {
        uid: first.series.clone(),
        study: first.study.clone(),
        modality: first.modality.clone(),
        description: first.description.clone(),
        files: ordered_files(headers, &group.planes, &stack),
        volume,
        axis: stack.axis,
        axis_values: stack.axis_values,
        tilt_degrees: stack.tilt,
        padding: first.padding,
        inverted_display: first.layout.photometric == "MONOCHROME1",
        windows: first.windows.clone(),
        warnings: stack.warnings,
    })
}

fn ordered_files(headers: &[Header], planes: &[&Plane], stack: &Stack) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    stack
        .order
        .iter()
        .map(|&index| planes[index].file)
        .filter(|&file| seen.insert(file))
        .map(|file| headers[file].path.clone())
        .collect()
}

fn read_headers(files: &[PathBuf]) -> Vec<Result<Header>> {
    files
        .par_iter()
        .enumerate()
        .map(|(index, path)| Header::read(path, index))
        .collect()
}
