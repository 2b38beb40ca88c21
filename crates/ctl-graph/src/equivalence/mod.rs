//! Markov equivalence: CPDAGs, ancestral graphs and what their members share.

mod ancestral;
mod class;
mod cpdag;
mod meek;
mod pag;
mod possible;

pub use ancestral::{MagMembers, is_ancestral, mag_of, pag_of, separated_in_mag};
pub use class::Members;
pub use cpdag::{Cpdag, VStructure, v_structures};
pub use meek::{close_under_meek, extension};
pub use pag::{Separations, orient_pag};
