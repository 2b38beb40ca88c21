//! `DirectLiNGAM`: a linear model with independent non-Gaussian noises.

use rayon::prelude::*;

use super::error::{DiscoveryError, between};
use super::lasso::adaptive_lasso;
use super::special::{exp_of_negative, ln_cosh};
use super::weighted::WeightedDag;
use crate::stats::linear::{self, vectorised};
use crate::stats::{Moments, Table};

/// Constants of the approximation of the differential entropy.
const K_1: f64 = 79.047;
const K_2: f64 = 7.4129;
const GAMMA: f64 = 0.374_57;
/// Rows times pairs above which pairs are compared on several threads.
const PARALLEL: usize = 1 << 20;

/// Options of [`direct_lingam`].
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DirectLingamOptions, direct_lingam};
/// use ctl_graph::stats::Table;
/// let cells = (0..400).map(|i| (f64::from(i % 20) / 6.0, f64::from(i / 20) / 6.0));
/// let (x, y) = cells.map(|(x, noise)| (x, 2.0 * x + noise)).unzip();
/// let table = Table::from_columns::<&str>([("x", x), ("y", y)])?;
/// let options = DirectLingamOptions { threshold: 3.0, prune: false };
/// assert_eq!(direct_lingam(&table, &options)?.edges().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirectLingamOptions {
    /// Coefficients are set to zero below this magnitude, `0.0` or more.
    pub threshold: f64,
    /// Whether irrelevant coefficients are removed by the adaptive lasso.
    pub prune: bool,
}

impl Default for DirectLingamOptions {
    fn default() -> Self {
        Self {
            threshold: 0.0,
            prune: true,
        }
    }
}

/// Finds the order and the coefficients of a linear model with independent non-Gaussian noises.
///
/// The first variable is the one whose regression residuals, for every other variable, are most
/// independent of it, by the pairwise likelihood ratio
/// `H(x_j) + H(r_i|j) - H(x_i) - H(r_j|i)` with the entropy of a standardised variable
/// approximated by
/// `(1 + ln 2π)/2 - k₁ (E ln cosh u - γ)² - k₂ (E u exp(-u²/2))²`.
/// It is regressed out of the others, and the search continues with these.
///
/// # Arguments
/// - `table`: `[n, d]`, real columns.
/// - `options`: see [`DirectLingamOptions`].
///
/// # Returns
/// A causal order and the coefficients of each variable on those before it.
///
/// # Errors
/// [`DiscoveryError::Stats`] for columns that are categories, constant, or determine each other;
/// [`DiscoveryError::Option`] for a negative threshold.
///
/// # Complexity
/// `n d³ / 3`.
///
/// # References
/// Shimizu et al. (2011), *`DirectLiNGAM`*; Hyvärinen and Smith (2013), *Pairwise likelihood
/// ratios*, equations 3 and 14; pruning: Zou (2006).
///
/// # Examples
///
/// ```
/// use ctl_graph::discovery::{DirectLingamOptions, direct_lingam};
/// use ctl_graph::stats::Table;
/// // y = 2 x + noise, both uniform on a grid.
/// let cells = (0..400).map(|i| ((i % 20) as f64, (i / 20) as f64));
/// let (x, y) = cells.map(|(x, noise)| (x, 2.0 * x + noise)).unzip();
/// let table = Table::from_columns::<&str>([("y", y), ("x", x)])?;
/// let found = direct_lingam(&table, &DirectLingamOptions::default())?;
/// assert_eq!(found.order(), [1, 0]);
/// assert!((found.weights()[(0, 1)] - 2.0).abs() < 1e-9);
/// assert_eq!(found.to_diagram()?.to_string(), "y; x; x -> y");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn direct_lingam(
    table: &Table,
    options: &DirectLingamOptions,
) -> Result<WeightedDag, DiscoveryError> {
    let range = (-f64::MIN_POSITIVE, f64::INFINITY);
    between("threshold", options.threshold, range, "zero or more")?;
    let moments = Moments::of(table)?;
    let order = causal_order(table, &moments)?;
    let mut result = WeightedDag::empty(table.names().to_vec(), order.clone());
    for (position, &target) in order.iter().enumerate() {
        let before = &order[..position];
        let coefficients = coefficients(&moments, target, before, options.prune)?;
        for (&source, &weight) in before.iter().zip(&coefficients) {
            if weight.abs() >= options.threshold {
                result.set(target, source, weight);
            }
        }
    }
    Ok(result)
}

