//! Cohorts of volumes: studies that are prepared when they are first asked for.
//!
//! The rows of a manifest may name volumes of any format that [`read_volume`] reads. A
//! [`StudyStore`] turns them to their closest axes, resamples them, runs the steps of a
//! [`Pipeline`] on them and keeps the result in memory up to a bound, and on disk where a cache is
//! named. [`PatchFeed`] and [`SliceFeed`] make batches of them; a cohort whose `cohort.toml` has a
//! section `[volumes]` gives its slices as pictures to [`ImageStore`](crate::ImageStore).
//!
//! ```
//! use ctl_imaging::study::{Preparation, StudyStore};
//! use ctl_imaging::volume::{Affine, Samples, Volume, write_volume};
//! use ctl_imaging::Cohort;
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let affine = Affine::from_spacing([1.0, 1.0, 3.0], [0.0; 3])?;
//! let volume = Volume::new(&[2, 2, 2], Samples::I16((0..8).collect()), affine)?;
//! write_volume(&folder.path().join("ct.nii.gz"), &volume)?;
//! std::fs::write(folder.path().join("manifest.csv"), "path,site\nct.nii.gz,north\n")?;
//!
//! let cohort = Arc::new(Cohort::open(folder.path())?);
//! let store = StudyStore::new(cohort, Preparation::default(), 1 << 30)?;
//! assert_eq!(store.load(&[0])?[0].image.value(&[1, 1, 1]), Some(7.0));
//! # Ok(())
//! # }
//! ```
//!
//! [`read_volume`]: crate::volume::read_volume
//! [`Pipeline`]: crate::preprocess::Pipeline

mod cache;
mod feed;
mod files;
mod memory;
mod patches;
mod prepare;
mod slices;
mod store;
mod verify;

pub use feed::{Batch, FeedOptions};
pub(crate) use files::companions;
pub use patches::{PatchFeed, Patches};
pub use prepare::{Preparation, Study};
pub use slices::{SliceFeed, SliceRule, Slices};
pub use store::{StudyFiles, StudyStore};
pub(crate) use verify::{StudyCheck, check_studies};
