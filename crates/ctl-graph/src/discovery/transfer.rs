//! Invariant subsets of predictors, for an unseen environment.

use super::comparison::{Comparison, LinearModel};
use super::environments::Regression;
use super::error::{DiscoveryError, level};
use super::residuals::ResidualTest;
use super::subsets::Subsets;
use crate::stats::Table;

/// Options of [`invariant_subset`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let options = SubsetOptions { limit: 1, ..SubsetOptions::default() };
/// let found = invariant_subset(&table, "site", "y", &options)?;
/// assert_eq!((found.tested, found.complete), (1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubsetOptions {
    /// Level of the test of invariance, between 0 and 1.
    pub alpha: f64,
    /// How a real target is regressed on each subset.
    pub regression: Regression,
    /// How the regression of a real target is compared between environments.
    pub test: ResidualTest,
    /// Most predictors that are considered, as in [`super::IcpOptions::preselect`].
    pub preselect: Option<usize>,
    /// Most predictors in a subset; `None` sets no bound.
    pub max_size: Option<usize>,
    /// Most subsets that are tested, one or more.
    pub limit: usize,
}

impl Default for SubsetOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            regression: Regression::Linear,
            test: ResidualTest::Ranks,
            preselect: None,
            max_size: None,
            limit: 1 << 16,
        }
    }
}

/// The subset that [`invariant_subset`] selected.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let found = invariant_subset(&table, "site", "y", &SubsetOptions::default())?;
/// assert!(found.accepted);
/// assert_eq!(found.predictors, [1]);
/// assert!((found.models[0].coefficients[0] - 1.0).abs() < 0.05);
/// assert!((found.risk - 4.0).abs() < 0.2); // the variance of 0, 1, …, 6
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TransferSubset {
    /// Positions of the predictors in the table, ascending.
    pub predictors: Vec<usize>,
    /// p-value of its invariance.
    pub p_value: f64,
    /// Whether it was accepted; where every subset is rejected, this is the one with the largest
    /// p-value.
    pub accepted: bool,
    /// Expected loss on further rows of the same environments together: squared error of a real
    /// target, cross-entropy of categories.
    pub risk: f64,
    /// Model of a real target; of categories the log-odds of each level but the first against it.
    /// Empty for a regression that is not linear.
    pub models: Vec<LinearModel>,
    /// Number of subsets that were tested.
    pub tested: usize,
    /// False when `limit`, `max_size` or `preselect` left subsets untested.
    pub complete: bool,
}

/// Selects, among the subsets of predictors given which the target's distribution is the same in
/// every environment, the one that predicts best.
///
/// If the target's mechanism given that subset also stays the same in the target environment, no
/// predictor does better in the worst case over environments that share it.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns but for the environment's.
/// - `environment`, `target`: columns.
/// - `options`: see [`SubsetOptions`].
///
/// # Returns
/// The accepted subset of least risk, or where every subset is rejected, the one with the
/// largest p-value.
///
/// # Errors
/// Those of [`super::invariant_prediction`]; [`DiscoveryError::Option`] for a limit of 0.
///
/// # Complexity
/// `2^d` subsets, up to the limit.
///
/// # References
/// Rojas-Carulla, Schölkopf, Turner and Peters (2018), *Invariant models for causal transfer
/// learning*, algorithm 1; what is given where all are rejected is that of the authors' program.
/// Deviations: the residuals are compared by the tests of [`super::invariant_prediction`] in place
/// of Levene's test or HSIC, and the risk is not that of a validation set but generalised
/// cross-validation's, for categories the loss with Akaike's correction.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{SubsetOptions, invariant_subset};
/// use ctl_graph::stats::Table;
/// let row = |i: u32| (f64::from(i / 200), f64::from(i % 10), f64::from(i % 7), f64::from(i % 3));
/// let rows: Vec<_> = (0..400).map(row).collect();
/// let x: Vec<f64> = rows.iter().map(|r| r.1).collect();
/// let y: Vec<f64> = rows.iter().zip(&x).map(|(r, x)| x + r.2).collect();
/// let z = rows.iter().zip(&y).map(|(r, y)| y + r.3 + 9.0 * r.0).collect();
/// let site = rows.iter().map(|r| r.0).collect();
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y), ("z", z)])?;
/// let found = invariant_subset(&table, "site", "y", &SubsetOptions::default())?;
/// // z predicts better, but shifts.
/// assert_eq!(found.predictors, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invariant_subset(
    table: &Table,
    environment: &str,
    target: &str,
    options: &SubsetOptions,
) -> Result<TransferSubset, DiscoveryError> {
    level(options.alpha)?;
    let how = (options.regression, options.test);
    let comparison = Comparison::new(table, (environment, target), how, options.preselect)?;
    let count = comparison.candidates.len();
    let most = options.max_size.unwrap_or(usize::MAX);
    let mut subsets = Subsets::up_to(count, most);
    let (mut best, mut tested) = (None::<TransferSubset>, 0);
    for subset in subsets.by_ref().take(options.limit) {
        tested += 1;
        let Some(found) = comparison.test(&subset)? else {
            continue;
        };
        let found = TransferSubset {
            predictors: comparison.positions(&subset),
            p_value: found.p_value,
            accepted: found.p_value > options.alpha,
            risk: found.risk,
            models: found.models,
            tested: 0,
            complete: false,
        };
        if best.as_ref().is_none_or(|best| found.better_than(best)) {
            best = Some(found);
        }
    }
    let best = best.ok_or(DiscoveryError::Option {
        option: "limit",
        expected: "one or more",
        found: 0.0,
    })?;
    Ok(TransferSubset {
        tested,
        complete: most >= count && comparison.all && subsets.next().is_none(),
        ..best
    })
}