fn coefficients(
    moments: &Moments,
    target: usize,
    before: &[usize],
    prune: bool,
) -> Result<Vec<f64>, DiscoveryError> {
    if !prune || before.is_empty() {
        return Ok(moments.regression(target, before)?.0);
    }
    let covariance = moments.covariance();
    let right: Vec<f64> = before.iter().map(|&c| covariance[(c, target)]).collect();
    let variance = covariance[(target, target)];
    let found = adaptive_lasso(
        &covariance.principal(before),
        &right,
        variance,
        moments.rows(),
    );
    Ok(found.ok_or_else(|| moments.singular(before))?)
}

fn causal_order(table: &Table, moments: &Moments) -> Result<Vec<usize>, DiscoveryError> {
    let scales = moments.scales()?;
    let mut remaining: Vec<(usize, Vec<f64>)> = Vec::new();
    for (index, (mean, scale)) in moments.means().iter().zip(scales).enumerate() {
        let column = table.real_at(index)?.iter().map(|v| (v - mean) / scale);
        remaining.push((index, column.collect()));
    }
    let mut order = Vec::with_capacity(remaining.len());
    while remaining.len() > 1 {
        let (index, exogenous) = remaining.remove(most_exogenous(&remaining));
        order.push(index);
        for (other, column) in &mut remaining {
            remove_regression(column, &exogenous)
                .ok_or_else(|| moments.singular(&[index, *other]))?;
        }
    }
    order.extend(remaining.first().map(|(index, _)| *index));
    Ok(order)
}

/// Replaces a standardised column by its standardised residual on another.
fn remove_regression(column: &mut [f64], regressor: &[f64]) -> Option<()> {
    /// A residual with less variance than this is rounding.
    const LEAST_VARIANCE: f64 = 1e-12;
    let rows = column.len() as f64;
    let correlation = linear::dot(column, regressor) / rows;
    vectorised(
        #[inline(always)]
        || linear::add_scaled(column, -correlation, regressor),
    );
    let variance = linear::dot(column, column) / rows;
    if variance <= LEAST_VARIANCE {
        return None;
    }
    let scale = variance.sqrt();
    for value in column {
        *value /= scale;
    }
    Some(())
}

/// Position of the variable with the least evidence that another causes it.
fn most_exogenous(remaining: &[(usize, Vec<f64>)]) -> usize {
    let count = remaining.len();
    let rows = remaining[0].1.len();
    let entropies: Vec<f64> = remaining.iter().map(|(_, u)| entropy(u)).collect();
    let pairs: Vec<(usize, usize)> = (0..count)
        .flat_map(|i| (i + 1..count).map(move |j| (i, j)))
        .collect();
    let ratio = |&(i, j): &(usize, usize)| {
        let (of_i, of_j) = residual_entropies(&remaining[i].1, &remaining[j].1);
        (entropies[j] + of_i) - (entropies[i] + of_j)
    };
    let ratios: Vec<f64> = if pairs.len() * rows > PARALLEL {
        pairs.par_iter().map(ratio).collect()
    } else {
        pairs.iter().map(ratio).collect()
    };
    let mut against = vec![0.0; count];
    for (&(i, j), ratio) in pairs.iter().zip(ratios) {
        against[i] += ratio.min(0.0).powi(2);
        against[j] += (-ratio).min(0.0).powi(2);
    }
    let least = (0..count).min_by(|&a, &b| against[a].total_cmp(&against[b]));
    least.unwrap_or(0)
}

