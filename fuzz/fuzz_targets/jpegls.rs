//! A JPEG-LS stream.
#![no_main]

use ctl_imaging::jpegls::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = decode(bytes) {
        let count = picture.width * picture.height * picture.components;
        assert_eq!(picture.samples.len(), count);
        assert!(picture.samples.iter().all(|&value| u32::from(value) >> picture.bits == 0));
    }
});
