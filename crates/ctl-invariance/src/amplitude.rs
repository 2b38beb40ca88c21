//! Amplitudes of Fourier transforms, exchanged between images whose phases stay.

use ctl_compute::ops::fourier::{Complex, fft2_centred, ifft2_centred};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::pairs::paired;
use crate::pixels::Pictures;
use crate::{Augmentation, Batch, Result};

/// `|F x| ← (1 − share) |F x| + share |F d|` at the frequencies that are at most `reach` from 0
/// along both axes; the phase of `x` stays everywhere.
///
/// # Arguments
/// - `plane`, `donor`: `x` and `d`, `[H, W]` each.
pub(crate) fn mix_amplitude(
    plane: &mut [f32],
    donor: &[f32],
    [height, width]: [usize; 2],
    (reach, share): (usize, f64),
) -> Result<()> {
    let transform = |values: &[f32]| -> Result<Vec<Complex<f32>>> {
        let mut values: Vec<_> = values.iter().map(|&v| Complex::new(v, 0.0)).collect();
        fft2_centred(&mut values, height, width)?;
        Ok(values)
    };
    let (mut own, other) = (transform(plane)?, transform(donor)?);
    let share = share as f32;
    for (index, (value, donor)) in own.iter_mut().zip(&other).enumerate() {
        let far = |place: usize, side: usize| place.abs_diff(side / 2) > reach;
        if far(index / width, height) || far(index % width, width) {
            continue;
        }
        let amplitude = value.norm();
        let mixed = (1.0 - share) * amplitude + share * donor.norm();
        // Where nothing has a phase it is taken to be 0.
        *value = if amplitude > 0.0 {
            *value * (mixed / amplitude)
        } else {
            Complex::new(mixed, 0.0)
        };
    }
    ifft2_centred(&mut own, height, width)?;
    // Amplitudes of real images are even, so that the result is real but for rounding.
    for (pixel, value) in plane.iter_mut().zip(own) {
        *pixel = value.re;
    }
    Ok(())
}

/// Whose amplitude an image takes on, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loan {
    /// Index of the donor's batch.
    pub(crate) batch: usize,
    /// Its row there.
    pub(crate) row: usize,
    /// Share of the donor's amplitude, in [0, 1].
    pub(crate) share: f64,
}

/// The pictures of batch `own` with the amplitudes of one donor for each row: images take those of
/// the donor's image, image targets those of its target, or of its image where it has none.
pub(crate) fn with_loans(
    all: &[Pictures],
    own: usize,
    loans: &[Loan],
    reach: usize,
) -> Result<Pictures> {
    let mut pictures = all[own].clone();
    let [_, height, width] = pictures.images.shape();
    for (index, part) in pictures.parts_mut().enumerate() {
        for (row, loan) in loans.iter().enumerate() {
            let donors = &all[loan.batch];
            let donor = donors.parts().nth(index).unwrap_or(&donors.images);
            let planes = part.row_mut(row).chunks_exact_mut(height * width);
            let donor = donor.row(loan.row).chunks_exact(height * width);
            for (plane, donor) in planes.zip(donor) {
                mix_amplitude(plane, donor, [height, width], (reach, loan.share))?;
            }
        }
    }
    Ok(pictures)
}

/// Every labelled sample twice: as it is, and with an amplitude that is mixed with that of another
/// image of the sources, `(1 − λ) |F x| + λ |F x′|` with `λ ~ U(0, eta)`.
///
/// # References
/// Xu et al. 2021, "A Fourier-based Framework for Domain Generalization", equation 4 (amplitude
/// mix). Deviation: pixels that leave [0, 1] are cut off.
pub struct AmplitudePairs {
    /// Largest share of the other amplitude, above 0, at most 1.
    pub eta: f64,
}

