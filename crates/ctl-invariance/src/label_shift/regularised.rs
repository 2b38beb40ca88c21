//! Regularised estimation of label shift.

use nalgebra::{DMatrix, DVector};

use super::{BlackBox, Vote, black_box};
use crate::{Deployment, Result};

/// Probability with which the confusion matrix may be farther off than [`confusion_error`] says.
const FAILURE: f64 = 0.05;
/// Smallest ridge, relative to the largest squared singular value: below it a direction of the
/// confusion matrix is noise of rounding.
const SMALLEST_RIDGE: f64 = 1e-14;
/// Halvings of the logarithm of the ridge: from 30 orders of magnitude to the last bit.
const HALVINGS: usize = 80;

/// Bound on the error of a confusion matrix of K classes from n samples, in spectral norm, that
/// holds with probability 0.95: `3 (2 log(2K/δ) / 3n + √(2 log(2K/δ) / n))`.
///
/// # References
/// Azizzadenesheli et al. 2019, section 2 (the bound Δ of the confusion matrix), with the factor 3
/// and the probability of the authors' program.
pub fn confusion_error(classes: usize, samples: usize) -> f64 {
    let (classes, samples) = (classes as f64, samples as f64);
    let log = (2.0 * classes / FAILURE).ln();
    3.0 * (2.0 * log / (3.0 * samples) + (2.0 * log / samples).sqrt())
}

/// Regularised estimates of target over source frequency: `w = 1 + γ θ` with
/// `θ = argmin ‖C θ − b‖ + Δ ‖θ‖` and `b = μ − C 1`, the change of the predicted frequencies.
///
/// With few samples, or a confusion matrix that can hardly be inverted, weights stay near 1 where
/// those of [`black_box`] run away; at Δ = 0 and γ = 1 both are the same.
///
/// # Arguments
/// - `deployment`: predictions on the sources and on the target.
/// - `vote`: how predictions count.
/// - `regularisation`: Δ, not negative.
/// - `shrinkage`: γ, 0 to 1.
///
/// # Returns
/// `[K]`; may be negative.
///
/// # Errors
/// As [`source_prior`](super::source_prior).
///
/// # References
/// Azizzadenesheli, Liu, Yang & Anandkumar 2019, *Regularized Learning for Domain Adaptation under
/// Label Shifts*, section 2; norms are not squared.
/// Deviation: all source samples estimate C; no bound θ ≥ −1 as in the authors' program, negative
/// weights are set to 0 where frequencies are made of them.
///
/// # Examples
/// Everybody is predicted rightly, half of the sources and three quarters of the target are of
/// class 1: `C = diag(½, ½)`, `b = (−¼, ¼)`, so that Δ below ½ changes nothing and Δ above leaves
/// no shift.
/// ```
/// use ctl_invariance::Deployment;
/// use ctl_invariance::label_shift::{Vote, regularised};
///
/// let deployment = Deployment {
///     classes: 2,
///     validation: &[1.0, 0.0, 0.0, 1.0],
///     labels: &[0, 1],
///     target: &[1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
/// };
/// let weights = regularised(&deployment, Vote::Hard, 0.4, 1.0)?;
/// assert!((weights[0] - 0.5).abs() < 1e-12 && (weights[1] - 1.5).abs() < 1e-12);
/// assert_eq!(regularised(&deployment, Vote::Hard, 0.6, 1.0)?, [1.0, 1.0]);
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn regularised(
    deployment: &Deployment<'_>,
    vote: Vote,
    regularisation: f64,
    shrinkage: f64,
) -> Result<Vec<f64>> {
    let BlackBox {
        confusion,
        target_marginal,
        ..
    } = black_box(deployment, vote)?;
    let k = deployment.classes;
    let change = (0..k).map(|i| target_marginal[i] - confusion[i].iter().sum::<f64>());
    let matrix = DMatrix::from_fn(k, k, |i, j| confusion[i][j]);
    let theta = shrunk(&matrix, &DVector::from_iterator(k, change), regularisation);
    Ok(theta.iter().map(|theta| 1.0 + shrinkage * theta).collect())
}

