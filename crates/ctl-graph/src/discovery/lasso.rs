//! The adaptive lasso along its whole path.

use crate::stats::Matrix;
use crate::stats::linear;

/// Coefficients below this share of the largest correlation end the path.
const END: f64 = 1e-12;

/// Regression coefficients with the irrelevant ones set to zero.
///
/// The variables are chosen by the adaptive lasso, whose penalty is weighted by the inverse
/// least-squares coefficients, at the knot of its path with the least Bayesian information
/// criterion; least squares on them gives the coefficients.
///
/// # Arguments
/// - `gram`, `right`: covariance of the regressors and with the target.
/// - `variance`: of the target.
/// - `rows`: number of rows behind them.
///
/// # Returns
/// One coefficient a regressor; `None` when the regressors determine each other.
///
/// # References
/// Zou (2006), *The adaptive lasso*; Efron et al. (2004), *Least angle regression*, section 3.1.
pub(super) fn adaptive_lasso(
    gram: &Matrix,
    right: &[f64],
    variance: f64,
    rows: usize,
) -> Option<Vec<f64>> {
    let full = linear::solve(gram, right)?;
    let size = right.len();
    let noise = variance - linear::dot(&full, right);
    let freedom = rows.saturating_sub(size + 1).max(1) as f64;
    let noise_variance = (noise * rows as f64 / freedom).max(f64::MIN_POSITIVE);
    let weighted = Matrix::from_fn(size, size, |i, j| {
        gram[(i, j)] * full[i].abs() * full[j].abs()
    });
    let target: Vec<f64> = right.iter().zip(&full).map(|(r, w)| r * w.abs()).collect();
    let mut best = (f64::INFINITY, vec![0.0; size]);
    for knot in path(&weighted, &target, usize::MAX).knots {
        let chosen = knot.iter().filter(|c| **c != 0.0).count() as f64;
        let residual = variance - 2.0 * linear::dot(&knot, &target) + quadratic(&weighted, &knot);
        let rows = rows as f64;
        let criterion = rows * residual / noise_variance + rows.ln() * chosen;
        if criterion < best.0 {
            best = (criterion, knot);
        }
    }
    let support: Vec<usize> = (0..size).filter(|&i| best.1[i] != 0.0).collect();
    let on_support: Vec<f64> = support.iter().map(|&i| right[i]).collect();
    let solution = linear::solve(&gram.principal(&support), &on_support)?;
    let mut result = vec![0.0; size];
    for (&index, value) in support.iter().zip(solution) {
        result[index] = value;
    }
    Some(result)
}

fn quadratic(matrix: &Matrix, vector: &[f64]) -> f64 {
    let image = |row| linear::dot(matrix.row(row), vector);
    (0..vector.len()).map(|row| vector[row] * image(row)).sum()
}

/// The first `most` regressors in the order in which they enter the lasso's path; fewer where
/// the path ends before.
///
/// # Arguments
/// - `gram`, `right`: correlations of the regressors and with the target.
///
/// # References
/// Efron et al. (2004), *Least angle regression*, section 3.1.
pub(super) fn entry_order(gram: &Matrix, right: &[f64], most: usize) -> Vec<usize> {
    path(gram, right, most).entered
}

/// The lasso's path, from no variable on.
struct Path {
    knots: Vec<Vec<f64>>,
    /// The variables in the order of their first entry.
    entered: Vec<usize>,
}

/// Follows the path to its end, or until `most` variables have entered.
fn path(gram: &Matrix, right: &[f64], most: usize) -> Path {
    let size = right.len();
    let mut coefficients = vec![0.0; size];
    let mut knots = vec![coefficients.clone()];
    let mut active: Vec<usize> = Vec::new();
    let (mut entered, mut dropped) = (Vec::new(), None);
    let start = right.iter().map(|c| c.abs()).fold(0.0, f64::max);
    // A variable may leave and enter again; the bound only guards against rounding.
    for _ in 0..8 * size {
        let rest: Vec<f64> = (0..size)
            .map(|i| right[i] - linear::dot(gram.row(i), &coefficients))
            .collect();
        let level = rest.iter().map(|c| c.abs()).fold(0.0, f64::max);
        if level <= END * start || entered.len() >= most {
            break;
        }
        let entering = (0..size)
            .filter(|i| !active.contains(i) && dropped != Some(*i))
            .max_by(|&a, &b| rest[a].abs().total_cmp(&rest[b].abs()));
        if let Some(index) = entering.filter(|&i| rest[i].abs() >= level * (1.0 - 1e-9)) {
            active.push(index);
            // What the others determine has no direction of its own and ends the path.
            if linear::cholesky(&gram.principal(&active)).is_none() {
                break;
            }
            if !entered.contains(&index) {
                entered.push(index);
            }
        }
        dropped = step(gram, &rest, level, &active, &mut coefficients);
        if let Some(index) = dropped {
            active.retain(|&i| i != index);
        }
        knots.push(coefficients.clone());
    }
    Path { knots, entered }
}

