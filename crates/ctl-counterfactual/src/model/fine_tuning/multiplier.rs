//! The multiplier of a constraint on the bound of an image's log-probability.

use candle_core::Tensor;

use crate::Result;

/// `λ` of the constraint `F ≤ c`, with `F` the mechanism's loss, and how it moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Multiplier {
    pub(super) lambda: f64,
    /// `c`
    pub(super) limit: f64,
    /// `d`
    pub(super) damping: f64,
    /// What `λ` rises by for a unit of violation.
    pub(super) rate: f64,
}

impl Multiplier {
    /// `w = max(0, λ + d (F − c))`, by which the gradient of `F` counts.
    pub(super) fn weight(&self, bound: f64) -> f64 {
        (self.lambda + self.damping * (bound - self.limit)).max(0.0)
    }

    /// `A + (w² − λ²) / 2 d`, and without damping `A + λ (F − c)`, whose gradient is `∇A + w ∇F`.
    pub(super) fn lagrangian(&self, effectiveness: &Tensor, bound: &Tensor) -> Result<Tensor> {
        let found = number(bound)?;
        let weight = self.weight(found);
        let term = if self.damping > 0.0 {
            (weight.powi(2) - self.lambda.powi(2)) / (2.0 * self.damping)
        } else {
            self.lambda * (found - self.limit)
        };
        // `w F` has the gradient, and a constant beside it makes up the value.
        let term = bound.affine(weight, term - weight * found)?;
        Ok((effectiveness + term)?)
    }

    /// Gradient ascent on `λ`, which stays at least 0.
    pub(super) fn ascend(&mut self, bound: f64) {
        self.lambda = (self.lambda + self.rate * (bound - self.limit)).max(0.0);
    }
}

/// The number in a scalar tensor.
pub(super) fn number(scalar: &Tensor) -> Result<f64> {
    Ok(scalar
        .to_dtype(candle_core::DType::F64)?
        .to_scalar::<f64>()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use rstest::rstest;

    use super::*;

    const AT: Multiplier = Multiplier {
        lambda: 0.5,
        limit: 2.0,
        damping: 4.0,
        rate: 0.25,
    };

    /// With `λ = ½`, `c = 2`, `d = 4`: violated by 1 the weight is 4.5 and the value
    /// `A + ½ + 4 / 2`; kept by 1, more than `λ / d`, the bound has no say.
    #[rstest]
    #[case(3.0, 4.5, 2.5)]
    #[case(2.0, 0.5, 0.0)]
    #[case(1.0, 0.0, -0.03125)]
    fn values_and_weights_by_hand(#[case] bound: f64, #[case] weight: f64, #[case] term: f64) {
        let [a, f] = [7.0, bound].map(|value| Var::new(value, &Device::Cpu).unwrap());
        let lagrangian = AT.lagrangian(&a, &f).unwrap();
        assert!((number(&lagrangian).unwrap() - 7.0 - term).abs() < 1e-12);
        let gradients = lagrangian.backward().unwrap();
        let of = |var: &Var| gradients.get(var).map_or(0.0, |g| number(g).unwrap());
        assert!((of(&a) - 1.0).abs() < 1e-12 && (of(&f) - weight).abs() < 1e-12);
    }

    #[test]
    fn without_damping_the_weight_is_lambda() {
        let plain = Multiplier { damping: 0.0, ..AT };
        let [a, f] = [7.0, 1.0].map(|value| Var::new(value, &Device::Cpu).unwrap());
        let lagrangian = plain.lagrangian(&a, &f).unwrap();
        assert!((number(&lagrangian).unwrap() - 6.5).abs() < 1e-12);
    }

    /// Violated by 1 three times, then kept by 1 until nothing is left.
    #[test]
    fn lambda_rises_when_violated_and_never_falls_below_zero() {
        let mut multiplier = AT;
        let bounds = [3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let expected = [0.75, 1.0, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0];
        for (bound, expected) in bounds.into_iter().zip(expected) {
            multiplier.ascend(bound);
            let gap: f64 = multiplier.lambda - expected;
            assert!(gap.abs() < 1e-12, "{multiplier:?} for {expected}");
        }
    }
}