/// `argmin ‖C θ − b‖ + Δ ‖θ‖`.
///
/// Where neither norm is 0 the gradient vanishes for a ridge estimate
/// `θ(ρ) = (CᵀC + ρ)⁻¹ Cᵀ b`, whose residual r(ρ) satisfies `‖Cᵀ r‖ = Δ ‖r‖`; that ratio grows with
/// the ridge ρ, which is found by bisection. Beyond the ratio's ends the optimum is at a kink:
/// `θ = 0`, or no residual.
fn shrunk(matrix: &DMatrix<f64>, change: &DVector<f64>, regularisation: f64) -> DVector<f64> {
    let svd = matrix.clone().svd(true, true);
    let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else {
        return DVector::zeros(change.len());
    };
    let parts = u.transpose() * change;
    let squares = svd.singular_values.map(|s| s * s);
    let slope = |residual: &DVector<f64>| residual.component_mul(&svd.singular_values).norm();
    if slope(&parts) <= regularisation * parts.norm() || squares.max() <= 0.0 {
        return DVector::zeros(change.len());
    }
    // Every component of the residual is that of b times ρ / (s² + ρ).
    let is_larger = |ridge: f64| {
        let kept = squares.map(|s| ridge / (s + ridge));
        let residual = kept.component_mul(&parts);
        slope(&residual) > regularisation * residual.norm()
    };
    let smallest = squares.max() * SMALLEST_RIDGE;
    let (mut low, mut high) = (smallest.ln(), (squares.max() / SMALLEST_RIDGE).ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_larger(middle.exp()) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let ridge = low.exp();
    let ridge = if ridge <= smallest && squares.min() > smallest {
        0.0
    } else {
        ridge
    };
    let scaled = squares.zip_map(&svd.singular_values, |square, s| s / (square + ridge));
    v_t.transpose() * scaled.component_mul(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(
        matrix: &DMatrix<f64>,
        change: &DVector<f64>,
        delta: f64,
        at: &DVector<f64>,
    ) -> f64 {
        (matrix * at - change).norm() + delta * at.norm()
    }

    /// Iteratively reweighted least squares, which lowers the convex objective in every step:
    /// `(CᵀC/‖r‖ + Δ/‖θ‖) θ = Cᵀb/‖r‖`.
    fn reweighted(matrix: &DMatrix<f64>, change: &DVector<f64>, delta: f64) -> DVector<f64> {
        let mut theta = DVector::from_element(change.len(), 0.1);
        for _ in 0..20_000 {
            let residual = (matrix * &theta - change).norm().max(1e-14);
            let ridge = delta * residual / theta.norm().max(1e-14);
            let identity = DMatrix::identity(change.len(), change.len());
            let normal = matrix.transpose() * matrix + identity * ridge;
            theta = normal.lu().solve(&(matrix.transpose() * change)).unwrap();
        }
        theta
    }

    fn cases() -> Vec<(DMatrix<f64>, DVector<f64>)> {
        let matrix = |values: &[f64]| DMatrix::from_row_slice(3, 3, values);
        vec![
            (
                matrix(&[0.30, 0.05, 0.02, 0.04, 0.25, 0.05, 0.01, 0.05, 0.23]),
                DVector::from_vec(vec![0.1, -0.15, 0.05]),
            ),
            (
                matrix(&[0.2, 0.1, 0.15, 0.1, 0.1, 0.08, 0.05, 0.12, 0.1]),
                DVector::from_vec(vec![-0.02, 0.3, -0.28]),
            ),
        ]
    }

    #[test]
    fn it_is_the_minimum_that_another_solver_finds() {
        for (matrix, change) in cases() {
            for delta in [0.01, 0.05, 0.1, 0.2, 0.29] {
                let (found, other) = (
                    shrunk(&matrix, &change, delta),
                    reweighted(&matrix, &change, delta),
                );
                let value = objective(&matrix, &change, delta, &found);
                let reached = objective(&matrix, &change, delta, &other);
                assert!(
                    value <= reached + 1e-12,
                    "Δ = {delta}: {value} above {reached}"
                );
                assert!(reached < value + 1e-6, "Δ = {delta}: {reached}, {value}");
            }
        }
    }

    /// A convex function has no lower point where it has none nearby.
    #[test]
    fn no_neighbour_is_lower() {
        for (matrix, change) in cases() {
            for delta in [0.0, 0.03, 0.15, 0.25, 0.35, 1.0] {
                let theta = shrunk(&matrix, &change, delta);
                let value = objective(&matrix, &change, delta, &theta);
                for direction in 0..27 {
                    let step = |axis: u32| f64::from(direction / 3_i32.pow(axis) % 3 - 1) * 1e-4;
                    let moved = &theta + DVector::from_vec(vec![step(0), step(1), step(2)]);
                    let beside = objective(&matrix, &change, delta, &moved);
                    assert!(beside >= value - 1e-13, "Δ = {delta}: {beside} < {value}");
                }
            }
        }
    }

    /// Without regularisation it is the inverse, and a matrix that has none gives finite weights.
    #[test]
    fn the_ends_of_the_regularisation() {
        let (matrix, change) = cases().swap_remove(0);
        let inverse = matrix.clone().lu().solve(&change).unwrap();
        assert!((shrunk(&matrix, &change, 0.0) - inverse).norm() < 1e-12);
        let singular = DMatrix::from_element(2, 2, 0.25);
        let change = DVector::from_vec(vec![0.1, -0.1]);
        for delta in [0.0, 0.01] {
            let theta = shrunk(&singular, &change, delta);
            assert!(theta.norm() < 1e-6, "{theta}");
        }
        assert!(shrunk(&singular, &DVector::zeros(2), 0.1).norm() < 1e-300);
    }

    /// 2 log(2·2/0.05) = 8.764: 3 (8.764/300 + √0.08764).
    #[test]
    fn the_bound_by_hand() {
        assert!((confusion_error(2, 100) - 0.975_77).abs() < 1e-4);
    }
}
