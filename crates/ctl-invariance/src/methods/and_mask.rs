//! AND-mask: only what all environments agree on is learnt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gradient_rule::AllGradients;
use crate::gradients::and_mask;
use crate::{
    Assumption, BuildContext, ConfigError, Family, GradientRule, MethodConfig, MethodInfo,
    MethodParts, Needs, Result, Role, Ruled, SearchDimension, Status, Trial, in_range,
};

/// Description of `and-mask`.
pub const INFO: MethodInfo = MethodInfo {
    id: "and-mask",
    name: "AND-mask",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Parascandolo, Neitz, Orvieto, Gresele & Schölkopf 2021, Learning Explanations that are Hard to Vary",
    summary: "Follows the mean gradient only in the weights on whose sign the environments agree.",
};

/// Settings of `and-mask`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AndMaskConfig {
    /// Least absolute mean of the gradients' signs, from 0 to 1; 1 asks for all environments.
    pub tau: f64,
}

impl Default for AndMaskConfig {
    /// The default of `DomainBed`.
    fn default() -> Self {
        Self { tau: 1.0 }
    }
}

impl MethodConfig for AndMaskConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = (0.0..=1.0).contains(&self.tau);
        in_range(method, "tau", &self.tau, "from 0 to 1", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::uniform("tau", 0.5, 1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::rule(AndMask { config: *self }))
    }
}

/// The mean gradient where `|mean_e sign g_e| ≥ τ`, 0 elsewhere, see [`and_mask`].
///
/// # References
/// Parascandolo et al. 2021, section 4; each tensor of weights is divided by the share of its
/// entries that is left, as in the authors' program.
pub struct AndMask {
    config: AndMaskConfig,
}

impl GradientRule for AndMask {
    fn update(&mut self, trial: &mut dyn Trial) -> Result<Ruled> {
        let found = AllGradients::of(trial)?;
        let masked = and_mask(&found.gradients, self.config.tau)?;
        Ok(found.ruled(masked.gradient))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Update;
    use crate::methods::testing::Lines;

    /// Slopes (1, 2) and (3, −4): the first entry keeps its mean, over half of the entries.
    #[test]
    fn only_agreed_entries_move() {
        let mut lines = Lines::new(&[[1.0, 2.0], [3.0, -4.0]]);
        let config = AndMaskConfig::default();
        let ruled = AndMask { config }.update(&mut lines).unwrap();
        let Update::Gradient(gradient) = ruled.update else {
            panic!("a gradient");
        };
        let gradient = gradient[0].to_vec1::<f32>().unwrap();
        assert!((gradient[0] - 4.0).abs() < 1e-5 && gradient[1].abs() < 1e-12);
        assert_eq!(ruled.terms, [("risk", 0.0)]);
    }
}
