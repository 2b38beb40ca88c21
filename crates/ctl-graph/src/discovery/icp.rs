//! Invariant causal prediction.

use super::environments::{Design, Fit, Regression, Within, environments, rows_of};
use super::error::{DiscoveryError, level};
use super::residuals::{Group, ResidualTest, moments_differ, ranks_differ};
use super::subsets::Subsets;
use crate::stats::distribution::normal_critical;
use crate::stats::{Matrix, Table, linear};

/// Options of [`invariant_prediction`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{IcpOptions, invariant_prediction};
/// use ctl_graph::stats::Table;
/// let text = "e,x,y\n0,1,2\n0,2,3\n0,3,5\n1,1,2\n1,5,3\n1,3,9\n";
/// let table = Table::parse_csv(text)?;
/// let options = IcpOptions { limit: 1, ..IcpOptions::default() };
/// let found = invariant_prediction(&table, "e", "y", &options)?;
/// assert_eq!((found.tested, found.complete), (1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IcpOptions {
    /// Level: the estimate is within the true causes with probability `1 - alpha`.
    pub alpha: f64,
    /// How the target is regressed on each set.
    pub regression: Regression,
    /// How residuals are compared between environments.
    pub test: ResidualTest,
    /// Most predictors in a set; `None` sets no bound.
    pub max_size: Option<usize>,
    /// Most sets that are tested.
    pub limit: usize,
}

impl Default for IcpOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            regression: Regression::Linear,
            test: ResidualTest::Moments,
            max_size: None,
            limit: 1 << 20,
        }
    }
}

/// A set of predictors with the p-value of its invariance.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{IcpOptions, invariant_prediction};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let found = invariant_prediction(&table, "site", "y", &IcpOptions::default())?;
/// let sets: Vec<&[usize]> = found.accepted.iter().map(|set| &set.predictors[..]).collect();
/// assert_eq!(sets, [&[][..], &[1]]);
/// assert!(found.accepted.iter().all(|set| set.p_value > 0.05));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InvariantSet {
    /// Positions of the predictors in the table, ascending.
    pub predictors: Vec<usize>,
    /// p-value of the hypothesis that residuals are alike in every environment.
    pub p_value: f64,
}

/// What invariant causal prediction found.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{IcpOptions, invariant_prediction};
/// use ctl_graph::stats::Table;
/// let numbers = |f: fn(u32) -> u32| (0..400).map(|i| f64::from(f(i))).collect::<Vec<f64>>();
/// let (site, x) = (numbers(|i| i / 200), numbers(|i| i % 10));
/// let y = numbers(|i| i % 10 + i % 7);
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y)])?;
/// let found = invariant_prediction(&table, "site", "y", &IcpOptions::default())?;
/// // Nothing differs between the sites, so that no cause can be told.
/// assert_eq!(found.causes, Some(vec![]));
/// assert_eq!((found.tested, found.complete), (2, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InvariantPrediction {
    /// The sets that are not rejected, by size.
    pub accepted: Vec<InvariantSet>,
    /// Predictors that every accepted set shares; `None` when every set is rejected, as happens
    /// when an environment changes the target itself or a common cause is latent.
    pub causes: Option<Vec<usize>>,
    /// For each column the largest p-value among the sets without it, 1 where nothing is
    /// accepted; `None` for the target and the environment.
    pub p_values: Vec<Option<f64>>,
    /// For each column the range of the coefficient's intervals over the accepted sets, 0 for a
    /// set without it; `None` where nothing is accepted or the regression is not linear.
    pub intervals: Vec<Option<(f64, f64)>>,
    /// Number of sets that were tested.
    pub tested: usize,
    /// False when `limit` or `max_size` left sets untested; the estimate may then be too large.
    pub complete: bool,
}

