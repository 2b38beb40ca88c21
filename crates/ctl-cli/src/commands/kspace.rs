//! `ctl data kspace`

use std::path::Path;
use std::process::ExitCode;

use ctl_compute::runtime::on_every_core;
use ctl_harness::HarnessError;
use ctl_harness::sense::{CoilFigures, CoilImage, SenseConfig, reconstruct_coils};
use ctl_imaging::Raster;
use ctl_imaging::kspace::read_coils;
use serde::Serialize;

use crate::arguments::Kspace;
use crate::output::{print_json, print_line};

/// What was found.
#[derive(Serialize)]
struct Found {
    coils: usize,
    size: [usize; 2],
    /// Share of the points of k-space that were measured.
    sampled: f64,
    iterations: u32,
    regularisation: f64,
    /// Only where there is a reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_filled: Option<CoilFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reconstruction: Option<CoilFigures>,
}

pub(crate) fn run(options: &Kspace) -> anyhow::Result<ExitCode> {
    let raw = read_coils(&options.file)?;
    let config = SenseConfig {
        iterations: options.iterations,
        regularisation: options.regularisation,
    };
    let image =
        on_every_core(|| reconstruct_coils(&raw, &config))?.map_err(|e| of(e, &options.file))?;
    let mut found = Found {
        coils: raw.count(),
        size: image.size,
        sampled: image.sampled,
        iterations: config.iterations,
        regularisation: config.regularisation,
        zero_filled: None,
        reconstruction: None,
    };
    if let Some(path) = &options.reference {
        let reference = read_coils(path)?;
        let (height, width) = reference.size();
        if [height, width] != image.size {
            let [rows, columns] = image.size;
            return Err(HarnessError::Data {
                path: path.clone(),
                message: format!(
                    "the raw data give an image of {rows} x {columns}, this reference has \
                     {height} x {width}"
                ),
            }
            .into());
        }
        let reference = reference.root_sum_of_squares();
        let figures = |pixels: &[f32]| CoilFigures::of(image.size, pixels, &reference);
        let [before, after] = [&image.zero_filled, &image.image].map(|pixels| figures(pixels));
        found.zero_filled = Some(before.map_err(|e| of(e, path))?);
        found.reconstruction = Some(after.map_err(|e| of(e, path))?);
    }
    if let Some(path) = &options.out {
        picture(&image)?.write_png(path)?;
    }
    if options.json {
        print_json(&found)?;
    } else {
        show(&found)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The error with the file that it is about.
fn of(error: HarnessError, file: &Path) -> HarnessError {
    match error {
        HarnessError::Data { message, .. } => HarnessError::Data {
            path: file.to_path_buf(),
            message,
        },
        other => other,
    }
}

/// The reconstruction, its maximum white.
fn picture(image: &CoilImage) -> anyhow::Result<Raster> {
    let [height, width] = image.size;
    let white = image
        .image
        .iter()
        .copied()
        .fold(f32::MIN_POSITIVE, f32::max);
    let pixels = image.image.iter().map(|value| value / white).collect();
    Ok(Raster::new(1, height, width, pixels)?)
}

fn show(found: &Found) -> anyhow::Result<()> {
    let [height, width] = found.size;
    print_line(format_args!(
        "{} coils, {height} x {width}, {:.1} % of k-space measured",
        found.coils,
        100.0 * found.sampled
    ))?;
    let rows = [
        ("zero-filled", found.zero_filled),
        ("reconstruction", found.reconstruction),
    ];
    for (name, figures) in rows {
        let Some(figures) = figures else { continue };
        print_line(format_args!(
            "{name}: PSNR {:.2} dB, SSIM {:.3}, NMSE {:.4}",
            figures.psnr, figures.ssim, figures.nmse
        ))?;
    }
    Ok(())
}
