//! `NIfTI` files: what nibabel reads from them, what we write, and what must be refused.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]
#![expect(
    clippy::float_cmp,
    reason = "what is written comes back to the last bit"
)]
#![expect(
    clippy::cast_possible_wrap,
    reason = "sides are small, and bits are any"
)]

mod access;
mod conformance;
mod damage;
#[cfg(unix)]
#[path = "../support/disk.rs"]
mod disk;
mod failing_disk;
mod golden;
mod round_trip;
mod writing;

use ctl_imaging::nifti::{self, WriteOptions};
use ctl_imaging::volume::{Affine, Samples, Volume};
use std::path::Path;

/// Oblique, with 2, 2.5 and 3 mm.
fn oblique() -> Affine {
    // Directions are the columns of a turn by a third of a circle about (1, 1, 1).
    Affine::new([
        [0.0, 0.0, 3.0, -30.0],
        [2.0, 0.0, 0.0, 40.0],
        [0.0, 2.5, 0.0, -50.5],
    ])
    .unwrap()
}

/// Values that count up from 0.
fn counting(shape: &[usize]) -> Volume {
    let count: usize = shape.iter().product();
    Volume::new(shape, Samples::I16((0..count as i16).collect()), oblique()).unwrap()
}

/// The bytes of the file that `write` makes.
fn written(volume: &Volume, name: &str, options: &WriteOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    nifti::write(&path, volume, options).unwrap();
    std::fs::read(path).unwrap()
}

fn parsed(bytes: &[u8]) -> ctl_imaging::Result<nifti::NiftiImage> {
    nifti::parse(bytes, Path::new("bytes"))
}
