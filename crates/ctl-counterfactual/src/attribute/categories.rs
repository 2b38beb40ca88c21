//! Categorical attributes by the Gumbel-max trick.

use candle_core::{Device, Tensor};
use ctl_compute::ops::{Reduction, cross_entropy};
use ctl_nets::Parameters;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::AttributeMechanism;
use super::conditioner::Conditioner;
use crate::error::in_range;
use crate::{CounterfactualError, Result, Rows};

/// By how much a winner leads at least, relative to its score.
const LEAST_GAP: f64 = 1e-9;

/// Settings of [`AttributeCategories`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct CategoriesConfig {
    /// Width of the two hidden layers between parents and categories, 1 to 4096.
    pub hidden: usize,
}

impl Default for CategoriesConfig {
    fn default() -> Self {
        Self { hidden: 32 }
    }
}

impl CategoriesConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        let hidden = (self.hidden, (1..=4096).contains(&self.hidden));
        in_range("attribute categories", "hidden", hidden, "1 to 4096")
    }
}

/// A categorical attribute: `a = argmaxₖ (ln pₖ(parents) + gₖ)` with independent standard Gumbel
/// noises `g`.
///
/// A category leaves its noises open: they are drawn from their law given that this category has won.
/// In the counterfactual world a category can only take over if its odds against the factual one have
/// risen.
///
/// # References
/// Oberst & Sontag 2019, "Counterfactual off-policy evaluation with Gumbel-max structural causal
/// models", section 3 (counterfactual stability); Maddison, Tarlow & Minka 2014 for the top-down
/// draw of the noises.
pub struct AttributeCategories {
    conditioner: Conditioner,
    categories: usize,
}

impl AttributeCategories {
    /// A mechanism that does not look at the parents yet: the frequencies of the training data, each
    /// counted half a time more.
    ///
    /// # Arguments
    /// - `categories`: how many there are
    /// - `values`: indices of the training data, below `categories`
    /// - `parents`: width of the encoded parents
    /// - `(seed, run)`: what the first weights are drawn for
    ///
    /// # Errors
    /// When a value is no category, there are fewer than two, or a setting is out of range.
    pub fn new(
        config: CategoriesConfig,
        categories: usize,
        values: &[f64],
        parents: usize,
        (seed, run): (u64, &str),
    ) -> Result<Self> {
        config.validate()?;
        if categories < 2 {
            return Err(CounterfactualError::Setting {
                what: "attribute categories",
                key: "categories",
                expected: "at least 2",
                found: categories.to_string(),
            });
        }
        // Nothing is impossible because it was not seen: a noise must be found for everything.
        let mut counts = vec![0.5; categories];
        for &value in values {
            let count = counts.get_mut(value as usize).filter(|_| value >= 0.0);
            *count.ok_or_else(|| CounterfactualError::Value {
                subject: "category of the training data".to_owned(),
                expected: format!("an index below {categories}"),
                found: value.to_string(),
            })? += 1.0;
        }
        let total: f64 = counts.iter().sum();
        let conditioner = Conditioner::new((seed, run), parents, config.hidden, categories)?;
        let logits: Vec<f64> = counts.iter().map(|count| (count / total).ln()).collect();
        conditioner.start_at(&logits)?;
        Ok(Self {
            conditioner,
            categories,
        })
    }

    /// Applies a function to every row and the log-probabilities that its parents give.
    fn each<T>(
        &self,
        parents: &Rows,
        mut function: impl FnMut(usize, &[f64]) -> T,
    ) -> Result<Vec<T>> {
        let frozen = self.conditioner.frozen()?;
        let rows = 0..parents.len();
        Ok(rows
            .map(|row| function(row, &normalised(frozen.apply(parents.row(row)))))
            .collect())
    }
}

/// Logits to log-probabilities.
fn normalised(mut logits: Vec<f64>) -> Vec<f64> {
    let total = log_sum_exp(&logits);
    for logit in &mut logits {
        *logit -= total;
    }
    logits
}

fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + values.iter().map(|v| (v - largest).exp()).sum::<f64>().ln()
}

/// A standard Gumbel number: `−ln(−ln u)`.
fn gumbel(rng: &mut ChaCha8Rng) -> f64 {
    // 1 − u lies in (0, 1]; the least positive double keeps the outer logarithm finite.
    let uniform: f64 = 1.0 - rng.random::<f64>();
    -(-uniform.ln()).max(f64::MIN_POSITIVE).ln()
}

/// Noises under which category `winner` wins, from their law given that it does.
///
/// The largest of all `ln pₖ + gₖ` is a standard Gumbel number, whichever wins; every other is a
/// Gumbel number at `ln pₖ` below it: `−ln(e^{−top} + e^{−g})` shifted to its place.
fn noises_of(winner: usize, log_probabilities: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let top = gumbel(rng);
    let place = |(index, &log_probability): (usize, &f64)| {
        if index == winner {
            return top - log_probability;
        }
        let free = log_probability + gumbel(rng);
        let below = -log_sum_exp(&[-top, -free]);
        // Where the winner was next to impossible, rounding would make a tie.
        below.min(top - LEAST_GAP * (1.0 + top.abs())) - log_probability
    };
    log_probabilities.iter().enumerate().map(place).collect()
}

fn winner(log_probabilities: &[f64], noises: &[f64]) -> usize {
    let scores = log_probabilities.iter().zip(noises).map(|(l, g)| l + g);
    let best = scores.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(0, |(index, _)| index)
}

