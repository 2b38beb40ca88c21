//! Draws a contact sheet of simulated chest films, to be looked at beside real ones.
//!
//! ```text
//! cargo run --release -p ctl-phantom --example chest_films -- [FILE.png] [SIZE]
//! ```
//!
//! The upper rows show the films of each site, the healthy on the left and the diseased on the
//! right. Each of the lower rows is one diseased patient: the film as it was taken, without noise,
//! the mask of the lesions, the same patient without the disease, with the other unit, at the
//! target, thirty years older, and as the oracle sees them.

use std::error::Error;
use std::path::Path;

use ctl_imaging::Raster;
use ctl_phantom::{Anatomy, Dials, PhantomCohort, PhantomError, PhantomSpec, simulate};

const COLUMNS: usize = 8;
const PATIENTS: usize = 4;
const OLDEST: f64 = 94.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .unwrap_or_else(|| "chest_films.png".to_owned());
    let size = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let cohort = simulate(&PhantomSpec {
        anatomy: Anatomy::Chest,
        size,
        patients_per_site: 40,
        source_sites: 2,
        seed: 11,
        dials: Dials {
            confounding: 0.6,
            acquisition: 1.0,
            ..Dials::default()
        },
        ..PhantomSpec::default()
    })?;
    let mut rows: Vec<Vec<Vec<f32>>> = (0..3).map(|site| site_row(&cohort, site)).collect();
    let patients = (0..cohort.samples().len()).filter(|&index| cohort.samples()[index].label == 1);
    for index in patients.step_by(3).take(PATIENTS) {
        rows.push(patient_row(&cohort, index)?);
    }
    let sheet = Raster::new(1, rows.len() * size, COLUMNS * size, mosaic(&rows, size))?;
    sheet.write_png(Path::new(&file))?;
    Ok(())
}

/// As many healthy as diseased patients of a site.
fn site_row(cohort: &PhantomCohort, site: usize) -> Vec<Vec<f32>> {
    let films = |label: usize| {
        let patients = cohort.sites()[site].samples.clone();
        let chosen = patients.filter(move |&index| cohort.samples()[index].label == label);
        chosen.take(COLUMNS / 2).map(|index| cohort.image(index))
    };
    films(0).chain(films(1)).collect()
}

fn patient_row(cohort: &PhantomCohort, index: usize) -> Result<Vec<Vec<f32>>, PhantomError> {
    let sample = &cohort.samples()[index];
    let unit = cohort.value(sample, "unit")?;
    let age = cohort.value(sample, "age")?;
    let twin = |acts: &[(&str, f64)]| -> Result<Vec<f32>, PhantomError> {
        let twin = cohort.counterfactual(index, acts)?;
        Ok(cohort.image_of(&twin))
    };
    let mask = cohort
        .true_mask(index)
        .iter()
        .map(|&pixel| f32::from(pixel))
        .collect();
    Ok(vec![
        cohort.image(index),
        cohort.reference_image(index),
        mask,
        twin(&[("disease", 0.0), ("unit", unit)])?,
        twin(&[("unit", 1.0 - unit)])?,
        twin(&[("site", 2.0), ("disease", 1.0), ("unit", unit)])?,
        twin(&[("age", (age + 30.0).min(OLDEST)), ("unit", unit)])?,
        cohort.oracle_image(index),
    ])
}

/// Sets square films side by side; what a short row lacks stays black.
fn mosaic(rows: &[Vec<Vec<f32>>], size: usize) -> Vec<f32> {
    let width = COLUMNS * size;
    let mut samples = vec![0.0; rows.len() * size * width];
    for (row, films) in rows.iter().enumerate() {
        for (column, film) in films.iter().enumerate() {
            for (line, pixels) in film.chunks_exact(size).enumerate() {
                let start = (row * size + line) * width + column * size;
                samples[start..start + size].copy_from_slice(pixels);
            }
        }
    }
    samples
}
