//! Estimands: formulas over probabilities that simplify, print and evaluate.
//!
//! Identification and transport answer with an [`Estimand`], an expression of sums, products and
//! ratios of conditional probabilities, each of which names the population it is observed in and
//! the variables that an experiment set there. [`Estimand::evaluate`] computes its value from
//! [`Distributions`], tables that are exact or counted from data, so that a formula can be checked
//! by number.
//!
//! # Examples
//!
//! ```
//! use ctl_graph::Diagram;
//! use ctl_graph::estimand::{Distributions, Domain, Estimand, Factor, Probability};
//!
//! let diagram = Diagram::parse("Z -> X; Z -> Y; X -> Y")?;
//! let [z, x, y] = ["Z", "X", "Y"].map(|name| diagram.node(name));
//! let (z, x, y) = (z?, x?, y?);
//! // P(Z, X, Y), with Z = X in three cases of four and Y = X always.
//! let joint = Factor::new(
//!     &[z, x, y],
//!     &[2, 2, 2],
//!     vec![0.375, 0.0, 0.0, 0.125, 0.125, 0.0, 0.0, 0.375],
//! )?;
//! let distributions = Distributions::observational(&diagram, joint)?;
//!
//! let given = diagram.set(&["X", "Z"])?;
//! let factors = [Probability::of(&y.into()).given(&given), Probability::of(&z.into())];
//! let back_door = Estimand::sum(&z.into(), Estimand::product(factors.map(Estimand::from)));
//! let effect = back_door.evaluate(&distributions)?;
//! assert_eq!(effect.value(&[(x, 1), (y, 1)]), Some(1.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod distributions;
mod eliminate;
mod error;
mod evaluate;
mod expression;
mod factor;
mod render;
mod simplify;

pub use distributions::Distributions;
pub(crate) use eliminate::sum_product;
pub use error::EstimandError;
pub use expression::{Domain, Estimand, Probability};
pub use factor::Factor;
pub use render::Rendered;

#[cfg(test)]
mod tests;
