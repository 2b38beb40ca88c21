//! The frequency of labels on a target without labels.
//!
//! Where only P(Y) moves and P(X given Y) stays, the frequencies of a target follow from a
//! predictor's outputs there: by inverting its confusion matrix ([`black_box`], or
//! [`regularised`]) or by maximum likelihood ([`expectation_maximisation`]).

mod regularised;

pub use regularised::{confusion_error, regularised};

use ctl_metrics::calibration::fit_temperature;
use nalgebra::{DMatrix, DVector};

use crate::{Deployment, ObjectiveError, OutputCorrection, Result};

/// Steps of expectation maximisation at most; it converges linearly.
const MOST_ITERATIONS: usize = 10_000;
/// Change of every frequency below which expectation maximisation ends.
const CONVERGED: f64 = 1e-12;
/// Confusion matrices with a larger condition number tell nothing of the frequencies.
const LARGEST_CONDITION: f64 = 1e6;

/// How a prediction enters the confusion matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// The most probable class counts 1, the lowest index on ties.
    Hard,
    /// Every class counts its probability.
    Soft,
}

/// What inverting a confusion matrix gives.
#[derive(Clone, Debug, PartialEq)]
pub struct BlackBox {
    /// `C_ij`: share of source samples that are predicted i and are of class j, `[K, K]`.
    pub confusion: Vec<Vec<f64>>,
    /// Share of target samples that are predicted i, `[K]`.
    pub target_marginal: Vec<f64>,
    /// Ratio of the largest to the smallest singular value of `C`.
    pub condition_number: f64,
    /// `C⁻¹ μ`, estimates of target over source frequency; may be negative. Absent where `C` cannot
    /// be inverted.
    pub weights: Option<Vec<f64>>,
}

/// Checks a deployment and gives the frequencies of the source labels.
///
/// # Errors
/// When lengths do not fit, there is no sample, or a label is no class.
pub fn source_prior(deployment: &Deployment<'_>) -> Result<Vec<f64>> {
    let k = deployment.classes;
    let rows = deployment.labels.len();
    let fits = k >= 2
        && rows > 0
        && deployment.validation.len() == rows * k
        && !deployment.target.is_empty()
        && deployment.target.len().is_multiple_of(k)
        && deployment.labels.iter().all(|&label| label < k);
    if !fits {
        return Err(ObjectiveError::Environments {
            method: "label shift",
            expected: "probabilities [N, K] with labels below K, and at least one target sample"
                .into(),
            found: format!(
                "{} source and {} target probabilities, {rows} labels, {k} classes",
                deployment.validation.len(),
                deployment.target.len()
            ),
        });
    }
    let mut prior = vec![0.0; k];
    for &label in deployment.labels {
        prior[label] += 1.0 / rows as f64;
    }
    Ok(prior)
}

/// Black-box shift estimation: `w = C⁻¹ μ`.
///
/// # Errors
/// As [`source_prior`].
///
/// # References
/// Lipton, Wang & Smola 2018, Detecting and Correcting for Label Shift with Black Box Predictors,
/// section 4; with probabilities instead of decisions as in its section 4.3.
///
/// # Examples
/// Everybody is predicted rightly; half of the sources and three quarters of the target are of
/// class 1:
/// ```
/// use ctl_invariance::Deployment;
/// use ctl_invariance::label_shift::{Vote, black_box};
///
/// let deployment = Deployment {
///     classes: 2,
///     validation: &[1.0, 0.0, 0.0, 1.0],
///     labels: &[0, 1],
///     target: &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
/// };
/// let found = black_box(&deployment, Vote::Hard)?;
/// assert_eq!(found.weights, Some(vec![0.5, 1.5]));
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn black_box(deployment: &Deployment<'_>, vote: Vote) -> Result<BlackBox> {
    source_prior(deployment)?;
    let k = deployment.classes;
    let share = 1.0 / deployment.labels.len() as f64;
    let mut confusion = vec![vec![0.0; k]; k];
    for (row, &label) in deployment.validation.chunks_exact(k).zip(deployment.labels) {
        for (class, counted) in votes(row, vote).into_iter().enumerate() {
            confusion[class][label] += counted * share;
        }
    }
    let target_marginal = marginal(deployment.target, k, vote);
    let matrix = DMatrix::from_fn(k, k, |i, j| confusion[i][j]);
    let singular = matrix.clone().singular_values();
    let condition_number = singular.max() / singular.min();
    let solved = (condition_number < LARGEST_CONDITION)
        .then(|| {
            matrix
                .lu()
                .solve(&DVector::from_vec(target_marginal.clone()))
        })
        .flatten();
    Ok(BlackBox {
        confusion,
        target_marginal,
        condition_number,
        weights: solved.map(|w| w.iter().copied().collect()),
    })
}

fn votes(row: &[f64], vote: Vote) -> Vec<f64> {
    match vote {
        Vote::Soft => row.to_vec(),
        Vote::Hard => {
            let best = (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best });
            (0..row.len()).map(|i| f64::from(i == best)).collect()
        }
    }
}