impl AttributeMechanism for AttributeCategories {
    fn parameters(&self) -> &Parameters {
        self.conditioner.parameters()
    }

    fn loss(&self, values: &[f64], parents: &Rows) -> Result<Tensor> {
        let logits = self.conditioner.forward(&parents.to_tensor()?)?;
        let classes: Vec<u32> = values.iter().map(|&value| value as u32).collect();
        let classes = Tensor::new(classes, &Device::Cpu)?;
        Ok(cross_entropy(
            &logits.contiguous()?,
            &classes,
            Reduction::Mean,
        )?)
    }

    fn log_prob(&self, values: &[f64], parents: &Rows) -> Result<Vec<f64>> {
        self.each(parents, |row, log_probabilities| {
            log_probabilities[values[row] as usize]
        })
    }

    fn noise_width(&self) -> usize {
        self.categories
    }

    fn abduct(&self, values: &[f64], parents: &Rows, rng: &mut ChaCha8Rng) -> Result<Vec<f64>> {
        let noises = self.each(parents, |row, log_probabilities| {
            noises_of(values[row] as usize, log_probabilities, rng)
        })?;
        Ok(noises.concat())
    }

    fn draw_noise(&self, count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        (0..count * self.categories).map(|_| gumbel(rng)).collect()
    }

    fn predict(&self, noise: &[f64], parents: &Rows) -> Result<Vec<f64>> {
        self.each(parents, |row, log_probabilities| {
            let start = row * self.categories;
            winner(log_probabilities, &noise[start..start + self.categories]) as f64
        })
    }

    fn rank(&self, _values: &[f64], _parents: &Rows) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use ctl_compute::random::stream;

    use super::*;
    use crate::encoding::Rows;

    fn mechanism(counts: [usize; 3]) -> AttributeCategories {
        let values: Vec<f64> = counts
            .iter()
            .enumerate()
            .flat_map(|(k, &count)| vec![k as f64; count])
            .collect();
        AttributeCategories::new(CategoriesConfig::default(), 3, &values, 0, (0, "t")).unwrap()
    }

    #[test]
    fn starts_at_the_frequencies() {
        let mechanism = mechanism([5, 1, 2]);
        let parents = Rows::empty(3);
        let found = mechanism.log_prob(&[0.0, 1.0, 2.0], &parents).unwrap();
        for (found, expected) in found.iter().zip([5.5, 1.5, 2.5f64]) {
            assert!((found - (expected / 9.5).ln()).abs() < 1e-6);
        }
        let total: f64 = found.iter().map(|p| p.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_abducted_is_predicted_back() {
        let mechanism = mechanism([1, 200, 9]);
        let values: Vec<f64> = (0..300).map(|row| f64::from(row % 3)).collect();
        let parents = Rows::empty(300);
        let rng = &mut stream(0, "t", "abduct");
        let noise = mechanism.abduct(&values, &parents, rng).unwrap();
        assert_eq!(mechanism.predict(&noise, &parents).unwrap(), values);
    }

    /// Noises abducted from categories that were drawn are standard Gumbel numbers again: mean
    /// 0.5772, variance π² / 6; and drawn noises give the categories in their proportions.
    #[test]
    fn noises_have_their_law() {
        let mechanism = mechanism([5, 1, 2]);
        let (count, rng) = (20_000, &mut stream(0, "t", "law"));
        let parents = Rows::empty(count);
        let drawn = mechanism.draw_noise(count, rng);
        let values = mechanism.predict(&drawn, &parents).unwrap();
        let share = values.iter().filter(|&&v| v == 0.0).count() as f64 / count as f64;
        assert!((share - 5.5 / 9.5).abs() < 4.0 * 0.5 / (count as f64).sqrt());
        let noise = mechanism.abduct(&values, &parents, rng).unwrap();
        for k in 0..3 {
            let one: Vec<f64> = noise.iter().skip(k).step_by(3).copied().collect();
            let (mean, deviation) = crate::encoding::moments(&one);
            let error = 1.2825 / (count as f64).sqrt();
            assert!((mean - 0.577_216).abs() < 4.0 * error, "{k}: {mean}");
            assert!((deviation - 1.2825).abs() < 6.0 * error, "{k}: {deviation}");
        }
    }

    /// Oberst & Sontag 2019, definition 3: no category takes over whose odds against the factual one
    /// have fallen.
    #[test]
    fn counterfactually_stable() {
        let before = [0.5f64, 0.2, 0.3].map(f64::ln);
        let after = [0.3f64, 0.4, 0.3].map(f64::ln);
        let rng = &mut stream(0, "t", "stable");
        let mut taken = [0; 3];
        for _ in 0..2_000 {
            let noises = noises_of(1, &before, rng);
            // The odds of 1 have risen against all others.
            assert_eq!(winner(&after, &noises), 1);
            taken[winner(&after, &noises_of(0, &before, rng))] += 1;
        }
        assert!(taken.iter().all(|&count| count > 0), "{taken:?}");
    }

    #[test]
    fn ill_categories_are_errors() {
        let new = |categories, values: &[f64]| {
            AttributeCategories::new(CategoriesConfig::default(), categories, values, 0, (0, "t"))
        };
        assert!(new(1, &[0.0]).is_err());
        assert!(new(2, &[2.0]).is_err());
        let config = CategoriesConfig { hidden: 0 };
        assert!(AttributeCategories::new(config, 2, &[], 0, (0, "t")).is_err());
    }
}
