//! Cohorts as the harness uses them: samples with site, label and patient, and their images.

mod cohort;
mod environments;
mod examples;
mod images;

pub use cohort::{CohortData, Sample, load_folder, load_phantom, load_unlabelled};
pub(crate) use environments::thinned;
pub use environments::{Arrangement, Part, Parts, split};
pub use examples::write_examples;
pub use images::{ImageBank, Rendered, View};