/// Finds causes of a target: the predictors shared by all sets given which the target's residuals
/// are distributed alike in every environment.
///
/// For each set the target is regressed on it over all rows; each environment's residuals are
/// compared with the others' in location and in spread, and the smallest p-value is multiplied
/// by `2 (E - 1)`.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns but for the environment's.
/// - `environment`: the column that tells environments apart.
/// - `target`: the column whose causes are sought.
/// - `options`: see [`IcpOptions`].
///
/// # Returns
/// Accepted sets, causes, p-values and intervals. Without latent common causes, and where no
/// environment changes the target itself, the causes are true ones with probability `1 - alpha`.
///
/// # Errors
/// [`DiscoveryError::TooFewEnvironments`], [`DiscoveryError::TooFewRows`] for an environment with
/// fewer than three rows, [`DiscoveryError::Stats`] for columns of the wrong kind,
/// [`DiscoveryError::Option`] for a level outside (0, 1).
///
/// # Complexity
/// `2^d` sets; each takes `E |S|²` with the linear regression and the test of moments.
///
/// # References
/// Peters, Bühlmann and Meinshausen (2016), *Causal inference by using invariant prediction*,
/// method II; the factor is that of the authors' program, since the comparisons of the
/// environments with the others are dependent. Heinze-Deml, Peters and Meinshausen (2018) for
/// nonlinear regression. Predictors that determine each other are not accepted together.
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{IcpOptions, invariant_prediction};
/// use ctl_graph::stats::Table;
/// // y = x + noise in both environments; the effect z = y + noise is shifted in the second.
/// let row = |i: u32| (f64::from(i / 200), f64::from(i % 10), f64::from(i % 7), f64::from(i % 3));
/// let rows: Vec<_> = (0..400).map(row).collect();
/// let x: Vec<f64> = rows.iter().map(|r| r.1 * (1.0 + r.0)).collect();
/// let y: Vec<f64> = rows.iter().zip(&x).map(|(r, x)| x + r.2).collect();
/// let z = rows.iter().zip(&y).map(|(r, y)| y + r.3 + 9.0 * r.0).collect();
/// let site = rows.iter().map(|r| r.0).collect();
/// let table = Table::from_columns([("site", site), ("x", x), ("y", y), ("z", z)])?;
/// let found = invariant_prediction(&table, "site", "y", &IcpOptions::default())?;
/// assert_eq!(found.causes, Some(vec![1]));
/// assert_eq!((found.tested, found.complete), (4, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn invariant_prediction(
    table: &Table,
    environment: &str,
    target: &str,
    options: &IcpOptions,
) -> Result<InvariantPrediction, DiscoveryError> {
    level(options.alpha)?;
    let comparison = Comparison::new(table, environment, target, options.regression, options.test)?;
    let predictors = comparison.predictors.clone();
    let most = options.max_size.unwrap_or(usize::MAX);
    let mut subsets = Subsets::up_to(predictors.len(), most);
    let mut found = InvariantPrediction {
        accepted: Vec::new(),
        causes: None,
        p_values: vec![None; table.columns()],
        intervals: vec![None; table.columns()],
        tested: 0,
        complete: most >= predictors.len(),
    };
    let mut fits: Vec<(Vec<usize>, Fit)> = Vec::new();
    let mut largest_without = vec![0.0f64; predictors.len()];
    for subset in subsets.by_ref().take(options.limit) {
        found.tested += 1;
        let Some(fit) = comparison.design.fit(&subset) else {
            continue;
        };
        let p_value = comparison.p_value(&fit)?;
        for (index, largest) in largest_without.iter_mut().enumerate() {
            if !subset.contains(&index) {
                *largest = largest.max(p_value);
            }
        }
        if p_value > options.alpha {
            found.accepted.push(InvariantSet {
                predictors: subset.iter().map(|&i| predictors[i]).collect(),
                p_value,
            });
            fits.push((subset, fit));
        }
    }
    found.complete &= subsets.next().is_none();
    summarise(&mut found, &comparison, &fits, &largest_without, options);
    Ok(found)
}

