//! Published figures, measured again.

mod colored_mnist;
mod counterfactual_benchmark;
mod counterfactual_phantoms;
mod deep_scm;
mod digits;
mod judged;
mod ledger;
mod markdown;
mod restarts;
mod sweep;
mod trained;

pub use colored_mnist::{Accuracies, ColoredMnist, Recipe, recipes, train};
pub use deep_scm::CheckShown;
pub use ledger::{Claim, CohortOf, DataSet, Experiment, Figure, Ledger, ModelOf, SweepOf};
pub use markdown::{document, to_markdown};
pub use restarts::{Comparison, Extent, ReproduceOptions, Reproduction, extent, reproduce};
pub use sweep::ClaimShown;

#[cfg(test)]
mod truth_tests;
