//! NRRD files with attached data.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded};
use ctl_imaging::nrrd::parse_nrrd;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = || parse_nrrd(bytes, Path::new("fuzz.nrrd"));
    let read = bounded(bytes.len(), read, |read| match read {
        Ok(volume) => volume.samples().len() * volume.sample_type().bytes(),
        Err(_) => bytes.len() * DEFLATE,
    });
    if let Ok(volume) = read {
        assert!(volume.affine().voxel_volume() > 0.0);
    }
});
