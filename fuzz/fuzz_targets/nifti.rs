//! The bytes of a NIfTI file, plain or gzip.
#![no_main]

use std::path::Path;

use ctl_fuzz::{DEFLATE, bounded};
use ctl_imaging::nifti::{self, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let origin = Path::new("input");
    let read = || nifti::parse(bytes, origin);
    let image = bounded(bytes.len(), read, |read| match read {
        Ok(image) => image.volume.samples().len() * image.volume.sample_type().bytes(),
        Err(_) => bytes.len() * DEFLATE,
    });
    let Ok(reader) = Reader::from_bytes(bytes.to_vec(), origin) else {
        assert!(image.is_err());
        return;
    };
    let _ = reader.info();
    let last: Vec<usize> = reader.shape().iter().map(|side| side - 1).collect();
    let slice = reader.slice(2, last.get(2).copied().unwrap_or(0));
    let singles = reader.to_f32();
    if let Ok(image) = image {
        let whole = image.volume.value(&last).expect("it is within the image");
        let single = reader.value(&last).expect("it was read before");
        assert_eq!(whole.to_bits(), single.to_bits());
        let singles = singles.expect("it was read before");
        assert_eq!(singles.len(), image.volume.samples().len());
        assert!(slice.is_ok() || last.len() < 3);
    }
});
