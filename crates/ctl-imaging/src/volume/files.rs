//! One door to every format that knows where an image lies.

use super::{Display, SampleType, Scaling, Volume, VolumeFormat};
use crate::Result;
use crate::dicom::{self, Series, SeriesFiles, SeriesOptions};
use crate::error::ImagingError;
use crate::metaimage::{self, MetaOptions};
use crate::nifti::{self, WriteOptions};
use crate::nrrd::{self, NrrdOptions};
use std::path::Path;

/// What can be written here, by name.
const WRITTEN: &str = "a name that ends in .nii, .nii.gz, .nrrd or .mha";

/// Most series that an error names.
const MAX_LISTED: usize = 20;

/// An image, with what its file says of it beside values and place.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VolumeFile {
    /// Values and place.
    pub volume: Volume,
    /// The format of the file.
    pub format: VolumeFormat,
    /// How the file wants to be looked at.
    pub display: Display,
    /// What was odd and how it was taken.
    pub warnings: Vec<String>,
}

/// Reads an image with its place in the patient, whatever its format.
///
/// The format is told by content ([`VolumeFormat::of`]). A DICOM file is read as the series that it
/// is alone, a folder as the one series whose files lie in it; [`read_volume_file`] reads one of
/// several. Pictures and arrays, which do not say where they lie, are refused here; their own
/// modules take an affine from the caller.
///
/// # Arguments
/// * `path`: the file; either one of a `.hdr`/`.img` pair, the header of `.nhdr` or `.mhd`.
///
/// # Errors
/// Those of [`read_volume_file`].
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume, read_volume, write_volume};
///
/// # let folder = tempfile::tempdir()?;
/// let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
/// let volume = Volume::new(&[2, 1, 1], Samples::I16(vec![-7, 7]), affine)?;
/// for name in ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"] {
///     let path = folder.path().join(name);
///     write_volume(&path, &volume)?;
///     assert_eq!(read_volume(&path)?.samples(), volume.samples());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_volume(path: &Path) -> Result<Volume> {
    Ok(read_volume_file(path, None)?.volume)
}

/// Reads an image, and what its file says of it beside values and place.
///
/// # Arguments
/// * `path`: as for [`read_volume`].
/// * `series`: of a DICOM file or folder that holds several images, which one: the
///   `SeriesInstanceUID`, followed by `:2` for the second stack of a series of several; without,
///   there must be one.
///
/// # Errors
/// [`ImagingError::Content`] when there are several images, or none of the series asked for;
/// [`ImagingError::Argument`] when a series is asked of another format; those of
/// [`VolumeFormat::of`] and of the format's own reader.
///
/// # Examples
/// ```
/// use ctl_imaging::volume::{Affine, Samples, Volume, read_volume_file, write_volume};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("a.nii");
/// let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
/// write_volume(&path, &Volume::new(&[2, 1, 1], Samples::I16(vec![-7, 7]), affine)?)?;
/// let file = read_volume_file(&path, None)?;
/// assert!(file.warnings.is_empty() && file.display.window.is_none());
/// assert!(read_volume_file(&path, Some("1.2.3")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_volume_file(path: &Path, series: Option<&str>) -> Result<VolumeFile> {
    let format = VolumeFormat::of(path)?;
    if let (Some(series), true) = (series, format != VolumeFormat::Dicom) {
        let expected = "none of an image that is not DICOM";
        return Err(ImagingError::argument("series", expected, series));
    }
    let plain = |volume| VolumeFile {
        volume,
        format,
        display: Display::default(),
        warnings: Vec::new(),
    };
    Ok(match format {
        VolumeFormat::Dicom => read_dicom(path, series)?,
        VolumeFormat::Nrrd => plain(nrrd::read_nrrd(path)?),
        VolumeFormat::MetaImage => plain(metaimage::read_metaimage(path)?),
        VolumeFormat::Nifti => {
            let image = nifti::read(path)?;
            VolumeFile {
                warnings: image.warnings,
                ..plain(image.volume)
            }
        }
    })
}

/// One series of a file or folder.
fn read_dicom(path: &Path, asked: Option<&str>) -> Result<VolumeFile> {
    let (uid, number) = asked.map_or((None, None), |asked| {
        let (uid, number) = asked.split_once(':').unwrap_or((asked, ""));
        (Some(uid), Some(number).filter(|number| !number.is_empty()))
    });
    let options = SeriesOptions::default();
    let mut stacks = if path.is_dir() {
        the_series(path, uid)?.read(&options)?
    } else {
        dicom::read_series_files(&[path.to_owned()], &options)?
    };
    let stacks_found: Vec<String> = stacks
        .iter()
        .enumerate()
        .map(|(index, stack)| name(&format!("{}:{}", stack.uid, index + 1), stack))
        .collect();
    let several = |expected: &str| ImagingError::content(path, expected, listed(&stacks_found));
    if uid.is_some_and(|uid| stacks.iter().any(|stack| stack.uid != uid)) {
        return Err(several("an image of the series asked for"));
    }
    let index = match number.map(str::parse) {
        None if stacks.len() == 1 => 0,
        None => {
            return Err(several(
                "one stack of images, or the name of one of several",
            ));
        }
        Some(Ok(number)) if (1..=stacks.len()).contains(&number) => number - 1,
        Some(_) => return Err(several("a stack of the number asked for")),
    };
    Ok(shown(stacks.swap_remove(index)))
}

