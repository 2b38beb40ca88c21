//! Anchor regression as a head.

use std::collections::BTreeSet;

use ctl_graph::discovery::{AnchorOptions, LinearModel, anchor_regression};
use ctl_graph::stats::Table;

use super::{HeadWeights, Rows};
use crate::Result;

/// What [`anchor_head`] gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AnchorHead {
    /// One row a response.
    pub head: HeadWeights,
    /// What was minimised for each response, without the ridge: the mean over samples.
    pub objectives: Vec<f64>,
}

/// The linear head that predicts best under shifts along anchors.
///
/// With `P` the projection on the centred anchors, each response's row minimises
/// `(‖(I − P)(y − X b)‖² + γ ‖P (y − X b)‖²) / n`, all centred; the bias follows from the means.
/// Classes are given as their indicators, one a response.
///
/// # Arguments
/// - `features`: `[n, F]`; `responses`: `[n, K]`; `anchors`: `[n, q]`, such as those of
///   [`environment_anchors`]. Anchors that others determine change nothing.
/// - `options`: `γ`, and a ridge for features that determine each other, as those of a network may.
///
/// # Errors
/// When row counts differ, a value is not finite, an option is out of range, or, without a ridge,
/// features determine each other.
///
/// # References
/// Rothenhäusler, Meinshausen, Bühlmann & Peters 2021, Anchor Regression, equation 6. Deviation:
/// several responses, each by itself, and a ridge.
///
/// # Examples
/// Within each of two sites y = x − 2 s, across them y = x:
/// ```
/// use ctl_invariance::select::{AnchorOptions, Rows, anchor_head, environment_anchors};
///
/// let (anchors, count) = environment_anchors(&[0, 0, 1, 1]);
/// assert_eq!((anchors.as_slice(), count), ([1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0].as_slice(), 2));
/// let (features, responses) = ([-2.0, 0.0, 0.0, 2.0], [-1.0, -3.0, 1.0, 3.0]);
/// let weight = |gamma| -> Result<f64, ctl_invariance::ObjectiveError> {
///     let (features, responses) = (Rows::new(&features, 1)?, Rows::new(&responses, 1)?);
///     let options = AnchorOptions { gamma, ridge: 0.0 };
///     let found = anchor_head(features, responses, Rows::new(&anchors, count)?, &options)?;
///     Ok(found.head.weight[0])
/// };
/// assert!((weight(1.0)? - 1.0).abs() < 1e-12); // least squares: 8 / 8
/// assert!((weight(0.0)? - 0.0).abs() < 1e-12); // within the sites: 0
/// assert!((weight(1e12)? - 2.0).abs() < 1e-6); // between their means: 4 / 2
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn anchor_head(
    features: Rows<'_>,
    responses: Rows<'_>,
    anchors: Rows<'_>,
    options: &AnchorOptions,
) -> Result<AnchorHead> {
    let parts = [
        responses.columns("response"),
        features.columns("feature"),
        anchors.columns("anchor"),
    ];
    let table = Table::new(parts.into_iter().flatten().collect())?;
    let names: Vec<&str> = table.names().iter().map(String::as_str).collect();
    let (targets, rest) = names.split_at(responses.width());
    let (predictors, anchors) = rest.split_at(features.width());
    let found = anchor_regression(&table, targets, predictors, anchors, options)?;
    let objectives = found.iter().map(|one| one.objective).collect();
    let models: Vec<LinearModel> = found.into_iter().map(|one| one.model).collect();
    let all: Vec<usize> = (0..features.width()).collect();
    Ok(AnchorHead {
        head: HeadWeights::of(&models, &all, features.width()),
        objectives,
    })
}

/// Indicators of the environments, `[n, E]` row by row, and their number `E`.
///
/// # Arguments
/// - `environments`: index of every sample's environment; only equality matters.
pub fn environment_anchors(environments: &[usize]) -> (Vec<f64>, usize) {
    let known: BTreeSet<usize> = environments.iter().copied().collect();
    let indicators = environments.iter().flat_map(|own| {
        known
            .iter()
            .map(move |other| f64::from(u8::from(own == other)))
    });
    (indicators.collect(), known.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: [f64; 12] = [1.0, 4.0, 2.0, 2.0, 0.0, 7.0, 5.0, 1.0, 3.0, 3.0, 9.0, 2.0];
    const RESPONSES: [f64; 6] = [1.0, 0.0, 2.0, 5.0, 4.0, 3.0];
    const SITES: [usize; 6] = [4, 4, 1, 1, 9, 9];

    /// `‖(I − P) r‖² + γ ‖P r‖²` from residuals and the means of the sites, which the projection on
    /// their indicators gives.
    fn objective(head: &HeadWeights, gamma: f64) -> f64 {
        let outputs = head.outputs(Rows::new(&FEATURES, 2).unwrap()).unwrap();
        let residuals: Vec<f64> = RESPONSES.iter().zip(outputs).map(|(y, z)| y - z).collect();
        let mean = |site: usize| f64::midpoint(residuals[site], residuals[site + 1]);
        let value = |(row, r): (usize, &f64)| {
            let between = mean(row - row % 2);
            (r - between).powi(2) + gamma * between.powi(2)
        };
        residuals.iter().enumerate().map(value).sum::<f64>() / 6.0
    }

    fn fit(gamma: f64) -> AnchorHead {
        let (anchors, count) = environment_anchors(&SITES);
        let options = AnchorOptions { gamma, ridge: 0.0 };
        let (features, responses) = (Rows::new(&FEATURES, 2), Rows::new(&RESPONSES, 1));
        let anchors = Rows::new(&anchors, count).unwrap();
        anchor_head(features.unwrap(), responses.unwrap(), anchors, &options).unwrap()
    }

    #[test]
    fn no_other_head_has_a_smaller_objective() {
        for gamma in [0.0, 1.0, 7.0] {
            let found = fit(gamma);
            let least = objective(&found.head, gamma);
            assert!((least - found.objectives[0]).abs() < 1e-12);
            for (index, step) in [(0, 1e-3), (0, -1e-3), (1, 1e-3), (1, -1e-3)] {
                let mut other = found.head.clone();
                other.weight[index] += step;
                assert!(objective(&other, gamma) > least, "{gamma} {index} {step}");
            }
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_an_error() {
        let short = Rows::new(&RESPONSES[..5], 1).unwrap();
        let (features, anchors) = (Rows::new(&FEATURES, 2).unwrap(), Rows::new(&RESPONSES, 1));
        let found = anchor_head(features, short, anchors.unwrap(), &AnchorOptions::default());
        let message = found.unwrap_err().to_string();
        assert_eq!(message, "column feature 0: expected 5 rows, found 6");
    }
}
