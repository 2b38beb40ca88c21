//! Structural causal models: sampling, interventions, counterfactuals, and closed forms.
//!
//! | type | holds | answers |
//! |---|---|---|
//! | [`Scm`] | mechanisms and noises of any kind | samples, interventions, abduction exactly or by weighted samples |
//! | [`LinearGaussian`] | coefficients, error covariances | everything in closed form |
//! | [`DiscreteScm`] | functions as tables, shared noises | counterfactuals over parallel worlds, mediation, probabilities of causation |
//! | [`BayesianNetwork`] | conditional tables | observational, interventional and mixed queries |

mod abduction;
mod discrete;
mod effects;
mod error;
mod factor;
mod fit;
mod linear;
mod mechanism;
mod mediation;
mod network;
mod noise;
mod scm;
mod validate;
mod worlds;

pub use abduction::{ImportanceSampling, WeightedSamples};
pub use discrete::{DiscreteScm, FunctionTable};
pub use effects::{Causation, Mediation, MediationQuery};
pub use error::ModelError;
pub use linear::{Gaussian, LinearGaussian, LinearGaussianBuilder};
pub use mechanism::{Basis, CustomMechanism, Formula, Mechanism, Term};
pub use network::{BayesianNetwork, ConditionalTable, Posterior, Query};
pub use noise::Noise;
pub use scm::{Intervention, Samples, Scm, ScmBuilder};
pub use worlds::{InWorld, Source, World};

#[cfg(test)]
mod tests;
