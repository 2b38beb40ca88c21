//! Simulated imaging cohorts with a known structural causal model.
//!
//! A real cohort never shows what the same patient would have looked like without the disease, on
//! another scanner or without the tube. A simulated one does: every image here is a deterministic
//! function of recorded exogenous noises, so that counterfactuals are exact and the strength of
//! every shift is a dial.
//!
//! The first cohort stands for frontal chest films ([`simulate_chest`]). Its causal diagram is
//!
//! ```text
//! site ─► age, disease, acquisition, device      disease  ─► severity, device
//! age  ─► disease, anatomy                       sex      ─► anatomy
//! anatomy, severity, acquisition, device ─► image
//! ```
//!
//! where acquisition is gain, gamma, noise and blur, and device is a tube or a marker that lies on
//! the film and is no part of the disease.
//!
//! Three dials, each from 0 to 1, move it: [`ChestSpec::confounding`] ties site, disease and tube
//! together in the sources (and ties tube and disease the other way round in the target),
//! [`ChestSpec::acquisition`] moves the target's scanner away from every source, and
//! [`ChestSpec::prevalence`] makes the disease rarer in the target. With all dials at 0 the target
//! has the distribution of a source site.
//!
//! # Examples
//!
//! ```
//! use ctl_phantom::{ChestIntervention, ChestSpec, simulate_chest};
//!
//! let spec = ChestSpec { size: 32, images_per_site: 4, seed: 7, ..ChestSpec::default() };
//! let cohort = simulate_chest(&spec)?;
//! assert_eq!(cohort.samples.len(), 16); // three source sites and the target
//! assert_eq!(cohort.sites[3].name, "target");
//!
//! // Exact counterfactuals: the same patient, had the tube been placed.
//! let with_tube = ChestIntervention { tube: Some(true), ..ChestIntervention::default() };
//! let twin = cohort.counterfactual(0, &with_tube)?;
//! assert!(twin.acquisition.tube);
//! assert_eq!(twin.label, cohort.samples[0].label);
//! # Ok::<(), ctl_phantom::PhantomError>(())
//! ```

mod chest;
pub mod digits;
mod error;
mod stream;

pub use chest::{
    ChestAcquisition, ChestAnatomy, ChestAttributes, ChestCohort, ChestIntervention, ChestNoise,
    ChestSample, ChestSpec, Opacity, OpacityNoise, ScannerMechanism, Sex, Site, simulate_chest,
};
pub use error::PhantomError;
