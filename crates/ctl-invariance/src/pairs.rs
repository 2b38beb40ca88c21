//! Batches in which every sample comes twice, first as one version and then as another, and how
//! much a network's outputs for the two differ.

use candle_core::Tensor;
use ctl_compute::ops::{log_softmax, softmax};

use crate::{Batch, EnvironmentOutputs, ObjectiveError, Result};

/// The rows of `first`, then those of `second`, another version of the same samples.
///
/// # Errors
/// When images or targets of the two have different shapes.
pub fn paired(first: &Batch, second: &Batch) -> Result<Batch> {
    let rows = first.images.dim(0)?;
    let twice: Vec<usize> = (0..rows).chain(0..rows).collect();
    let mut both = first.select(&twice)?;
    both.images = Tensor::cat(&[&first.images, &second.images], 0)?;
    let targets = first.targets.iter().zip(&second.targets);
    for (both, (one, other)) in both.targets.iter_mut().zip(targets) {
        both.target = Tensor::cat(&[&one.target, &other.target], 0)?;
    }
    Ok(both)
}

/// Both versions of a pair.
///
/// # Errors
/// When the number of rows is odd.
pub fn halves(method: &'static str, rows: &Tensor) -> Result<[Tensor; 2]> {
    let count = rows.dim(0)?;
    if count % 2 == 1 {
        return Err(ObjectiveError::Environments {
            method,
            expected: "every sample twice".into(),
            found: format!("{count} rows"),
        });
    }
    let half = count / 2;
    Ok([rows.narrow(0, 0, half)?, rows.narrow(0, half, half)?])
}

/// Whether the outputs are images, as the targets then are; they are logits else.
pub fn outputs_images(environment: &EnvironmentOutputs) -> bool {
    let target = environment.targets.first();
    target.is_some_and(|part| part.target.dims() == environment.outputs.dims())
}

/// Mean over all axes but the first.
pub(crate) fn mean_per_sample(values: &Tensor) -> ctl_compute::Result<Tensor> {
    if values.rank() < 2 {
        return Ok(values.clone());
    }
    Ok(values.flatten_from(1)?.mean(1)?)
}

/// `KL(σ(reference / T) ‖ σ(outputs / T))` of every sample, `[B]`: the mean over its pixels.
///
/// # Arguments
/// - `outputs`, `reference`: logits `[B, K, …]`.
pub(crate) fn divergence(
    outputs: &Tensor,
    reference: &Tensor,
    temperature: f64,
) -> ctl_compute::Result<Tensor> {
    let (outputs, reference) = ((outputs / temperature)?, (reference / temperature)?);
    let gap = (log_softmax(&reference, 1)? - log_softmax(&outputs, 1)?)?;
    mean_per_sample(&softmax(&reference, 1)?.mul(&gap)?.sum(1)?)
}

/// Mean squared difference of every sample, `[B]`, of values `[B, …]`.
///
/// # Errors
/// When the two have different shapes.
pub fn squared_difference(outputs: &Tensor, reference: &Tensor) -> ctl_compute::Result<Tensor> {
    mean_per_sample(&(outputs - reference)?.sqr()?)
}

