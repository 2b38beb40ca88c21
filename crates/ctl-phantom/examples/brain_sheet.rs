//! Draws a contact sheet of simulated slices of the head, to be looked at, or measures the rate.
//!
//! ```text
//! cargo run --release -p ctl-phantom --example brain_sheet -- [FILE.png] [SIZE]
//! cargo run --release -p ctl-phantom --example brain_sheet -- rate
//! ```
//!
//! For each of FLAIR, T1 and T2 there are three rows: slices of a source, the healthy on the left
//! and the diseased on the right; slices of a target with another scanner; and one patient as
//! acquired, without noise, at the reference scanner, without the disease, twenty years older, and
//! the mask. `rate` prints slices of 128 and volumes of 64 pixels per second and core.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ctl_imaging::Raster;
use ctl_phantom::{Dials, MrContrast, PhantomCohort, PhantomSpec, SiteRole, simulate};

const COLUMNS: usize = 6;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| "brain.png".to_owned());
    if file == "rate" {
        return rate();
    }
    let size = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let mut rows = Vec::new();
    for contrast in [MrContrast::Flair, MrContrast::T1, MrContrast::T2] {
        let spec = PhantomSpec {
            size,
            patients_per_site: 60,
            seed: 11,
            dials: Dials {
                acquisition: 1.0,
                ..Dials::default()
            },
            contrast: Some(contrast),
            ..PhantomSpec::default()
        };
        let cohort = simulate(&spec)?;
        rows.push(site_row(&cohort, SiteRole::Source));
        rows.push(site_row(&cohort, SiteRole::Target));
        rows.push(patient_row(&cohort)?);
    }
    let pixels = mosaic(&rows, size);
    let sheet = Raster::new(1, rows.len() * size, COLUMNS * size, pixels)?;
    sheet.write_png(Path::new(&file))?;
    Ok(())
}

/// As many healthy as diseased patients of the first site of a role.
fn site_row(cohort: &PhantomCohort, role: SiteRole) -> Vec<Vec<f32>> {
    let site = cohort.sites().iter().position(|site| site.role == role);
    let samples = cohort.samples();
    [0, 1]
        .into_iter()
        .flat_map(|label| {
            let of_site = samples
                .iter()
                .filter(move |sample| Some(sample.site) == site && sample.label == label);
            of_site
                .take(COLUMNS / 2)
                .map(|sample| cohort.image_of(sample))
        })
        .collect()
}

fn patient_row(cohort: &PhantomCohort) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let samples = cohort.samples();
    let index = samples
        .iter()
        .position(|sample| sample.label == 1 && cohort.true_mask_of(sample).contains(&1));
    let index = index.ok_or("nobody is diseased")?;
    let age = samples[index].attributes[0].unwrap_or(60.0);
    let healthy = cohort.counterfactual(index, &[("disease", 0.0)])?;
    let older = cohort.counterfactual(index, &[("age", (age + 20.0).min(95.0))])?;
    let mask = cohort.mask(index).into_iter().map(f32::from);
    Ok(vec![
        cohort.image(index),
        cohort.reference_image(index),
        cohort.oracle_image(index),
        cohort.image_of(&healthy),
        cohort.image_of(&older),
        mask.collect(),
    ])
}

/// Sets square slices side by side; what a short row lacks stays black.
fn mosaic(rows: &[Vec<Vec<f32>>], size: usize) -> Vec<f32> {
    let width = COLUMNS * size;
    let mut samples = vec![0.0; rows.len() * size * width];
    for (row, slices) in rows.iter().enumerate() {
        for (column, slice) in slices.iter().enumerate() {
            for (line, pixels) in slice.chunks_exact(size).enumerate() {
                let start = (row * size + line) * width + column * size;
                samples[start..start + size].copy_from_slice(pixels);
            }
        }
    }
    samples
}

/// Slices and volumes that one thread draws in a second.
#[expect(clippy::print_stdout, reason = "an example prints what it measured")]
fn rate() -> Result<(), Box<dyn Error>> {
    let spec = |size| PhantomSpec {
        size,
        patients_per_site: 100,
        ..PhantomSpec::default()
    };
    let cohort = simulate(&spec(128))?;
    let start = Instant::now();
    let count = cohort.samples().len();
    let sum: f32 = (0..count).map(|index| cohort.image(index)[0]).sum();
    let slices = count as f64 / start.elapsed().as_secs_f64();
    let cohort = simulate(&spec(64))?;
    let start = Instant::now();
    for index in 0..20 {
        cohort.volume(index, 64)?;
    }
    let volumes = 20.0 / start.elapsed().as_secs_f64();
    println!("{slices:.0} slices of 128 and {volumes:.1} volumes of 64 per second ({sum:.3})");
    Ok(())
}
