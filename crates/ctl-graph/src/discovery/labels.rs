//! Categories as targets: softmax regression.

use super::comparison::{LinearModel, Target, Tested};
use super::error::DiscoveryError;
use super::residuals::{Group, against_the_rest, means_differ};
use crate::stats::{Matrix, Table, linear};

/// Weight of half the squared coefficients of standardised predictors in the mean loss: where
/// levels are separated, coefficients stay finite.
const RIDGE: f64 = 1e-6;
/// Steps of Newton's method at most.
const MOST_STEPS: usize = 60;
/// Change of every coefficient below which Newton's method ends.
const CONVERGED: f64 = 1e-10;
/// A step that must be shortened below this share of itself changes nothing more.
const SHORTEST: f64 = 1e-8;

/// Indicators of a category's levels beside standardised predictors.
pub(super) struct LabelTarget {
    predictors: Vec<Standardised>,
    ones: Vec<f64>,
    /// Of every level that occurs.
    indicators: Vec<Vec<f64>>,
    rows: Vec<Vec<usize>>,
}

struct Standardised {
    values: Vec<f64>,
    mean: f64,
    scale: f64,
}

impl LabelTarget {
    pub(super) fn new(
        table: &Table,
        candidates: &[usize],
        indicators: Vec<Vec<f64>>,
        rows: Vec<Vec<usize>>,
    ) -> Result<Self, DiscoveryError> {
        let predictor = |&column: &usize| Ok(standardised(table.real_at(column)?));
        let predictors = candidates.iter().map(predictor);
        Ok(Self {
            predictors: predictors.collect::<Result<_, DiscoveryError>>()?,
            ones: vec![1.0; table.rows()],
            indicators,
            rows,
        })
    }

    /// The columns of a regression on some candidates, the first the intercept's; `None` where
    /// they determine each other.
    fn columns(&self, candidates: &[usize]) -> Option<Vec<&[f64]>> {
        let mut columns = vec![self.ones.as_slice()];
        columns.extend(
            candidates
                .iter()
                .map(|&c| self.predictors[c].values.as_slice()),
        );
        let gram = Matrix::from_fn(columns.len(), columns.len(), |i, j| {
            linear::dot(columns[i], columns[j])
        });
        linear::cholesky(&gram).map(|_| columns)
    }

    /// Bonferroni's p-value over levels and environments: neither the residuals `r = y - p` nor
    /// `r (1 - 2 p)`, which is their square less the variance `p (1 - p)`, have another mean than
    /// elsewhere.
    fn p_value(&self, fit: &Softmax) -> f64 {
        // Of two levels, and of two environments, one says what the other says.
        let once = |count: usize| if count == 2 { 1 } else { count };
        let levels = once(self.indicators.len());
        let fitted = self.indicators.iter().zip(&fit.probabilities).take(levels);
        let mut least = 1.0f64;
        for (indicator, probabilities) in fitted {
            let residual = |row: usize| indicator[row] - probabilities[row];
            let surplus = |row: usize| residual(row) * (1.0 - 2.0 * probabilities[row]);
            least = least.min(self.least_p_value(&residual));
            least = least.min(self.least_p_value(&surplus));
        }
        ((2 * levels * once(self.rows.len())) as f64 * least).min(1.0)
    }

    fn least_p_value(&self, value: &dyn Fn(usize) -> f64) -> f64 {
        let pick = |rows: &Vec<usize>| rows.iter().map(|&r| value(r)).collect::<Vec<f64>>();
        let groups = self.rows.iter().map(|rows| Group::of(&pick(rows)));
        let groups: Vec<Group> = groups.collect();
        let p_values = against_the_rest(&groups).map(|(own, rest)| means_differ(own, rest));
        p_values.fold(1.0, f64::min)
    }

    /// The model of a level behind the first, in the predictors' own units.
    fn model(&self, candidates: &[usize], coefficients: &[f64]) -> LinearModel {
        let mut intercept = coefficients[0];
        let slopes = candidates
            .iter()
            .zip(&coefficients[1..])
            .map(|(&candidate, slope)| {
                let Standardised { mean, scale, .. } = self.predictors[candidate];
                intercept -= slope / scale * mean;
                slope / scale
            });
        let slopes = slopes.collect();
        LinearModel::new(intercept, slopes)
    }
}

