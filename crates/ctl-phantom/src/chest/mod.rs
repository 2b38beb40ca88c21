//! Chest-film-like images from an explicit structural causal model.

mod body;
mod cohort;
mod diagram;
mod film;
mod intervention;
mod mechanism;
mod noise;
mod render;
mod sample;
mod site;
mod spec;
mod write;

pub(crate) use body::Chest;
pub use cohort::{ChestCohort, simulate_chest};
pub use intervention::ChestIntervention;
pub use noise::{ChestNoise, OpacityNoise};
pub use sample::{ChestAcquisition, ChestAnatomy, ChestAttributes, ChestSample, Opacity, Sex};
pub use site::{ScannerMechanism, Site};
pub use spec::ChestSpec;