fn marginal(rows: &[f64], k: usize, vote: Vote) -> Vec<f64> {
    let share = k as f64 / rows.len() as f64;
    let mut sums = vec![0.0; k];
    for row in rows.chunks_exact(k) {
        for (sum, counted) in sums.iter_mut().zip(votes(row, vote)) {
            *sum += counted;
        }
    }
    sums.into_iter().map(|sum| sum * share).collect()
}

/// Frequencies of the target from weights: negative ones count as 0.
///
/// # Returns
/// `max(w, 0) · prior`, normalised; `None` where nothing is left.
pub fn target_prior(weights: &[f64], prior: &[f64]) -> Option<Vec<f64>> {
    let raw: Vec<f64> = weights
        .iter()
        .zip(prior)
        .map(|(w, p)| w.max(0.0) * p)
        .collect();
    let sum: f64 = raw.iter().sum();
    (sum > 0.0).then(|| raw.into_iter().map(|p| p / sum).collect())
}

/// One step of expectation maximisation from frequencies `current`, with the posteriors that it
/// averages.
fn em_step(deployment: &Deployment<'_>, prior: &[f64], current: &[f64]) -> Vec<f64> {
    let weights: Vec<f64> = current
        .iter()
        .zip(prior)
        .map(|(q, p)| if *p > 0.0 { q / p } else { 0.0 })
        .collect();
    let correction = OutputCorrection {
        temperature: 1.0,
        weights,
        note: None,
    };
    let rows = deployment.target.chunks_exact(deployment.classes);
    let count = rows.len() as f64;
    let mut next = vec![0.0; prior.len()];
    for row in rows {
        for (sum, p) in next.iter_mut().zip(correction.apply(row)) {
            *sum += p / count;
        }
    }
    next
}

/// The iterates of expectation maximisation from the source frequencies: the first `steps` of
/// them.
///
/// # Errors
/// As [`source_prior`].
pub fn em_iterates(deployment: &Deployment<'_>, steps: usize) -> Result<Vec<Vec<f64>>> {
    let prior = source_prior(deployment)?;
    let mut current = prior.clone();
    let mut iterates = Vec::with_capacity(steps);
    for _ in 0..steps {
        current = em_step(deployment, &prior, &current);
        iterates.push(current.clone());
    }
    Ok(iterates)
}

/// Maximum likelihood of the target frequencies: the fixed point of
/// `q ← mean_i p(y given x_i) q/p ∕ Σ_y p(y given x_i) q/p`.
///
/// # Returns
/// Frequencies `[K]`, summing to 1. The likelihood is concave, so that the start does not matter
/// but for classes of frequency 0 in the sources, which keep it.
///
/// # Errors
/// As [`source_prior`].
///
/// # References
/// Saerens, Latinne & Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori
/// Probabilities, equation 2.9.
pub fn expectation_maximisation(deployment: &Deployment<'_>) -> Result<Vec<f64>> {
    let prior = source_prior(deployment)?;
    let mut current = prior.clone();
    for _ in 0..MOST_ITERATIONS {
        let next = em_step(deployment, &prior, &current);
        let change = next.iter().zip(&current).map(|(a, b)| (a - b).abs());
        let done = change.fold(0.0, f64::max) < CONVERGED;
        current = next;
        if done {
            break;
        }
    }
    Ok(current)
}

/// Mean log-likelihood of target outputs under frequencies `q`, relative to the sources':
/// `mean_i log Σ_y p(y given x_i) q_y / p_y`.
///
/// # Errors
/// As [`source_prior`].
pub fn log_likelihood_ratio(deployment: &Deployment<'_>, frequencies: &[f64]) -> Result<f64> {
    let prior = source_prior(deployment)?;
    let rows = deployment.target.chunks_exact(deployment.classes);
    let count = rows.len() as f64;
    let ratio = |row: &[f64]| -> f64 {
        let parts = row.iter().zip(frequencies).zip(&prior);
        parts.map(|((p, q), s)| p * q / s).sum()
    };
    Ok(rows.map(|row| ratio(row).ln()).sum::<f64>() / count)
}

/// A deployment after calibration on the sources.
pub(crate) struct Calibrated<'a> {
    classes: usize,
    temperature: f64,
    validation: Vec<f64>,
    target: Vec<f64>,
    labels: &'a [usize],
    note: Option<String>,
}

/// Outputs as they are.
pub(crate) fn as_given<'a>(deployment: &Deployment<'a>) -> Calibrated<'a> {
    Calibrated {
        classes: deployment.classes,
        temperature: 1.0,
        validation: deployment.validation.to_vec(),
        target: deployment.target.to_vec(),
        labels: deployment.labels,
        note: None,
    }
}

