//! The gamma distribution of whole shape, whose distribution function is elementary.

/// Halvings and Newton steps after which a quantile is as exact as it gets.
const MAX_STEPS: usize = 200;
/// Relative step at which a quantile has converged.
const TOLERANCE: f64 = 1e-15;
/// Beyond this argument the upper tail underflows for every shape used here.
const FAR: f64 = 1000.0;

/// `Gamma(shape, rate)` with a whole shape of at least 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Erlang {
    pub(super) shape: u32,
    pub(super) rate: f64,
}

impl Erlang {
    /// `ln p(x)`; negative infinity for `x ≤ 0`, where the shapes above 1 have no density.
    pub(super) fn log_density(self, x: f64) -> f64 {
        if x <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let shape = f64::from(self.shape);
        shape * self.rate.ln() + (shape - 1.0) * x.ln()
            - self.rate * x
            - log_factorial(self.shape - 1)
    }

    /// `P(X ≤ x)`; not a number for negative `x`, which no draw gives.
    pub(super) fn distribution(self, x: f64) -> f64 {
        if x < 0.0 {
            return f64::NAN;
        }
        self.tails(self.rate * x)[0]
    }

    /// The `x` with `P(X ≤ x) = p`, for `p` in `[0, 1)`.
    pub(super) fn quantile(self, p: f64) -> f64 {
        if p <= 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, FAR);
        let mut y = f64::from(self.shape);
        for _ in 0..MAX_STEPS {
            let [below, above] = self.tails(y);
            // The difference is taken in the smaller tail, which has the more exact digits.
            let excess = if p < 0.5 {
                below - p
            } else {
                (1.0 - p) - above
            };
            if excess > 0.0 {
                high = y;
            } else {
                low = y;
            }
            let newton = y - excess / self.unit_density(y);
            let inside = low < newton && newton < high;
            let next = if inside {
                newton
            } else {
                f64::midpoint(low, high)
            };
            if (next - y).abs() <= TOLERANCE * y {
                break;
            }
            y = next;
        }
        y / self.rate
    }

    /// Density at rate 1.
    fn unit_density(self, y: f64) -> f64 {
        ((f64::from(self.shape) - 1.0) * y.ln() - y - log_factorial(self.shape - 1)).exp()
    }

    /// `P(Y ≤ y)` and `P(Y > y)` at rate 1.
    ///
    /// `P(Y > y)` is the probability of fewer than `shape` events of a Poisson process of mean `y`.
    /// Whichever is the smaller is summed from positive terms; the other is its complement.
    fn tails(self, y: f64) -> [f64; 2] {
        let mut term = (-y).exp();
        let mut above = 0.0;
        for count in 1..=self.shape {
            above += term;
            term *= y / f64::from(count);
        }
        if above < 0.5 {
            return [1.0 - above, above];
        }
        let mut below = 0.0;
        let mut count = f64::from(self.shape);
        while term > below * f64::EPSILON * f64::EPSILON {
            below += term;
            count += 1.0;
            term *= y / count;
        }
        [below, 1.0 - below]
    }
}

fn log_factorial(n: u32) -> f64 {
    (2..=n).map(|i| f64::from(i).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::Erlang;
    use proptest::prelude::*;

    const GAMMA: Erlang = Erlang {
        shape: 10,
        rate: 5.0,
    };

    /// From `scipy.stats.gamma(10, scale=0.2)`: x, `logpdf(x)`, `cdf(x)`.
    #[test]
    fn density_and_distribution_are_those_of_scipy() {
        for (x, log_density, distribution) in SCIPY {
            assert!((GAMMA.log_density(x) - log_density).abs() < 1e-12, "{x}");
            let relative = GAMMA.distribution(x) / distribution - 1.0;
            assert!(relative.abs() < 1e-12, "{x}: {relative}");
            let back = GAMMA.quantile(distribution);
            assert!((back / x - 1.0).abs() < 1e-9, "{x}: {back}");
        }
    }

    const SCIPY: [(f64, f64, f64); 4] = [
        (0.3, -9.043_203_594_673_89, 4.097_500_976_394_839e-6),
        (1.2, -1.066_554_344_594_874_6, 0.083_924_016_994_875_76),
        (2.0, -0.469_123_730_700_954_8, 0.542_070_285_528_147_8),
        (4.7, -6.279_385_777_296_349, 0.999_413_406_362_652_5),
    ];

    #[test]
    fn nothing_lies_below_zero() {
        assert_eq!(GAMMA.quantile(0.0).to_bits(), 0.0_f64.to_bits());
        assert!(GAMMA.log_density(0.0) < f64::MIN);
        assert!(GAMMA.distribution(-1e-9).is_nan());
    }

    proptest! {
        #[test]
        fn quantile_and_distribution_are_inverse(p in 0.0..1.0_f64) {
            let x = GAMMA.quantile(p);
            prop_assert!((GAMMA.distribution(x) - p).abs() < 1e-14);
        }
    }
}
