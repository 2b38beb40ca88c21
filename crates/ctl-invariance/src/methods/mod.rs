//! The methods, one file each: settings, formula, description, tests.

pub mod back_door;
pub mod bbse;
pub mod class_balanced;
pub mod coral;
pub mod dann;
pub mod em;
pub mod erm;
pub mod front_door;
pub mod graph_penalty;
pub mod group_dro;
pub mod irm;
pub mod mixup;
pub mod mm_rex;
pub mod mmd;
pub mod reference;
pub mod transport_weighting;
pub mod v_rex;

#[cfg(test)]
pub(crate) mod testing;
