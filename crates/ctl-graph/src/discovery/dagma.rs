//! DAGMA: linear structure by continuous optimisation.

use super::error::{DiscoveryError, between};
use super::weighted::WeightedDag;
use crate::stats::linear::{invert, product_into, vectorised};
use crate::stats::{Matrix, Moments, Table};

/// Decay rates and the guard of the Adam optimiser.
const FIRST_DECAY: f64 = 0.99;
const SECOND_DECAY: f64 = 0.999;
const GUARD: f64 = 1e-8;
/// Steps between two looks at the objective.
const CHECK: usize = 1000;
/// The domain of the log-determinant shrinks from stage to stage.
const DOMAINS: [f64; 5] = [1.0, 0.9, 0.8, 0.7, 0.6];
/// Matrices are padded to a multiple of a vector register.
const LANES: usize = 8;

/// Options of [`dagma`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DagmaOptions, dagma};
/// use ctl_graph::stats::Table;
/// let cells = (0..400).map(|i| (f64::from(i % 20) / 6.0, f64::from(i / 20) / 6.0));
/// let (x, y) = cells.map(|(x, noise)| (x, 2.0 * x + noise)).unzip();
/// let table = Table::from_columns::<&str>([("x", x), ("y", y)])?;
/// let options = DagmaOptions { threshold: 3.0, ..DagmaOptions::default() };
/// assert_eq!(dagma(&table, &options)?.edges().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DagmaOptions {
    /// Weight of the absolute coefficients, zero or more.
    pub lambda: f64,
    /// Coefficients are set to zero below this magnitude, zero or more.
    pub threshold: f64,
    /// Step of the optimiser, above zero.
    pub learning_rate: f64,
    /// Most steps of each stage but the last.
    pub warm_steps: usize,
    /// Most steps of the last stage.
    pub last_steps: usize,
    /// Relative change of the objective within 1000 steps below which a stage ends.
    pub tolerance: f64,
}

impl Default for DagmaOptions {
    fn default() -> Self {
        Self {
            lambda: 0.02,
            threshold: 0.3,
            learning_rate: 3e-4,
            warm_steps: 30_000,
            last_steps: 60_000,
            tolerance: 1e-6,
        }
    }
}

/// Finds a linear acyclic model with few and small coefficients that leaves small residuals.
///
/// Minimises `μ (tr((I - W)ᵀ Σ (I - W)) / 2 + λ |W|₁) - ln det(s I - W ∘ W) + d ln s` for
/// `μ = 1, 0.1, …, 10⁻⁴`; the log-determinant is a barrier that vanishes only for acyclic W.
/// Coefficients below the threshold are removed, and beyond it as many of the smallest as lie on
/// a cycle.
///
/// The least squares make it sensitive to units: on columns of unequal scale it follows the
/// variances (Reisach et al. 2021), and on standardised columns it may fail.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns.
/// - `options`: see [`DagmaOptions`].
///
/// # Returns
/// The coefficients, `weights[(to, from)]`.
///
/// # Errors
/// [`DiscoveryError::Stats`] for a category or fewer than two rows, [`DiscoveryError::Option`]
/// for an option outside its range, [`DiscoveryError::Diverged`] when no step stays in the
/// barrier's domain.
///
/// # Complexity
/// `d³` a step, after `n d²`.
///
/// # References
/// Bello, Aragam and Ravikumar (2022), *DAGMA*, algorithm 1; Adam: Kingma and Ba (2015).
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DagmaOptions, dagma};
/// use ctl_graph::stats::Table;
/// let cells = (0..400).map(|i| (f64::from(i % 20) / 6.0, f64::from(i / 20) / 6.0));
/// let (x, y) = cells.map(|(x, noise)| (x, 2.0 * x + noise)).unzip();
/// let found = dagma(&Table::from_columns::<&str>([("y", y), ("x", x)])?, &DagmaOptions::default())?;
/// assert_eq!(found.order(), [1, 0]);
/// assert!((found.weights()[(0, 1)] - 2.0).abs() < 0.05);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dagma(table: &Table, options: &DagmaOptions) -> Result<WeightedDag, DiscoveryError> {
    validate(options)?;
    let moments = Moments::of(table)?;
    let size = table.columns();
    let padded = size.next_multiple_of(LANES);
    let inside = |i: usize, j: usize| i < size && j < size;
    let covariance = Matrix::from_fn(padded, padded, |i, j| {
        if inside(i, j) {
            moments.covariance()[(i, j)]
        } else {
            0.0
        }
    });
    let mut problem = Problem::new(covariance, options);
    let mut mu = 1.0;
    for (stage, domain) in DOMAINS.into_iter().enumerate() {
        let last = stage + 1 == DOMAINS.len();
        let steps = if last {
            options.last_steps
        } else {
            options.warm_steps
        };
        problem.stage(mu, domain, steps)?;
        mu *= 0.1;
    }
    // The search passes through self-loops, which the barrier then removes.
    let weights = Matrix::from_fn(size, size, |to, from| {
        if to == from {
            0.0
        } else {
            problem.weights[(from, to)]
        }
    });
    Ok(thresholded(table.names(), weights, options.threshold))
}

