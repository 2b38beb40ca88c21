//! The methods, one file each: settings, formula, description, tests.

pub mod and_mask;
pub mod bbse;
pub mod birm;
pub mod cacm;
pub mod causirl;
pub mod cdann;
pub mod coral;
pub mod counterfactual_invariance;
pub mod dann;
pub mod deep_coral;
pub mod em;
pub mod eqrm;
pub mod erm;
pub mod fish;
pub mod fishr;
pub mod group_dro;
pub mod ib_erm;
pub mod ib_irm;
pub mod iga;
pub mod importance_weighting;
pub mod irm;
pub mod mixup;
pub mod mldg;
pub mod mm_rex;
pub mod mmd;
pub mod rdm;
pub mod reference;
pub mod rlls;
pub mod sand_mask;
pub mod sd;
pub mod selfreg;
pub mod trm;
pub mod v_rex;

#[cfg(test)]
pub(crate) mod testing;
