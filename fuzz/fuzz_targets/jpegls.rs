//! A JPEG-LS stream.
#![no_main]

use ctl_fuzz::{bounded, claims};
use ctl_imaging::jpegls::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = bounded(
        bytes.len(),
        || decode(bytes),
        |read| match read {
            Ok(picture) => picture.samples.len() * 2,
            Err(_) => claims::jpeg(bytes),
        },
    );
    if let Ok(picture) = read {
        let count = picture.width * picture.height * picture.components;
        assert_eq!(picture.samples.len(), count);
        assert!(
            picture
                .samples
                .iter()
                .all(|&value| u32::from(value) >> picture.bits == 0)
        );
    }
});
