//! Causal invariant representation learning: interventions on style as random halves.

use candle_core::Tensor;
use ctl_compute::random::stream;
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mmd::MmdConfig;
use crate::config::{check_gammas, check_weight};
use crate::{
    Assumption, BuildContext, ConfigError, Family, MethodConfig, MethodInfo, MethodParts, Needs,
    Objective, Result, Role, SearchDimension, Status, Step, Value, coral_distance, mean_risk,
    mmd_distance,
};

/// Description of `causirl-coral`.
pub const CORAL_INFO: MethodInfo = MethodInfo {
    id: "causirl-coral",
    name: "CausIRL with CORAL",
    family: Family::Invariance,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[
        Assumption::EnvironmentMovesStyle,
        Assumption::InvariantFeatureMarginal,
    ],
    paper: "Chevalley, Bunne, Krause & Bauer 2022, Invariant Causal Mechanisms through Distribution Matching",
    summary: "Aligns means and covariances of the features between two random mixtures of the sources.",
};

/// Description of `causirl-mmd`.
pub const MMD_INFO: MethodInfo = MethodInfo {
    id: "causirl-mmd",
    name: "CausIRL with MMD",
    summary: "Aligns the whole distribution of the features between two random mixtures of the sources.",
    ..CORAL_INFO
};

/// Settings of `causirl-coral`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CausirlCoralConfig {
    /// Weight of the distance of the two mixtures, not negative.
    pub penalty_weight: f64,
}

/// Settings of `causirl-mmd`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CausirlMmdConfig {
    /// Weight of the distance of the two mixtures, not negative.
    pub penalty_weight: f64,
    /// Inverse squared widths of the Gaussian kernels, at least one, all positive.
    pub gammas: Vec<f64>,
}

impl Default for CausirlCoralConfig {
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
        }
    }
}

impl Default for CausirlMmdConfig {
    /// The kernel set of `DomainBed`.
    fn default() -> Self {
        Self {
            penalty_weight: 1.0,
            gammas: MmdConfig::default().gammas,
        }
    }
}

impl MethodConfig for CausirlCoralConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![SearchDimension::log_uniform("penalty_weight", -1.0, 1.0)]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let (weight, distance) = (self.penalty_weight, Distance::Coral);
        let draw = Cuts::of(context);
        Ok(MethodParts::objective(Causirl::new(weight, distance, draw)))
    }
}

impl MethodConfig for CausirlMmdConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "penalty_weight", self.penalty_weight)?;
        check_gammas(method, &self.gammas)
    }

    fn search_space() -> Vec<SearchDimension> {
        CausirlCoralConfig::search_space()
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let distance = Distance::Mmd(self.gammas.clone());
        let draw = Cuts::of(context);
        let objective = Causirl::new(self.penalty_weight, distance, draw);
        Ok(MethodParts::objective(objective))
    }
}

/// What the two mixtures are compared by.
#[derive(Clone, Debug, PartialEq)]
pub enum Distance {
    /// [`coral_distance`]
    Coral,
    /// [`mmd_distance`] with these inverse squared widths.
    Mmd(Vec<f64>),
}

impl Distance {
    fn of(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        match self {
            Self::Coral => coral_distance(a, b),
            Self::Mmd(gammas) => mmd_distance(a, b, gammas),
        }
    }
}

/// Where environments are cut.
#[derive(Clone, Debug, PartialEq)]
pub enum Cuts {
    /// Uniformly from 0 to one row before the end, by streams of `(seed, run)`, one for every
    /// environment and step.
    Drawn {
        /// Master seed.
        seed: u64,
        /// Id of the run.
        run: String,
    },
    /// Before these rows, one for each environment of a step.
    Given(Vec<usize>),
}

impl Cuts {
    fn of(context: &BuildContext<'_>) -> Self {
        let (seed, run) = (context.seed, context.run.to_owned());
        Self::Drawn { seed, run }
    }

    fn before(&self, step: &Step<'_>, position: usize, rows: usize) -> usize {
        match self {
            Self::Drawn { seed, run } => {
                let environment = step.environments[position].environment;
                let purpose = format!("causirl environment {environment} step {}", step.number);
                stream(*seed, run, &purpose).random_range(0..rows.max(1))
            }
            Self::Given(cuts) => cuts.get(position).map_or(rows, |cut| *cut.min(&rows)),
        }
    }
}

/// Mean risk plus the weighted distance of two mixtures of the environments: the first rows of
/// every environment, up to a random cut, and the rest.
///
/// If an environment is an intervention on style, so is a mixture of environments with random
/// shares, and the features must not tell one mixture from another.
/// A mixture of fewer than two rows has no distance.
///
/// # References
/// Chevalley et al. 2022, in the form of `DomainBed`.
pub struct Causirl {
    penalty_weight: f64,
    distance: Distance,
    cuts: Cuts,
}

impl Causirl {
    /// The objective with the given weight, distance and cuts.
    pub fn new(penalty_weight: f64, distance: Distance, cuts: Cuts) -> Self {
        Self {
            penalty_weight,
            distance,
            cuts,
        }
    }