fn validate(options: &DagmaOptions) -> Result<(), DiscoveryError> {
    let free = (-f64::MIN_POSITIVE, f64::INFINITY);
    between("lambda", options.lambda, free, "zero or more")?;
    between("threshold", options.threshold, free, "zero or more")?;
    between("tolerance", options.tolerance, free, "zero or more")?;
    let step = (0.0, f64::INFINITY);
    between(
        "learning_rate",
        options.learning_rate,
        step,
        "a number above zero",
    )
}

/// Removes small coefficients, and the smallest of the others until no cycle is left.
pub(super) fn thresholded(names: &[String], mut weights: Matrix, least: f64) -> WeightedDag {
    for value in weights.values_mut() {
        if value.abs() < least {
            *value = 0.0;
        }
    }
    loop {
        if let Some(model) = WeightedDag::acyclic(names.to_vec(), weights.clone()) {
            return model;
        }
        let magnitudes = weights
            .values()
            .iter()
            .map(|v| v.abs())
            .filter(|v| *v > 0.0);
        let smallest = magnitudes.fold(f64::INFINITY, f64::min);
        for value in weights.values_mut() {
            if value.abs() <= smallest {
                *value = 0.0;
            }
        }
    }
}

/// The objective's data and the optimiser's state; `weights[(from, to)]`.
struct Problem<'a> {
    options: &'a DagmaOptions,
    covariance: Matrix,
    weights: Matrix,
    /// `(s I - W ∘ W)⁻¹`.
    inverse: Matrix,
    /// `I - W`, then the gradient of the fit.
    work: [Matrix; 2],
}

/// Where a stage was left.
enum End {
    Done,
    /// A step left the domain: begin again with a smaller one, or a larger domain.
    Left,
}

impl<'a> Problem<'a> {
    fn new(covariance: Matrix, options: &'a DagmaOptions) -> Self {
        let zeros = || Matrix::zeros(covariance.rows(), covariance.rows());
        Self {
            options,
            weights: zeros(),
            inverse: zeros(),
            work: [zeros(), zeros()],
            covariance,
        }
    }

    /// Minimises the objective of one stage, beginning again more carefully when it leaves the
    /// domain.
    fn stage(&mut self, mu: f64, domain: f64, steps: usize) -> Result<(), DiscoveryError> {
        /// Halvings of the step after which nothing more can be hoped for.
        const ATTEMPTS: usize = 20;
        let start = self.weights.clone();
        let (mut rate, mut domain) = (self.options.learning_rate, domain);
        for _ in 0..ATTEMPTS {
            if let End::Done = self.descend(mu, domain, rate, steps) {
                return Ok(());
            }
            self.weights.clone_from(&start);
            rate *= 0.5;
            domain += 0.1;
        }
        Err(DiscoveryError::Diverged)
    }

    fn descend(&mut self, mu: f64, domain: f64, rate: f64, steps: usize) -> End {
        let size = self.weights.rows();
        let (mut first, mut second) = (vec![0.0; size * size], vec![0.0; size * size]);
        let mut before = None::<f64>;
        for step in 1..=steps {
            let Some(log_determinant) = self.invert(domain) else {
                return End::Left;
            };
            self.fit_gradient();
            if step % CHECK == 0 || step == steps {
                let objective = self.objective(mu, domain, log_determinant);
                let settled = |b: f64| (b - objective).abs() <= self.options.tolerance * b.abs();
                if before.is_some_and(settled) {
                    break;
                }
                before = Some(objective);
            }
            self.adam(mu, (rate, step as f64), (&mut first, &mut second));
        }
        // The last step may have left the domain.
        if self.invert(domain).is_some() {
            End::Done
        } else {
            End::Left
        }
    }

    /// Inverts `s I - W ∘ W`; `None` outside the domain, where an entry would be negative.
    fn invert(&mut self, domain: f64) -> Option<f64> {
        /// Rounding leaves entries that are zero this far below it.
        const NEGATIVE: f64 = -1e-16;
        let size = self.weights.rows();
        let (weights, inverse) = (self.weights.values(), self.inverse.values_mut());
        vectorised(
            #[inline(always)]
            || {
                for (m, w) in inverse.iter_mut().zip(weights) {
                    *m = -(w * w);
                }
            },
        );
        for i in 0..size {
            self.inverse[(i, i)] += domain;
        }
        let log_determinant = invert(&mut self.inverse)?;
        let inside = self.inverse.values().iter().all(|m| *m >= NEGATIVE);
        inside.then_some(log_determinant)
    }

