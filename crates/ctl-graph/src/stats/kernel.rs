//! The kernel conditional-independence test.

use super::distribution::gamma_upper;
use super::independence::check_query;
use super::linear::{invert, product, vectorised};
use super::{IndependenceTest, Matrix, StatsError, Table};

/// Fewest rows on which the moments of the statistic mean anything.
const FEWEST_ROWS: usize = 10;
/// How strongly the conditioning variables enter the first variable's kernel.
const CONDITION_WEIGHT: f64 = 0.5;
/// Number of rows from which a width of the table applies, and the widths without and with
/// conditions: narrower kernels as there are more rows.
const WIDTHS: [(usize, f64, f64); 3] = [(1200, 0.3, 0.4), (200, 0.5, 0.7), (0, 0.8, 1.2)];

/// Options of [`Kci`].
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::{IndependenceTest, Kci, KciOptions, Table};
/// let x: Vec<f64> = (-20..20).map(f64::from).collect();
/// let square = x.iter().map(|x| x * x).collect();
/// let table = Table::from_columns([("x", x), ("square", square)])?;
/// let options = KciOptions { width: Some(0.5), ..KciOptions::default() };
/// assert!(!Kci::new(&table, options)?.independent(0, 1, &[], 0.05)?);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KciOptions {
    /// Ridge of the kernel regression on the conditions, above zero; 1e-3 is usual.
    pub ridge: f64,
    /// Width of the Gaussian kernels in standard deviations; `None` chooses by the rows.
    pub width: Option<f64>,
}

impl Default for KciOptions {
    fn default() -> Self {
        Self {
            ridge: 1e-3,
            width: None,
        }
    }
}

/// The kernel test: any dependence, not only a linear one, moves
/// `trace(K_{(x,z)|z} K_{y|z})`.
///
/// With Gaussian kernels of the standardised variables, centred and freed from the conditions by
/// kernel ridge regression, `R = ε (K_z + ε I)⁻¹`, `K_{x|z} = R K_x R`. Under independence the
/// statistic is close to a gamma variable with mean `tr W` and variance `2 tr W²`, where
/// `W = K_{x|z} ∘ K_{y|z}` for a conditional test and the products of the traces without
/// conditions.
///
/// # Complexity
/// `n³` time and `n²` memory: meant for some thousands of rows at most.
///
/// # References
/// Zhang, Peters, Janzing and Schölkopf (2011), *Kernel-based conditional independence test*,
/// theorems 3 and 4, propositions 5 and 6. Deviation: the traces of `W` are computed from the
/// kernels directly, not from truncated eigenvectors, which are equal up to the truncation.
///
/// # Examples
///
/// A square is uncorrelated with its root, but not independent of it.
///
/// ```
/// use ctl_graph::stats::{FisherZ, IndependenceTest, Kci, KciOptions, Table};
/// let x: Vec<f64> = (0..40).map(|i| (i as f64 - 19.5) / 20.0).collect();
/// let y = x.iter().map(|x| x * x).collect();
/// let table = Table::from_columns([("x", x), ("y", y)])?;
/// assert!(Kci::new(&table, KciOptions::default())?.p_value(0, 1, &[])? < 1e-3);
/// assert!(FisherZ::new(&table)?.p_value(0, 1, &[])? > 0.99);
/// # Ok::<(), ctl_graph::stats::StatsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Kci {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    rows: usize,
    options: KciOptions,
}

impl Kci {
    /// Standardises the columns of a table, all of which are real.
    ///
    /// # Errors
    /// [`StatsError::ColumnKind`] for a category, [`StatsError::TooFewRows`] below ten rows,
    /// [`StatsError::Option`] for a ridge or a width that is not above zero.
    pub fn new(table: &Table, options: KciOptions) -> Result<Self, StatsError> {
        positive("ridge", options.ridge)?;
        positive("width", options.width.unwrap_or(1.0))?;
        if table.rows() < FEWEST_ROWS {
            return Err(StatsError::TooFewRows {
                expected: FEWEST_ROWS,
                found: table.rows(),
            });
        }
        let columns = (0..table.columns()).map(|index| Ok(standardised(table.real_at(index)?)));
        Ok(Self {
            names: table.names().to_vec(),
            columns: columns.collect::<Result<_, StatsError>>()?,
            rows: table.rows(),
            options,
        })
    }

    fn precision(&self, conditional: bool) -> f64 {
        let narrow = WIDTHS.iter().find(|(from, ..)| self.rows >= *from);
        let (_, plain, given) = narrow.copied().unwrap_or(WIDTHS[2]);
        let width = self
            .options
            .width
            .unwrap_or(if conditional { given } else { plain });
        width.powi(-2)
    }

    /// A centred Gaussian kernel of some columns, each with a weight.
    fn kernel(&self, columns: &[(usize, f64)], precision: f64) -> Matrix {
        let mut distances = Matrix::zeros(self.rows, self.rows);
        for &(column, weight) in columns {
            let values = &self.columns[column];
            for (row, out) in distances
                .values_mut()
                .chunks_exact_mut(self.rows)
                .enumerate()
            {
                let own = values[row];
                for (distance, value) in out.iter_mut().zip(values) {
                    *distance += (weight * (own - value)).powi(2);
                }
            }
        }
        for value in distances.values_mut() {
            *value = (-0.5 * precision * *value).exp();
        }
        centre(&mut distances);
        distances
    }

