//! `ctl image`

use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use ctl_compute::runtime::on_every_core;
use ctl_imaging::volume::{
    Interpolation, Plane, SheetOptions, Volume, VolumeFormat, VolumeInfo, read_volume, write_volume,
};
use ctl_imaging::{ImagingError, dicom, nifti};
use serde_json::Value;

use crate::arguments::{Convert, Image, Show};
use crate::exit;
use crate::output::{note, print_json, print_line};

pub(crate) fn run(action: &Image) -> anyhow::Result<ExitCode> {
    match action {
        Image::Info { file, voxel, json } => info(file, voxel, *json),
        Image::Convert(options) => convert(options),
        Image::Show(options) => show(options),
    }
}

fn info(file: &Path, voxel: &[usize], json: bool) -> anyhow::Result<ExitCode> {
    let mut found = on_every_core(|| described(file))??;
    if !voxel.is_empty() {
        let value = read_value(file, voxel)?;
        if let Value::Object(fields) = &mut found {
            fields.insert("voxel".into(), voxel.into());
            fields.insert("value".into(), number(value));
        }
    }
    if json {
        print_json(&found)?;
    } else if let Value::Object(fields) = &found {
        for (name, value) in fields {
            print_line(format_args!("{name}: {}", plain(value)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn described(file: &Path) -> anyhow::Result<Value> {
    Ok(match VolumeFormat::of(file)? {
        VolumeFormat::Nifti => serde_json::to_value(nifti::info(file)?)?,
        VolumeFormat::Dicom if file.is_file() => serde_json::to_value(dicom::info(file)?)?,
        format => serde_json::to_value(VolumeInfo::of(&read_volume(file)?, format))?,
    })
}

/// The scaled number at a voxel, without reading more than it takes where the format allows.
fn read_value(file: &Path, voxel: &[usize]) -> anyhow::Result<f64> {
    if VolumeFormat::of(file)? == VolumeFormat::Nifti {
        return Ok(nifti::Reader::open(file)?.value(voxel)?);
    }
    let volume = read_volume(file)?;
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
                "--spacing: expected three numbers above 0"
            )));
        }
    };
    on_every_core(|| converted(options, spacing))??;
    print_line(format_args!("image: {}", options.to.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn converted(options: &Convert, spacing: Option<[f64; 3]>) -> Result<(), ImagingError> {
    let mut volume = read(&options.from)?;
    if let Some(orientation) = options.orientation {
        volume = volume.reoriented(orientation)?;
    }
    if let Some(spacing) = spacing {
        let way = match options.interpolation.as_str() {
            "nearest" => Interpolation::Nearest,
            "cubic" => Interpolation::CubicBSpline,
            _ => Interpolation::Linear,
        };
        volume = volume.resampled_to_spacing(spacing, way)?;
    }
    if let Some(kind) = options.dtype {
        volume = volume.to_type(kind)?;
    }
    write_volume(&options.to, &volume)
}

/// Reads an image and says what was odd in its header.
fn read(file: &Path) -> Result<Volume, ImagingError> {
    if VolumeFormat::of(file)? != VolumeFormat::Nifti {
        return read_volume(file);
    }
    let image = nifti::read(file)?;
    for warning in &image.warnings {
        note(format_args!("{}: {warning}", file.display()));
    }
    Ok(image.volume)
}

fn show(options: &Show) -> anyhow::Result<ExitCode> {
    let window = match options.window[..] {
        [] => None,
        [low, high] if low < high => Some([low, high]),
        _ => {
            let error = anyhow!("--window: expected two numbers, the second above the first");
            return Ok(exit::misuse(&error));
        }
    };
    let sheet = SheetOptions {
        plane: match options.plane.as_str() {
            "coronal" => Plane::Coronal,
            "sagittal" => Plane::Sagittal,
            _ => Plane::Axial,
        },
        slices: options.slices.into(),
        window,
        frame: options.frame,
    };
    on_every_core(|| {
        let overlay = options.overlay.as_deref().map(read).transpose()?;
        let raster = read(&options.file)?.sheet(overlay.as_ref(), &sheet)?;
        raster.write_png(&options.picture)
    })??;
    print_line(format_args!("picture: {}", options.picture.display()))?;
    Ok(ExitCode::SUCCESS)
}
