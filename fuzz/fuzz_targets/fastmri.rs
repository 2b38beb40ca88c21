//! HDF5 files in the layout of fastMRI.
#![no_main]

use std::path::Path;

use ctl_fuzz::bounded;
use ctl_imaging::fastmri::{FastMri, Reconstruction};
use ctl_imaging::volume::Affine;
use libfuzzer_sys::fuzz_target;

/// Above what deflate reaches; our reader believes no more.
const EXPANSION: usize = 1 << 11;

fuzz_target!(|bytes: &[u8]| {
    let read = || {
        let Ok(file) = FastMri::parse(bytes.to_vec(), Path::new("fuzz.h5")) else {
            return;
        };
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).expect("the spacing is above 0");
        let _ = file.kspace(0);
        let _ = file.reconstruction(Reconstruction::RootSumOfSquares, affine);
        let _ = file.reconstruction(Reconstruction::EmulatedSingleCoil, affine);
        let _ = file.mask();
    };
    bounded(bytes.len(), read, |()| bytes.len() * EXPANSION);
});
