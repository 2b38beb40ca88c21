//! Invariant causal prediction on the features of a trained network.

use ctl_nets::{Network, NetworkSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refit::{Refitted, Seen, check_search, install};
use crate::select::{
    AnchorOptions, IcpOptions, Response, Rows, Samples, anchor_head, causal_features,
    environment_anchors,
};
use crate::{
    AdaptedFor, Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, NetworkAdaptation, Result, Role, SearchDimension, Site, Status,
};

/// Description of `icp`.
pub const INFO: MethodInfo = MethodInfo {
    id: "icp",
    name: "ICP",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Peters, Bühlmann & Meinshausen 2016, Causal inference by using invariant prediction",
    summary: "Refits the last layer on those features only that every invariant set of features shares.",
};

/// Settings of `icp`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IcpConfig {
    /// Level of the test of invariance, in (0, 1).
    pub alpha: f64,
    /// Most features that are considered, 1 to 20: those that the lasso takes first.
    pub preselect: usize,
    /// Most features in a set, at least 1.
    pub max_size: usize,
    /// Most rows of an environment that are tested, at least 10.
    pub rows: usize,
}

impl Default for IcpConfig {
    /// The level of the paper, and sets that can be searched in seconds.
    fn default() -> Self {
        Self {
            alpha: 0.05,
            preselect: 8,
            max_size: 4,
            rows: 1000,
        }
    }
}

impl MethodConfig for IcpConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let sizes = [self.preselect, self.max_size, self.rows];
        check_search(method, self.alpha, sizes)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("alpha", -4.0, -1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::network_adaptation(Icp { config: *self }))
    }

    fn network(&self, spec: &NetworkSpec, seed: (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(Refitted::new(spec, seed)?))
    }
}

/// The last layer refitted by least squares on the features that belong to every set given which
/// the response depends on them alike in every source; where no feature does, the network stays as
/// it was trained, and a note says so.
///
/// The response is the class of an image or a pixel, or the first channel of an image that is to be
/// found. Features are numbered as the last layer takes them.
///
/// # References
/// Peters et al. 2016, sections 3 and 4. Deviation: the features are those of a network that ERM
/// trained, so that what is found are causes among them, not among variables of the world.
pub struct Icp {
    config: IcpConfig,
}

impl Icp {
    fn causes(&self, seen: &Seen) -> Result<std::result::Result<Vec<usize>, String>> {
        let first: Vec<f64> = seen
            .responses
            .iter()
            .step_by(seen.outputs)
            .copied()
            .collect();
        let response = match &seen.classes {
            Some(classes) => Response::Labels(classes),
            None => Response::Real(&first),
        };
        let samples = Samples {
            features: Rows::new(&seen.features, seen.width)?,
            environments: &seen.environments,
            response,
        };
        let options = IcpOptions {
            alpha: self.config.alpha,
            preselect: Some(self.config.preselect),
            max_size: Some(self.config.max_size),
            ..IcpOptions::default()
        };
        let found = match causal_features(&samples, &options) {
            Ok(found) => found,
            // What the search refuses, such as a single environment, is a fact about the data.
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(match found.causes {
            Some(causes) if !causes.is_empty() => Ok(causes),
            Some(_) => Err("no feature belongs to every invariant set".into()),
            None => Err(format!(
                "no set of features is invariant at level {}",
                options.alpha
            )),
        })
    }
}

impl NetworkAdaptation for Icp {
    fn adapted_for(&self) -> AdaptedFor {
        AdaptedFor::EverySite
    }

    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let seen = Seen::of(site, self.config.rows)?;
        let causes = match self.causes(&seen)? {
            Ok(causes) => causes,
            Err(reason) => {
                let note = format!("{}: {reason}: the network stays as it was trained", INFO.id);
                return Ok(Some(note));
            }
        };
        let chosen = seen.columns(&causes);
        let (anchors, count) = environment_anchors(&seen.environments);
        let fitted = anchor_head(
            Rows::new(&chosen, causes.len())?,
            Rows::new(&seen.responses, seen.outputs)?,
            Rows::new(&anchors, count)?,
            &AnchorOptions {
                ridge: 1e-6,
                ..AnchorOptions::default()
            },
        )?;
        let head = fitted.head.over(&causes, seen.width);
        install(site.network(), &seen.as_logits(head))?;
        let note = format!(
            "{}: {} of {} features are kept",
            INFO.id,
            causes.len(),
            seen.width
        );
        Ok(Some(note))
    }
}

#[cfg(test)]
mod tests {
    use ctl_nets::Architecture;

    use super::*;
    use crate::deployed::testing::place;

    #[test]
    fn settings_are_checked_and_one_environment_is_refused() {
        let wrong = IcpConfig {
            alpha: 1.0,
            ..IcpConfig::default()
        };
        let message = wrong.validate(INFO.id).unwrap_err().to_string();
        assert!(message.contains("alpha = 1"), "{message}");
        let site = place(Architecture::SmallCnn);
        let method = Icp {
            config: IcpConfig::default(),
        };
        // Invariance between environments cannot be tested within one: the network stays.
        let note = method.adapt(&site).unwrap().unwrap();
        assert!(note.contains("stays as it was trained"), "{note}");
    }
}
