//! The bytes of a NIfTI file, plain or gzip.
#![no_main]

use std::path::Path;

use ctl_imaging::nifti::{self, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let origin = Path::new("input");
    let image = nifti::parse(bytes, origin);
    let Ok(reader) = Reader::from_bytes(bytes.to_vec(), origin) else {
        assert!(image.is_err());
        return;
    };
    let _ = reader.info();
    let last: Vec<usize> = reader.shape().iter().map(|side| side - 1).collect();
    if let Ok(image) = image {
        let whole = image.volume.value(&last).expect("it is within the image");
        let single = reader.value(&last).expect("it was read before");
        assert_eq!(whole.to_bits(), single.to_bits());
    }
});