fn summarise(
    found: &mut InvariantPrediction,
    comparison: &Comparison,
    fits: &[(Vec<usize>, Fit)],
    largest_without: &[f64],
    options: &IcpOptions,
) {
    let any = !fits.is_empty();
    let shared = |index: &usize| fits.iter().all(|(subset, _)| subset.contains(index));
    let count = comparison.predictors.len();
    if any {
        let causes = (0..count).filter(shared);
        found.causes = Some(causes.map(|i| comparison.predictors[i]).collect());
    }
    for (index, &column) in comparison.predictors.iter().enumerate() {
        found.p_values[column] = Some(if any { largest_without[index] } else { 1.0 });
        if any && options.regression == Regression::Linear {
            let intervals = fits.iter().map(|(subset, fit)| {
                let position = subset.iter().position(|&i| i == index);
                position.map_or((0.0, 0.0), |p| comparison.interval(fit, p, options.alpha))
            });
            let hull = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
            found.intervals[column] = intervals.reduce(hull);
        }
    }
}

/// A target, its predictors, and the rows and moments of each environment.
pub(super) struct Comparison {
    pub(super) design: Design,
    pub(super) predictors: Vec<usize>,
    rows: Vec<Vec<usize>>,
    within: Vec<Within>,
    test: ResidualTest,
}

impl Comparison {
    pub(super) fn new(
        table: &Table,
        environment: &str,
        target: &str,
        regression: Regression,
        test: ResidualTest,
    ) -> Result<Self, DiscoveryError> {
        const FEWEST_ROWS: usize = 3;
        let (codes, names) = environments(table, environment)?;
        let (column, target) = (table.position(environment)?, table.position(target)?);
        let rows = rows_of(&codes, names.len());
        for (rows, name) in rows.iter().zip(&names) {
            if rows.len() < FEWEST_ROWS {
                return Err(DiscoveryError::TooFewRows {
                    environment: name.clone(),
                    expected: FEWEST_ROWS,
                    found: rows.len(),
                });
            }
        }
        let others = (0..table.columns()).filter(|&c| c != column && c != target);
        let predictors: Vec<usize> = others.collect();
        let design = Design::new(table, target, &predictors, regression)?;
        let within = rows.iter().map(|rows| Within::of(&design, rows));
        Ok(Self {
            within: within.collect::<Result<_, _>>()?,
            design,
            predictors,
            rows,
            test,
        })
    }

    /// p-value of the hypothesis that a fit's residuals are alike in every environment.
    pub(super) fn p_value(&self, fit: &Fit) -> Result<f64, DiscoveryError> {
        let pairs = match self.test {
            ResidualTest::Moments => self.by_moments(fit),
            ResidualTest::Ranks => self.by_ranks(fit)?,
        };
        let least = pairs
            .iter()
            .fold(1.0f64, |least, p| least.min(p.0).min(p.1));
        // With two environments both comparisons are the same one.
        Ok((2.0 * (self.rows.len() - 1) as f64 * least).min(1.0))
    }

    fn by_moments(&self, fit: &Fit) -> Vec<(f64, f64)> {
        let overall = self.design.moments.means();
        let groups: Vec<Group> = self
            .within
            .iter()
            .map(|within| {
                let (mean, squares) = within.residual(fit, overall);
                let rows = within.rows;
                Group {
                    rows,
                    mean,
                    squares,
                }
            })
            .collect();
        let rest = |skipped: usize| {
            let others = groups.iter().enumerate().filter(|(i, _)| *i != skipped);
            others.map(|(_, group)| *group).reduce(Group::with)
        };
        let compared = groups.iter().enumerate();
        compared
            .filter_map(|(index, group)| Some(moments_differ(*group, rest(index)?)))
            .collect()
    }

    fn by_ranks(&self, fit: &Fit) -> Result<Vec<(f64, f64)>, DiscoveryError> {
        let residuals = self.design.residuals(fit)?;
        let pick = |rows: &[usize]| -> Vec<f64> { rows.iter().map(|&r| residuals[r]).collect() };
        let compare = |(index, rows): (usize, &Vec<usize>)| {
            let others = self.rows.iter().enumerate().filter(|(i, _)| *i != index);
            let rest: Vec<f64> = others.flat_map(|(_, rows)| pick(rows)).collect();
            ranks_differ(&pick(rows), &rest)
        };
        Ok(self.rows.iter().enumerate().map(compare).collect())
    }

