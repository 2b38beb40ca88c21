//! `.mha` files.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded};
use ctl_imaging::metaimage::parse_metaimage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = || parse_metaimage(bytes, Path::new("fuzz.mha"));
    let read = bounded(bytes.len(), read, |read| match read {
        Ok(volume) => volume.samples().len() * volume.sample_type().bytes(),
        Err(_) => bytes.len() * DEFLATE,
    });
    if let Ok(volume) = read {
        assert!(volume.affine().voxel_volume() > 0.0);
    }
});