impl TransferSubset {
    /// Accepted before rejected; among the accepted by risk, among the rejected by p-value. Of
    /// equals the earlier stays.
    fn better_than(&self, other: &Self) -> bool {
        match (self.accepted, other.accepted) {
            (true, true) => self.risk < other.risk,
            (false, false) => self.p_value > other.p_value,
            (own, _) => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y's own noise differs between the sites, so that nothing makes it invariant; x explains
    /// most of its variance.
    fn noisy(factor: f64) -> Table {
        let x: Vec<f64> = (0..80).map(|i| f64::from(i % 10)).collect();
        let noise = |i: u32| f64::from((i * 7) % 11) - 5.0;
        let scale = |i: u32| if i < 40 { 0.1 } else { factor };
        let y = (0..80)
            .map(|i| x[i as usize] + scale(i) * noise(i))
            .collect();
        let site = (0..80).map(|i| f64::from(i / 40)).collect();
        Table::from_columns([("site", site), ("x", x), ("y", y)]).unwrap()
    }

    fn options() -> SubsetOptions {
        SubsetOptions {
            alpha: 0.9,
            test: ResidualTest::Moments,
            ..SubsetOptions::default()
        }
    }

    #[test]
    fn where_all_are_rejected_the_largest_p_value_decides() {
        let found = invariant_subset(&noisy(2.0), "site", "y", &options()).unwrap();
        let icp = super::super::IcpOptions {
            alpha: 1e-300,
            ..super::super::IcpOptions::default()
        };
        let all = super::super::invariant_prediction(&noisy(2.0), "site", "y", &icp).unwrap();
        let larger = all
            .accepted
            .iter()
            .max_by(|a, b| a.p_value.total_cmp(&b.p_value));
        let larger = larger.unwrap();
        assert!(!found.accepted && found.p_value < 0.9);
        assert_eq!(
            (&found.predictors, found.p_value.to_bits()),
            (&larger.predictors, larger.p_value.to_bits())
        );
    }

    #[test]
    fn among_the_accepted_the_risk_decides() {
        let options = SubsetOptions {
            alpha: 0.01,
            ..options()
        };
        let found = invariant_subset(&noisy(0.1), "site", "y", &options).unwrap();
        assert_eq!((found.accepted, found.predictors), (true, vec![1]));
        let none = SubsetOptions {
            max_size: Some(0),
            ..options
        };
        let found = invariant_subset(&noisy(0.1), "site", "y", &none).unwrap();
        assert_eq!((found.predictors, found.complete), (vec![], false));
    }

    #[test]
    fn a_limit_of_no_subset_is_an_error() {
        let options = SubsetOptions {
            limit: 0,
            ..SubsetOptions::default()
        };
        let error = invariant_subset(&noisy(1.0), "site", "y", &options).unwrap_err();
        assert_eq!(error.to_string(), "limit: expected one or more, found 0");
    }
}
