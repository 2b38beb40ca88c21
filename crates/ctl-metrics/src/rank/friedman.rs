//! Do several methods differ over several data sets, and which pairs do?

use serde::Serialize;

use super::mid_ranks::{ranks_of, tie_term};
use super::studentized_range::{studentized_range_cdf, studentized_range_quantile};
use crate::distribution::{chi_squared_upper, f_upper};
use crate::{Direction, MetricError, validate};

/// Relative distance from its maximum at which the statistic counts as maximal.
const MAXIMAL: f64 = 1e-12;

/// Outcome of the Friedman test with the Nemenyi comparisons that follow it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FriedmanTest {
    /// Number of data sets `N`.
    pub data_sets: usize,
    /// Mean rank of each method; rank 1 is the best, ties share their mean.
    pub average_ranks: Vec<f64>,
    /// Friedman's statistic, corrected for ties.
    pub chi2: f64,
    /// The statistic before the correction.
    pub chi2_without_tie_correction: f64,
    /// Upper tail of the corrected statistic with `k - 1` degrees of freedom.
    pub p_chi2: f64,
    /// Iman and Davenport's F of the corrected statistic; infinite when all data sets agree.
    pub iman_davenport_f: f64,
    /// Upper tail of F with `k - 1` and `(k - 1)(N - 1)` degrees of freedom.
    pub p_iman_davenport: f64,
}

/// Friedman test of `k` methods on `N` data sets.
///
/// `chi2 = (12 / (N k (k + 1)) sum_j R_j^2 - 3 N (k + 1)) / (1 - sum (t^3 - t) / (N k (k^2 - 1)))`
/// with rank sums `R_j` and groups of `t` ties within a data set;
/// `F = (N - 1) chi2 / (N (k - 1) - chi2)`.
///
/// # Arguments
/// - `scores`: `[N, k]` row-major, one row per data set, no `NaN`.
/// - `methods`: `k`, at least 2.
/// - `direction`: whether the highest or the lowest score gets rank 1.
///
/// # Returns
/// Mean ranks and both tests. The chi-squared approximation is rough below about ten data sets;
/// F is the better of the two.
///
/// # Errors
/// [`MetricError::InvalidParameter`] for fewer than two methods, [`MetricError::LengthMismatch`],
/// [`MetricError::TooFew`] for fewer than two data sets, [`MetricError::InvalidValue`] for `NaN`,
/// [`MetricError::Undefined`] when all methods tie on every data set.
///
/// # Complexity
/// O(N k log k).
///
/// # References
/// Friedman, 1937; Iman & Davenport, 1980; Demšar, "Statistical comparisons of classifiers over
/// multiple data sets", 2006, section 3.2.2.
///
/// # Examples
///
/// ```
/// use ctl_metrics::{Direction, rank::friedman};
/// let scores = [0.9, 0.8, 0.7, 0.9, 0.7, 0.8, 0.8, 0.7, 0.6];
/// let test = friedman(&scores, 3, Direction::HigherIsBetter)?;
/// assert_eq!(test.average_ranks, [1.0, 7.0 / 3.0, 8.0 / 3.0]);
/// assert!((test.chi2 - 14.0 / 3.0).abs() < 1e-12);
/// assert!((test.iman_davenport_f - 7.0).abs() < 1e-12);
/// assert!((test.critical_difference(0.05)? - 1.913_624).abs() < 1e-6);
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
pub fn friedman(
    scores: &[f64],
    methods: usize,
    direction: Direction,
) -> Result<FriedmanTest, MetricError> {
    validate::parameter("methods", methods as f64, "at least 2", methods >= 2)?;
    let data_sets = scores.len() / methods;
    validate::same_len("scores", data_sets * methods, scores.len())?;
    validate::at_least("data sets", 2, data_sets)?;
    validate::not_nan("scores", scores)?;
    let (rank_sums, ties) = rank_sums(scores, methods, direction);
    let (n, k) = (data_sets as f64, methods as f64);
    let correction = 1.0 - ties / (n * k * (k * k - 1.0));
    if correction <= 0.0 {
        return Err(MetricError::Undefined {
            subject: "Friedman statistic",
            expected: "methods that differ on some data set",
            found: "ties throughout",
        });
    }
    let squares: f64 = rank_sums
        .iter()
        .map(|sum| (sum - n * (k + 1.0) / 2.0).powi(2))
        .sum();
    let uncorrected = 12.0 / (n * k * (k + 1.0)) * squares;
    let chi2 = uncorrected / correction;
    let f = iman_davenport(chi2, n, k);
    Ok(FriedmanTest {
        data_sets,
        average_ranks: rank_sums.iter().map(|sum| sum / n).collect(),
        chi2,
        chi2_without_tie_correction: uncorrected,
        p_chi2: chi_squared_upper(chi2, k - 1.0),
        iman_davenport_f: f,
        p_iman_davenport: f_upper(f, k - 1.0, (k - 1.0) * (n - 1.0)),
    })
}