    fn penalty(&self, step: &Step<'_>) -> Result<Tensor> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (position, environment) in step.environments.iter().enumerate() {
            let features = &environment.features;
            let rows = features.dim(0)?;
            let cut = self.cuts.before(step, position, rows);
            for (part, from, to) in [(&mut first, 0, cut), (&mut second, cut, rows)] {
                if to > from {
                    part.push(features.narrow(0, from, to - from)?);
                }
            }
        }
        let rows = |parts: &[Tensor]| parts.iter().map(|part| part.dims()[0]).sum::<usize>();
        if rows(&first) < 2 || rows(&second) < 2 {
            let like = &step.environments[0].features;
            return Ok(Tensor::zeros((), like.dtype(), like.device())?);
        }
        self.distance
            .of(&Tensor::cat(&first, 0)?, &Tensor::cat(&second, 0)?)
    }
}

impl Objective for Causirl {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let risk = mean_risk(step)?;
        let penalty = ("causirl-penalty", self.penalty(step)?);
        Value::penalised(&risk, penalty, self.penalty_weight, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, evaluate_at,
        tensor, values,
    };

    fn penalty(objective: &mut Causirl, step: u64) -> f64 {
        let environments = [
            classification(0, &[[0.0, 0.0], [5.0, 0.0], [0.0, 4.0]], &[0, 0, 0]),
            classification(1, &[[2.0, 0.0], [5.0, 0.0]], &[0, 0]),
        ];
        let value = evaluate_at(objective, &environments, step);
        value.term("causirl-penalty").unwrap().unwrap()
    }

    /// Cut at 1 and 1: (0,0), (2,0) against (5,0), (0,4), (5,0).
    #[test]
    fn distances_by_hand() {
        let cuts = Cuts::Given(vec![1, 1]);
        let mut coral = Causirl::new(1.0, Distance::Coral, cuts.clone());
        // Means (1, 0) and (10/3, 4/3); covariances diag(2, 0) and ((25/3, −20/3), (·, 16/3)).
        let means = f64::midpoint(49.0 / 9.0, 16.0 / 9.0);
        let covariances = (361.0 / 9.0 + 2.0 * 400.0 / 9.0 + 256.0 / 9.0) / 4.0;
        assert_near(penalty(&mut coral, 0), means + covariances);
        let mut mmd = Causirl::new(1.0, Distance::Mmd(vec![0.1]), cuts);
        let k = |squared: f64| (-0.1 * squared).exp();
        let within_first = f64::midpoint(1.0, k(4.0));
        let within_second = (3.0 + 2.0 * (2.0 * k(41.0) + 1.0)) / 9.0;
        let across = (2.0 * k(25.0) + k(16.0) + 2.0 * k(9.0) + k(20.0)) / 6.0;
        assert_near(
            penalty(&mut mmd, 0),
            within_first + within_second - 2.0 * across,
        );
    }

    #[test]
    fn a_part_of_one_row_has_no_distance() {
        for cuts in [vec![0, 0], vec![1, 0], vec![3, 1], vec![3, 2]] {
            let mut objective = Causirl::new(1.0, Distance::Coral, Cuts::Given(cuts));
            assert_eq!(penalty(&mut objective, 0).to_bits(), 0f64.to_bits());
        }
    }

    /// Cuts move with step and seed and stay with them, and every place before the end comes up.
    #[test]
    fn cuts_are_drawn_from_the_first_row_to_the_last() {
        let environments = [classification(4, &[[0.0, 0.0]; 4], &[0; 4])];
        let drawn = |seed, number| {
            let run = "t".to_owned();
            let step = Step {
                number,
                environments: &environments,
                loss: &crate::SoftmaxCrossEntropy,
            };
            Cuts::Drawn { seed, run }.before(&step, 0, 4)
        };
        let cuts: Vec<_> = (0..200).map(|number| drawn(1, number)).collect();
        for place in 0..4 {
            let count = cuts.iter().filter(|&&cut| cut == place).count();
            assert!((25..75).contains(&count), "{place}: {count}");
        }
        assert!(cuts.iter().all(|&cut| cut < 4));
        assert_eq!(cuts[7], drawn(1, 7));
        assert_ne!(cuts, (0..200).map(|n| drawn(2, n)).collect::<Vec<_>>());
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let logits = tensor(&values(14, 1), &[7, 2]);
        let features = tensor(&values(14, 6), &[7, 2]);
        for distance in [Distance::Coral, Distance::Mmd(vec![0.3, 1.0])] {
            let cuts = Cuts::Given(vec![2, 1]);
            assert_gradient(&features, |x| {
                let environments = environments_of((x, &logits), &[0, 1, 0, 1, 1, 0, 0], &[3, 4]);
                let mut objective = Causirl::new(2.0, distance.clone(), cuts.clone());
                evaluate(&mut objective, &environments).total
            });
        }
    }
}
