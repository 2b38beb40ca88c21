//! What per-environment gradients say of invariance.
//!
//! Functions over tensors, of any float type and without state, for use inside and outside of the
//! harness:
//!
//! | function | gives |
//! |---|---|
//! | [`and_mask`], [`sand_mask`] | one gradient from those of several environments, where they agree |
//! | [`fish`] | weights moved towards the end of one pass over the environments |
//! | [`mldg`] | the gradient of the risks before and after a step on another environment |
//! | [`dispersion`] | IGA's penalty on the environments' gradients |
//! | [`variance_penalty`] | Fishr's penalty on the variances of the samples' gradients |
//! | [`sample_gradients`], [`mean_gradient`] | gradients with respect to a linear head, in closed form |
//!
//! Over a linear head with weight `W` and bias `b`, a sample's gradient is `r xᵀ` and `r`, summed
//! over its pixels, with `x` the head's input and `r` the derivative of the sample's loss with
//! respect to its outputs, which [`SampleLoss::output_gradient`](crate::SampleLoss) gives. It is an
//! expression like any other, so that one backward pass differentiates a penalty on it, or a risk
//! after a step along it.

mod dispersion;
mod fish;
mod head;
mod masks;
mod meta;
mod mldg;

pub use dispersion::{
    Reduction, dispersion, gradient_variance, smoothed_variance, variance_penalty,
};
pub use fish::{FishSettings, FishStep, fish};
pub use head::{LinearHead, mean_gradient, sample_gradients};
pub use masks::{MaskedGradient, and_mask, sand_mask};
pub use meta::{EnvironmentRisk, InnerRule, RiskGradient};
pub use mldg::{MldgOrder, MldgSettings, MldgStep, mldg};
