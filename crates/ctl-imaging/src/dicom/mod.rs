//! DICOM: files, series as volumes, attributes, de-identification, windows.
//!
//! | transfer syntax | pixels |
//! |---|---|
//! | implicit and explicit little endian, explicit big endian, deflated | 1, 8, 16, 32 and 64 bits, single and double precision |
//! | RLE | 8 to 64 bits |
//! | JPEG baseline, extended | 8 and 12 bits, sequential |
//! | JPEG lossless (57 and 70) | 2 to 16 bits |
//! | JPEG-LS lossless and near-lossless | 2 to 16 bits, by [`jpegls`](crate::jpegls) |
//! | JPEG 2000 and its high-throughput form | to 31 bits, by `OpenJPEG`'s port to Rust |
//!
//! Data sets are read here and not by `dicom-object`: nothing is allocated by a declared length,
//! values are parts of the file's bytes, and what is wrong is told with its place. Dictionary,
//! representations and character sets are those of dicom-rs.
//!
//! Out of scope are segmentations, structure sets, waveforms, reports and other objects that are no
//! images, modality look-up tables that are sequences, segmented palettes, and video.

mod attributes;
mod data;
mod deidentify;
mod info;
mod pixels;
mod series;
mod window;

pub use attributes::attributes;
pub(crate) use attributes::{tag_of, values};
pub(crate) use deidentify::action;
pub use deidentify::{
    Action, Deidentified, DeidentifyOptions, PhiAttribute, PhiReport, Secret, deidentify,
    phi_report,
};
pub use info::{DicomInfo, Number, PixelInfo, TagValue, info, info_of_bytes};
pub use pixels::{Palette, Pixels, StoredBits, read_pixels};
pub(crate) use series::read_series_headers;
pub use series::{
    Discovery, Gaps, Series, SeriesAxis, SeriesFiles, SeriesOptions, discover_series, read_series,
    read_series_files,
};
pub(crate) use series::{refuse_damaged, series_headers, unplaced_kind};
pub use window::{Window, WindowShape, window};
