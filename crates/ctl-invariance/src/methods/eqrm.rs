//! Empirical quantile risk minimisation.

use candle_core::{DType, Tensor};
use ctl_metrics::normal_cdf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
};

/// Description of `eqrm`.
pub const INFO: MethodInfo = MethodInfo {
    id: "eqrm",
    name: "EQRM",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::ExchangeableEnvironments,
        Assumption::InvariantPredictor,
    ],
    paper: "Eastwood et al. 2022, Probable Domain Generalization via Quantile Risk Minimization",
    summary: "Minimises a high quantile of the distribution of the environments' risks.",
};

/// Width of the kernel that smooths the distribution of the risks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bandwidth {
    /// `1.06 s E^−0.2` with the standard deviation s of the E risks.
    GaussOptimal,
    /// `0.9 min(s, IQR/1.34) E^−0.2`; where the interquartile range is 0, s stands for it.
    Silverman,
}

/// Settings of `eqrm`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EqrmConfig {
    /// Probability α with which the risk of a new environment is to stay below what is minimised,
    /// between 0 and 1.
    pub quantile: f64,
    /// Width of the kernel.
    pub bandwidth: Bandwidth,
    /// Steps before the quantile sets in; the mean risk is minimised before.
    pub burn_in_steps: u64,
    /// Reset the optimiser when the quantile sets in.
    pub reset_optimiser: bool,
}

impl Default for EqrmConfig {
    /// The defaults of `DomainBed`.
    fn default() -> Self {
        Self {
            quantile: 0.75,
            bandwidth: Bandwidth::GaussOptimal,
            burn_in_steps: 2500,
            reset_optimiser: true,
        }
    }
}

impl MethodConfig for EqrmConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.quantile > 0.0 && self.quantile < 1.0;
        in_range(method, "quantile", &self.quantile, "between 0 and 1", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::uniform("quantile", 0.5, 0.99),
            SearchDimension::log_uniform_integer("burn_in_steps", 2.5, 3.5),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::objective(Eqrm { config: *self }))
    }
}

/// The α-quantile of the environments' risks under a Gaussian kernel density estimate: the q with
/// `mean_e Φ((q − R_e)/h) = α`.
///
/// Its derivative is exact and includes that of the bandwidth h: with `u_e = (q − R_e)/h` and the
/// normal density φ, `dq/dR_j = (φ(u_j) + dh/dR_j Σ_e φ(u_e) u_e) / Σ_e φ(u_e)`.
/// Where all risks are equal the quantile is the risk, and each environment counts the same.
///
/// # References
/// Eastwood et al. 2022, algorithm 1. Deviation: the optimiser is reset after the burn-in as in
/// `DomainBed`, and keeps its step size, which is lowered there.
pub struct Eqrm {
    /// Settings.
    pub config: EqrmConfig,
}

/// A quantile of the smoothed distribution of some risks, and its derivatives.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskQuantile {
    /// The quantile q.
    pub value: f64,
    /// Bandwidth h; 0 where all risks are equal.
    pub bandwidth: f64,
    /// `dh/dR_j`
    pub bandwidth_gradient: Vec<f64>,
    /// `dq/dR_j`, summing to 1.
    pub gradient: Vec<f64>,
}

impl RiskQuantile {
    /// The quantile of the risks at level `alpha`.
    ///
    /// # Arguments
    /// - `risks`: at least one.
    /// - `alpha`: between 0 and 1.
    ///
    /// # Examples
    /// The median of two risks lies between them:
    /// ```
    /// use ctl_invariance::methods::eqrm::{Bandwidth, RiskQuantile};
    ///
    /// let found = RiskQuantile::of(&[1.0, 3.0], 0.5, Bandwidth::GaussOptimal);
    /// assert!((found.value - 2.0).abs() < 1e-12);
    /// assert!((found.gradient[0] - 0.5).abs() < 1e-12);
    /// ```
    pub fn of(risks: &[f64], alpha: f64, kind: Bandwidth) -> Self {
        let (bandwidth, bandwidth_gradient) = bandwidth_of(risks, kind);
        let count = risks.len() as f64;
        if bandwidth <= 0.0 {
            return Self {
                value: risks.iter().sum::<f64>() / count,
                bandwidth: 0.0,
                bandwidth_gradient,
                gradient: vec![1.0 / count; risks.len()],
            };
        }
        let value = mixture_quantile(risks, bandwidth, alpha);
        let places: Vec<f64> = risks.iter().map(|r| (value - r) / bandwidth).collect();
        let densities: Vec<f64> = places.iter().map(|u| (-0.5 * u * u).exp()).collect();
        let sum: f64 = densities.iter().sum();
        let leverage: f64 = densities.iter().zip(&places).map(|(d, u)| d * u).sum();
        let slopes = densities.iter().zip(&bandwidth_gradient);
        Self {
            gradient: slopes.map(|(d, dh)| (d + dh * leverage) / sum).collect(),
            value,
            bandwidth,
            bandwidth_gradient,
        }
    }
}