    /// Normal interval of a coefficient.
    fn interval(&self, fit: &Fit, position: usize, alpha: f64) -> (f64, f64) {
        let covariance = self.design.moments.covariance();
        let gram = covariance.principal(&fit.columns);
        let unit = Matrix::identity(fit.columns.len());
        let inverse = linear::solve(&gram, unit.row(position));
        let explained: f64 = fit
            .columns
            .iter()
            .zip(&fit.coefficients)
            .map(|(&c, b)| covariance[(c, 0)] * b)
            .sum();
        let rows = self.design.table.rows() as f64;
        let freedom = (rows - fit.columns.len() as f64 - 1.0).max(1.0);
        let noise = (covariance[(0, 0)] - explained).max(0.0);
        let scale = inverse.map_or(f64::INFINITY, |column| column[position]);
        let error = (noise * scale / freedom).sqrt() * normal_critical(alpha);
        let center = fit.coefficients[position];
        (center - error, center + error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// x -> y -> z with x and z shifted between three environments; y = f(x) + noise.
    fn shifted(f: fn(f64) -> f64, seed: u64) -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let mut columns = vec![Vec::new(); 4];
        for row in 0..900 {
            let environment = f64::from(row / 300);
            let x = normal() * (1.0 + environment) + environment;
            let y = f(x) + 0.5 * normal();
            let z = y + normal() * (2.0 - 0.7 * environment) - 2.0 * environment;
            for (column, value) in columns.iter_mut().zip([environment, x, y, z]) {
                column.push(value);
            }
        }
        Table::from_columns(["e", "x", "y", "z"].into_iter().zip(columns)).unwrap()
    }

    #[test]
    fn a_nonlinear_cause_needs_a_nonlinear_regression() {
        let table = shifted(|x| x * x, 4);
        let linear = invariant_prediction(&table, "e", "y", &IcpOptions::default()).unwrap();
        assert_eq!(linear.causes, None);
        let options = IcpOptions {
            regression: Regression::Additive { knots: 8 },
            test: ResidualTest::Ranks,
            ..IcpOptions::default()
        };
        let additive = invariant_prediction(&table, "e", "y", &options).unwrap();
        assert_eq!(additive.causes, Some(vec![1]));
        assert_eq!(additive.intervals[1], None);
    }

    #[test]
    fn tests_by_moments_need_no_residuals() {
        let table = shifted(|x| 1.5 * x, 9);
        let new = |test| Comparison::new(&table, "e", "y", Regression::Linear, test).unwrap();
        let comparison = new(ResidualTest::Moments);
        let fit = comparison.design.fit(&[0, 1]).unwrap();
        let residuals = comparison.design.residuals(&fit).unwrap();
        let (first, rest) = residuals.split_at(300);
        let direct = moments_differ(Group::of(first), Group::of(rest));
        let found = comparison.by_moments(&fit)[0];
        assert!((found.0 - direct.0).abs() < 1e-9 && (found.1 - direct.1).abs() < 1e-9);
    }

    #[test]
    fn intervals_cover_the_coefficient_of_a_cause() {
        let found =
            invariant_prediction(&shifted(|x| 1.5 * x, 9), "e", "y", &IcpOptions::default());
        let found = found.unwrap();
        assert_eq!(found.causes, Some(vec![1]));
        let (low, high) = found.intervals[1].unwrap();
        assert!(low < 1.5 && 1.5 < high && high - low < 0.2);
        assert!(found.p_values[1].unwrap() < 0.05 && found.p_values[2].is_none());
    }

    #[test]
    fn a_limit_is_reported() {
        let options = IcpOptions {
            limit: 3,
            ..IcpOptions::default()
        };
        let found = invariant_prediction(&shifted(|x| x, 1), "e", "y", &options).unwrap();
        assert_eq!((found.tested, found.complete), (3, false));
    }

    #[test]
    fn one_environment_is_an_error() {
        let table = Table::parse_csv("e,x,y\n1,2,3\n1,3,5\n1,4,4\n").unwrap();
        let found = invariant_prediction(&table, "e", "y", &IcpOptions::default());
        assert!(matches!(
            found,
            Err(DiscoveryError::TooFewEnvironments { found: 1, .. })
        ));
    }
}