impl Augmentation for AmplitudePairs {
    fn apply(&self, batches: Vec<Batch>, rng: &mut ChaCha8Rng) -> Result<Vec<Batch>> {
        let pictures = batches.iter().map(Pictures::of);
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        let labelled = batches.iter().enumerate().filter(|(_, b)| b.is_labelled());
        let donors: Vec<(usize, usize)> = labelled
            .flat_map(|(batch, _)| (0..pictures[batch].images.count()).map(move |row| (batch, row)))
            .collect();
        let mut pairs = Vec::with_capacity(batches.len());
        for (index, batch) in batches.into_iter().enumerate() {
            if !batch.is_labelled() {
                pairs.push(batch);
                continue;
            }
            let mut loan = || {
                let (batch, row) = donors[rng.random_range(0..donors.len())];
                let share = self.eta * rng.random::<f64>();
                Loan { batch, row, share }
            };
            let loans: Vec<Loan> = (0..pictures[index].images.count())
                .map(|_| loan())
                .collect();
            let mixed = with_loans(&pictures, index, &loans, usize::MAX)?;
            pairs.push(paired(&batch, &mixed.put_into(&batch)?)?);
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};
    use ctl_compute::random::stream;

    use super::*;
    use crate::{TargetKind, WeightedTarget};

    /// On one row of two pixels the transform of (a, b) is (a + b, a − b) / √2. (0.75, 0.25) and
    /// (0, 0.5) have amplitudes √2·(½, ¼) and √2·(¼, ¼); the phases of the first are 0.
    #[test]
    fn amplitudes_by_hand() {
        let mix = |reach, share| {
            let mut plane = [0.75f32, 0.25];
            mix_amplitude(&mut plane, &[0.0, 0.5], [1, 2], (reach, share)).unwrap();
            plane
        };
        let near = |found: [f32; 2], expected: [f32; 2]| {
            let far = found
                .iter()
                .zip(expected)
                .any(|(a, b)| (a - b).abs() > 1e-6);
            assert!(!far, "{found:?} is not near {expected:?}");
        };
        near(mix(usize::MAX, 0.0), [0.75, 0.25]);
        near(mix(usize::MAX, 1.0), [0.5, 0.0]);
        // Only the mean, (1 − ½)·½ + ½·¼ = 3/8, moves.
        near(mix(0, 0.5), [0.625, 0.125]);
    }

    /// An odd and an even side: the whole amplitude of the donor at the phase of the image, against
    /// the transform written out as a sum.
    #[test]
    fn agrees_with_the_sum_that_defines_the_transform() {
        let size = [3usize, 4];
        let image: Vec<f32> = (0u8..12).map(|i| f32::from(i * i % 7) / 7.0).collect();
        let donor: Vec<f32> = (0u8..12)
            .map(|i| f32::from((3 * i + 1) % 5) / 5.0)
            .collect();
        let transform = |values: &[Complex<f64>], sign: f64| -> Vec<Complex<f64>> {
            let turn = |k: usize, n: usize, side: usize| (k * n) as f64 / side as f64;
            let sum = |k: usize| {
                let terms = values.iter().enumerate().map(|(n, value)| {
                    let angle = turn(k / 4, n / 4, size[0]) + turn(k % 4, n % 4, size[1]);
                    value * Complex::from_polar(1.0, sign * std::f64::consts::TAU * angle)
                });
                terms.sum()
            };
            (0..12).map(sum).collect()
        };
        let complex = |values: &[f32]| -> Vec<Complex<f64>> {
            values
                .iter()
                .map(|&v| Complex::new(f64::from(v), 0.0))
                .collect()
        };
        let (own, other) = (
            transform(&complex(&image), -1.0),
            transform(&complex(&donor), -1.0),
        );
        let mixed: Vec<_> = own
            .iter()
            .zip(&other)
            .map(|(a, b)| Complex::from_polar(0.75 * a.norm() + 0.25 * b.norm(), a.arg()))
            .collect();
        let expected = transform(&mixed, 1.0);
        let mut found = image;
        mix_amplitude(&mut found, &donor, size, (usize::MAX, 0.25)).unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!(expected.im.abs() < 1e-9);
            assert!((f64::from(*found) - expected.re / 12.0).abs() < 1e-5);
        }
    }

    /// Flat images are their means: with the target of a donor twice as bright as its image, the
    /// target of a mixture moves by twice as much.
    #[test]
    fn targets_that_are_images_take_the_amplitude_of_targets() {
        let flat = |value: f32| Tensor::full(value, (1, 1, 4, 4), &Device::Cpu).unwrap();
        let batch = |environment, value: f32| Batch {
            targets: vec![WeightedTarget {
                weight: 1.0,
                target: flat(2.0 * value),
            }],
            ..Batch::new(environment, flat(value), TargetKind::Images)
        };
        let unlabelled = Batch::new(2, flat(0.9), TargetKind::Images);
        let batches = vec![batch(0, 0.1), batch(1, 0.3), unlabelled];
        let rng = &mut stream(1, "t", "pairs");
        let pairs = AmplitudePairs { eta: 1.0 }.apply(batches, rng).unwrap();
        let first = |tensor: &Tensor, row: usize| {
            let flat = tensor.to_dtype(DType::F64).unwrap();
            flat.get(row)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f64>()
                .unwrap()[0]
        };
        let mut moved = false;
        for pair in &pairs[..2] {
            assert_eq!(pair.images.dim(0).unwrap(), 2);
            let [plain, mixed] = [0, 1].map(|row| first(&pair.images, row));
            let [truth, other] = [0, 1].map(|row| first(&pair.targets[0].target, row));
            assert!((truth - 2.0 * plain).abs() < 1e-6 && (other - 2.0 * mixed).abs() < 1e-6);
            assert!((0.1 - 1e-6..0.3 + 1e-6).contains(&mixed), "{mixed}");
            moved |= (mixed - plain).abs() > 1e-3;
        }
        assert!(moved);
        assert_eq!(pairs[2].images.dim(0).unwrap(), 1);
    }
}
