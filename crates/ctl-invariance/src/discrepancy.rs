//! Distances between the feature distributions of two environments.

use std::collections::BTreeSet;

use candle_core::Tensor;

use crate::{ObjectiveError, Result};

/// Mean of `distance` over all pairs of environments; 0 when there is only one.
///
/// # Errors
/// When `distance` fails, or `features` is empty.
pub fn pairwise_mean(
    features: &[&Tensor],
    distance: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let Some(first) = features.first() else {
        return Err(ObjectiveError::Environments {
            method: "pairwise distance",
            expected: "at least one environment".into(),
            found: "none".into(),
        });
    };
    let mut distances = Vec::new();
    for (i, a) in features.iter().enumerate() {
        for b in &features[i + 1..] {
            distances.push(distance(a, b)?);
        }
    }
    if distances.is_empty() {
        return Ok(Tensor::zeros((), first.dtype(), first.device())?);
    }
    Ok(Tensor::stack(&distances, 0)?.mean_all()?)
}

/// CORAL: mean squared difference of the means plus mean squared difference of the entries of the
/// (unbiased) covariances, for features `[n, F]` and `[m, F]`.
///
/// A part with a single sample has no covariance; it counts as zero.
///
/// # Errors
/// When the widths differ.
///
/// # References
/// Sun & Saenko 2016, in the scaling of `DomainBed` (means included, no `1/4F²`).
pub fn coral_distance(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (mean_a, covariance_a) = moments(a)?;
    let (mean_b, covariance_b) = moments(b)?;
    let means = (mean_a - mean_b)?.sqr()?.mean_all()?;
    let covariances = (covariance_a - covariance_b)?.sqr()?.mean_all()?;
    Ok((means + covariances)?)
}

/// Deep CORAL: `‖C_a − C_b‖²_F / 4F²` with the unbiased covariances of features `[n, F]` and
/// `[m, F]`.
///
/// A part with a single sample has no covariance; it counts as zero.
///
/// # Errors
/// When the widths differ.
///
/// # References
/// Sun & Saenko 2016, equation 1.
///
/// # Examples
/// Covariances diag(2, 0) and diag(0, 8): (4 + 64) / (4 · 4).
/// ```
/// use candle_core::{Device, Tensor};
/// use ctl_invariance::deep_coral_distance;
///
/// let a = Tensor::new(&[[0f64, 0.0], [2.0, 0.0]], &Device::Cpu)?;
/// let b = Tensor::new(&[[0f64, 0.0], [0.0, 4.0]], &Device::Cpu)?;
/// assert_eq!(deep_coral_distance(&a, &b)?.to_scalar::<f64>()?, 4.25);
/// # Ok::<(), ctl_invariance::ObjectiveError>(())
/// ```
pub fn deep_coral_distance(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((_, covariance_a), (_, covariance_b)) = (moments(a)?, moments(b)?);
    Ok(((covariance_a - covariance_b)?.sqr()?.mean_all()? * 0.25)?)
}

fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (count, _) = x.dims2()?;
    let mean = x.mean_keepdim(0)?;
    let centred = x.broadcast_sub(&mean)?;
    let covariance = (centred.t()?.matmul(&centred)? / (count as f64 - 1.0).max(1.0))?;
    Ok((mean, covariance))
}

/// Squared maximum mean discrepancy with `k(x, y) = Σ_γ exp(−γ‖x − y‖²)`, diagonal included:
/// `mean k(a, a) + mean k(b, b) − 2 mean k(a, b)`.
///
/// # Errors
/// When the widths differ.
///
/// # References
/// Gretton et al. 2012, equation 5 (the V-statistic of MMD²); the set of γ is `DomainBed`'s.
pub fn mmd_distance(a: &Tensor, b: &Tensor, gammas: &[f64]) -> Result<Tensor> {
    let within_a = kernel(a, a, gammas)?.mean_all()?;
    let within_b = kernel(b, b, gammas)?.mean_all()?;
    let across = kernel(a, b, gammas)?.mean_all()?;
    Ok(((within_a + within_b)? - (across * 2.0)?)?)
}

