//! Structure, invariant predictors and shifted mechanisms from data.
//!
//! | function | finds | assumes |
//! |---|---|---|
//! | [`pc`] | an equivalence class, by independences | no latent common cause |
//! | [`fci`] | a partial ancestral graph, by independences | no selection bias |
//! | [`ges`] | an equivalence class, by a score | no latent common cause |
//! | [`direct_lingam`] | a linear model | non-Gaussian noises, no latent common cause |
//! | [`dagma`] | a linear model | noises of equal variance, no latent common cause |
//! | [`invariant_prediction`] | causes of a target | environments that leave the target's mechanism alone |
//! | [`invariant_subset`] | predictors for an unseen environment | a mechanism that all environments share |
//! | [`anchor_regression`] | coefficients that resist shifts | linear shifts along the anchors |
//! | [`shifted_mechanisms`] | where two sites differ | a known diagram |
//!
//! Every search of exponential size takes a limit and says in its result whether it was complete.

mod anchor;
mod comparison;
mod dagma;
mod environments;
mod error;
mod fci;
mod ges;
mod icp;
mod labels;
mod lasso;
mod lingam;
mod numbers;
mod oracle;
mod pc;
mod residuals;
mod score;
mod shifted;
mod skeleton;
mod special;
mod subsets;
mod transfer;
mod turning;
mod weighted;

pub use anchor::{AnchorOptions, AnchorRegression, anchor_regression};
pub use comparison::LinearModel;
pub use dagma::{DagmaOptions, dagma};
pub use environments::Regression;
pub use error::DiscoveryError;
pub use fci::{FciOptions, fci};
pub use ges::{GesOptions, ScoredGraph, ges};
pub use icp::{IcpOptions, InvariantPrediction, InvariantSet, invariant_prediction};
pub use lingam::{DirectLingamOptions, direct_lingam};
pub use oracle::SeparationOracle;
pub use pc::{ColliderConflict, ConstraintGraph, PcOptions, pc};
pub use residuals::ResidualTest;
pub use score::{DiscreteBic, GaussianBic, LocalScore};
pub use shifted::{MechanismShift, MechanismTest, ShiftOptions, shifted_mechanisms};
pub use transfer::{SubsetOptions, TransferSubset, invariant_subset};
pub use weighted::WeightedDag;
