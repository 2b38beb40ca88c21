//! `ctl image`

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use ctl_compute::runtime::on_every_core;
use ctl_imaging::volume::{
    Interpolation, Plane, SheetOptions, VolumeFile, VolumeFormat, VolumeInfo, read_volume_file,
    write_volume,
};
use ctl_imaging::{ImagingError, dicom, nifti};
use serde_json::Value;

use crate::arguments::{Convert, Image, Info, Show};
use crate::exit;
use crate::output::{note, print_json, print_line};

pub(crate) fn run(action: &Image) -> anyhow::Result<ExitCode> {
    match action {
        Image::Info(options) => info(options),
        Image::Convert(options) => convert(options),
        Image::Show(options) => show(options),
    }
}

fn info(options: &Info) -> anyhow::Result<ExitCode> {
    let mut found = on_every_core(|| described(options))??;
    if !options.voxel.is_empty() {
        let value = on_every_core(|| read_value(options))??;
        if let Value::Object(fields) = &mut found {
            fields.insert("voxel".into(), options.voxel.clone().into());
            fields.insert("value".into(), number(value));
        }
    }
    if options.json {
        print_json(&found)?;
    } else if let Value::Object(fields) = &found {
        for (name, value) in fields {
            print_line(format_args!("{name}: {}", plain(value)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(options: &Info) -> anyhow::Result<Value> {
    let file = &options.file;
    // A single file is described as it is, of whatever series.
    let alone = file.is_file() && options.series.is_none();
    Ok(match VolumeFormat::sniff(file)? {
        Some(VolumeFormat::Nifti) if alone => serde_json::to_value(nifti::info(file)?)?,
        Some(VolumeFormat::Dicom) if alone => serde_json::to_value(dicom::info(file)?)?,
        Some(format) => {
            let image = read(file, options.series.as_deref())?;
            serde_json::to_value(VolumeInfo::of(&image.volume, format))?
        }
        None => serde_json::to_value(unmarked(file)?)?,
    })
}

/// What there is of a data set in a file that nothing marks as one.
fn unmarked(file: &Path) -> anyhow::Result<dicom::DicomInfo> {
    if let Ok(found) = dicom::info(file) {
        return Ok(found);
    }
    // That it is of no known format says more than that it has no elements.
    VolumeFormat::of(file)?;
    Ok(dicom::info(file)?)
}

/// The scaled number at a voxel, without reading more than it takes where the format allows.
fn read_value(options: &Info) -> anyhow::Result<f64> {
    let (file, voxel) = (&options.file, &options.voxel[..]);
    if VolumeFormat::of(file)? == VolumeFormat::Nifti {
        return Ok(nifti::Reader::open(file)?.value(voxel)?);
    }
    let volume = read_volume_file(file, options.series.as_deref())?.volume;
    let found = volume.value(voxel);
    Ok(found.ok_or_else(|| ImagingError::Argument {
        subject: "voxel",
        expected: format!("indices within {:?}", volume.shape()),
        found: format!("{voxel:?}"),
    })?)
}

/// A number, or the name of one that JSON does not have.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(
        || {
            let name = match value {
                value if value.is_nan() => "nan",
                value if value > 0.0 => "inf",
                _ => "-inf",
            };
            name.into()
        },
        Value::Number,
    )
}

/// A value on one line, text without its quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn convert(options: &Convert) -> anyhow::Result<ExitCode> {
    let spacing = match options.spacing[..] {
        [] => None,
        [x, y, z] if [x, y, z].iter().all(|&side| side.is_finite() && side > 0.0) => {
            Some([x, y, z])
        }
        _ => {
            return Ok(exit::misuse(&anyhow!(
                "--spacing: expected three numbers above 0, found {:?}",
                options.spacing
            )));
        }
    };
    on_every_core(|| converted(options, spacing))??;
    print_line(format_args!("image: {}", options.to.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn converted(options: &Convert, spacing: Option<[f64; 3]>) -> Result<(), ImagingError> {
    let VolumeFile {
        mut volume,
        display,
        ..
    } = read(&options.from, options.series.as_deref())?;
    for lost in display.lost(&volume) {
        note(format_args!("{}: {lost}", options.from.display()));
    }
    if let Some(orientation) = options.orientation {
        volume = volume.reoriented(orientation)?;
    }
    if let Some(spacing) = spacing {
        let way = match options.interpolation.as_deref() {
            Some("nearest") => Interpolation::Nearest,
            Some("cubic") => Interpolation::CubicBSpline,
            _ => Interpolation::Linear,
        };
        volume = volume.resampled_to_spacing(spacing, way)?;
    }
    if let Some(kind) = options.dtype {
        volume = volume.to_type(kind)?;
    }
    write_volume(&options.to, &volume)
}

/// Reads an image and says what was odd about it.
fn read(file: &Path, series: Option<&str>) -> Result<VolumeFile, ImagingError> {
    let image = read_volume_file(file, series)?;
    for warning in &image.warnings {
        note(format_args!("{}: {warning}", file.display()));
    }
    Ok(image)
}

fn show(options: &Show) -> anyhow::Result<ExitCode> {
    let window = match options.window[..] {
        [] => None,
        [low, high] if low.is_finite() && high.is_finite() && low < high => Some([low, high]),
        _ => {
            let error = anyhow!(
                "--window: expected two finite numbers, the second above the first, found {:?}",
                options.window
            );
            return Ok(exit::misuse(&error));
        }
    };
    on_every_core(|| {
        let overlay = options.overlay.as_deref();
        let overlay = overlay.map(|file| read(file, None)).transpose()?;
        let image = read(&options.file, options.series.as_deref())?;
        let sheet = SheetOptions {
            plane: match options.plane.as_str() {
                "coronal" => Plane::Coronal,
                "sagittal" => Plane::Sagittal,
                _ => Plane::Axial,
            },
            slices: options.slices.into(),
            window,
            frame: options.frame,
            display: image.display,
        };
        let labels = overlay.as_ref().map(|overlay| &overlay.volume);
        image
            .volume
            .sheet(labels, &sheet)?
            .write_png(&options.picture)
    })??;
    print_line(format_args!("picture: {}", options.picture.display()))?;
    Ok(ExitCode::SUCCESS)
}
