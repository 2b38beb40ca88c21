//! Importance weighting under covariate shift.

use candle_core::{DType, Tensor};
use ctl_compute::optim::AdamParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::check_positive;
use crate::discriminator::check_settings;
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, Discriminator, DiscriminatorSpec, Family,
    MethodConfig, MethodInfo, MethodParts, Needs, Objective, ObjectiveError, ObjectiveState,
    Result, Role, SearchDimension, Status, Step, Value,
};

const ID: &str = "importance-weighting";
/// What the discriminator calls a row: of a source, of the target.
const SOURCE: u32 = 0;
const TARGET: u32 = 1;

/// Description of `importance-weighting`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "Importance weighting",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: &[],
    assumptions: &[Assumption::InvariantLabelMechanismOnSharedSupport],
    paper: "Shimodaira 2000, Improving Predictive Inference under Covariate Shift; Bickel, Brückner & Scheffer 2009, Discriminative Learning under Covariate Shift",
    summary: "Weights the sources' losses by the density ratio of the target, from a discriminator on the features.",
};

/// Settings of `importance-weighting`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportanceWeightingConfig {
    /// Largest weight of a sample, positive; none leaves weights as they are.
    pub clip: Option<f64>,
    /// Divide by the sum of the weights in place of their number: less variance, a little bias.
    pub self_normalised: bool,
    /// Width of the discriminator's hidden layers, 1 to 4096.
    pub discriminator_width: usize,
    /// Linear layers of the discriminator, 1 to 8.
    pub discriminator_depth: usize,
    /// Step size of the discriminator's Adam, positive.
    pub discriminator_learning_rate: f64,
    /// First-moment decay of the discriminator's Adam, in [0, 1).
    pub discriminator_beta1: f64,
}

impl Default for ImportanceWeightingConfig {
    /// A linear discriminator (logistic regression), trained as `dann` trains its own.
    fn default() -> Self {
        Self {
            clip: Some(10.0),
            self_normalised: true,
            discriminator_width: 256,
            discriminator_depth: 1,
            discriminator_learning_rate: 1e-3,
            discriminator_beta1: 0.9,
        }
    }
}

impl MethodConfig for ImportanceWeightingConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        if let Some(clip) = self.clip {
            check_positive(method, "clip", clip)?;
        }
        check_settings(
            method,
            (self.discriminator_width, self.discriminator_depth),
            (self.discriminator_learning_rate, self.discriminator_beta1),
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("clip", 0.0, 2.0),
            SearchDimension::choice("self_normalised", vec![true.into(), false.into()]),
            SearchDimension::choice("discriminator_depth", vec![1.into(), 2.into(), 3.into()]),
            SearchDimension::log_uniform("discriminator_learning_rate", -4.5, -2.5),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let spec = DiscriminatorSpec {
            features: context.features,
            width: self.discriminator_width,
            depth: self.discriminator_depth,
            environments: 2,
        };
        let discriminator = Discriminator::new(spec, context.seed, context.run)?;
        let objective = ImportanceWeighting::new(*self, discriminator);
        Ok(MethodParts::objective(objective))
    }
}

/// `w = d/(1 − d) · n_source/n_target` with `d = P(target given x)`, at most `clip`.
///
/// # Arguments
/// - `log_odds`: `log d/(1 − d)` of every source sample.
/// - `sizes`: samples of the sources and of the target that the discriminator learns from.
/// - `clip`: the largest weight, if there is one.
///
/// # References
/// Shimodaira 2000 for the weights, Bickel et al. 2009 for their estimation by classification.
///
/// # Examples
/// ```
/// use ctl_invariance::methods::importance_weighting::density_ratio;
///
/// // d = 0.75 among 300 source and 100 target samples: 3 · 3.
/// let weight = density_ratio(&[3f64.ln()], [300, 100], None);
/// assert!((weight[0] - 9.0).abs() < 1e-12);
/// assert_eq!(density_ratio(&[3f64.ln()], [300, 100], Some(2.0)), [2.0]);
/// ```
pub fn density_ratio(
    log_odds: &[f64],
    [sources, target]: [usize; 2],
    clip: Option<f64>,
) -> Vec<f64> {
    let ratio = sources as f64 / target as f64;
    let weight = |odds: &f64| (odds.exp() * ratio).min(clip.unwrap_or(f64::INFINITY));
    log_odds.iter().map(weight).collect()
}