/// Moves along the equiangular direction up to the next knot; the variable that leaves, if any.
fn step(
    gram: &Matrix,
    rest: &[f64],
    level: f64,
    active: &[usize],
    coefficients: &mut [f64],
) -> Option<usize> {
    let signs: Vec<f64> = active.iter().map(|&i| rest[i].signum()).collect();
    let direction = linear::solve(&gram.principal(active), &signs)?;
    let mut length = level;
    for other in (0..rest.len()).filter(|i| !active.contains(i)) {
        let slope: f64 = active
            .iter()
            .zip(&direction)
            .map(|(&i, d)| gram[(other, i)] * d)
            .sum();
        for reach in [
            (level - rest[other]) / (1.0 - slope),
            (level + rest[other]) / (1.0 + slope),
        ] {
            if reach > level * 1e-12 && reach < length {
                length = reach;
            }
        }
    }
    let mut leaving = None;
    for (&index, d) in active.iter().zip(&direction) {
        let reach = -coefficients[index] / d;
        if reach > 0.0 && reach < length {
            (length, leaving) = (reach, Some(index));
        }
    }
    for (&index, d) in active.iter().zip(&direction) {
        coefficients[index] += length * d;
    }
    if let Some(index) = leaving {
        coefficients[index] = 0.0;
    }
    leaving
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For orthonormal regressors the lasso's knots are soft thresholds of the correlations.
    #[test]
    fn knots_on_orthonormal_regressors_are_soft_thresholds() {
        let right = [3.0, -1.0, 2.0];
        let knots = path(&Matrix::identity(3), &right, usize::MAX).knots;
        let thresholds = [3.0, 2.0, 1.0, 0.0];
        assert_eq!(knots.len(), thresholds.len());
        for (knot, threshold) in knots.iter().zip(thresholds) {
            for (c, r) in knot.iter().zip(right) {
                let soft = (r.abs() - threshold).max(0.0) * f64::signum(r);
                assert!((c - soft).abs() < 1e-12);
            }
        }
    }

    /// At every knot the correlations of the chosen variables with the residual are equal in size
    /// and no other is larger, with the sign of the coefficient.
    #[test]
    fn knots_fulfil_the_optimality_conditions() {
        let gram = Matrix::from_fn(4, 4, |i, j| {
            if i == j {
                1.0
            } else {
                0.6 / (1 + i + j) as f64
            }
        });
        let right = [0.9, 0.5, -0.4, 0.45];
        let knots = path(&gram, &right, usize::MAX).knots;
        assert!(knots.len() >= 5);
        for knot in &knots {
            let rest: Vec<f64> = (0..4)
                .map(|i| right[i] - linear::dot(gram.row(i), knot))
                .collect();
            let level = rest.iter().map(|c| c.abs()).fold(0.0, f64::max);
            for i in (0..4).filter(|&i| knot[i] != 0.0) {
                assert!((rest[i] * knot[i].signum() - level).abs() < 1e-9);
            }
        }
    }

    /// The third variable is the first once more and never enters, strong as it is.
    #[test]
    fn variables_enter_by_what_the_earlier_ones_leave() {
        let gram = Matrix::from_fn(3, 3, |i, j| f64::from(u8::from(i % 2 == j % 2)));
        assert_eq!(entry_order(&gram, &[0.9, 0.2, 0.9 - 1e-6], 3), [0, 1]);
        let orthonormal = Matrix::identity(3);
        assert_eq!(entry_order(&orthonormal, &[0.1, -0.7, 0.4], 2), [1, 2]);
    }

    #[test]
    fn weak_regressors_are_dropped() {
        let found = adaptive_lasso(&Matrix::identity(2), &[1.0, 0.01], 2.0, 500).unwrap();
        assert_eq!(found, [1.0, 0.0]);
        let none = adaptive_lasso(&Matrix::identity(1), &[0.001], 1.0, 100).unwrap();
        assert_eq!(none, [0.0]);
    }
}