    /// Leaves `Σ (I - W)`, the negative gradient of the fit, in the second work matrix.
    fn fit_gradient(&mut self) {
        let size = self.weights.rows();
        let [residual, gradient] = &mut self.work;
        for (r, w) in residual.values_mut().iter_mut().zip(self.weights.values()) {
            *r = -w;
        }
        for i in 0..size {
            residual[(i, i)] += 1.0;
        }
        product_into(&self.covariance, residual, gradient);
    }

    fn objective(&self, mu: f64, domain: f64, log_determinant: f64) -> f64 {
        let [residual, gradient] = &self.work;
        let fit = crate::stats::linear::dot(residual.values(), gradient.values()) / 2.0;
        let size: f64 = self.weights.values().iter().map(|w| w.abs()).sum();
        let barrier = self.weights.rows() as f64 * domain.ln() - log_determinant;
        mu * (fit + self.options.lambda * size) + barrier
    }

    /// One step of Adam along the gradient of the whole objective.
    fn adam(
        &mut self,
        mu: f64,
        (rate, step): (f64, f64),
        (first, second): (&mut [f64], &mut [f64]),
    ) {
        let size = self.weights.rows();
        let penalty = mu * self.options.lambda;
        let rate = rate / (1.0 - FIRST_DECAY.powf(step));
        let scale = (1.0 - SECOND_DECAY.powf(step)).recip();
        transpose(&self.inverse, &mut self.work[0]);
        let [inverse, fit] = &self.work;
        let (weights, inverse, fit) = (self.weights.values_mut(), inverse.values(), fit.values());
        let (first, second) = (&mut first[..size * size], &mut second[..size * size]);
        vectorised(
            #[inline(always)]
            || {
                let state = weights.iter_mut().zip(first).zip(second);
                for (((w, m), v), (p, f)) in state.zip(inverse.iter().zip(fit)) {
                    let sign = f64::from(u8::from(*w > 0.0)) - f64::from(u8::from(*w < 0.0));
                    let gradient = 2.0 * *w * p - mu * f + penalty * sign;
                    *m = FIRST_DECAY * *m + (1.0 - FIRST_DECAY) * gradient;
                    *v = SECOND_DECAY * *v + (1.0 - SECOND_DECAY) * gradient * gradient;
                    *w -= rate * *m / ((*v * scale).sqrt() + GUARD);
                }
            },
        );
    }
}

fn transpose(source: &Matrix, target: &mut Matrix) {
    let size = source.rows();
    let values = target.values_mut();
    for row in 0..size {
        for (column, value) in source.row(row).iter().enumerate() {
            values[column * size + row] = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn collider() -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let mut noise = || -> Vec<f64> {
            let draw = |_| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            (0..1000).map(draw).collect()
        };
        let (a, b, e, f) = (noise(), noise(), noise(), noise());
        let c: Vec<f64> = (0..1000).map(|i| a[i] - 1.5 * b[i] + e[i]).collect();
        let d: Vec<f64> = (0..1000).map(|i| 0.8 * c[i] + f[i]).collect();
        Table::from_columns([("d", d), ("c", c), ("b", b), ("a", a)]).unwrap()
    }

    #[test]
    fn equal_noises_identify_the_graph() {
        let found = dagma(&collider(), &DagmaOptions::default()).unwrap();
        let edges: Vec<(usize, usize)> = found.edges().map(|(from, to, _)| (from, to)).collect();
        assert_eq!(edges, [(1, 0), (2, 1), (3, 1)]);
        assert!((found.weights()[(1, 2)] + 1.5).abs() < 0.1);
    }

    #[test]
    fn options_out_of_range_are_errors() {
        let options = DagmaOptions {
            learning_rate: 0.0,
            ..DagmaOptions::default()
        };
        assert!(dagma(&collider(), &options).is_err());
    }

    #[test]
    fn cycles_lose_their_weakest_edge() {
        let mut weights = Matrix::zeros(3, 3);
        for (to, from, weight) in [(1, 0, 0.9), (2, 1, -0.5), (0, 2, 0.7), (2, 0, 0.1)] {
            weights[(to, from)] = weight;
        }
        let names = ["a", "b", "c"].map(str::to_owned);
        let model = thresholded(&names, weights, 0.3);
        let edges: Vec<(usize, usize, f64)> = model.edges().collect();
        assert_eq!(edges, [(0, 1, 0.9), (2, 0, 0.7)]);
    }
}
