//! Whether counterfactual images are sound: five properties, each from plain numbers.
//!
//! | property | asks | here |
//! |---|---|---|
//! | composition | does an intervention that changes nothing give the image back? | [`cycle_errors`] |
//! | reversibility | does an intervention and its undoing give the image back? | [`cycle_errors`] |
//! | effectiveness | does the image show what was done? | the errors of a predictor of the attribute: [`crate::regression`], [`crate::discrimination`] |
//! | realism | are counterfactuals distributed as images are? | [`frechet_distance`], [`kernel_distance`] |
//! | minimality | was nothing changed but what had to be? | [`latent_divergence`], [`minimality`] |
//!
//! None of them knows the true counterfactual, so that a generator may do well by all and be wrong;
//! where a structural model gives the truth, [`crate::image_quality`] measures the error itself.
//!
//! # References
//! Monteiro et al. 2023, "Measuring axiomatic soundness of counterfactual image models" (composition,
//! reversibility, effectiveness); Melistas et al. 2024, "Benchmarking counterfactual image
//! generation" (all five); Sanchez & Tsaftaris 2022, "Diffusion causal models for counterfactual
//! estimation" (minimality).
//!
//! # Examples
//! ```
//! use ctl_metrics::soundness::cycle_errors;
//!
//! // Two images of two pixels, after one cycle and after two.
//! let images = [0.0, 1.0, 0.5, 0.5];
//! let after = [vec![0.0, 0.5, 0.5, 0.5], vec![0.0, 0.0, 0.5, 0.5]];
//! let errors = cycle_errors(&images, &after, 2)?;
//! assert_eq!(errors.l1, [0.125, 0.25]);
//! assert_eq!(errors.l1_per_image[1], [0.5, 0.0]);
//! # Ok::<(), ctl_metrics::MetricError>(())
//! ```

mod cycles;
mod distributions;
mod minimality;

pub use cycles::{CycleErrors, cycle_errors};
pub use distributions::{FrechetDistance, frechet_distance, kernel_distance};
pub use minimality::{
    Gaussians, LatentDivergence, Minimality, MinimalityWeights, latent_divergence, minimality,
};
