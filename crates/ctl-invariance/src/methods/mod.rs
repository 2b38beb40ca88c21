//! The methods, one file each: settings, formula, description, tests.

pub mod arm;
pub mod bbse;
pub mod coral;
pub mod dann;
pub mod em;
pub mod erm;
pub mod erm_plus_plus;
pub mod group_dro;
pub mod irm;
pub mod mcd;
pub mod mixstyle;
pub mod mixup;
pub mod mm_rex;
pub mod mmd;
pub mod mtl;
pub mod reference;
pub mod rsc;
pub mod sagnet;
pub mod swa;
pub mod swad;
pub mod v_rex;

#[cfg(test)]
pub(crate) mod testing;
