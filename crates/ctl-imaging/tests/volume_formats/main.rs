//! NRRD, `MetaImage`, NPY, TIFF, BART and fastMRI files: against other programs
//! (`golden/make_volume_formats.py`), with faults, cut and mutated, and written and read again.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod bart;
#[cfg(unix)]
#[path = "../support/disk.rs"]
mod disk;
mod failing_disk;
mod fastmri;
mod golden;
mod metaimage;
mod mutants;
mod no_files;
mod npy;
mod nrrd;
mod round_trips;
mod tiff;
