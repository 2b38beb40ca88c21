//! Simulated imaging cohorts with a known structural causal model.
//!
//! A real cohort never shows what the same patient would have looked like without the disease, on
//! another scanner or without the tube. A simulated one does: every image here is a deterministic
//! function of recorded exogenous noises, so that counterfactuals are exact and the strength of
//! every shift is a dial.
//!
//! There are brain MR slices and frontal chest films ([`Anatomy`]). A site decides who comes, how
//! often they are ill, how the disease shows, how images are taken, who annotates them and who
//! enters the data; each of these mechanisms has a dial of its own ([`Dials`]), and a seventh ties
//! site, disease and device together in the sources. With all dials at 0 every site has the same
//! law.
//!
//! A cohort carries its causal diagram, its structural causal model and, for each patient, the
//! exogenous noises, so that any counterfactual is rendered exactly; it also has fresh patients for
//! upper references ([`SiteRole`]) and the best possible predictor ([`PhantomCohort::bayes`]).
//!
//! # Examples
//!
//! ```
//! use ctl_phantom::{Anatomy, PhantomSpec, SiteRole, simulate};
//!
//! let spec = PhantomSpec {
//!     anatomy: Anatomy::Brain,
//!     size: 32,
//!     patients_per_site: 4,
//!     seed: 7,
//!     ..PhantomSpec::default()
//! };
//! let cohort = simulate(&spec)?;
//! let target = cohort.sites().iter().find(|site| site.role == SiteRole::Target);
//! assert_eq!(target.map(|site| site.samples.len()), Some(4));
//! assert_eq!(cohort.image(0).len(), 32 * 32);
//!
//! // Exact counterfactuals: the same patient without the disease.
//! let well = cohort.counterfactual(0, &[("disease", 0.0)])?;
//! assert_eq!(well.true_label, 0);
//! # Ok::<(), ctl_phantom::PhantomError>(())
//! ```

mod body;
mod brain;
mod chest;
mod cohort;
pub mod digits;
mod distance;
mod error;
mod folder;
mod key;
mod model;
mod sample;
mod site;
mod spec;

pub use cohort::{PhantomCohort, simulate};
pub use ctl_graph::graph::CausalDirection;
pub use error::PhantomError;
pub use sample::PhantomSample;
pub use site::{PhantomSite, SiteRole};
pub use spec::{Anatomy, Dials, MrContrast, PhantomSpec};
