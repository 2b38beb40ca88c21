//! Markov equivalence: CPDAGs, ancestral graphs and what their members share.
//!
//! Data alone tell diagrams apart only up to a class with the same separations. [`Cpdag`] is what
//! the DAGs of a class share, the graph of [`pag_of`] what the graphs with hidden causes share.
//!
//! # Examples
//!
//! ```
//! use ctl_graph::{Diagram, equivalence::{Cpdag, mag_of, pag_of}};
//!
//! let diagram = Diagram::parse("scanner -> image <- disease; image -> reading")?;
//! let cpdag = Cpdag::of(&diagram)?;
//! assert_eq!(cpdag.size(100)?, 1);
//! let pag = pag_of(&mag_of(&diagram)?)?;
//! assert_eq!(pag.to_string(), "scanner o-> image; image <-o disease; image --> reading");
//! # Ok::<(), ctl_graph::GraphError>(())
//! ```

mod ancestral;
mod class;
mod cpdag;
mod effects;
mod meek;
mod pag;
pub(crate) mod possible;

pub use ancestral::{MagMembers, is_ancestral, mag_of, pag_of, separated_in_mag};
pub use class::Members;
pub use cpdag::{Cpdag, VStructure, v_structures};
pub use meek::{close_under_meek, extension};
pub use pag::{Separations, orient_pag};
