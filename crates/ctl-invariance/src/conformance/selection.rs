//! Heads in closed form.

use serde_json::{Map, Value, json};

use super::case::{Case, Problem, tensor};
use crate::select::{AnchorOptions, Rows, anchor_head};

/// Values and width of a matrix; a vector is a matrix of one column.
fn matrix(case: &Case<'_>, name: &str) -> Result<(Vec<f64>, usize), Problem> {
    let tensor = tensor(name, case.part(name))?;
    let width = match tensor.dims() {
        [_] => 1,
        [_, width] => *width,
        dims => {
            return Err(Problem(format!(
                "{name}: expected a matrix, found {dims:?}"
            )));
        }
    };
    Ok((tensor.flatten_all()?.to_vec1()?, width))
}

pub(super) fn anchor_regression(case: &Case<'_>) -> Result<Map<String, Value>, Problem> {
    case.expect_variant(&[""])?;
    let (x, features) = matrix(case, "x")?;
    let (y, responses) = matrix(case, "y")?;
    let (anchors, count) = matrix(case, "anchors")?;
    if responses != 1 {
        return Err(Problem(format!(
            "y: expected one response, found {responses}"
        )));
    }
    let options = AnchorOptions {
        gamma: case.number("gamma")?,
        ridge: 0.0,
    };
    let (x, y) = (Rows::new(&x, features)?, Rows::new(&y, responses)?);
    let found = anchor_head(x, y, Rows::new(&anchors, count)?, &options)?;
    let fields = json!({
        "coefficients": found.head.weight,
        "intercept": found.head.bias[0],
        "objective_mean": found.objectives[0],
    });
    Ok(fields.as_object().cloned().unwrap_or_default())
}
