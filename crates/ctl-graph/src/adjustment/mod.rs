//! Covariate adjustment, front-door sets and conditional instruments.
//!
//! Those that are valid in every member of a class of diagrams are asked of
//! [`Cpdag`](crate::equivalence::Cpdag).
//!
//! # Examples
//!
//! No set suffices for adjustment here, but mediators do, and there is an instrument:
//!
//! ```
//! use ctl_graph::Diagram;
//! use ctl_graph::adjustment::{Adjustment, FrontDoor, conditional_instruments};
//!
//! let diagram = Diagram::parse("lottery -> dose -> uptake -> image; dose <-> image")?;
//! let (dose, image) = (diagram.set(&["dose"])?, diagram.set(&["image"])?);
//! assert_eq!(Adjustment::new(&diagram, &dose, &image)?.one_minimal(), None);
//! let mediators = FrontDoor::new(&diagram, &dose, &image)?.largest_set();
//! assert_eq!(mediators, Some(diagram.set(&["uptake"])?));
//!
//! let (uptake, image) = (diagram.node("uptake")?, diagram.node("image")?);
//! let first = conditional_instruments(&diagram, uptake, image, 1)?.next().unwrap();
//! assert_eq!(diagram.name(first.instrument), "lottery");
//! # Ok::<(), ctl_graph::GraphError>(())
//! ```

mod criterion;
mod front_door;
mod instrument;

pub use criterion::Adjustment;
pub(crate) use criterion::ClassFacts;
pub use front_door::{FrontDoor, FrontDoorSets};
pub use instrument::{Instrument, conditional_instruments, is_instrument};
