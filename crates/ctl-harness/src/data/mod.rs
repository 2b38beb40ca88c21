//! Cohorts as the harness uses them: samples with site, label and patient, and their images.

mod cohort;
mod environments;
mod examples;
mod images;

pub use cohort::{CohortData, Sample, load_chest, load_folder};
pub use environments::{Part, Parts, split};
pub use examples::write_examples;
pub use images::{ImageBank, View};
