//! Variables with a learning rate and a weight decay of their own.

use candle_core::{DType, Var};

use super::{check_not_negative, check_positive};
use crate::{ComputeError, Result};

/// Variables that share settings; what is not set is the optimiser's.
#[derive(Clone, Debug, Default)]
pub struct ParameterGroup {
    /// The variables, `f32`.
    pub variables: Vec<Var>,
    /// Step size, positive.
    pub learning_rate: Option<f64>,
    /// Weight decay, not negative.
    pub weight_decay: Option<f64>,
}

impl From<Vec<Var>> for ParameterGroup {
    fn from(variables: Vec<Var>) -> Self {
        Self {
            variables,
            ..Self::default()
        }
    }
}

/// One variable with its settings.
pub(super) struct Slot {
    pub(super) variable: Var,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
}

/// The variables of all groups in order.
pub(super) fn slots(
    op: &'static str,
    groups: Vec<ParameterGroup>,
    (learning_rate, weight_decay): (f64, f64),
) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    for group in groups {
        let learning_rate = group.learning_rate.unwrap_or(learning_rate);
        let weight_decay = group.weight_decay.unwrap_or(weight_decay);
        check_positive(op, "learning_rate", learning_rate)?;
        check_not_negative(op, "weight_decay", weight_decay)?;
        if let Some(other) = group.variables.iter().find(|v| v.dtype() != DType::F32) {
            return Err(ComputeError::Option {
                op,
                key: "variables",
                expected: "f32",
                found: other.dtype().as_str().to_owned(),
            });
        }
        slots.extend(group.variables.into_iter().map(|variable| Slot {
            variable,
            learning_rate,
            weight_decay,
        }));
    }
    Ok(slots)
}

/// Sizes of the variables, in order.
pub(super) fn sizes(slots: &[Slot]) -> Vec<usize> {
    slots
        .iter()
        .map(|slot| slot.variable.elem_count())
        .collect()
}
