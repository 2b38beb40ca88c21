//! Cohorts as the harness uses them: samples with site, label and patient, and their images.

mod cohort;
mod environments;
mod examples;
mod held_out;
mod images;

pub use cohort::{CohortData, Sample, load_folder, load_phantom, load_unlabelled};
pub(crate) use environments::thinned;
pub use environments::{Arrangement, Part, Parts, split};
pub use examples::write_examples;
pub(crate) use held_out::can_leave_out;
pub use images::{ImageBank, Rendered, View};
