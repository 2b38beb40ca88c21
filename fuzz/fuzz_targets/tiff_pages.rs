//! All pages of a TIFF file.
#![no_main]

use std::path::Path;

use ctl_fuzz::{bounded, claims};
use ctl_imaging::tiff::{PageAxis, parse_pages};
use ctl_imaging::volume::Affine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("the spacing is above 0");
    let read = || parse_pages(bytes, Path::new("fuzz.tif"), PageAxis::Frames, affine);
    let read = bounded(bytes.len(), read, |read| match read {
        Ok(volume) => volume.samples().len() * volume.sample_type().bytes(),
        Err(_) => claims::picture(bytes),
    });
    if let Ok(volume) = read {
        assert_eq!(
            volume.samples().len(),
            volume.voxels() * volume.components()
        );
    }
});
