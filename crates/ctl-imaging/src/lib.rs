//! Medical images from disk: cohorts with a manifest, PNG, JPEG, TIFF, NPY, NPZ and IDX,
//! resizing, patient-wise splits.
//!
//! A **cohort** is a folder with a `manifest.csv`: one row an image, with its mask, label, site,
//! patient and split where they exist, and an optional `cohort.toml` that says what the columns
//! mean. [`Cohort::open`] reads both without touching a pixel, [`verify`](fn@verify) finds
//! every fault before anything trains, and [`ImageStore`] decodes pictures lazily, in parallel and
//! within a memory bound.
//!
//! ```
//! use ctl_imaging::{Cohort, ImageRequest, ImageStore, Raster};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let picture = Raster::new(1, 2, 2, vec![0.0, 1.0, 1.0, 0.0])?;
//! picture.write_png(&folder.path().join("a.png"))?;
//! std::fs::write(folder.path().join("manifest.csv"), "path,label,site\na.png,0,north\n")?;
//!
//! let cohort = Arc::new(Cohort::open(folder.path())?);
//! let store = ImageStore::new(cohort, ImageRequest::grey(1, 1), 1 << 20);
//! let images = store.load(&[0])?;
//! assert_eq!(images[0].samples(), [0.5]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is read
//!
//! | format | how it is recognised | samples |
//! |---|---|---|
//! | PNG, JPEG, TIFF | content, not file name | unsigned integers divided by their type's maximum, floats kept |
//! | `.npy`, `.npz` | name in the manifest, then content | the same |
//! | `.npy` of `complex64`, by [`kspace::read_coils`] alone | content | as they are |
//! | `NIfTI`-1 and -2, plain or gzip, by [`nifti`] alone | content, and the name for `.hdr`/`.img` pairs | in their type, with scaling and place |
//! | IDX (MNIST), plain or gzip | name in the manifest, then content | bytes divided by 255 |
//!
//! Alpha channels of pictures are dropped, not composited: the colour under a transparent pixel is
//! what the scanner or the annotator wrote. EXIF orientation is not applied. A TIFF of several
//! pages gives its first.

pub mod idx;
pub mod kspace;
pub mod nifti;
pub mod npy;
pub mod npz;
pub mod volume;

mod address;
mod array;
mod bounded;
mod cohort;
mod decode;
mod error;
mod folder;
mod gzip;
mod hash;
mod header;
mod mask;
mod medmnist;
mod problem;
mod raster;
mod resize;
mod source;
mod split;
mod store;
mod verify;
mod write;

pub use address::ImageAddress;
pub use cohort::{
    AttributeInput, AttributeKind, AttributeValue, Cohort, Discovery, MANIFEST, MaskRule, MaskSpec,
    Record, Split, Task, discover,
};
pub use decode::{decode_raster, read_raster};
pub use error::ImagingError;
pub use folder::write_folder;
pub use hash::{HashDepth, data_hash};
pub use header::{RasterSize, raster_size};
pub use mask::MaskRole;
pub use medmnist::import_medmnist;
pub use problem::{Problem, ProblemKind};
pub use raster::{Colour, Raster};
pub use resize::Filter;
pub use split::split_patients;
pub use store::{ImageRequest, ImageStore};
pub use verify::{VerifyOptions, VerifyReport, verify};

/// The result of everything fallible in this crate.
pub type Result<T> = std::result::Result<T, ImagingError>;
