//! PNG, JPEG and TIFF from memory.
#![no_main]

use std::path::Path;

use ctl_fuzz::{bounded, claims};
use ctl_imaging::{Colour, decode_raster};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for (colour, channels) in [(Colour::Grey, 1), (Colour::Rgb, 3)] {
        let read = || decode_raster(bytes, Path::new("fuzz.png"), colour);
        let read = bounded(bytes.len(), read, |read| match read {
            // The picture may have had colours, and alpha, before it became grey.
            Ok(raster) => raster.height() * raster.width() * 4 * size_of::<f32>(),
            Err(_) => claims::picture(bytes),
        });
        if let Ok(raster) = read {
            assert_eq!(raster.channels(), channels);
            assert_eq!(
                raster.samples().len(),
                raster.shape().iter().product::<usize>()
            );
        }
    }
});
