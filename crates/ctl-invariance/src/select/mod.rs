//! Heads in closed form and the choice of features, over features that are given.
//!
//! Features may be measured by hand or come from a trained network; nothing here has tensors or
//! gradients.
//!
//! | function | gives |
//! |---|---|
//! | [`anchor_head`] | a linear head that resists shifts along anchors, such as the environments |
//! | [`causal_features`] | features that cause the response, with confidence |
//! | [`invariant_features`] | the features that predict best among those that predict alike everywhere |
//!
//! The searches are those of [`ctl_graph::discovery`], whose options they take.
//! With many features, [`IcpOptions::preselect`] and [`IcpOptions::max_size`] keep them short; what
//! was left out is reported.

mod anchor;
mod head;
mod invariant;
mod samples;

pub use anchor::{AnchorHead, anchor_head, environment_anchors};
pub use ctl_graph::discovery::{
    AnchorOptions, IcpOptions, InvariantPrediction, InvariantSet, Regression, ResidualTest,
    SubsetOptions,
};
pub use head::HeadWeights;
pub use invariant::{FeatureSelection, causal_features, invariant_features};
pub use samples::{Response, Rows, Samples};
