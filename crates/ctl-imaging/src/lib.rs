//! Medical images from disk: DICOM, `NIfTI`, NRRD, `MetaImage` and others with their geometry,
//! preprocessing, and cohorts with a manifest.
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
//! | IDX (MNIST), plain or gzip | name in the manifest, then content | bytes divided by 255 |
//!
//! Images with geometry ([`volume::Volume`]), values as they are stored:
//!
//! | format | module | place in the patient |
//! |---|---|---|
//! | DICOM, one file or a series, every transfer syntax of still images | [`dicom`] | in the file |
//! | `NIfTI`-1 and -2, `.nii`, `.hdr` with `.img`, plain or gzip (written too) | [`nifti`] | in the file |
//! | NRRD 1 to 5, `.nrrd` and `.nhdr` (written too) | [`nrrd`] | in the file |
//! | `MetaImage`, `.mha` and `.mhd` (written too) | [`metaimage`] | in the file |
//! | NPY and NPZ of any number type (written too) | [`npy`], [`npz`] | given by the caller |
//! | TIFF of several pages | [`tiff`] | given by the caller |
//! | BART, `.cfl` with `.hdr` (written too) | [`bart`] | given by the caller |
//! | HDF5 in the layout of fastMRI, slice by slice | [`fastmri`] | given by the caller |
//!
//! # Geometry
//!
//! A [`volume::Volume`] knows where its voxels lie. It is turned, cut and padded without touching a
//! value ([`volume::Volume::reoriented`], [`volume::Volume::boxed`]), and interpolated on another
//! grid ([`volume::Volume::resampled_to`], [`volume::Volume::labels_resampled_to`]). Masks are
//! measured by [`distance`] and shaped by [`morphology`]; [`foreground_mask`] finds what was imaged.
//!
//! # Cohorts of volumes
//!
//! [`study`] prepares the volumes of a cohort on demand, and makes batches of their patches and
//! slices; [`ImageStore`] gives their slices as pictures.
//!
//! # Memory of large volumes
//!
//! New memory costs the system about as much for a page of 4 KiB as for one of 2 MiB, and a volume
//! of 256³ numbers in single precision begins with 16,384 of the small ones: more work than reading
//! it. This crate leaves the choice of an allocator to the program. On Linux with glibc,
//! `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in the environment asks for huge pages, which
//! `/sys/kernel/mm/transparent_hugepage/enabled` must allow (`madvise` or `always`);
//! `CachingAllocator` of the crate `ctl-compute` does so for blocks of 4 MiB and more and keeps
//! freed ones, and a program that has it installs it in one line. Who reads many images of one size
//! can also reuse memory: [`nifti::Reader::fill_f32`].
//!
//! # Pictures
//!
//! Alpha channels of pictures are dropped, not composited: the colour under a transparent pixel is
//! what the scanner or the annotator wrote. EXIF orientation is not applied. A TIFF of several
//! pages gives its first.
//!
//! # What is done to images
//!
//! | module | what |
//! |---|---|
//! | [`preprocess`] | pipelines of steps: normalisation, standard scales, local contrast, bias fields, augmentation; patches and stacks of slices |
//! | [`kspace`] | centred Fourier transforms, undersampling, coils combined by their sensitivities |

pub mod bart;
pub mod dicom;
pub mod distance;
pub mod fastmri;
pub mod idx;
pub mod jpegls;
pub mod kspace;
pub mod metaimage;
pub mod morphology;
pub mod nifti;
pub mod npy;
pub mod npz;
pub mod nrrd;
pub mod preprocess;
pub mod study;
pub mod tiff;
pub mod volume;

mod address;
mod array;
mod bounded;
mod cohort;
mod decode;
mod error;
mod folder;
mod foreground;
mod gzip;
mod hash;
mod header;
mod import;
mod json;
mod lines;
mod mask;
mod parallel;
mod problem;
mod raster;
mod raw;
mod resize;
mod sidecar;
mod source;
mod split;
mod store;
mod verify;
mod write;

pub use address::ImageAddress;
pub use cohort::{
    AttributeInput, AttributeKind, AttributeValue, Cohort, Discovery, MANIFEST, MaskRule, MaskSpec,
    Record, Split, Task, VolumeSpec, discover,
};
pub use decode::{decode_raster, read_raster};
pub use error::ImagingError;
pub use folder::write_folder;
pub use foreground::{ForegroundOptions, foreground_mask, otsu_threshold};
pub use hash::{HashDepth, data_hash};
pub use header::{RasterSize, raster_size};
pub use import::{
    BidsImport, BidsMasks, DicomImport, Imported, LeftOut, NnunetImport, NnunetSplits, TableImport,
    TreeLevel, import_bids, import_dicom, import_medmnist, import_nnunet, import_table,
    import_tree,
};
pub use mask::MaskRole;
pub use problem::{Problem, ProblemKind};
pub use raster::{Colour, Raster};
pub use resize::Filter;
pub use split::split_patients;
pub use store::{ImageRequest, ImageStore};
pub use verify::{VerifyOptions, VerifyReport, verify};

/// The result of everything fallible in this crate.
pub type Result<T> = std::result::Result<T, ImagingError>;
