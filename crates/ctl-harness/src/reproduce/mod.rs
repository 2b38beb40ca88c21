//! Published figures, measured again.

mod colored_mnist;
mod ledger;
mod restarts;

pub use colored_mnist::{Accuracies, ColoredMnist, Recipe, recipes, train};
pub use ledger::{Experiment, Figure, Ledger};
pub use restarts::{
    Comparison, ReproduceOptions, Reproduction, estimate_operations, reproduce, to_markdown,
};
