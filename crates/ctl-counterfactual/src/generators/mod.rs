//! Generators of changed images that need no deep model.

mod inpaint;
mod labels;
mod lesions;
mod pixels;
mod region;

use ctl_invariance::ObjectiveError;

pub use inpaint::{InpaintConfig, Smoothness, Texture, filled, inpaint};
pub use lesions::{
    Blend, Donors, Lesion, LesionFinder, LesionInsertion, LesionInsertionConfig, LesionPixel,
    LesionRemoval, LesionRemovalConfig, remove_lesion,
};

use crate::CounterfactualError;

/// The same in the terms of an augmentation.
fn as_objective_error(method: &'static str, error: CounterfactualError) -> ObjectiveError {
    match error {
        CounterfactualError::Net(error) => error.into(),
        CounterfactualError::Compute(error) => error.into(),
        CounterfactualError::Shape {
            subject,
            expected,
            found,
        } => ObjectiveError::Environments {
            method,
            expected: format!("{subject}: {expected}"),
            found,
        },
        CounterfactualError::Value {
            subject,
            expected,
            found,
        } => ObjectiveError::Environments {
            method,
            expected: format!("{subject}: {expected}"),
            found,
        },
        other => ObjectiveError::Environments {
            method,
            expected: "images that it can change".into(),
            found: other.to_string(),
        },
    }
}
