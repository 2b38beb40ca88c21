//! PNG, JPEG and TIFF from memory.
#![no_main]

use std::path::Path;

use ctl_imaging::{Colour, decode_raster};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (colour, channels) in [(Colour::Grey, 1), (Colour::Rgb, 3)] {
        if let Ok(raster) = decode_raster(bytes, Path::new("fuzz.png"), colour) {
            assert_eq!(raster.channels(), channels);
            assert_eq!(
                raster.samples().len(),
                raster.shape().iter().product::<usize>()
            );
        }
    }
});
