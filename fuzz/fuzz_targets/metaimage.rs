//! `.mha` files.
#![no_main]

use std::path::Path;

use ctl_imaging::metaimage::parse_metaimage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(volume) = parse_metaimage(bytes, Path::new("fuzz.mha")) {
        assert!(volume.affine().voxel_volume() > 0.0);
    }
});
