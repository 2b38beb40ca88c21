//! Draws a contact sheet of simulated chest films, to be looked at.
//!
//! ```text
//! cargo run --release -p ctl-phantom --example contact_sheet -- [FILE.png] [SIZE]
//! ```
//!
//! The upper rows show each site's films, the healthy on the left and the diseased on the right.
//! Each of the lower rows is one diseased patient with a tube: the film as it was taken, the same
//! without the disease, without the tube, on the target's scanner, twenty years older, and as the
//! oracle sees it.

use std::error::Error;
use std::path::Path;

use ctl_imaging::Raster;
use ctl_phantom::{ChestCohort, ChestIntervention, ChestSample, ChestSpec, simulate_chest};

const COLUMNS: usize = 6;
const PATIENTS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .unwrap_or_else(|| "contact_sheet.png".to_owned());
    let size = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let spec = ChestSpec {
        size,
        images_per_site: 60,
        seed: 11,
        confounding: 0.8,
        acquisition: 1.0,
        prevalence: 0.3,
        ..ChestSpec::default()
    };
    let cohort = simulate_chest(&spec)?;
    let mut rows: Vec<Vec<Vec<f32>>> = (0..cohort.sites.len())
        .map(|site| site_row(&cohort, site))
        .collect();
    let patients = (0..cohort.samples.len())
        .filter(|&index| cohort.samples[index].label && cohort.samples[index].acquisition.tube)
        .take(PATIENTS);
    for index in patients {
        rows.push(counterfactual_row(&cohort, index)?);
    }
    let height = rows.len() * size;
    let sheet = Raster::new(1, height, COLUMNS * size, mosaic(&rows, size))?;
    sheet.write_png(Path::new(&file))?;
    Ok(())
}

/// As many healthy as diseased patients of a site.
fn site_row(cohort: &ChestCohort, site: usize) -> Vec<Vec<f32>> {
    [false, true]
        .into_iter()
        .flat_map(|label| {
            let of_site = move |sample: &&ChestSample| sample.site == site && sample.label == label;
            let films = cohort.samples.iter().filter(of_site);
            films.take(COLUMNS / 2).map(|sample| sample.image.clone())
        })
        .collect()
}

fn counterfactual_row(cohort: &ChestCohort, index: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let sample = &cohort.samples[index];
    // What is not the question is held: a tube stays when the disease is taken away.
    let held = ChestIntervention {
        disease: Some(sample.label),
        tube: Some(sample.acquisition.tube),
        marker: Some(sample.acquisition.marker),
        ..ChestIntervention::default()
    };
    let healthy = ChestIntervention {
        disease: Some(false),
        ..held.clone()
    };
    let bare = ChestIntervention {
        tube: Some(false),
        ..held.clone()
    };
    let scanner = ChestIntervention {
        acquisition: Some(cohort.target()),
        ..held.clone()
    };
    let older = ChestIntervention {
        age: Some((sample.attributes.age + 20.0).min(95.0)),
        ..held
    };
    let mut films = vec![sample.image.clone()];
    for intervention in [healthy, bare, scanner, older] {
        films.push(cohort.counterfactual(index, &intervention)?.image);
    }
    films.push(cohort.without_shortcut(index));
    Ok(films)
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
