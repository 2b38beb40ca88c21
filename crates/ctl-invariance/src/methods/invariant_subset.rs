//! Selection of an invariant subset of the features of a trained network.

use std::collections::BTreeSet;

use ctl_nets::{Network, NetworkSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refit::{Refitted, Seen, check_search, install};
use crate::select::{
    FeatureSelection, HeadWeights, Response, Rows, Samples, SubsetOptions, invariant_features,
};
use crate::{
    AdaptedFor, Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, NetworkAdaptation, Result, Role, SearchDimension, Site, Status,
};

/// Description of `invariant-subset`.
pub const INFO: MethodInfo = MethodInfo {
    id: "invariant-subset",
    name: "Invariant subset",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::InvariantPredictor,
        Assumption::SpuriousCorrelationVaries,
    ],
    paper: "Rojas-Carulla, Schölkopf, Turner & Peters 2018, Invariant Models for Causal Transfer Learning",
    summary: "Refits the last layer on the set of features that predicts best among those that predict alike in every source.",
};

/// Settings of `invariant-subset`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InvariantSubsetConfig {
    /// Level of the test of invariance, in (0, 1).
    pub alpha: f64,
    /// Most features that are considered, 1 to 20: those that the lasso takes first.
    pub preselect: usize,
    /// Most features in a set, at least 1.
    pub max_size: usize,
    /// Most rows of an environment that are tested, at least 10.
    pub rows: usize,
}

impl Default for InvariantSubsetConfig {
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

impl MethodConfig for InvariantSubsetConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let sizes = [self.preselect, self.max_size, self.rows];
        check_search(method, self.alpha, sizes)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("alpha", -4.0, -1.0)]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts::network_adaptation(InvariantSubset {
            config: *self,
        }))
    }

    fn network(&self, spec: &NetworkSpec, seed: (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(Refitted::new(spec, seed)?))
    }
}

/// The last layer refitted on the features whose set has the least risk among those given which the
/// response depends on them alike in every source; where no set is accepted the one with the largest
/// p-value, and a note says so.
///
/// Classes have a softmax on the chosen features; of images each channel has its own set.
///
/// # References
/// Rojas-Carulla et al. 2018, algorithm 1. Deviation: the features are those of a network that ERM
/// trained.
pub struct InvariantSubset {
    config: InvariantSubsetConfig,
}

impl InvariantSubset {
    /// The selection for one response; what the search refuses is a fact about the data.
    fn select(
        &self,
        seen: &Seen,
        response: Response<'_>,
    ) -> Result<std::result::Result<FeatureSelection, String>> {
        let samples = Samples {
            features: Rows::new(&seen.features, seen.width)?,
            environments: &seen.environments,
            response,
        };
        let options = SubsetOptions {
            alpha: self.config.alpha,
            preselect: Some(self.config.preselect),
            max_size: Some(self.config.max_size),
            ..SubsetOptions::default()
        };
        Ok(invariant_features(&samples, &options).map_err(|error| error.to_string()))
    }

    /// A head on all features, and what the user should know.
    fn head(&self, seen: &Seen) -> Result<std::result::Result<(HeadWeights, Vec<String>), String>> {
        if let Some(classes) = &seen.classes {
            let levels: BTreeSet<u32> = classes.iter().copied().collect();
            let selection = self.select(seen, Response::Labels(classes))?;
            return Ok(selection.map(|found| {
                let head = found.head.for_classes(&levels, seen.outputs, seen.width);
                (head, found.note.into_iter().collect())
            }));
        }
        let mut head = HeadWeights::empty();
        let mut notes = Vec::new();
        for channel in 0..seen.outputs {
            let responses = seen.responses.iter().skip(channel).step_by(seen.outputs);
            let response: Vec<f64> = responses.copied().collect();
            match self.select(seen, Response::Real(&response))? {
                Ok(found) => {
                    head.weight.extend(found.head.weight);
                    head.bias.extend(found.head.bias);
                    notes.extend(found.note);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok((head, notes)))
    }
}

impl NetworkAdaptation for InvariantSubset {
    fn adapted_for(&self) -> AdaptedFor {
        AdaptedFor::EverySite
    }

    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let seen = Seen::of(site, self.config.rows)?;
        match self.head(&seen)? {
            Ok((head, notes)) => {
                install(site.network(), &head)?;
                let note = format!("{}: {}", INFO.id, notes.join("; "));
                Ok((!notes.is_empty()).then_some(note))
            }
            Err(reason) => {
                let note = format!("{}: {reason}: the network stays as it was trained", INFO.id);
                Ok(Some(note))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ctl_nets::Architecture;

    use super::*;
    use crate::deployed::testing::place;

    #[test]
    fn settings_are_checked_and_one_environment_is_refused() {
        let wrong = InvariantSubsetConfig {
            alpha: 1.0,
            ..InvariantSubsetConfig::default()
        };
        let message = wrong.validate(INFO.id).unwrap_err().to_string();
        assert!(message.contains("alpha = 1"), "{message}");
        let site = place(Architecture::SmallCnn);
        let method = InvariantSubset {
            config: InvariantSubsetConfig::default(),
        };
        // Invariance between environments cannot be tested within one: the network stays.
        let note = method.adapt(&site).unwrap().unwrap();
        assert!(note.contains("stays as it was trained"), "{note}");
    }
}
