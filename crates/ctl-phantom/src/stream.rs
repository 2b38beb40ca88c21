//! One independent random stream for every use of randomness.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Separates these streams from those of other simulators and of later versions of this one.
const DOMAIN: &[u8] = b"ctl-phantom/chest/1";

/// The random streams of one simulated patient.
///
/// A stream's key is the hash of master seed, site name, index within the site and purpose.
/// Adding a purpose, a site or further patients therefore leaves every other stream as it was.
#[derive(Clone, Copy)]
pub(crate) struct Streams<'a> {
    pub(crate) seed: u64,
    pub(crate) site: &'a str,
    pub(crate) index: usize,
}

impl Streams<'_> {
    /// The generator that serves one purpose.
    pub(crate) fn of(&self, purpose: &str) -> ChaCha8Rng {
        let mut hasher = blake3::Hasher::new();
        hasher.update(DOMAIN);
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&(self.index as u64).to_le_bytes());
        // Lengths first: no two pairs of names may run together into the same bytes.
        for text in [self.site, purpose] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Streams;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn every_part_of_the_key_matters() {
        let base = Streams {
            seed: 1,
            site: "site-a",
            index: 0,
        };
        let first = |streams: Streams<'_>, purpose: &str| streams.of(purpose).next_u64();
        let reference = first(base, "age");
        assert_eq!(reference, first(base, "age"));
        assert_ne!(reference, first(base, "sex"));
        assert_ne!(reference, first(Streams { seed: 2, ..base }, "age"));
        assert_ne!(
            reference,
            first(
                Streams {
                    site: "site-b",
                    ..base
                },
                "age"
            )
        );
        assert_ne!(reference, first(Streams { index: 1, ..base }, "age"));
        assert_ne!(
            first(Streams { site: "ab", ..base }, "c"),
            first(Streams { site: "a", ..base }, "bc")
        );
    }
}
