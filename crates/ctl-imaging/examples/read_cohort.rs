//! Verifies and summarises a cohort: `cargo run -p ctl-imaging --example read_cohort [FOLDER]`.
//!
//! Without a folder, a tiny cohort is made in a temporary one.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use ctl_imaging::{
    Cohort, ImageRequest, ImageStore, Raster, VerifyOptions, discover, split_patients, verify,
};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        let folder = tempfile::tempdir()?;
        make_cohort(folder.path())?;
        return summarise(folder.path());
    };
    let found = discover(&folder)?;
    for (skipped, reason) in &found.skipped {
        println!("skipped {}: {reason}", skipped.display());
    }
    found
        .cohorts
        .iter()
        .try_for_each(|cohort| summarise(cohort))
}

/// Eight patients at two sites, the ill ones brighter.
fn make_cohort(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut manifest = String::from("path,label,site,patient,age\n");
    for patient in 0..8_u8 {
        let (label, site) = (patient % 2, if patient < 4 { "north" } else { "south" });
        let grey = 0.3 + 0.4 * f32::from(label);
        Raster::new(1, 16, 16, vec![grey; 256])?
            .write_png(&folder.join(format!("{patient}.png")))?;
        writeln!(
            manifest,
            "{patient}.png,{label},{site},p{patient},{}",
            40 + patient
        )?;
    }
    fs::write(folder.join("manifest.csv"), manifest)?;
    Ok(())
}

fn summarise(folder: &Path) -> Result<(), Box<dyn Error>> {
    let report = verify(folder, &VerifyOptions::default())?;
    println!(
        "{}: {} rows, {} problems",
        folder.display(),
        report.rows,
        report.problems_found
    );
    for problem in &report.problems {
        println!("  {problem}");
    }
    if !report.is_clean() {
        return Ok(());
    }
    let cohort = Arc::new(Cohort::open(folder)?);
    for (site, name) in cohort.sites().iter().enumerate() {
        let here = cohort.records().iter().filter(|record| record.site == site);
        let labels = |class| {
            here.clone()
                .filter(|record| record.label == Some(class))
                .count()
        };
        let counts: Vec<usize> = (0..cohort.classes().len()).map(labels).collect();
        println!(
            "  {name}: {} images, per class {counts:?}",
            here.clone().count()
        );
    }
    let patients: Vec<&str> = cohort
        .records()
        .iter()
        .map(|record| &*record.patient)
        .collect();
    let parts = split_patients(&patients, &[0.5, 0.25, 0.25], 0, None)?;
    let sizes = [0, 1, 2].map(|part| parts.iter().filter(|&&other| other == part).count());
    println!("  split by patient into {sizes:?}");
    let store = ImageStore::new(cohort, ImageRequest::grey(8, 8), 1 << 20);
    let first = &store.load(&[0])?[0];
    println!(
        "  the first image is {:?}, its first pixel {:.3}",
        first.shape(),
        first.samples()[0]
    );
    Ok(())
}
