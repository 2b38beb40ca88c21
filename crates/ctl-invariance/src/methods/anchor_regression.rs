//! Anchor regression on the features of a trained network.

use ctl_nets::{Network, NetworkSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refit::{Refitted, Seen, install};
use crate::select::{AnchorOptions, Rows, anchor_head, environment_anchors};
use crate::{
    AdaptedFor, Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, NetworkAdaptation, Result, Role, SearchDimension, Site, Status, in_range,
};

/// Description of `anchor-regression`.
pub const INFO: MethodInfo = MethodInfo {
    id: "anchor-regression",
    name: "Anchor regression",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::TargetExtrapolatesSources,
    ],
    paper: "Rothenhäusler, Meinshausen, Bühlmann & Peters 2021, Anchor regression: heterogeneous data meet causality",
    summary: "Refits the last layer so that residuals do not follow the environments, which bounds the loss under shifts in their direction.",
};

/// Settings of `anchor-regression`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnchorRegressionConfig {
    /// How much residuals along the environments weigh, not negative; 1 is least squares.
    pub gamma: f64,
    /// Share of the features' mean variance that is added to each one's, not negative.
    pub ridge: f64,
    /// Most rows of an environment that are fitted, at least 10.
    pub rows: usize,
}

impl Default for AnchorRegressionConfig {
    /// A moderate protection; the paper sweeps γ from 0 to 100.
    fn default() -> Self {
        Self {
            gamma: 7.0,
            ridge: 1e-3,
            rows: 20_000,
        }
    }
}

impl MethodConfig for AnchorRegressionConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        for (key, value) in [("gamma", self.gamma), ("ridge", self.ridge)] {
            let ok = value.is_finite() && value >= 0.0;
            in_range(method, key, &value, "finite and not negative", ok)?;
        }
        in_range(method, "rows", &self.rows, "at least 10", self.rows >= 10)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("gamma", -1.0, 2.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::network_adaptation(AnchorRegression {
            config: *self,
        }))
    }

    fn network(&self, spec: &NetworkSpec, seed: (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(Refitted::new(spec, seed)?))
    }
}

/// The last layer that minimises `‖(I − P)(y − X b)‖² + γ ‖P (y − X b)‖²` on the sources, `P` the
/// projection on the indicators of the environments, of a network trained plainly.
///
/// Classes are fitted as their indicators; one factor on the outputs, by the sources' cross-entropy,
/// makes logits of them. Pixels are samples where each has an output.
///
/// # References
/// Rothenhäusler et al. 2021, equation 3. Deviation: the features are those of a network that ERM
/// trained, and a small ridge lets them determine each other.
pub struct AnchorRegression {
    config: AnchorRegressionConfig,
}

impl NetworkAdaptation for AnchorRegression {
    fn adapted_for(&self) -> AdaptedFor {
        AdaptedFor::EverySite
    }

    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let seen = Seen::of(site, self.config.rows)?;
        let (anchors, count) = environment_anchors(&seen.environments);
        let options = AnchorOptions {
            gamma: self.config.gamma,
            ridge: self.config.ridge,
        };
        let found = anchor_head(
            Rows::new(&seen.features, seen.width)?,
            Rows::new(&seen.responses, seen.outputs)?,
            Rows::new(&anchors, count)?,
            &options,
        )?;
        install(site.network(), &seen.as_logits(found.head))?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use ctl_nets::{Architecture, Mode};

    use super::*;
    use crate::deployed::testing::{place, spec};

    /// With γ = 1 the fitted layer separates the training images of one source by least squares.
    #[test]
    fn the_layer_is_replaced_by_one_that_fits_the_sources() {
        let mut site = place(Architecture::SmallCnn);
        let spec = spec(Architecture::SmallCnn);
        let config = AnchorRegressionConfig {
            gamma: 1.0,
            ridge: 1e-9,
            ..AnchorRegressionConfig::default()
        };
        site.network = config.network(&spec, (0, "t")).unwrap();
        let method = AnchorRegression { config };
        assert_eq!(method.adapt(&site).unwrap(), None);
        // Eight samples and 64 features: every label is met.
        for batch in &site.sources[0] {
            let out = site.network.forward((&batch.images).into(), Mode::Evaluate);
            for (row, class) in out
                .unwrap()
                .outputs
                .to_vec2::<f32>()
                .unwrap()
                .iter()
                .zip([0, 1, 0, 1])
            {
                assert!(row[class] > row[1 - class] + 1.0, "{row:?}");
            }
        }
    }
}
