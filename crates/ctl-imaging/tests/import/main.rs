//! Cohorts of files in other layouts.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod bids;
mod medmnist;
mod nnunet;
mod table;
mod tree;

use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
use ctl_imaging::{Cohort, Raster};
use std::path::Path;

/// A picture of one grey, with the folders above it.
fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let raster = Raster::new(1, 2, 2, vec![0.5; 4]).unwrap();
    raster.write_png(path).unwrap();
}

/// A small volume whose values start at `first`, with the folders above it.
fn volume(path: &Path, first: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let affine = Affine::from_spacing([1.0, 1.0, 2.0], [0.0; 3]).unwrap();
    let samples = Samples::U8((first..first + 12).collect());
    write_volume(path, &Volume::new(&[3, 2, 2], samples, affine).unwrap()).unwrap();
}

/// A volume of two frames, with the folders above it.
fn two_frames(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let samples = Samples::U8(vec![0; 16]);
    write_volume(path, &Volume::new(&[2, 2, 2, 2], samples, affine).unwrap()).unwrap();
}

/// A text file, with the folders above it.
fn text(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The first record of each row of the manifest: a volume has one for every slice.
fn rows(cohort: &Cohort) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..cohort.len()).collect();
    rows.dedup_by_key(|index| cohort.records()[*index].row);
    rows
}

/// The file that a record's address names.
fn file(address: &str) -> &str {
    address.split_once('#').map_or(address, |(file, _)| file)
}