/// Entropies of the standardised residuals of `a` on `b` and of `b` on `a`.
fn residual_entropies(a: &[f64], b: &[f64]) -> (f64, f64) {
    let rows = a.len() as f64;
    let correlation = linear::dot(a, b) / rows;
    let scale = (1.0 - correlation * correlation)
        .max(f64::MIN_POSITIVE)
        .sqrt()
        .recip();
    let sums = vectorised(
        #[inline(always)]
        || {
            let mut sums = [Sums::default(), Sums::default()];
            let (a_blocks, a_rest) = a.as_chunks::<LANES>();
            let (b_blocks, b_rest) = b.as_chunks::<LANES>();
            for (x, y) in a_blocks.iter().zip(b_blocks) {
                for lane in 0..LANES {
                    sums[0].add(lane, (x[lane] - correlation * y[lane]) * scale);
                    sums[1].add(lane, (y[lane] - correlation * x[lane]) * scale);
                }
            }
            for (lane, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
                sums[0].add(lane, (x - correlation * y) * scale);
                sums[1].add(lane, (y - correlation * x) * scale);
            }
            sums
        },
    );
    (sums[0].entropy(rows), sums[1].entropy(rows))
}

fn entropy(u: &[f64]) -> f64 {
    let sums = vectorised(
        #[inline(always)]
        || {
            let mut sums = Sums::default();
            let (blocks, rest) = u.as_chunks::<LANES>();
            for block in blocks {
                for (lane, value) in block.iter().enumerate() {
                    sums.add(lane, *value);
                }
            }
            for (lane, value) in rest.iter().enumerate() {
                sums.add(lane, *value);
            }
            sums
        },
    );
    sums.entropy(u.len() as f64)
}

const LANES: usize = 8;

/// Sums of the two statistics that the entropy is approximated by, lane by lane.
#[derive(Default)]
struct Sums {
    ln_cosh: [f64; LANES],
    odd: [f64; LANES],
}

impl Sums {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "must be compiled within the dispatched closure"
    )]
    fn add(&mut self, lane: usize, u: f64) {
        self.ln_cosh[lane] += ln_cosh(u);
        self.odd[lane] += u * exp_of_negative(-0.5 * u * u);
    }

    fn entropy(&self, rows: f64) -> f64 {
        let mean = |lanes: &[f64; LANES]| lanes.iter().sum::<f64>() / rows;
        let gaussian = f64::midpoint(1.0, (2.0 * std::f64::consts::PI).ln());
        gaussian - K_1 * (mean(&self.ln_cosh) - GAMMA).powi(2) - K_2 * mean(&self.odd).powi(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    fn chain(rows: usize, seed: u64) -> Table {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut noise = || -> Vec<f64> { (0..rows).map(|_| rng.random::<f64>() - 0.5).collect() };
        let (a, b, c) = (noise(), noise(), noise());
        let b: Vec<f64> = a.iter().zip(&b).map(|(a, e)| 0.9 * a + e).collect();
        let c: Vec<f64> = b.iter().zip(&c).map(|(b, e)| -1.2 * b + e).collect();
        Table::from_columns([("c", c), ("a", a), ("b", b)]).unwrap()
    }

    #[test]
    fn a_chain_is_found_whatever_the_scale() {
        let found = direct_lingam(&chain(3000, 1), &DirectLingamOptions::default()).unwrap();
        assert_eq!(found.order(), [1, 2, 0]);
        assert!((found.weights()[(0, 2)] + 1.2).abs() < 0.05);
        assert!(found.weights()[(0, 1)].abs() < 1e-12, "pruned");
        let kept = DirectLingamOptions {
            prune: false,
            ..DirectLingamOptions::default()
        };
        assert!(direct_lingam(&chain(3000, 1), &kept).unwrap().weights()[(0, 1)] != 0.0);
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let table = chain(400_000, 2);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| direct_lingam(&table, &DirectLingamOptions::default()).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn copies_are_an_error() {
        let table = Table::from_columns(["a", "b"].map(|n| (n, vec![0.0, 1.0, 5.0, 2.0]))).unwrap();
        assert!(direct_lingam(&table, &DirectLingamOptions::default()).is_err());
    }
}
