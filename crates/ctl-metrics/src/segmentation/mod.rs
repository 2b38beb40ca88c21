//! How well a mask agrees with a reference: overlap and surface distances.
//!
//! Overlap counts voxels ([`Overlap`], [`ClassOverlaps`]).
//! Surface distances come in two families whose numbers are not comparable, so a report names the
//! one it uses:
//!
//! - [`SurfaceDistances`], the *voxel family*: from the centres of boundary voxels to the centres
//!   of the other mask's boundary voxels, each voxel counting once. This is the family to prefer.
//! - [`ElementDistances`], the *surface element family*: between the 2x2(x2) neighbourhoods that the
//!   boundary passes through, each weighted by its length or area.
//!
//! # Empty masks
//! Both masks empty is full agreement: overlap scores are 1 and distances 0.
//! Exactly one empty mask is none: overlap scores are 0 and distances infinite.
//! Other programs skip such cases or answer `NaN`; [`FiniteMean`] averages what is finite and
//! counts what is not.

mod classes;
mod directed;
mod element_area;
mod elements;
mod finite_mean;
mod overlap;
mod region;
mod search;
mod surface;

pub use classes::{ClassOverlaps, class_mask};
pub use elements::{DirectedAverages, ElementDistances};
pub use finite_mean::FiniteMean;
pub use overlap::Overlap;
pub use surface::{SurfaceDistances, surface_voxels};