/// Outputs with the temperature that fits the source validation patients best (Guo et al. 2017).
///
/// Where no temperature is optimal, as when everybody is predicted rightly, outputs stay and a
/// note says so.
pub(crate) fn calibrated<'a>(deployment: &Deployment<'a>) -> Result<Calibrated<'a>> {
    source_prior(deployment)?;
    let logits: Vec<f64> = deployment
        .validation
        .iter()
        .map(|p| p.max(f64::MIN_POSITIVE).ln())
        .collect();
    let mut found = as_given(deployment);
    match fit_temperature(&logits, deployment.classes, deployment.labels) {
        Ok(fit) => found.temperature = fit.temperature,
        Err(error) => found.note = Some(format!("outputs were not calibrated: {error}")),
    }
    let correction = found.weighted(vec![1.0; deployment.classes]);
    let all = |rows: &[f64]| -> Vec<f64> {
        let rows = rows.chunks_exact(deployment.classes);
        rows.flat_map(|row| correction.apply(row)).collect()
    };
    found.validation = all(deployment.validation);
    found.target = all(deployment.target);
    Ok(found)
}

impl Calibrated<'_> {
    pub(crate) fn deployment(&self) -> Deployment<'_> {
        Deployment {
            classes: self.classes,
            validation: &self.validation,
            labels: self.labels,
            target: &self.target,
        }
    }

    /// The correction from the source frequencies to those of the target, or none where there is no
    /// estimate.
    ///
    /// Frequencies are smoothed as if one more target patient of each class had been seen (Laplace):
    /// an estimate of 0 from a hundred patients must not rule a class out for the next one.
    pub(crate) fn towards(&self, target: Option<Vec<f64>>, prior: &[f64]) -> OutputCorrection {
        let Some(target) = target else {
            let mut correction = self.weighted(vec![1.0; self.classes]);
            let why = "frequencies were not corrected: the confusion matrix cannot be inverted";
            correction.note = Some(why.to_owned());
            return correction;
        };
        let seen = (self.target.len() / self.classes) as f64;
        let smoothed = |q: f64| (seen * q + 1.0) / (seen + self.classes as f64);
        let ratio = |(q, p): (&f64, &f64)| if *p > 0.0 { smoothed(*q) / p } else { 0.0 };
        self.weighted(target.iter().zip(prior).map(ratio).collect())
    }

    fn weighted(&self, weights: Vec<f64>) -> OutputCorrection {
        OutputCorrection {
            temperature: self.temperature,
            weights,
            note: self.note.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Target 30 % of class 1 against 50 %, outputs that are the true posteriors of two symmetric
    /// values with likelihoods 0.8 and 0.2.
    fn symmetric() -> (Vec<f64>, Vec<usize>, Vec<f64>) {
        let (low, high) = ([0.8, 0.2], [0.2, 0.8]);
        let row = |value: usize| if value == 0 { low } else { high };
        let mut validation = Vec::new();
        let mut labels = Vec::new();
        for (label, value, count) in [(0, 0, 8), (0, 1, 2), (1, 0, 2), (1, 1, 8)] {
            for _ in 0..count {
                validation.extend(row(value));
                labels.push(label);
            }
        }
        // P(value 0) = 0.7 · 0.8 + 0.3 · 0.2 = 0.62.
        let target = (0..100).flat_map(|i| row(usize::from(i >= 62))).collect();
        (validation, labels, target)
    }

    #[test]
    fn both_estimators_find_the_frequency() {
        let (validation, labels, target) = symmetric();
        let deployment = Deployment {
            classes: 2,
            validation: &validation,
            labels: &labels,
            target: &target,
        };
        let prior = source_prior(&deployment).unwrap();
        for vote in [Vote::Hard, Vote::Soft] {
            let weights = black_box(&deployment, vote).unwrap().weights.unwrap();
            let found = target_prior(&weights, &prior).unwrap();
            assert!((found[1] - 0.3).abs() < 1e-12, "{vote:?}: {found:?}");
        }
        let found = expectation_maximisation(&deployment).unwrap();
        assert!((found[1] - 0.3).abs() < 1e-9, "{found:?}");
        let at = |q: f64| log_likelihood_ratio(&deployment, &[1.0 - q, q]).unwrap();
        assert!(at(0.3) > at(0.29) && at(0.3) > at(0.31));
    }

    #[test]
    fn a_predictor_that_tells_nothing_gives_no_weights() {
        let deployment = Deployment {
            classes: 2,
            validation: &[0.5, 0.5, 0.5, 0.5],
            labels: &[0, 1],
            target: &[0.5, 0.5],
        };
        assert_eq!(black_box(&deployment, Vote::Soft).unwrap().weights, None);
    }

    #[test]
    fn ill_deployments_are_errors() {
        let good = Deployment {
            classes: 2,
            validation: &[0.5, 0.5],
            labels: &[0],
            target: &[0.5, 0.5],
        };
        let ill = [
            Deployment {
                labels: &[2],
                ..good
            },
            Deployment {
                labels: &[],
                ..good
            },
            Deployment {
                target: &[],
                ..good
            },
            Deployment {
                target: &[0.5],
                ..good
            },
            Deployment { classes: 1, ..good },
        ];
        assert!(source_prior(&good).is_ok());
        for deployment in ill {
            assert!(source_prior(&deployment).is_err(), "{deployment:?}");
        }
    }
}
