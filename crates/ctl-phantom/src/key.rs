//! One independent random stream for every use of randomness.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Separates these streams from those of other simulators and of later versions of this one.
const DOMAIN: &[u8] = b"ctl-phantom/body/1";

/// Whose randomness it is: a patient of a site under a master seed.
///
/// A stream's key is the hash of master seed, site name, index within the site, attempt and
/// purpose, so that adding a purpose, a site or further patients leaves every other stream as it
/// was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) seed: u64,
    pub(crate) site: &'a str,
    pub(crate) index: usize,
    /// How many candidates for this place were not selected before.
    pub(crate) attempt: u32,
}

impl Key<'_> {
    /// The generator that serves one purpose.
    pub(crate) fn stream(&self, purpose: &str) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&(self.index as u64).to_le_bytes());
        hasher.update(&self.attempt.to_le_bytes());
        // Lengths first: no two pairs of names may run together into the same bytes.
        for text in [self.site, purpose] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }

    /// One draw of a standard normal variable.
    pub(crate) fn normal(&self, purpose: &str) -> f64 {
        StandardNormal.sample(&mut self.stream(purpose))
    }

    /// One draw of a variable that is uniform on `[0, 1)`.
    pub(crate) fn uniform(&self, purpose: &str) -> f64 {
        self.stream(purpose).random()
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn every_part_of_the_key_matters() {
        let base = Key {
            seed: 1,
            site: "site-a",
            index: 0,
            attempt: 0,
        };
        let reference = base.uniform("age").to_bits();
        assert_eq!(reference, base.uniform("age").to_bits());
        let others = [
            base.uniform("sex"),
            Key { seed: 2, ..base }.uniform("age"),
            Key { index: 1, ..base }.uniform("age"),
            Key { attempt: 1, ..base }.uniform("age"),
            Key {
                site: "site-b",
                ..base
            }
            .uniform("age"),
        ];
        assert!(others.iter().all(|&other| other.to_bits() != reference));
        let joined = |site, purpose| Key { site, ..base }.uniform(purpose).to_bits();
        assert_ne!(joined("ab", "c"), joined("a", "bc"));
    }
}