/// [`mmd_distance`] among the samples of one label, averaged over the labels that both environments
/// have; nothing where they share none.
///
/// It is the mean of [`mmd_distances_by_label`].
///
/// # Arguments
/// - `a`, `b`: features `[n, F]` and `[m, F]`, with the label of every sample.
///
/// # Errors
/// When the widths differ, or the labels are not one a sample.
///
/// # References
/// Veitch et al. 2021, section 4, for penalties within labels.
pub fn conditional_mmd_distance(
    (a, labels_a): (&Tensor, &[u32]),
    (b, labels_b): (&Tensor, &[u32]),
    gammas: &[f64],
) -> Result<Option<Tensor>> {
    let distances = mmd_distances_by_label((a, labels_a), (b, labels_b), gammas)?;
    if distances.is_empty() {
        return Ok(None);
    }
    Ok(Some(Tensor::stack(&distances, 0)?.mean_all()?))
}

/// [`mmd_distance`] among the samples of each label that both environments have, labels ascending.
///
/// # Arguments
/// - `a`, `b`: features `[n, F]` and `[m, F]`, with the label of every sample.
///
/// # Errors
/// When the widths differ, or the labels are not one a sample.
///
/// # References
/// Veitch et al. 2021, section 4, for penalties within labels.
pub fn mmd_distances_by_label(
    (a, labels_a): (&Tensor, &[u32]),
    (b, labels_b): (&Tensor, &[u32]),
    gammas: &[f64],
) -> Result<Vec<Tensor>> {
    let shared: BTreeSet<u32> = labels_a.iter().copied().collect();
    let shared = shared.into_iter().filter(|label| labels_b.contains(label));
    let kernels = [
        kernel(a, a, gammas)?,
        kernel(b, b, gammas)?,
        kernel(a, b, gammas)?,
    ];
    let mean = |kernel: &Tensor, rows: &Tensor, columns: &Tensor| -> Result<Tensor> {
        Ok((kernel * rows.matmul(&columns.t()?)?)?.sum_all()?)
    };
    let distances = shared.map(|label| {
        let (in_a, in_b) = (share(a, labels_a, label)?, share(b, labels_b, label)?);
        let within = (mean(&kernels[0], &in_a, &in_a)? + mean(&kernels[1], &in_b, &in_b)?)?;
        Ok((within - (mean(&kernels[2], &in_a, &in_b)? * 2.0)?)?)
    });
    distances.collect()
}

/// Equal weights on the samples of one label, zero elsewhere, `[n, 1]`.
///
/// Weights instead of rows that are picked out: the gradient is then one of products and sums only.
fn share(features: &Tensor, labels: &[u32], label: u32) -> Result<Tensor> {
    let count = labels.iter().filter(|&&other| other == label).count();
    let weight = |&other: &u32| {
        if other == label {
            1.0 / count as f64
        } else {
            0.0
        }
    };
    let weights: Vec<f64> = labels.iter().map(weight).collect();
    let weights = Tensor::from_vec(weights, (labels.len(), 1), features.device())?;
    Ok(weights.to_dtype(features.dtype())?)
}

fn kernel(a: &Tensor, b: &Tensor, gammas: &[f64]) -> Result<Tensor> {
    let squares_a = a.sqr()?.sum_keepdim(1)?;
    let squares_b = b.sqr()?.sum_keepdim(1)?.t()?;
    let products = (a.matmul(&b.t()?)? * 2.0)?;
    // Rounding can leave a distance just below zero.
    let distances = squares_a
        .broadcast_add(&squares_b)?
        .sub(&products)?
        .relu()?;
    let mut sum = distances.zeros_like()?;
    for gamma in gammas {
        sum = (sum + (&distances * -gamma)?.exp()?)?;
    }
    Ok(sum)
}
