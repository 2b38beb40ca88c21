//! Random numbers, a stream for every step of every image.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Keeps the draws of steps apart from every other use of a seed.
const STEPS: &str = "ctl-imaging preprocess v1";

/// Keeps the places of patches apart.
const PATCHES: &str = "ctl-imaging patches v1";

/// Keeps the order of parts of studies apart.
const FEEDS: &str = "ctl-imaging feed v1";

/// The random numbers of one step.
///
/// Everything is written out so that no release of a library changes a draw.
pub(crate) struct Stream {
    rng: ChaCha8Rng,
}

impl Stream {
    /// The stream of number `step` of the steps for image `index` under a seed.
    pub(crate) fn new(seed: u64, index: u64, step: usize) -> Self {
        Self::keyed(STEPS, &[seed, index, step as u64])
    }

    /// The stream of the patches of image `index` under a seed.
    pub(crate) fn of_patches(seed: u64, index: u64) -> Self {
        Self::keyed(PATCHES, &[seed, index])
    }

    /// The stream of the order of a feed in an epoch.
    pub(crate) fn of_feed(seed: u64, epoch: u64) -> Self {
        Self::keyed(FEEDS, &[seed, epoch])
    }

    fn keyed(purpose: &'static str, parts: &[u64]) -> Self {
        let mut key = blake3::Hasher::new_derive_key(purpose);
        for part in parts {
            key.update(&part.to_le_bytes());
        }
        Self {
            rng: ChaCha8Rng::from_seed(*key.finalize().as_bytes()),
        }
    }

    /// A number on [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        const BITS: u32 = f64::MANTISSA_DIGITS;
        (self.rng.next_u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// A number between two others.
    pub(crate) fn between(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A number of at most this size, of either sign; exactly 0 for a size of 0.
    pub(crate) fn at_most(&mut self, size: f64) -> f64 {
        size * (2.0 * self.uniform() - 1.0)
    }

    /// A whole number below `count`, which is at least 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count - 1)
    }

    /// Puts things in random order (Durstenfeld 1964).
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.below(end + 1));
        }
    }

    /// Two independent standard normal numbers (Marsaglia & Bray 1964, the polar method).
    pub(crate) fn normals(&mut self) -> [f64; 2] {
        loop {
            let (x, y) = (self.at_most(1.0), self.at_most(1.0));
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                return [x * factor, y * factor];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(1, 2, 3);
        let normal: Vec<f64> = (0..20_000).flat_map(|_| stream.normals()).collect();
        let count = normal.len() as f64;
        let mean = normal.iter().sum::<f64>() / count;
        let variance = normal.iter().map(|v| v * v).sum::<f64>() / count;
        let fourth = normal.iter().map(|v| v.powi(4)).sum::<f64>() / count;
        // Five standard errors: √(1/n), √(2/n), √(96/n).
        assert!(mean.abs() < 0.025 && (variance - 1.0).abs() < 0.036);
        assert!((fourth - 3.0).abs() < 0.25, "{fourth}");
    }

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |seed, index, step| Stream::new(seed, index, step).uniform().to_bits();
        let draws = [
            first(1, 2, 3),
            first(2, 1, 3),
            first(1, 3, 2),
            first(0, 2, 3),
            first(1, 2, 4),
        ];
        let different: std::collections::BTreeSet<u64> = draws.into_iter().collect();
        assert_eq!(different.len(), draws.len());
        assert_eq!(first(1, 2, 3), draws[0]);
    }
}
