//! Causal diagrams: what can be transferred, by which formula, and which methods are licensed.
//!
//! | module | holds |
//! |---|---|
//! | [`graph`] | diagrams with directed and bidirected edges, views, marked graphs, text formats |
//! | [`separation`] | d- and m-separation, separators, implied independences |
//! | [`adjustment`] | adjustment sets, front-door sets, conditional instruments |
//! | [`equivalence`] | CPDAGs and effects in all their members, maximal ancestral graphs, PAGs |
//! | [`estimand`] | expressions that simplify, print and evaluate |
//! | [`identification`] | interventional and counterfactual identification |
//! | [`transport`] | selection diagrams and transport formulas |
//! | [`model`] | structural causal models and their counterfactuals |
//! | [`advice`] | shift diagrams and the methods that they license |
//! | [`discovery`] | structure, invariant predictors and shifted mechanisms from data |
//! | [`stats`] | tables and conditional-independence tests |
//! | [`conformance`] | runs published test vectors through this crate |
//!
//! # Examples
//!
//! ```
//! use ctl_graph::{Diagram, NodeSet, separation::separated};
//!
//! let diagram = Diagram::parse("site -> scanner -> image; disease -> image")?;
//! let (site, disease) = (diagram.set(&["site"])?, diagram.set(&["disease"])?);
//! assert!(separated(&diagram, &site, &disease, &NodeSet::new())?);
//! assert!(!separated(&diagram, &site, &disease, &diagram.set(&["image"])?)?);
//! # Ok::<(), ctl_graph::GraphError>(())
//! ```

pub mod adjustment;
pub mod advice;
pub mod conformance;
pub mod discovery;
pub mod equivalence;
mod error;
pub mod estimand;
pub mod graph;
pub mod identification;
pub mod model;
pub mod separation;
pub mod stats;
pub mod transport;

pub use error::GraphError;
pub use graph::{Diagram, DiagramFile, Mixed, NodeId, NodeSet, View};
