//! The order in which the published pipeline breaks ties between pixels of the medial axis.
//!
//! Where two pixels are equally far from the edge, the published skeleton depends on a permutation
//! that `NumPy` draws from its generator PCG64 with the seed 42. It is a constant of the method and
//! no source of randomness of a cohort; with any other order the measured lengths would differ.

/// State and increment of PCG64 after `NumPy` has spread the seed 42 over them.
const STATE: u128 = 274_674_114_334_540_486_603_088_602_300_644_985_544;
const INCREMENT: u128 = 332_724_090_758_049_132_448_979_897_138_935_081_983;
/// Multiplier of the 128-bit linear congruential generator.
const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// The permutation of `0..count`.
pub(super) fn permutation(count: usize) -> Vec<u32> {
    let mut generator = Generator {
        state: STATE,
        half: None,
    };
    let mut order: Vec<u32> = (0..count as u32).collect();
    for last in (1..count).rev() {
        let other = generator.at_most(last as u32);
        order.swap(last, other as usize);
    }
    order
}

/// PCG-XSL-RR 128/64, halves of its words used one after the other.
///
/// # References
/// O'Neill (2014), "PCG: a family of simple fast space-efficient statistically good algorithms for
/// random number generation", section 6.3.
struct Generator {
    state: u128,
    half: Option<u32>,
}

impl Generator {
    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    fn half_word(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let word = self.word();
        self.half = Some((word >> 32) as u32);
        word as u32
    }

    /// Uniform on `0..=limit`: numbers of as many bits, refused where they are too large.
    fn at_most(&mut self, limit: u32) -> u32 {
        let mask = u32::MAX >> limit.leading_zeros();
        loop {
            let drawn = self.half_word() & mask;
            if drawn <= limit {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::permutation;

    /// From `numpy.random.default_rng(42).permutation(n)`: all of n = 10, and for n = 30000 the
    /// first five and the sum of `position * value` over the first thousand.
    #[test]
    fn the_permutation_is_that_of_numpy() {
        assert_eq!(permutation(10), [5, 6, 0, 7, 3, 2, 4, 9, 1, 8]);
        let long = permutation(30_000);
        let weighted = (0..1000)
            .map(|i| i as u64 * u64::from(long[i]))
            .sum::<u64>();
        assert_eq!((&long[..5], weighted), (&NUMPY_FIRST[..], NUMPY_WEIGHTED));
    }

    const NUMPY_FIRST: [u32; 5] = [11_911, 4_216, 13_135, 29_056, 17_311];
    const NUMPY_WEIGHTED: u64 = 7_519_023_789;
}