/// Kernels end here, in bandwidths: the normal law has no mass beyond that a double would show.
const WIDEST: f64 = 40.0;

/// The q with `mean_e Φ((q − R_e)/h) = α`, by bisection to the last bit; not a number where a risk
/// is none.
pub(crate) fn mixture_quantile(risks: &[f64], bandwidth: f64, alpha: f64) -> f64 {
    let reach = WIDEST * bandwidth;
    let mut low = risks.iter().copied().fold(f64::INFINITY, f64::min) - reach;
    let mut high = risks.iter().copied().fold(f64::NEG_INFINITY, f64::max) + reach;
    loop {
        let middle = f64::midpoint(low, high);
        let is_between = low < middle && middle < high;
        if !is_between {
            return middle;
        }
        let below = risks.iter().map(|r| normal_cdf((middle - r) / bandwidth));
        if below.sum::<f64>() < alpha * risks.len() as f64 {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The bandwidth and its derivative with respect to every risk.
fn bandwidth_of(risks: &[f64], kind: Bandwidth) -> (f64, Vec<f64>) {
    let (spread, spread_gradient) = standard_deviation(risks);
    let (factor, scale, gradient) = match kind {
        Bandwidth::GaussOptimal => (1.06, spread, spread_gradient),
        Bandwidth::Silverman => {
            let (range, range_gradient) = interquartile_range(risks);
            let range = range / 1.34;
            if range > 0.0 && range < spread {
                let gradient = range_gradient.iter().map(|g| g / 1.34).collect();
                (0.9, range, gradient)
            } else {
                (0.9, spread, spread_gradient)
            }
        }
    };
    let factor = factor * (risks.len() as f64).powf(-0.2);
    (
        factor * scale,
        gradient.iter().map(|g| factor * g).collect(),
    )
}

/// Unbiased standard deviation, 0 for a single risk, and its derivative.
fn standard_deviation(risks: &[f64]) -> (f64, Vec<f64>) {
    let count = risks.len() as f64;
    let freedom = (count - 1.0).max(1.0);
    let mean = risks.iter().sum::<f64>() / count;
    let squares: f64 = risks.iter().map(|r| (r - mean).powi(2)).sum();
    let deviation = (squares / freedom).sqrt();
    let slope = |r: &f64| {
        if deviation > 0.0 {
            (r - mean) / (freedom * deviation)
        } else {
            0.0
        }
    };
    (deviation, risks.iter().map(slope).collect())
}

/// Distance of the quartiles, interpolated linearly between order statistics, and its derivative.
fn interquartile_range(risks: &[f64]) -> (f64, Vec<f64>) {
    let mut order: Vec<usize> = (0..risks.len()).collect();
    order.sort_by(|&a, &b| risks[a].total_cmp(&risks[b]));
    let mut gradient = vec![0.0; risks.len()];
    for (level, sign) in [(0.75, 1.0), (0.25, -1.0)] {
        let place = level * (risks.len() - 1) as f64;
        let (below, share) = (place.floor() as usize, place.fract());
        gradient[order[below]] += sign * (1.0 - share);
        if let Some(&above) = order.get(below + 1) {
            gradient[above] += sign * share;
        }
    }
    // The range is linear in the order statistics.
    (
        risks.iter().zip(&gradient).map(|(r, g)| r * g).sum(),
        gradient,
    )
}

impl Objective for Eqrm {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risks = step.risks()?;
        let risk = risks.mean_all()?;
        if step.number < self.config.burn_in_steps {
            return Ok(Value::new(risk.clone(), vec![("risk", risk)]));
        }
        let numbers = risks.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let found = RiskQuantile::of(&numbers, self.config.quantile, self.config.bandwidth);
        let weighted: f64 = numbers
            .iter()
            .zip(&found.gradient)
            .map(|(r, g)| r * g)
            .sum();
        let weights = Tensor::new(found.gradient, risks.device())?.to_dtype(risks.dtype())?;
        // Linear in the risks, with the value and the derivative of the quantile.
        let total = (risks.mul(&weights)?.sum_all()? + (found.value - weighted))?;
        let terms = vec![("risk", risk), ("risk-quantile", total.clone())];
        Ok(Value::new(total, terms))
    }

    fn resets_optimiser_before(&self, number: u64) -> bool {
        self.config.reset_optimiser && number > 0 && number == self.config.burn_in_steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate_at, scalar, tensor,
        values,
    };

    const KINDS: [Bandwidth; 2] = [Bandwidth::GaussOptimal, Bandwidth::Silverman];

    /// Half of the mass lies above the middle of a symmetric pair, and at α = Φ(1) a single kernel
    /// ends one bandwidth above its centre.
    #[test]
    fn quantiles_by_hand() {
        assert_near(mixture_quantile(&[2.0], 0.3, normal_cdf(1.0)), 2.3);
        for kind in KINDS {
            let found = RiskQuantile::of(&[1.0, 2.0, 3.0], 0.5, kind);
            assert_near(found.value, 2.0);
        }
        // s = 1, IQR = 1 below s.
        let scale = 3f64.powf(-0.2);
        let at = |kind| RiskQuantile::of(&[1.0, 2.0, 3.0], 0.5, kind).bandwidth;
        assert_near(at(Bandwidth::GaussOptimal), 1.06 * scale);
        assert_near(at(Bandwidth::Silverman), 0.9 / 1.34 * scale);
    }

    #[test]
    fn equal_risks_are_their_own_quantile() {
        for kind in KINDS {
            for risks in [vec![0.7], vec![0.7; 4]] {
                let found = RiskQuantile::of(&risks, 0.9, kind);
                assert_near(found.value, 0.7);
                assert_near(found.gradient.iter().sum(), 1.0);
            }
        }
        // Half of the risks are equal: the quartiles coincide, the standard deviation does not.
        let found = RiskQuantile::of(&[1.0, 1.0, 1.0, 1.0, 9.0], 0.75, Bandwidth::Silverman);
        // Mean 2.6, squares 4 · 1.6² + 6.4² = 51.2 over 4 degrees of freedom.
        assert_near(found.bandwidth, 0.9 * 12.8f64.sqrt() * 5f64.powf(-0.2));
    }

    /// The gradient in the risks, whichever part of the bandwidth is the smaller.
    #[test]
    fn derivatives_are_those_of_finite_differences() {
        let cases = [
            vec![0.3, 1.7],
            vec![0.2, 0.9, 0.5],
            vec![2.0, 0.1, 0.4, 0.6, 0.5],
            vec![1.0, 3.0, 1.1, 2.9],
        ];
        for (kind, risks) in KINDS
            .iter()
            .flat_map(|&k| cases.iter().map(move |c| (k, c)))
        {
            for alpha in [0.3, 0.75, 0.99] {
                let at = |j: usize, by: f64| {
                    let mut moved = risks.clone();
                    moved[j] += by;
                    RiskQuantile::of(&moved, alpha, kind).value
                };
                let found = RiskQuantile::of(risks, alpha, kind).gradient;
                assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                for (j, found) in found.into_iter().enumerate() {
                    let expected = (at(j, 1e-5) - at(j, -1e-5)) / 2e-5;
                    assert!((found - expected).abs() < 1e-8, "{kind:?} {risks:?} {j}");
                }
            }
        }
    }

    #[test]
    fn the_mean_is_minimised_before_and_the_quantile_after() {
        let environments = [
            classification(0, &[[0.0, 0.0]], &[0]),
            classification(1, &[[0.0, 1.0]], &[0]),
        ];
        let config = EqrmConfig {
            burn_in_steps: 3,
            ..EqrmConfig::default()
        };
        let mut eqrm = Eqrm { config };
        let (r0, r1) = (2f64.ln(), (1.0 + 1f64.exp()).ln());
        let quantile = RiskQuantile::of(&[r0, r1], 0.75, Bandwidth::GaussOptimal).value;
        for (step, expected) in [(2, f64::midpoint(r0, r1)), (3, quantile)] {
            assert_near(
                scalar(&evaluate_at(&mut eqrm, &environments, step).total),
                expected,
            );
            assert_eq!(eqrm.resets_optimiser_before(step), step == 3);
        }
    }

    #[test]
    fn the_gradient_reaches_the_outputs() {
        let logits = tensor(&values(14, 8), &[7, 2]);
        assert_gradient(&logits, |z| {
            let environments = environments_of((z, z), &[0, 1, 0, 1, 1, 0, 0], &[2, 2, 3]);
            let config = EqrmConfig::default();
            evaluate_at(&mut Eqrm { config }, &environments, 2500).total
        });
    }
}