/// Sum of each method's ranks, and the tie term over all data sets.
fn rank_sums(scores: &[f64], methods: usize, direction: Direction) -> (Vec<f64>, f64) {
    let sign = match direction {
        Direction::HigherIsBetter => -1.0,
        Direction::LowerIsBetter => 1.0,
    };
    let mut sums = vec![0.0; methods];
    let mut ties = 0.0;
    for row in scores.chunks_exact(methods) {
        let signed: Vec<f64> = row.iter().map(|score| sign * score).collect();
        ties += tie_term(&ranks_of(&signed));
        for (sum, rank) in sums.iter_mut().zip(ranks_of(&signed)) {
            *sum += rank;
        }
    }
    (sums, ties)
}

fn iman_davenport(chi2: f64, n: f64, k: f64) -> f64 {
    let maximum = n * (k - 1.0);
    let rest = maximum - chi2;
    if rest <= MAXIMAL * maximum {
        f64::INFINITY
    } else {
        (n - 1.0) * chi2 / rest
    }
}

impl FriedmanTest {
    /// Standard error that mean ranks are measured in: `sqrt(k (k + 1) / (6 N))`.
    fn rank_scale(&self) -> f64 {
        let k = self.average_ranks.len() as f64;
        (k * (k + 1.0) / (6.0 * self.data_sets as f64)).sqrt()
    }

    /// Nemenyi's critical difference of mean ranks.
    ///
    /// `CD = q_alpha sqrt(k (k + 1) / (6 N))` with `q_alpha` the upper quantile of the studentised
    /// range of `k` at infinite degrees of freedom, divided by `sqrt 2`.
    ///
    /// # Arguments
    /// - `alpha`: family-wise error, in `(0, 1)`.
    ///
    /// # Returns
    /// Mean ranks further apart than this differ.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] for `alpha`.
    ///
    /// # References
    /// Nemenyi, 1963; Demšar 2006, section 3.2.2.
    pub fn critical_difference(&self, alpha: f64) -> Result<f64, MetricError> {
        validate::parameter(
            "alpha",
            alpha,
            "a number in (0, 1)",
            alpha > 0.0 && alpha < 1.0,
        )?;
        let quantile = studentized_range_quantile(1.0 - alpha, self.average_ranks.len())?;
        Ok(quantile / std::f64::consts::SQRT_2 * self.rank_scale())
    }

    /// Nemenyi's p-value of each pair of methods, corrected for all pairs.
    ///
    /// # Returns
    /// `[k, k]` row-major and symmetric, 1 on the diagonal.
    ///
    /// # Errors
    /// [`MetricError::InvalidParameter`] when there are fewer than two methods.
    pub fn nemenyi_p_values(&self) -> Result<Vec<f64>, MetricError> {
        let ranks = &self.average_ranks;
        let scale = self.rank_scale() / std::f64::consts::SQRT_2;
        let pairs = ranks
            .iter()
            .flat_map(|a| ranks.iter().map(move |b| (a - b).abs() / scale));
        pairs
            .map(|q| Ok(1.0 - studentized_range_cdf(q, ranks.len())?))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_agreement_is_the_extreme() {
        let scores = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let test = friedman(&scores, 3, Direction::LowerIsBetter).unwrap();
        assert_eq!(test.average_ranks, [1.0, 2.0, 3.0]);
        assert!((test.chi2 - 4.0).abs() < 1e-12);
        assert!(test.iman_davenport_f.is_infinite());
        assert!(test.p_iman_davenport.abs() < 1e-15);
    }

    #[test]
    fn direction_mirrors_the_ranks() {
        let scores = [0.1, 0.5, 0.5, 0.3, 0.2, 0.9];
        let up = friedman(&scores, 3, Direction::HigherIsBetter).unwrap();
        let down = friedman(&scores, 3, Direction::LowerIsBetter).unwrap();
        for (a, b) in up.average_ranks.iter().zip(&down.average_ranks) {
            assert!((a + b - 4.0).abs() < 1e-12);
        }
        assert!((up.chi2 - down.chi2).abs() < 1e-12);
    }

    #[test]
    fn ill_input_is_refused() {
        let direction = Direction::HigherIsBetter;
        assert!(
            friedman(&[0.5; 6], 3, direction)
                .unwrap_err()
                .is_undefined()
        );
        assert!(friedman(&[0.5; 3], 3, direction).is_err());
        assert!(friedman(&[0.5; 7], 3, direction).is_err());
        assert!(friedman(&[0.5; 4], 1, direction).is_err());
        assert!(friedman(&[0.5, f64::NAN, 0.1, 0.2], 2, direction).is_err());
        let test = friedman(&[0.1, 0.2, 0.4, 0.3], 2, direction).unwrap();
        assert!(test.critical_difference(0.0).is_err());
    }
}
