//! The methods, one file each: settings, formula, description, tests.

pub mod adabn;
pub mod augment;
pub mod bbse;
pub mod cirl;
pub mod combat;
pub mod coral;
pub mod counterfactual_augmentation;
pub mod dann;
pub mod em;
pub mod erm;
pub mod fact;
pub mod fda;
pub mod gin_ipa;
pub mod group_dro;
pub mod histogram_matching;
pub mod irm;
pub mod mixup;
pub mod mm_rex;
pub mod mmd;
pub mod nyul;
pub mod pseudo_label;
pub mod reference;
pub mod tent;
pub mod v_rex;

#[cfg(test)]
pub(crate) mod testing;
