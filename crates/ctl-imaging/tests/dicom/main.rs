//! DICOM, beside dicom-object as an independent writer and pydicom as an independent reader.
#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "helpers of tests stop the test; numbers are those that were written"
)]

mod conformance;
mod deidentify;
#[cfg(unix)]
#[path = "../support/disk.rs"]
mod disk;
mod failing_disk;
mod import;
mod jpeg;
mod jpegls;
mod make;
mod pixels;
mod robustness;
mod series;
mod series_4d;