fn standardised(values: &[f64]) -> Standardised {
    let whole = Group::of(values);
    let scale = (whole.squares / whole.rows).sqrt();
    // A constant column becomes one of zeros and is refused with every set that holds it.
    let divisor = if scale > 0.0 { scale } else { 1.0 };
    Standardised {
        values: values.iter().map(|v| (v - whole.mean) / divisor).collect(),
        mean: whole.mean,
        scale: divisor,
    }
}

impl Target for LabelTarget {
    fn test(&self, candidates: &[usize]) -> Result<Option<Tested>, DiscoveryError> {
        let Some(columns) = self.columns(candidates) else {
            return Ok(None);
        };
        let Some(fit) = maximum_likelihood(&columns, &self.indicators) else {
            return Ok(None);
        };
        let levels = fit.coefficients.chunks_exact(columns.len());
        let errors = fit.errors(&columns).into_iter().skip(1).zip(candidates);
        let errors = errors.map(|(error, &candidate)| error / self.predictors[candidate].scale);
        Ok(Some(Tested {
            p_value: self.p_value(&fit),
            // Akaike's correction: a coefficient lowers the mean loss by 1/n for nothing.
            risk: fit.loss + fit.coefficients.len() as f64 / self.ones.len() as f64,
            errors: errors.collect(),
            models: levels.map(|level| self.model(candidates, level)).collect(),
        }))
    }
}

/// A softmax regression whose first level has all coefficients zero.
struct Softmax {
    /// Of the columns, for each level but the first.
    coefficients: Vec<f64>,
    /// Fitted, for each level and row.
    probabilities: Vec<Vec<f64>>,
    /// Mean cross-entropy, without the ridge.
    loss: f64,
}

impl Softmax {
    fn at(columns: &[&[f64]], indicators: &[Vec<f64>], coefficients: Vec<f64>) -> Self {
        let rows = columns[0].len();
        let mut scores = vec![vec![0.0; rows]; indicators.len()];
        for (scores, level) in scores[1..]
            .iter_mut()
            .zip(coefficients.chunks_exact(columns.len()))
        {
            for (column, coefficient) in columns.iter().zip(level) {
                for (score, x) in scores.iter_mut().zip(*column) {
                    *score += coefficient * x;
                }
            }
        }
        let mut loss = 0.0;
        for row in 0..rows {
            let largest = scores
                .iter()
                .map(|s| s[row])
                .fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s[row] - largest).exp()).sum();
            for (scores, indicator) in scores.iter_mut().zip(indicators) {
                let log_probability = scores[row] - largest - sum.ln();
                loss -= indicator[row] * log_probability / rows as f64;
                scores[row] = log_probability.exp();
            }
        }
        Self {
            coefficients,
            probabilities: scores,
            loss,
        }
    }

    /// The coefficients that the ridge holds back: all but the intercepts.
    fn is_slope(index: usize, columns: usize) -> bool {
        !index.is_multiple_of(columns)
    }

    fn penalised(&self, columns: usize) -> f64 {
        let coefficients = self.coefficients.iter().enumerate();
        let slopes = coefficients.filter(|(index, _)| Self::is_slope(*index, columns));
        self.loss + 0.5 * RIDGE * slopes.map(|(_, c)| c * c).sum::<f64>()
    }

    /// Newton's step.
    fn step(&self, columns: &[&[f64]], indicators: &[Vec<f64>]) -> Option<Vec<f64>> {
        let rows = columns[0].len() as f64;
        let mut gradient = Vec::new();
        for (indicator, probabilities) in indicators.iter().zip(&self.probabilities).skip(1) {
            let residuals = indicator.iter().zip(probabilities);
            let residuals: Vec<f64> = residuals.map(|(y, p)| (y - p) / rows).collect();
            for column in columns {
                let index = gradient.len();
                let slope = Self::is_slope(index, columns.len());
                let ridge = if slope {
                    RIDGE * self.coefficients[index]
                } else {
                    0.0
                };
                gradient.push(linear::dot(column, &residuals) - ridge);
            }
        }
        linear::solve(&self.information(columns), &gradient)
    }

    /// Standard errors of the coefficients of the first level that has any.
    fn errors(&self, columns: &[&[f64]]) -> Vec<f64> {
        let rows = columns[0].len() as f64;
        let factor = linear::cholesky(&self.information(columns));
        let error = |position: usize| {
            let Some(factor) = &factor else {
                return f64::INFINITY;
            };
            let mut column = vec![0.0; self.coefficients.len()];
            column[position] = 1.0;
            linear::solve_factored(factor, &mut column);
            (column[position] / rows).sqrt()
        };
        (0..columns.len().min(self.coefficients.len()))
            .map(error)
            .collect()
    }

    /// Second derivative of the mean loss with the ridge: `Σ p_k (δ_kl - p_l) x_c x_d / n` for
    /// levels `k`, `l` and columns `c`, `d`.
    fn information(&self, columns: &[&[f64]]) -> Matrix {
        let (size, rows) = (columns.len(), columns[0].len() as f64);
        let levels = &self.probabilities[1..];
        let mut result = Matrix::zeros(size * levels.len(), size * levels.len());
        for (k, own) in levels.iter().enumerate() {
            for (l, other) in levels[..=k].iter().enumerate() {
                let same = f64::from(u8::from(k == l));
                let weights = own.iter().zip(other).map(|(p, q)| p * (same - q) / rows);
                let weights: Vec<f64> = weights.collect();
                for (c, values) in columns.iter().enumerate() {
                    let values = values.iter().zip(&weights);
                    let weighted: Vec<f64> = values.map(|(x, w)| x * w).collect();
                    for (d, values) in columns[..=c].iter().enumerate() {
                        let sum = linear::dot(&weighted, values);
                        for (row, column) in [(c, d), (d, c)] {
                            result[(k * size + row, l * size + column)] = sum;
                            result[(l * size + row, k * size + column)] = sum;
                        }
                    }
                }
            }
        }
        for index in (0..result.rows()).filter(|&index| Self::is_slope(index, size)) {
            result[(index, index)] += RIDGE;
        }
        result
    }
}