/// `(Σ w)² / Σ w²`: how many samples of equal weight would say as much.
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    sum * sum / squares
}

/// `Σ w ℓ / n` over the n samples of all sources, or `Σ w ℓ / Σ w` where self-normalised.
///
/// The weights are a [`density_ratio`] and held constant. A discriminator of source against target
/// gives it from the features, which are held constant for it: it learns beside the network and
/// does not move it.
/// Weights may come with [`clip`](ImportanceWeightingConfig::clip); a weight that would leave the
/// range of numbers makes the loss infinite.
///
/// # References
/// Shimodaira 2000; the discriminator as in Bickel et al. 2009.
/// Deviation: features of the network being trained stand for the images, so that covariate shift
/// is assumed of them.
pub struct ImportanceWeighting {
    config: ImportanceWeightingConfig,
    discriminator: Discriminator,
}

impl ImportanceWeighting {
    /// The objective with a given discriminator of two classes, source and target.
    pub fn new(config: ImportanceWeightingConfig, discriminator: Discriminator) -> Self {
        Self {
            config,
            discriminator,
        }
    }

    /// Weights of the source samples from the discriminator as it is.
    fn weights(&self, sources: &Tensor, target_rows: usize) -> Result<Vec<f64>> {
        let logits = self.discriminator.logits(sources)?.detach();
        let logits = logits.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        let log_odds = logits
            .iter()
            .map(|row| row[TARGET as usize] - row[SOURCE as usize]);
        let log_odds: Vec<f64> = log_odds.collect();
        let sizes = [log_odds.len(), target_rows];
        Ok(density_ratio(&log_odds, sizes, self.config.clip))
    }
}

/// `Σ w ℓ / n` and `Σ w ℓ / Σ w` of losses `[n]`.
pub(crate) fn weighted_risks(losses: &Tensor, weights: &[f64]) -> Result<[Tensor; 2]> {
    let sum: f64 = weights.iter().sum();
    let tensor = Tensor::new(weights, losses.device())?.to_dtype(losses.dtype())?;
    let weighted = losses.mul(&tensor)?.sum_all()?;
    Ok([(&weighted / weights.len() as f64)?, (weighted / sum)?])
}