/// The series of a folder that is asked for, or its only one.
fn the_series(folder: &Path, uid: Option<&str>) -> Result<SeriesFiles> {
    let mut discovery = dicom::discover_series(folder)?;
    if !discovery.series.is_empty() {
        dicom::refuse_damaged(&mut discovery.skipped)?;
    }
    let all = &discovery.series;
    let index = match uid {
        Some(uid) => all.iter().position(|series| series.uid == uid),
        None => (all.len() == 1).then_some(0),
    };
    if let Some(index) = index {
        return Ok(discovery.series.swap_remove(index));
    }
    if all.is_empty() {
        return Err(discovery.nothing_in(folder));
    }
    let names: Vec<String> = all
        .iter()
        .map(|series| {
            let about = [&series.modality, &series.description].map(String::as_str);
            format!("{} ({})", series.uid, about_slices(about, series.slices))
        })
        .collect();
    let expected = match uid {
        Some(uid) => format!("the series {uid}"),
        None => "one series of images, or the UID of one of several".to_owned(),
    };
    Err(ImagingError::content(folder, expected, listed(&names)))
}

/// How many there are, and the names of the first.
fn listed(names: &[String]) -> String {
    let shown = names[..names.len().min(MAX_LISTED)].join("; ");
    let more = names.len().saturating_sub(MAX_LISTED);
    if more > 0 {
        format!("{}: {shown}; and {more} more", names.len())
    } else {
        format!("{}: {shown}", names.len())
    }
}

fn name(uid: &str, series: &Series) -> String {
    let about = [&series.modality, &series.description].map(String::as_str);
    let slices = series.volume.spatial_shape()[2] * series.volume.frames();
    format!("{uid} ({})", about_slices(about, slices))
}

fn about_slices(about: [&str; 2], slices: usize) -> String {
    let mut parts: Vec<String> = about.iter().map(ToString::to_string).collect();
    parts.retain(|part| !part.is_empty());
    parts.push(format!("slices: {slices}"));
    parts.join(", ")
}

fn shown(series: Series) -> VolumeFile {
    VolumeFile {
        display: Display::of(&series),
        volume: series.volume,
        format: VolumeFormat::Dicom,
        warnings: series.warnings,
    }
}

/// Writes an image in the format that its name asks for: `.nii`, `.nii.gz`, `.nrrd`, `.mha`.
///
/// Values keep their type and, in `NIfTI`, their scaling. NRRD and `MetaImage` have no scaling and
/// no half precision: scaled values and those of half precision are written as numbers of single
/// precision, or double where they were stored in more than 24 bits. NRRD and `MetaImage` are
/// compressed.
///
/// # Errors
/// [`ImagingError::Argument`] when the name asks for no format, or the format cannot hold the
/// image; [`ImagingError::Io`] when it cannot be written, which leaves an older file as it was.
pub fn write_volume(path: &Path, volume: &Volume) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if ends(".nii") || ends(".nii.gz") {
        return nifti::write(path, volume, &WriteOptions::default());
    }
    if ends(".nrrd") {
        let options = NrrdOptions {
            compress: true,
            ..NrrdOptions::default()
        };
        return nrrd::write_nrrd(&unscaled(volume)?, path, &options);
    }
    if ends(".mha") {
        let options = MetaOptions { compress: true };
        return metaimage::write_metaimage(&unscaled(volume)?, path, options);
    }
    Err(ImagingError::argument("file to write", WRITTEN, name))
}

/// The image as a format without scaling holds it.
fn unscaled(volume: &Volume) -> Result<Volume> {
    let stored = volume.sample_type();
    if volume.scaling() == Scaling::NONE && stored != SampleType::Float16 {
        return Ok(volume.clone());
    }
    let is_wide = matches!(
        stored,
        SampleType::UInt32
            | SampleType::Int32
            | SampleType::UInt64
            | SampleType::Int64
            | SampleType::Float64
    );
    volume.to_type(match stored {
        SampleType::Complex64 | SampleType::Complex128 => stored,
        _ if is_wide => SampleType::Float64,
        _ => SampleType::Float32,
    })
}
