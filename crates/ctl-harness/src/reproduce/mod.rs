//! Published figures, measured again.

mod colored_mnist;
mod deep_scm;
mod ledger;
mod markdown;
mod restarts;
mod sweep;

pub use colored_mnist::{Accuracies, ColoredMnist, Recipe, recipes, train};
pub use deep_scm::CheckShown;
pub use ledger::{Claim, CohortOf, DataSet, Experiment, Figure, Ledger, ModelOf, SweepOf};
pub use markdown::{document, to_markdown};
pub use restarts::{Comparison, Extent, ReproduceOptions, Reproduction, extent, reproduce};
pub use sweep::ClaimShown;
