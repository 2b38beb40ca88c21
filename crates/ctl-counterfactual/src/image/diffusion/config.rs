//! Settings of a diffusion model.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::in_range;

const WHAT: &str = "diffusion of images";
/// More steps of noise than any published model has.
const TRAIN_STEPS_MAX: usize = 100_000;
/// First and last `β` of the linear schedule over a thousand steps.
const LINEAR: [f64; 2] = [1e-4, 0.02];
const LINEAR_STEPS: f64 = 1000.0;
/// Keeps the first steps of the cosine schedule from being too small.
const COSINE_OFFSET: f64 = 0.008;
/// No step takes more of the signal's variance.
const BETA_MAX: f64 = 0.999;

/// How the noise grows with the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseSchedule {
    /// `β` rises evenly from 0.0001 to 0.02 over 1000 steps; for another number `T` of steps both are
    /// multiplied by `1000 / T`, so that as much noise is reached.
    Linear,
    /// `ᾱ_t ∝ cos²(π/2 · (t/T + s) / (1 + s))`, `s = 0.008`.
    Cosine,
}

impl NoiseSchedule {
    /// `ᾱ_t = Π_{i ≤ t} (1 − β_i)` for `t = 0 … steps`: the share of the image in the variance at
    /// each time, 1 at time 0. No `β` is above 0.999.
    ///
    /// # References
    /// Ho, Jain & Abbeel 2020, section 4 (linear); Nichol & Dhariwal 2021, equation 17 (cosine).
    ///
    /// # Examples
    /// ```
    /// use ctl_counterfactual::NoiseSchedule;
    ///
    /// let shares = NoiseSchedule::Linear.alpha_bars(1000);
    /// assert_eq!((shares.len(), shares[0], shares[1]), (1001, 1.0, 0.9999));
    /// ```
    pub fn alpha_bars(self, steps: usize) -> Vec<f64> {
        let mut share = 1.0;
        let falls = (1..=steps).map(|time| {
            share *= 1.0 - self.beta(time, steps).min(BETA_MAX);
            share
        });
        let falls: Vec<f64> = falls.collect();
        [1.0].into_iter().chain(falls).collect()
    }

    fn beta(self, time: usize, steps: usize) -> f64 {
        let (time, steps) = (time as f64, steps as f64);
        match self {
            Self::Linear => {
                let way = (time - 1.0) / (steps - 1.0).max(1.0);
                (LINEAR[0] + way * (LINEAR[1] - LINEAR[0])) * LINEAR_STEPS / steps
            }
            Self::Cosine => {
                let share = |time: f64| {
                    let way = (time / steps + COSINE_OFFSET) / (1.0 + COSINE_OFFSET);
                    (way * std::f64::consts::FRAC_PI_2).cos().powi(2)
                };
                1.0 - share(time) / share(time - 1.0)
            }
        }
    }
}

/// What the network is trained to say of a noisy image `x_t = a x₀ + σ ε`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// The noise `ε`, as Ho, Jain & Abbeel 2020 do.
    Noise,
    /// `v = a ε − σ x₀` (Salimans & Ho 2022, section 4 and appendix D). The image follows as
    /// `a x_t − σ v`, and steps are turns by an angle: nothing is divided by `a`, as the noise has to
    /// be, which lets an error in `ε` grow up to `1 / a`-fold, 157 over the linear schedule, where
    /// hardly anything of the image is left. So abduction and prediction undo each other more closely,
    /// which is what a counterfactual rests on. The cosine schedule, whose last `a` is 5e-5, needs it.
    Velocity,
}

