//! SAND-mask: a smooth AND-mask that also asks for gradients of one size.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradient_rule::AllGradients;
use crate::gradients::sand_mask;
use crate::{
    Assumption, BuildContext, ConfigError, Family, GradientRule, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, Ruled, SearchDimension, Status, Trial, in_range,
};

/// Description of `sand-mask`.
pub const INFO: MethodInfo = MethodInfo {
    id: "sand-mask",
    name: "SAND-mask",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Shahtalebi, Gagnon-Audet, Laleh, Faramarzi, Ahuja & Rish 2021, SAND-mask: An Enhanced Gradient Masking Strategy for the Discovery of Invariances in Domain Generalization",
    summary: "Weakens the mean gradient where the environments' gradients differ in sign or in size.",
};

/// Settings of `sand-mask`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandMaskConfig {
    /// Absolute mean of the gradients' signs below which nothing is followed, from 0 to 1.
    pub tau: f64,
    /// Steepness of the mask, positive.
    pub k: f64,
}

impl Default for SandMaskConfig {
    /// The defaults of `DomainBed`, but for `tau`: at its 1 no gradient would ever be followed.
    fn default() -> Self {
        Self { tau: 0.5, k: 10.0 }
    }
}

impl MethodConfig for SandMaskConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let tau = (0.0..=1.0).contains(&self.tau);
        in_range(method, "tau", &self.tau, "from 0 to 1", tau)?;
        let k = self.k.is_finite() && self.k > 0.0;
        in_range(method, "k", &self.k, "positive and finite", k)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::uniform("tau", 0.0, 1.0),
            SearchDimension::log_uniform("k", -3.0, 5.0),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::rule(SandMask { config: *self }))
    }
}

/// The mean gradient times `max(0, tanh(k / Var_e(g) · (|mean_e sign g_e| − τ)))`, see
/// [`sand_mask`].
///
/// # References
/// Shahtalebi et al. 2021, equation 5.
pub struct SandMask {
    config: SandMaskConfig,
}

impl GradientRule for SandMask {
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled> {
        let found = AllGradients::of(trial)?;
        let masked = sand_mask(&found.gradients, self.config.tau, self.config.k)?;
        Ok(found.ruled(masked.gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Update;
    use crate::methods::testing::Lines;

    /// Slopes (1, 2) and (3, −4): unbiased variances 2 and 18, agreement 1 and 0.
    #[test]
    fn differing_sizes_weaken_and_differing_signs_stop() {
        let mut lines = Lines::new(&[[1.0, 2.0], [3.0, -4.0]]);
        let config = SandMaskConfig { tau: 0.5, k: 1.0 };
        let ruled = SandMask { config }.update(&mut lines).unwrap();
        let Update::Gradient(gradient) = ruled.update else {
            panic!("a gradient");
        };
        let gradient = gradient[0].to_vec1::<f32>().unwrap();
        // The mask is tanh(0.25) on the first entry alone; the mean over entries divides it out.
        assert!((gradient[0] - 4.0).abs() < 1e-5, "{gradient:?}");
        assert!(gradient[1].abs() < 1e-12, "{gradient:?}");
    }
}
