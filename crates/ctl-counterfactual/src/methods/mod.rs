//! Training methods that rest on counterfactual images, for the harness's registry.
//!
//! Each one learns a generator from the sources before its first step ([`Generator`] names the
//! kinds) and then trains on what the generator says:
//!
//! | method | what it does with counterfactuals |
//! |---|---|
//! | [`augmentation`] | puts them in the place of the images, so that site and label part |
//! | [`scanner`] | draws acquisitions on the way to other sites and beyond them |
//! | [`consistency`] | asks an image and its counterfactual for one prediction |
//! | [`contrastive`] | asks them for one representation, apart from those of other patients |
//!
//! What all of them assume is that the generator is sound: that it changes what the site does and
//! nothing else.

pub mod augmentation;
pub mod consistency;
pub mod contrastive;
mod generated;
mod pairs;
pub mod scanner;

pub use generated::Generator;
