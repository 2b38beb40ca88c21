//! Gradients where environments agree: the AND-mask and its smooth form.

use candle_core::Tensor;
use ctl_compute::ComputeError;

use crate::{ObjectiveError, Result};

/// Added to a mask's mean before its gradient is divided by it.
const SMALLEST_SHARE: f64 = 1e-10;
/// The smooth mask where all environments have one gradient and their agreement is just `tau`.
const UNDECIDED: f64 = 1e-17;

/// The gradient of several environments in one.
#[derive(Clone, Debug)]
pub struct MaskedGradient {
    /// What is left of the mean gradient, one tensor a parameter.
    pub gradient: Vec<Tensor>,
    /// Between 0 and 1, shaped like the gradient.
    pub masks: Vec<Tensor>,
}

/// The mean gradient where enough environments agree on its sign, zero elsewhere.
///
/// For each parameter tensor, with `s = |mean_e sign g_e|` and `sign 0 = 0`:
/// `m = [s ≥ tau]`, `g = m · mean_e g_e / (1e-10 + mean m)`.
///
/// # Arguments
/// - `environments`: a gradient for each environment, all of the same shapes in the same order.
/// - `tau`: agreement that is asked for, in \[0, 1\]; with 0 every environment counts, with 1 all
///   must agree.
///
/// # Errors
/// Without an environment, where shapes differ, and for a `tau` out of range.
///
/// # References
/// Parascandolo et al. 2021, Learning Explanations That Are Hard to Vary, the AND-mask; the division
/// by the mask's mean, of each parameter tensor by itself, is that of `DomainBed`.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::and_mask;
///
/// let one = vec![Tensor::new(&[1f64, 2.0], &Device::Cpu)?];
/// let other = vec![Tensor::new(&[3f64, -4.0], &Device::Cpu)?];
/// let found = and_mask(&[one, other], 1.0)?;
/// assert_eq!(found.masks[0].to_vec1::<f64>()?, [1.0, 0.0]);
/// // The mean 2, divided by the share ½ of entries that are left.
/// assert!((found.gradient[0].to_vec1::<f64>()?[0] - 4.0).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn and_mask(environments: &[Vec<Tensor>], tau: f64) -> Result<MaskedGradient> {
    const METHOD: &str = "and-mask";
    share(METHOD, tau)?;
    let fewest = fewest_votes(environments.len(), tau);
    combine(METHOD, environments, |stacked| {
        let votes = stacked.sign()?.sum(0)?.abs()?;
        Ok(votes.ge(fewest as f64)?.to_dtype(stacked.dtype())?)
    })
}

/// The mean gradient, weighted smoothly by how far environments agree on its sign and how little
/// it varies among them.
///
/// For each parameter tensor, with `s = |mean_e sign g_e|` and the unbiased variance over
/// environments: `m = max(0, tanh(k (s − tau) / Var_e g))`, `g = m · mean_e g_e / (1e-10 + mean m)`.
/// Where neither gradients vary nor `s` differs from `tau`, `m` is 1e-17; a single environment has
/// variance 0.
///
/// # Arguments
/// - `environments`: a gradient for each environment, all of the same shapes in the same order.
/// - `tau`: agreement from which on an entry counts, in \[0, 1\].
/// - `k`: how fast the mask grows, positive.
///
/// # Errors
/// Without an environment, where shapes differ, and for settings out of range.
///
/// # References
/// Shahtalebi et al. 2021, SAND-mask: An Enhanced Gradient Masking Strategy for the Discovery of
/// Invariances in Domain Generalization; constants and the division by the mask's mean are those of
/// `DomainBed`.
///
/// # Examples
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::gradients::sand_mask;
///
/// let one = vec![Tensor::new(&[1f64, 2.0], &Device::Cpu)?];
/// let other = vec![Tensor::new(&[3f64, -4.0], &Device::Cpu)?];
/// let found = sand_mask(&[one, other], 0.5, 2.0)?;
/// // Variance 2 and agreement 1: tanh(2 · ½ / 2).
/// let expected = [0.5f64.tanh(), 0.0];
/// for (mask, expected) in found.masks[0].to_vec1::<f64>()?.iter().zip(expected) {
///     assert!((mask - expected).abs() < 1e-12);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sand_mask(environments: &[Vec<Tensor>], tau: f64, k: f64) -> Result<MaskedGradient> {
    const METHOD: &str = "sand-mask";
    share(METHOD, tau)?;
    if !(k > 0.0 && k.is_finite()) {
        return Err(out_of_range(METHOD, "k", "positive and finite", k));
    }
    combine(METHOD, environments, |stacked| {
        let count = Tensor::new(environments.len() as f64, stacked.device())?;
        let count = count.to_dtype(stacked.dtype())?;
        // Divided and not multiplied by an inverse: an agreement of just tau must give 0.
        let agreement = stacked.sign()?.sum(0)?.abs()?.broadcast_div(&count)?;
        let centred = stacked.broadcast_sub(&stacked.mean_keepdim(0)?)?;
        let freedom = environments.len().saturating_sub(1).max(1) as f64;
        let variance = (centred.sqr()?.sum(0)? / freedom)?;
        let slope = (variance.recip()? * k)?.mul(&(agreement - tau)?)?;
        let mask = slope.tanh()?.relu()?;
        // Infinity times 0 is no number, and alone differs from itself.
        let undecided = (mask.ones_like()? * UNDECIDED)?;
        Ok(slope.ne(&slope)?.where_cond(&undecided, &mask)?)
    })
}