/// Newton's method, with steps halved until the loss does not grow; `None` where a step does not
/// exist.
fn maximum_likelihood(columns: &[&[f64]], indicators: &[Vec<f64>]) -> Option<Softmax> {
    let count = columns.len() * indicators.len().saturating_sub(1);
    let mut current = Softmax::at(columns, indicators, vec![0.0; count]);
    for _ in 0..MOST_STEPS {
        let step = current.step(columns, indicators)?;
        let mut share = 1.0;
        let next = loop {
            let moved = current.coefficients.iter().zip(&step);
            let moved = moved.map(|(c, s)| c + share * s).collect();
            let next = Softmax::at(columns, indicators, moved);
            if next.penalised(columns.len()) <= current.penalised(columns.len()) {
                break next;
            }
            share *= 0.5;
            if share < SHORTEST {
                return Some(current);
            }
        };
        current = next;
        if step.iter().all(|s| s.abs() < CONVERGED) {
            break;
        }
    }
    Some(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two predictors and 24 rows in three environments; the level is the number of `cuts` that
    /// a score exceeds.
    fn target(cuts: &[f64]) -> LabelTarget {
        let value = |row: u32, factor: u32| f64::from((row * factor) % 23) - 11.0;
        let a: Vec<f64> = (0..24).map(|row| value(row, 5)).collect();
        let b: Vec<f64> = (0..24).map(|row| value(row, 9)).collect();
        let shift = |row: u32| if row < 14 { 0.0 } else { 4.0 };
        let score = |row: u32| 0.3 * value(row, 5) + value(row, 14) / 2.0 + shift(row);
        let level = |row: u32| cuts.iter().filter(|cut| score(row) >= **cut).count();
        let indicator = |class: usize| {
            (0..24)
                .map(|row| f64::from(u8::from(level(row) == class)))
                .collect()
        };
        let indicators = (0..=cuts.len()).map(indicator).collect();
        let table = Table::from_columns([("a", a), ("b", b)]).unwrap();
        let rows = vec![(0..6).collect(), (6..14).collect(), (14..24).collect()];
        LabelTarget::new(&table, &[0, 1], indicators, rows).unwrap()
    }

    // Reference values: statsmodels and scipy, without the ridge; tests/golden/make_icp.py.
    #[test]
    fn p_values_and_risks_agree_with_statsmodels() {
        for (cuts, subset, p_value, risk) in [
            (&[0.0][..], &[][..], 1.0, 0.720_859_932_658_192),
            (&[0.0], &[0], 0.729_513_121_242_037, 0.594_896_041_848_1),
            (
                &[0.0],
                &[0, 1],
                0.555_899_920_059_994,
                0.512_528_578_608_454,
            ),
            (
                &[-3.0, 3.0],
                &[0],
                0.668_869_041_344_199,
                0.810_601_650_830_105,
            ),
            (
                &[-3.0, 3.0],
                &[0, 1],
                0.355_290_165_261_487,
                0.764_358_263_695_571,
            ),
        ] {
            let found = target(cuts).test(subset).unwrap().unwrap();
            let apart = (found.p_value - p_value)
                .abs()
                .max((found.risk - risk).abs());
            assert!(
                apart < 1e-4,
                "{cuts:?} {subset:?}: {} {}",
                found.p_value,
                found.risk
            );
            assert_eq!(found.models.len(), cuts.len());
        }
    }

    #[test]
    fn models_are_in_the_units_of_the_predictors() {
        let found = target(&[0.0]).test(&[0, 1]).unwrap().unwrap();
        let model = &found.models[0];
        let values = [
            model.intercept,
            model.coefficients[0],
            model.coefficients[1],
        ];
        let expected = [
            0.730_315_807_218_02,
            0.266_589_120_704_692,
            -0.218_098_424_823_222,
        ];
        let errors = [0.118_291_089_444_174, 0.108_982_016_060_435];
        for (found, expected) in values
            .iter()
            .zip(expected)
            .chain(found.errors.iter().zip(errors))
        {
            assert!(
                (found - expected).abs() < 1e-4,
                "{found} is not near {expected}"
            );
        }
    }

    #[test]
    fn levels_are_compared_with_the_first() {
        let found = target(&[-3.0, 3.0]).test(&[0]).unwrap().unwrap();
        for (model, expected) in found.models.iter().zip([
            [2.264_284_740_689_184, 0.284_949_390_336_287],
            [1.427_106_162_396_305, 0.644_704_740_997_274],
        ]) {
            let values = [model.intercept, model.coefficients[0]];
            let apart = values.iter().zip(expected).map(|(a, b)| (a - b).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-3, "{values:?}");
        }
    }

    #[test]
    fn separated_levels_have_finite_coefficients() {
        let level = |high| {
            (0..20)
                .map(|row| f64::from(u8::from((row >= 10) == high)))
                .collect()
        };
        let table = Table::from_columns([("x", (0..20).map(f64::from).collect::<Vec<_>>())]);
        let rows = vec![(0..20).step_by(2).collect(), (1..20).step_by(2).collect()];
        let target =
            LabelTarget::new(&table.unwrap(), &[0], vec![level(false), level(true)], rows).unwrap();
        let found = target.test(&[0]).unwrap().unwrap();
        let model = &found.models[0];
        assert!(model.coefficients[0] > 5.0 && model.coefficients[0].is_finite());
        assert!((-model.intercept / model.coefficients[0] - 9.5).abs() < 1e-3);
    }

    #[test]
    fn constant_and_equal_predictors_are_refused() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let columns = [("x", x.clone()), ("constant", vec![1.0; 20]), ("double", x)];
        let table = Table::from_columns(columns).unwrap();
        let level = |odd| {
            (0..20)
                .map(|row| f64::from(u8::from((row % 2 == 1) == odd)))
                .collect()
        };
        let levels = vec![level(false), level(true)];
        let rows = vec![(0..10).collect(), (10..20).collect()];
        let target = LabelTarget::new(&table, &[0, 1, 2], levels, rows).unwrap();
        for (subset, fits) in [(&[0][..], true), (&[1], false), (&[0, 2], false)] {
            assert_eq!(target.test(subset).unwrap().is_some(), fits, "{subset:?}");
        }
    }
}
