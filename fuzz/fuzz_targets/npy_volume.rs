//! NPY arrays as volumes.
#![no_main]

use std::path::Path;

use ctl_fuzz::bounded;
use ctl_imaging::npy::{LastAxis, parse_npy_volume};
use ctl_imaging::volume::Affine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("the spacing is above 0");
    for last_axis in [LastAxis::Voxels, LastAxis::Components] {
        let read = || parse_npy_volume(bytes, Path::new("fuzz.npy"), last_axis, affine);
        let _ = bounded(bytes.len(), read, |_| 0);
    }
});
