//! Random streams and shuffles of the digit cohorts.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::DigitKind;

/// Separates these streams from those of other simulators and of later versions of this one.
const CONTEXT: &str = "ctl-phantom digits 1";

/// The stream of one purpose and digit: the same whatever the others are drawn for.
pub(super) fn stream(seed: u64, kind: DigitKind, digit: usize, purpose: &str) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(digit as u64).to_le_bytes());
    for part in [kind.name(), purpose] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// The numbers below `count` in an order that the seed and the kind of cohort decide.
pub(super) fn shuffled(seed: u64, kind: DigitKind, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut stream(seed, kind, count, "shuffle"));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn every_part_of_the_key_matters() {
        let first = |seed, kind, digit, purpose| stream(seed, kind, digit, purpose).next_u64();
        let reference = first(1, DigitKind::Morpho, 2, "thickness");
        assert_eq!(reference, first(1, DigitKind::Morpho, 2, "thickness"));
        assert_ne!(reference, first(2, DigitKind::Morpho, 2, "thickness"));
        assert_ne!(reference, first(1, DigitKind::Rotated, 2, "thickness"));
        assert_ne!(reference, first(1, DigitKind::Morpho, 3, "thickness"));
        assert_ne!(reference, first(1, DigitKind::Morpho, 2, "intensity"));
    }

    #[test]
    fn a_shuffle_is_a_permutation_of_the_seed() {
        let order = shuffled(5, DigitKind::Rotated, 1000);
        assert_eq!(order, shuffled(5, DigitKind::Rotated, 1000));
        assert_ne!(order, shuffled(6, DigitKind::Rotated, 1000));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        // A shuffle that moves only a few numbers would leave most in their half.
        let stayed = order[..500].iter().filter(|&&row| row < 500).count();
        assert!((200..300).contains(&stayed), "{stayed}");
    }
}