/// `m · mean_e g_e / (1e-10 + mean m)` with the mask of each parameter's stacked gradients.
fn combine(
    method: &'static str,
    environments: &[Vec<Tensor>],
    mask: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<MaskedGradient> {
    let mut found = MaskedGradient {
        gradient: Vec::new(),
        masks: Vec::new(),
    };
    for stacked in stacked(method, environments)? {
        let mask = mask(&stacked)?;
        let share = (mask.mean_all()? + SMALLEST_SHARE)?;
        let gradient = mask.mul(&stacked.mean(0)?)?.broadcast_div(&share)?;
        found.gradient.push(gradient);
        found.masks.push(mask);
    }
    Ok(found)
}

/// The environments' gradients of each parameter, `[E, …]`, as constants.
fn stacked(method: &'static str, environments: &[Vec<Tensor>]) -> Result<Vec<Tensor>> {
    let shapes = |gradient: &Vec<Tensor>| -> Vec<Vec<usize>> {
        gradient.iter().map(|g| g.dims().to_vec()).collect()
    };
    let mismatch = |expected: String, found: String| ObjectiveError::Environments {
        method,
        expected,
        found,
    };
    let Some(first) = environments.first().map(shapes) else {
        return Err(mismatch("one environment or more".into(), "none".into()));
    };
    if let Some(other) = environments
        .iter()
        .map(shapes)
        .find(|other| *other != first)
    {
        let expected = format!("gradients of the shapes {first:?} in every environment");
        return Err(mismatch(expected, format!("{other:?}")));
    }
    let parameter = |index: usize| {
        let gradients = environments.iter().map(|gradient| gradient[index].detach());
        Ok(Tensor::stack(&gradients.collect::<Vec<_>>(), 0)?)
    };
    (0..first.len()).map(parameter).collect()
}

/// The least surplus of one sign whose share of `count` environments is `tau`.
///
/// Votes are counted in whole numbers, so that a share of just `tau` is seen in any float type.
fn fewest_votes(count: usize, tau: f64) -> usize {
    let enough = |votes: &usize| *votes as f64 / count as f64 >= tau;
    (0..count).find(enough).unwrap_or(count)
}

fn share(method: &'static str, tau: f64) -> Result<()> {
    if (0.0..=1.0).contains(&tau) {
        return Ok(());
    }
    Err(out_of_range(method, "tau", "within [0, 1]", tau))
}

fn out_of_range(
    op: &'static str,
    key: &'static str,
    expected: &'static str,
    found: f64,
) -> ObjectiveError {
    let found = found.to_string();
    ComputeError::Option {
        op,
        key,
        expected,
        found,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    /// One parameter of three entries in five environments; signs sum to 5, 3 and 0.
    fn five(dtype: DType) -> Vec<Vec<Tensor>> {
        [
            [1.0, 1.0, 0.0],
            [1.0, 2.0, 3.0],
            [1.0, 3.0, -3.0],
            [1.0, 4.0, 2.0],
            [1.0, -5.0, -2.0],
        ]
        .iter()
        .map(|row| {
            let tensor = Tensor::new(row, &Device::Cpu).unwrap();
            vec![tensor.to_dtype(dtype).unwrap()]
        })
        .collect()
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        tensor.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    /// 0.6 is no sum of powers of two, yet three of five are enough for it.
    #[test]
    fn an_agreement_of_just_tau_counts_in_every_float_type() {
        for dtype in [DType::F32, DType::F64] {
            let found = and_mask(&five(dtype), 0.6).unwrap();
            assert_eq!(values(&found.masks[0]), [1.0, 1.0, 0.0], "{dtype:?}");
            assert_eq!(found.gradient[0].dtype(), dtype);
            let smooth = sand_mask(&five(dtype), 0.6, 10.0).unwrap();
            assert_eq!(values(&smooth.masks[0]), [1.0, 0.0, 0.0], "{dtype:?}");
        }
    }

    /// Means 1, 1 and 0, two of three entries left.
    #[test]
    fn what_is_left_is_scaled_up_by_its_share() {
        let found = and_mask(&five(DType::F64), 0.5).unwrap();
        for (found, expected) in values(&found.gradient[0]).iter().zip([1.5, 1.5, 0.0]) {
            assert!((found - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_undecided_has_a_mask_of_almost_nothing() {
        let equal = vec![five(DType::F64)[0].clone(); 3];
        let found = sand_mask(&equal, 1.0, 10.0).unwrap();
        assert_eq!(values(&found.masks[0]), [UNDECIDED, UNDECIDED, 0.0]);
        let decided = sand_mask(&equal, 0.5, 10.0).unwrap();
        assert_eq!(values(&decided.masks[0]), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn ill_gradients_and_settings_are_named() {
        let short = vec![five(DType::F64)[0].clone(), Vec::new()];
        let message = |found: Result<MaskedGradient>| found.unwrap_err().to_string();
        for (message, part) in [
            (message(and_mask(&[], 0.5)), "one environment or more"),
            (
                message(and_mask(&short, 0.5)),
                "[[3]] in every environment, found []",
            ),
            (
                message(and_mask(&short, 1.5)),
                "tau must be within [0, 1], found 1.5",
            ),
            (message(and_mask(&short, f64::NAN)), "tau"),
            (message(sand_mask(&short, 0.5, 0.0)), "k must be positive"),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