/// Settings of a [`DiffusionMechanism`](crate::DiffusionMechanism).
///
/// # Examples
/// ```
/// use ctl_counterfactual::DiffusionConfig;
///
/// let config: DiffusionConfig = serde_json::from_str(r#"{ "guidance": 2.0 }"#)?;
/// assert!(config.validate().is_ok());
/// assert!(DiffusionConfig { dropped: 0.0, ..config }.validate().is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DiffusionConfig {
    /// Channels of the network at each resolution from the finest on, 1 to 16 of them; the sides of
    /// the images are multiples of 2 to their number less one.
    pub widths: Vec<usize>,
    /// Width of the embedding of times and parents, even, at least 2.
    pub embedding: usize,
    /// Steps `T` from the image to noise, 2 to 100000.
    pub train_steps: usize,
    /// How the noise grows.
    pub schedule: NoiseSchedule,
    /// What the network says.
    pub prediction: Prediction,
    /// Steps of abduction and of prediction, 1 to `train_steps`, spread evenly over the times.
    pub sampling_steps: usize,
    /// Times that each step of abduction is corrected, 0 to 100. A step of prediction asks the
    /// network at its noisier end; abduction does not know that end and asks at the other, unless it
    /// corrects itself by asking again at what it found. 0 is as published; each correction costs as
    /// much as the abduction without.
    pub refinements: usize,
    /// Weight `w` of the parents in prediction, not negative: `o = o(∅) + w (o(parents) − o(∅))`. At
    /// 1 it is the conditional model, which gives abducted images back; at 0 parents do nothing;
    /// above 1 their effect is exaggerated, at the cost of what was abducted.
    pub guidance: f64,
    /// Share of the images whose parents are withheld in training, in `[0, 1)`; above 0 unless
    /// `guidance` is 1.
    pub dropped: f64,
    /// Times drawn for the bound of `ln p` of each image; with 0 there is none.
    pub bound_draws: usize,
}

impl Default for DiffusionConfig {
    /// Widths 16, 32, 64, an embedding of 64, 1000 linear steps of noise, velocities, 50 sampling
    /// steps, no refinement, guidance 1.5, a tenth dropped, 16 draws for the bound.
    fn default() -> Self {
        Self {
            widths: vec![16, 32, 64],
            embedding: 64,
            train_steps: 1000,
            schedule: NoiseSchedule::Linear,
            prediction: Prediction::Velocity,
            sampling_steps: 50,
            refinements: 0,
            guidance: 1.5,
            dropped: 0.1,
            bound_draws: 16,
        }
    }
}

impl DiffusionConfig {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// [`CounterfactualError::Setting`](crate::CounterfactualError::Setting), which names the key,
    /// the value and the range.
    pub fn validate(&self) -> Result<()> {
        let check = |key, value: &dyn ToString, fits, expected| {
            in_range(WHAT, key, (value.to_string(), fits), expected)
        };
        let widths = &self.widths;
        let fits = (1..=16).contains(&widths.len()) && !widths.contains(&0);
        check(
            "widths",
            &format!("{widths:?}"),
            fits,
            "1 to 16 sizes of at least 1",
        )?;
        let fits = self.embedding >= 2 && self.embedding.is_multiple_of(2);
        check("embedding", &self.embedding, fits, "even, at least 2")?;
        let steps = self.train_steps;
        let fits = (2..=TRAIN_STEPS_MAX).contains(&steps);
        check("train-steps", &steps, fits, "2 to 100000")?;
        let fits = (1..=steps).contains(&self.sampling_steps);
        check(
            "sampling-steps",
            &self.sampling_steps,
            fits,
            "1 to train-steps",
        )?;
        let fits = self.refinements <= 100;
        check("refinements", &self.refinements, fits, "0 to 100")?;
        let guidance = self.guidance;
        let fits = guidance.is_finite() && guidance >= 0.0;
        check("guidance", &guidance, fits, "finite and not negative")?;
        let fits = (0.0..1.0).contains(&self.dropped);
        check("dropped", &self.dropped, fits, "in [0, 1)")?;
        #[expect(
            clippy::float_cmp,
            reason = "the one weight at which nothing else is asked"
        )]
        let fits = self.dropped > 0.0 || guidance == 1.0;
        check(
            "dropped",
            &self.dropped,
            fits,
            "above 0 unless guidance is 1",
        )?;
        let fits = self.bound_draws <= steps;
        check("bound-draws", &self.bound_draws, fits, "0 to train-steps")
    }
}
