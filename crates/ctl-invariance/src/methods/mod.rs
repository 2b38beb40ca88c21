//! The methods, one file each: settings, formula, description, tests.

pub mod bbse;
pub mod cacm;
pub mod causirl;
pub mod cdann;
pub mod coral;
pub mod counterfactual_invariance;
pub mod dann;
pub mod deep_coral;
pub mod em;
pub mod erm;
pub mod group_dro;
pub mod importance_weighting;
pub mod irm;
pub mod mixup;
pub mod mm_rex;
pub mod mmd;
pub mod reference;
pub mod rlls;
pub mod selfreg;
pub mod v_rex;

#[cfg(test)]
pub(crate) mod testing;
