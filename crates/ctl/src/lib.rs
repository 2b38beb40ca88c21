//! Causal transfer for medical images: every crate of the toolkit under one name.
//!
//! | module | feature | what it holds |
//! |---|---|---|
//! | `graph` | `graph` | causal diagrams: identification, transport, counterfactuals, discovery, advice |
//! | `imaging` | `imaging` | cohorts on disk, pictures and arrays, resizing, patient-wise splits |
//! | `metrics` | `metrics` | discrimination, calibration, worst group, rank statistics |
//! | `phantom` | `phantom` | simulated cohorts with a known causal model and true counterfactuals |
//! | `compute` | `compute` | operators with right gradients, seeded sampling, optimisers |
//! | `nets` | `nets` | networks that give features and outputs |
//! | `invariance` | `invariance` | objectives over environments |
//! | `counterfactual` | `counterfactual` | deep structural causal models of images, generators, soundness |
//! | `harness` | `harness` | suites, runs, model selection, reports, published figures |
//!
//! All features are on by default; `default-features = false` and a list takes less.
//! `graph`, `imaging` and `metrics` build without candle.
//!
//! # Examples
//! Three simulated source sites, and a target whose scanner lies outside all of theirs:
//! ```
//! # #[cfg(feature = "phantom")] {
//! use ctl::phantom::{Dials, PhantomSpec, SiteRole, simulate};
//!
//! let dials = Dials { acquisition: 1.0, ..Dials::default() };
//! let spec = PhantomSpec { size: 32, patients_per_site: 8, dials, ..PhantomSpec::default() };
//! let cohort = simulate(&spec)?;
//! let sources = cohort.sites().iter().filter(|site| site.role == SiteRole::Source);
//! assert_eq!(sources.count(), 3);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "compute")]
#[doc(inline)]
pub use ctl_compute as compute;
#[cfg(feature = "counterfactual")]
#[doc(inline)]
pub use ctl_counterfactual as counterfactual;
#[cfg(feature = "graph")]
#[doc(inline)]
pub use ctl_graph as graph;
#[cfg(feature = "harness")]
#[doc(inline)]
pub use ctl_harness as harness;
#[cfg(feature = "imaging")]
#[doc(inline)]
pub use ctl_imaging as imaging;
#[cfg(feature = "invariance")]
#[doc(inline)]
pub use ctl_invariance as invariance;
#[cfg(feature = "metrics")]
#[doc(inline)]
pub use ctl_metrics as metrics;
#[cfg(feature = "nets")]
#[doc(inline)]
pub use ctl_nets as nets;
#[cfg(feature = "phantom")]
#[doc(inline)]
pub use ctl_phantom as phantom;

/// The examples of the README, so that they are tested.
#[cfg(all(doctest, feature = "default"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
