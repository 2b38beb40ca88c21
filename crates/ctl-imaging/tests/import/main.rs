//! Cohorts of files in other layouts.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod medmnist;
mod table;
mod tree;

use ctl_imaging::Raster;
use std::path::Path;

/// A picture of one grey, with the folders above it.
fn picture(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let raster = Raster::new(1, 2, 2, vec![0.5; 4]).unwrap();
    raster.write_png(path).unwrap();
}
