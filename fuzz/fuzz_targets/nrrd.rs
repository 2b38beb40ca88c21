//! NRRD files with attached data.
#![no_main]

use std::path::Path;

use ctl_imaging::nrrd::parse_nrrd;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(volume) = parse_nrrd(bytes, Path::new("fuzz.nrrd")) {
        assert!(volume.affine().voxel_volume() > 0.0);
    }
});