impl Objective for ImportanceWeighting {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let joined = |labelled: bool| -> Result<Option<Tensor>> {
            let chosen = step
                .environments
                .iter()
                .filter(|e| e.is_labelled() == labelled);
            let features: Vec<_> = chosen.map(|e| &e.features).collect();
            let all = (!features.is_empty()).then(|| Tensor::cat(&features, 0));
            Ok(all.transpose()?.map(|all| all.detach()))
        };
        let environments = step.labelled()?;
        let (Some(sources), Some(target)) = (joined(true)?, joined(false)?) else {
            return Err(ObjectiveError::Environments {
                method: ID,
                expected: "an unlabelled environment, the target".into(),
                found: format!("{} labelled ones", environments.len()),
            });
        };
        let (rows, target_rows) = (sources.dim(0)?, target.dim(0)?);
        let weights = self.weights(&sources, target_rows)?;
        let losses = environments.iter().map(|e| e.losses(step.loss));
        let losses = Tensor::cat(&losses.collect::<Result<Vec<_>>>()?, 0)?;
        let [plain, normalised] = weighted_risks(&losses, &weights)?;
        let index = [vec![SOURCE; rows], vec![TARGET; target_rows]].concat();
        let features = Tensor::cat(&[&sources, &target], 0)?;
        let [own, _] = self.discriminator.loss(&features, &index, false)?;
        let total = if self.config.self_normalised {
            normalised
        } else {
            plain
        };
        let size = Tensor::new(effective_sample_size(&weights), losses.device())?;
        let terms = vec![
            ("risk", losses.mean_all()?),
            ("weighted-risk", total.clone()),
            ("effective-sample-size", size),
            ("discriminator-loss", own.detach()),
        ];
        let mut value = Value::new(total, terms);
        value.auxiliary = Some(own);
        Ok(value)
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.discriminator.variables(),
            adam: AdamParams {
                learning_rate: self.config.discriminator_learning_rate,
                beta1: self.config.discriminator_beta1,
                ..AdamParams::default()
            },
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        self.discriminator.state()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.discriminator.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::EnvironmentOutputs;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, flat, scalar,
        tensor, values,
    };

    /// Log-odds of the target are the first feature.
    fn weighting(config: ImportanceWeightingConfig) -> ImportanceWeighting {
        let weight = tensor(&[0.0, 0.0, 1.0, 0.0], &[2, 2]);
        let layers = [(weight, tensor(&[0.0, 0.0], &[2]))];
        ImportanceWeighting::new(config, Discriminator::from_weights(&layers).unwrap())
    }

    fn target(rows: usize) -> EnvironmentOutputs {
        let mut target = classification(2, &vec![[0.4, 0.1]; rows], &vec![0; rows]);
        target.targets.clear();
        target
    }

    /// Features and logits (log 3, 0) and (0, 0): odds 3 and 1, sizes 2 : 1, weights 6 and 2;
    /// losses log 4/3 and log 2.
    #[test]
    fn weighted_risks_by_hand() {
        let environments = [
            classification(0, &[[3f64.ln(), 0.0]], &[0]),
            classification(1, &[[0.0, 0.0]], &[0]),
            target(1),
        ];
        let (first, second) = ((4f64 / 3.0).ln(), 2f64.ln());
        for (clip, self_normalised, expected) in [
            (None, false, 3.0 * first + second),
            (None, true, (6.0 * first + 2.0 * second) / 8.0),
            (Some(4.0), true, (4.0 * first + 2.0 * second) / 6.0),
            (Some(1.0), false, f64::midpoint(first, second)),
        ] {
            let mut objective = weighting(ImportanceWeightingConfig {
                clip,
                self_normalised,
                ..ImportanceWeightingConfig::default()
            });
            let value = evaluate(&mut objective, &environments);
            assert_near(scalar(&value.total), expected);
            // Sources are told from the target by log-odds log 3, 0 and 0.4.
            let own = 4f64.ln() + 2f64.ln() + (1.0 + (-0.4f64).exp()).ln();
            assert_near(scalar(&value.auxiliary.unwrap()), own / 3.0);
        }
        assert_near(effective_sample_size(&[6.0, 2.0]), 64.0 / 40.0);
    }

    /// The network is moved by the losses alone, the discriminator by its own loss alone.
    #[test]
    fn weights_are_constant() {
        let features = Var::from_tensor(&tensor(&values(8, 2), &[4, 2])).unwrap();
        let logits = tensor(&values(8, 1), &[4, 2]);
        let with_target = |x: &Tensor, z: &Tensor| {
            let mut all = environments_of((x, z), &[0, 1, 1, 0], &[2, 2]);
            all.push(target(3));
            all
        };
        assert_gradient(&logits, |z| {
            let mut objective = weighting(ImportanceWeightingConfig::default());
            evaluate(&mut objective, &with_target(&features, z)).total
        });
        let mut objective = weighting(ImportanceWeightingConfig::default());
        let logits = Var::from_tensor(&logits).unwrap();
        let value = evaluate(&mut objective, &with_target(&features, &logits));
        let own = value.auxiliary.unwrap().backward().unwrap();
        let total = value.total.backward().unwrap();
        assert!(total.get(&features).is_none() && own.get(&features).is_none());
        for weight in objective.discriminator.variables() {
            assert!(total.get(&weight).is_none());
            assert!(
                flat(own.get(&weight).unwrap())
                    .iter()
                    .any(|g| g.abs() > 1e-6)
            );
        }
    }

    #[test]
    fn without_a_target_it_is_an_error() {
        let environments = [classification(0, &[[0.0, 0.0]], &[0])];
        let step = Step {
            number: 0,
            environments: &environments,
            loss: &crate::SoftmaxCrossEntropy,
        };
        let mut objective = weighting(ImportanceWeightingConfig::default());
        let message = objective.evaluate(&step).unwrap_err().to_string();
        assert!(
            message.contains("unlabelled") && message.contains("1 labelled"),
            "{message}"
        );
    }
}
