//! Seeded resampling with replacement, by sample or by patient.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{MetricError, validate};

/// Draws bootstrap resamples from a `ChaCha` stream; an iterator of index lists.
///
/// The same seed and stream give the same resamples on every machine; different streams of one
/// seed are independent.
///
/// # Examples
///
/// ```
/// use ctl_metrics::interval::Resampler;
///
/// let patients = ["ann", "ann", "bob", "cid"];
/// let resamples: Vec<_> = Resampler::clusters(&patients, 200, 7, 0)?.collect();
/// assert_eq!(resamples.len(), 200);
/// // Both images of a patient are drawn together, each as often as the other.
/// for rows in &resamples {
///     let times = |row| rows.iter().filter(|&&drawn| drawn == row).count();
///     assert_eq!(times(0), times(1));
/// }
/// # Ok::<(), ctl_metrics::MetricError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Resampler {
    blocks: Vec<Vec<usize>>,
    remaining: usize,
    rng: ChaCha8Rng,
}

impl Resampler {
    /// Resamples single samples: each resample holds `samples` indices drawn independently.
    ///
    /// # Arguments
    /// - `samples`: number of samples, at least 1.
    /// - `resamples`: how many index lists the iterator yields.
    /// - `seed`, `stream`: which random numbers are used.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without samples.
    pub fn samples(
        samples: usize,
        resamples: usize,
        seed: u64,
        stream: u64,
    ) -> Result<Self, MetricError> {
        let blocks = (0..samples).map(|index| vec![index]).collect();
        Self::new(blocks, resamples, seed, stream)
    }

    /// Resamples whole clusters: as many clusters as there are, each with all of its samples.
    ///
    /// Images of one patient are not independent; an interval that treats them so is too narrow.
    /// A resample's size varies with the clusters that are drawn.
    ///
    /// # Arguments
    /// - `clusters`: `[N]`, the patient of each sample; samples of a patient need not be adjacent.
    /// - `resamples`: how many index lists the iterator yields.
    /// - `seed`, `stream`: which random numbers are used.
    ///
    /// # Errors
    /// [`MetricError::Empty`] without samples.
    ///
    /// # References
    /// Davison & Hinkley, "Bootstrap methods and their application", 1997, section 3.8.
    pub fn clusters<C: Ord>(
        clusters: &[C],
        resamples: usize,
        seed: u64,
        stream: u64,
    ) -> Result<Self, MetricError> {
        let mut members: BTreeMap<&C, Vec<usize>> = BTreeMap::new();
        for (index, cluster) in clusters.iter().enumerate() {
            members.entry(cluster).or_default().push(index);
        }
        Self::new(members.into_values().collect(), resamples, seed, stream)
    }

    fn new(
        blocks: Vec<Vec<usize>>,
        remaining: usize,
        seed: u64,
        stream: u64,
    ) -> Result<Self, MetricError> {
        validate::non_empty("samples", blocks.len())?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Ok(Self {
            blocks,
            remaining,
            rng,
        })
    }
}

impl Iterator for Resampler {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let mut rows = Vec::with_capacity(self.blocks.len());
        for _ in 0..self.blocks.len() {
            let drawn = self.rng.random_range(0..self.blocks.len());
            rows.extend_from_slice(&self.blocks[drawn]);
        }
        Some(rows)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Resampler {}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64, stream: u64) -> Vec<Vec<usize>> {
        Resampler::samples(6, 4, seed, stream).unwrap().collect()
    }

    #[test]
    fn streams_and_seeds_are_distinct_and_repeatable() {
        assert_eq!(drawn(1, 0), drawn(1, 0));
        assert_ne!(drawn(1, 0), drawn(2, 0));
        assert_ne!(drawn(1, 0), drawn(1, 1));
    }

    #[test]
    fn clusters_follow_their_order_not_their_place() {
        let apart: Vec<_> = Resampler::clusters(&[2, 1, 2], 5, 3, 0).unwrap().collect();
        for rows in apart {
            assert!(matches!(
                rows.as_slice(),
                [1, 1] | [1, 0, 2] | [0, 2, 1] | [0, 2, 0, 2]
            ));
        }
    }

    #[test]
    fn length_is_known_and_emptiness_refused() {
        assert_eq!(Resampler::samples(3, 9, 0, 0).unwrap().len(), 9);
        assert!(Resampler::samples(0, 9, 0, 0).is_err());
        assert!(Resampler::clusters::<u8>(&[], 9, 0, 0).is_err());
    }
}