    fn unconditional(&self, x: usize, y: usize) -> f64 {
        let precision = self.precision(false);
        let (a, b) = (
            self.kernel(&[(x, 1.0)], precision),
            self.kernel(&[(y, 1.0)], precision),
        );
        let n = self.rows as f64;
        let mean = trace(&a) * trace(&b) / n;
        let square = |m: &Matrix| m.values().iter().map(|v| v * v).sum::<f64>();
        let variance = 2.0 * square(&a) * square(&b) / (n * n);
        gamma_tail(entrywise(&a, &b), mean, variance)
    }

    fn conditional(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError> {
        let precision = self.precision(true) / given.len() as f64;
        let weighted = |weight: f64| given.iter().map(move |&z| (z, weight));
        let with_x: Vec<_> = [(x, 1.0)]
            .into_iter()
            .chain(weighted(CONDITION_WEIGHT))
            .collect();
        let conditions: Vec<_> = weighted(1.0).collect();
        let residual = self.residual_maker(&self.kernel(&conditions, precision))?;
        let free = |kernel: Matrix| product(&product(&residual, &kernel), &residual);
        let a = free(self.kernel(&with_x, precision));
        let b = free(self.kernel(&[(y, 1.0)], precision));
        let (mean, square) = (0..self.rows)
            .map(|i| a[(i, i)] * b[(i, i)])
            .zip(
                a.values()
                    .chunks(self.rows)
                    .zip(b.values().chunks(self.rows)),
            )
            .fold((0.0, 0.0), |(mean, square), (diagonal, (p, q))| {
                let row: f64 = p.iter().zip(q).map(|(u, v)| (u * v).powi(2)).sum();
                (mean + diagonal, square + row)
            });
        Ok(gamma_tail(entrywise(&a, &b), mean, 2.0 * square))
    }

    /// `ε (K + ε I)⁻¹`.
    fn residual_maker(&self, kernel: &Matrix) -> Result<Matrix, StatsError> {
        let ridge = self.options.ridge;
        let mut residual = kernel.clone();
        for i in 0..self.rows {
            residual[(i, i)] += ridge;
        }
        if invert(&mut residual).is_none() {
            return Err(StatsError::Option {
                option: "ridge",
                expected: "a value large enough for the kernel to be inverted",
                found: ridge,
            });
        }
        for value in residual.values_mut() {
            *value *= ridge;
        }
        Ok(residual)
    }
}

impl IndependenceTest for Kci {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn p_value(&self, x: usize, y: usize, given: &[usize]) -> Result<f64, StatsError> {
        check_query(&self.names, x, y, given)?;
        if given.is_empty() {
            Ok(self.unconditional(x, y))
        } else {
            self.conditional(x, y, given)
        }
    }
}

fn positive(option: &'static str, found: f64) -> Result<(), StatsError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(StatsError::Option {
        option,
        expected: "a number above zero",
        found,
    })
}

/// Mean zero and unit sample variance; a constant column becomes zero everywhere.
fn standardised(values: &[f64]) -> Vec<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let scale = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    values.iter().map(|v| (v - mean) / scale).collect()
}

/// Subtracts row and column means of a symmetric matrix and adds the overall mean.
fn centre(kernel: &mut Matrix) {
    let n = kernel.rows();
    let means: Vec<f64> = (0..n)
        .map(|row| kernel.row(row).iter().sum::<f64>() / n as f64)
        .collect();
    let overall = means.iter().sum::<f64>() / n as f64;
    for (row, values) in kernel.values_mut().chunks_exact_mut(n).enumerate() {
        for (value, mean) in values.iter_mut().zip(&means) {
            *value += overall - mean - means[row];
        }
    }
}

fn trace(matrix: &Matrix) -> f64 {
    (0..matrix.rows()).map(|i| matrix[(i, i)]).sum()
}

/// `trace(a b)` of symmetric matrices.
fn entrywise(a: &Matrix, b: &Matrix) -> f64 {
    vectorised(
        #[inline(always)]
        || super::linear::dot_inline(a.values(), b.values()),
    )
}

fn gamma_tail(statistic: f64, mean: f64, variance: f64) -> f64 {
    // A constant variable has an empty kernel and depends on nothing.
    if mean <= 0.0 || variance <= 0.0 {
        return 1.0;
    }
    gamma_upper(statistic * mean / variance, mean * mean / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize) -> Table {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        let mut uniform = || -> Vec<f64> { (0..rows).map(|_| rng.random::<f64>() - 0.5).collect() };
        let (z, a, b) = (uniform(), uniform(), uniform());
        let via = |noise: &[f64]| -> Vec<f64> {
            z.iter()
                .zip(noise)
                .map(|(z, e)| z * z * 8.0 + 0.5 * e)
                .collect()
        };
        Table::from_columns([("x", via(&a)), ("y", via(&b)), ("z", z.clone())]).unwrap()
    }

    #[test]
    fn a_common_cause_is_screened_off() {
        let test = Kci::new(&table(200), KciOptions::default()).unwrap();
        assert!(test.p_value(0, 1, &[]).unwrap() < 1e-3);
        assert!(test.p_value(0, 1, &[2]).unwrap() > 0.05);
    }

    #[test]
    fn constants_are_independent_of_everything() {
        let constant = Table::from_columns([
            ("c", vec![2.0; 12]),
            ("x", (0..12).map(f64::from).collect()),
        ]);
        let test = Kci::new(&constant.unwrap(), KciOptions::default()).unwrap();
        assert!((test.p_value(0, 1, &[]).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ill_options_are_errors() {
        let options = KciOptions {
            ridge: 0.0,
            width: None,
        };
        assert!(matches!(
            Kci::new(&table(20), options),
            Err(StatsError::Option {
                option: "ridge",
                ..
            })
        ));
        assert!(Kci::new(&table(5), KciOptions::default()).is_err());
    }
}