/// `½ KL(m ‖ p) + ½ KL(m ‖ q)` of every sample, `[B]`, with `m = (p + q) / 2`: the mean over its
/// pixels of how far two predictions are from their average.
///
/// # Arguments
/// - `first`, `second`: logits `[B, K, …]`.
///
/// # Errors
/// When the two have different shapes.
pub fn disagreement(first: &Tensor, second: &Tensor) -> ctl_compute::Result<Tensor> {
    let (first, second) = (log_softmax(first, 1)?, log_softmax(second, 1)?);
    // The logarithm of the average, shifted by the larger one so that no share underflows to 0.
    let top = first.maximum(&second)?.detach();
    let share = |part: &Tensor| (part - &top)?.exp();
    let average = (((share(&first)? + share(&second)?)? * 0.5)?.log()? + &top)?;
    let gap = (&average - ((first + second)? * 0.5)?)?;
    mean_per_sample(&average.exp()?.mul(&gap)?.sum(1)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::{TargetKind, WeightedTarget};

    fn logits(values: &[[f64; 2]]) -> Tensor {
        Tensor::from_vec(values.concat(), (values.len(), 2), &Device::Cpu).unwrap()
    }

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.mean_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn pairs_keep_the_order_of_samples_and_split_again() {
        let batch = |values: [f32; 2]| Batch {
            classes: Some(vec![4, 5]),
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: Tensor::new(&values, &Device::Cpu).unwrap(),
            }],
            ..Batch::new(
                3,
                Tensor::from_slice(&values, (2, 1, 1, 1), &Device::Cpu).unwrap(),
                TargetKind::Images,
            )
        };
        let both = paired(&batch([1.0, 2.0]), &batch([3.0, 4.0])).unwrap();
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(flat(&both.images), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(flat(&both.targets[0].target), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(both.classes, Some(vec![4, 5, 4, 5]));
        let [first, second] = halves("t", &both.images).unwrap();
        assert_eq!(
            (flat(&first), flat(&second)),
            (vec![1.0, 2.0], vec![3.0, 4.0])
        );
        let odd = halves(
            "t",
            &Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap(),
        );
        assert!(odd.unwrap_err().to_string().contains("3 rows"));
    }

    /// p = (1/2, 1/2), q = (3/4, 1/4): KL(q ‖ p) = ¾ ln(3/2) + ¼ ln(1/2). At T = 2 the logits of q
    /// are halved, so that its shares are √3 : 1.
    #[test]
    fn divergence_by_hand() {
        let (even, odd) = (logits(&[[0.0, 0.0]]), logits(&[[3f64.ln(), 0.0]]));
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((scalar(&divergence(&even, &odd, 1.0).unwrap()) - expected).abs() < 1e-12);
        let share = 3f64.sqrt() / (3f64.sqrt() + 1.0);
        let expected = share * (2.0 * share).ln() + (1.0 - share) * (2.0 * (1.0 - share)).ln();
        assert!((scalar(&divergence(&even, &odd, 2.0).unwrap()) - expected).abs() < 1e-12);
    }

    /// p = (1/2, 1/2) and q = (3/4, 1/4) have the average m = (5/8, 3/8):
    /// `Σ m ln m − ½ Σ m (ln p + ln q)`.
    #[test]
    fn disagreement_by_hand_and_by_differences() {
        let (even, odd) = (logits(&[[0.0, 0.0]]), logits(&[[3f64.ln(), 0.0]]));
        let m = [0.625f64, 0.375];
        let own: f64 = m.iter().map(|m| m * m.ln()).sum();
        let cross =
            0.5 * (m[0] * (0.5f64.ln() + 0.75f64.ln()) + m[1] * (0.5f64.ln() + 0.25f64.ln()));
        let found = scalar(&disagreement(&even, &odd).unwrap());
        assert!((found - (own - cross)).abs() < 1e-12);
        let far = disagreement(&logits(&[[900.0, 0.0]]), &logits(&[[0.0, 900.0]])).unwrap();
        assert!(scalar(&far).is_finite());

        let variable = Var::from_tensor(&odd).unwrap();
        let at = |first: f64| {
            let moved = logits(&[[first, 0.0]]);
            scalar(&disagreement(&even, &moved).unwrap())
        };
        let value = disagreement(&even, &variable).unwrap().mean_all().unwrap();
        let gradient = value
            .backward()
            .unwrap()
            .get(&variable)
            .unwrap()
            .to_vec2::<f64>()
            .unwrap();
        let step = 1e-5;
        let expected = (at(3f64.ln() + step) - at(3f64.ln() - step)) / (2.0 * step);
        assert!(
            (gradient[0][0] - expected).abs() < 1e-9,
            "{gradient:?} {expected}"
        );
    }
}
