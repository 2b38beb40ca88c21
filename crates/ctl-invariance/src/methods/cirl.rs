//! Representations that are causal by what interventions on the image leave of them.

use candle_core::Tensor;
use ctl_compute::ops::softmax;
use ctl_compute::optim::AdamParams;
use ctl_compute::random::stream;
use ctl_nets::{Linear, LinearHead, Network, NetworkSpec, Parameters};
use rand_distr::{Distribution as _, Gumbel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amplitude::AmplitudePairs;
use crate::factorisation::factorisation;
use crate::pairs::halves;
use crate::ramp::sigmoid_ramp;
use crate::representation::HeadFeatures;
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, Objective, ObjectiveState, Result, Role, SearchDimension,
    Status, Step, Value, in_range, mean_risk,
};

/// Description of `cirl`.
pub const INFO: MethodInfo = MethodInfo {
    id: "cirl",
    name: "CIRL",
    family: Family::ScmGuided,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::ContentInPhase, Assumption::InvariantPredictor],
    paper: "Lv et al. 2022, Causality Inspired Representation Learning for Domain Generalization",
    summary: "Asks features to be the same under interventions on the Fourier amplitude, to be independent of one another, and each to be sufficient for the label.",
};

/// Settings of `cirl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CirlConfig {
    /// Largest share of another image's amplitude, above 0, at most 1.
    pub eta: f64,
    /// Weight of the factorisation, not negative.
    pub factorisation_weight: f64,
    /// Weight of a squared correlation of two features against that of one with itself, 0 to 1.
    pub off_diagonal: f64,
    /// Steps over which the weight of the factorisation grows, and before which nothing is masked.
    pub ramp_steps: u64,
    /// Share of the features that a mask calls superior, above 0, below 1.
    pub superior_share: f64,
    /// Temperature of the mask's draws, positive, at most 10.
    pub temperature: f64,
    /// Width of the masker's hidden layers over the number of features, 1 to 16.
    pub masker_expansion: usize,
    /// Step size of the Adam of the masker and the second head, positive.
    pub masker_learning_rate: f64,
}

impl Default for CirlConfig {
    /// The values of the paper and of the authors' code; their ramp is a tenth of the training.
    fn default() -> Self {
        Self {
            eta: 1.0,
            factorisation_weight: 5.0,
            off_diagonal: 0.005,
            ramp_steps: 100,
            superior_share: 0.6,
            temperature: 0.5,
            masker_expansion: 4,
            masker_learning_rate: 1e-3,
        }
    }
}

impl MethodConfig for CirlConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let ok = self.eta > 0.0 && self.eta <= 1.0;
        in_range(method, "eta", &self.eta, "above 0 and at most 1", ok)?;
        let weight = self.factorisation_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        let allowed = "finite and not negative";
        in_range(method, "factorisation_weight", &weight, allowed, ok)?;
        let ok = (0.0..=1.0).contains(&self.off_diagonal);
        in_range(method, "off_diagonal", &self.off_diagonal, "0 to 1", ok)?;
        let share = self.superior_share;
        let ok = share > 0.0 && share < 1.0;
        in_range(method, "superior_share", &share, "above 0 and below 1", ok)?;
        let temperature = self.temperature;
        let ok = temperature > 0.0 && temperature <= 10.0;
        let allowed = "above 0 and at most 10";
        in_range(method, "temperature", &temperature, allowed, ok)?;
        let expansion = self.masker_expansion;
        let ok = (1..=16).contains(&expansion);
        in_range(method, "masker_expansion", &expansion, "1 to 16", ok)?;
        let rate = self.masker_learning_rate;
        let ok = rate.is_finite() && rate > 0.0;
        in_range(
            method,
            "masker_learning_rate",
            &rate,
            "positive and finite",
            ok,
        )
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("factorisation_weight", -1.0, 1.0),
            SearchDimension::choice("superior_share", [0.4, 0.6, 0.8].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(AmplitudePairs { eta: self.eta })],
            ..MethodParts::objective(Cirl::new(*self, context)?)
        })
    }

    /// The suite's network, whose features are what its linear head takes.
    fn network(&self, spec: &NetworkSpec, (seed, run): (u64, &str)) -> Result<Box<dyn Network>> {
        Ok(Box::new(HeadFeatures::new(spec, (seed, run))?))
    }
}

/// `½ L_sup + ½ L_inf + τ(t) L_fac` for the network and a second head, `½ L_sup − ½ L_inf` for the
/// masker, in one step.
///
/// Every sample comes twice, as it is and with a mixed amplitude, with representations `r` that the
/// linear head takes. `L_fac = mean_i (C_ii − 1)² + w mean_{i≠j} C_ij²` with the correlations C of
/// the features of one version with those of the other over the batch. The masker, a perceptron
/// with two hidden layers on `r`, draws a mask m of the superior features: the largest of k draws
/// of a Gumbel softmax for each, k the superior share of their number. `L_sup` is the risk of the
/// network's head on `r ⊙ m`, `L_inf` that of a second head on `r ⊙ (1 − m)`. Where every pixel has
/// an output, r is the mean over pixels and the mask is the same at all of them. Networks that end
/// with no linear head have no mask: their objective is the risk and the factorisation.
///
/// # References
/// Lv et al. 2022, equations 4 to 10, with the scale of the factorisation, its ramp and the masker
/// of the authors' published code (the paper has `½ ‖C − I‖²`, a sum over all entries).
/// Deviations: masker and network are updated in the same step; the masker has no dropout and no
/// batch normalisation; every draw is of the masker's own logits, where the code draws from the
/// draw before.
pub struct Cirl {
    config: CirlConfig,
    parameters: Parameters,
    masker: [Linear; 3],
    inferior: Linear,
    seed: u64,
    run: String,
}

impl Cirl {
    /// The objective with a masker and a second head that are drawn for the run.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn new(config: CirlConfig, context: &BuildContext<'_>) -> Result<Self> {
        Self::from_parameters(config, context, Parameters::new(context.seed, context.run))
    }

    fn from_parameters(
        config: CirlConfig,
        context: &BuildContext<'_>,
        mut parameters: Parameters,
    ) -> Result<Self> {
        let features = context.features;
        let hidden = features * config.masker_expansion;
        let p = &mut parameters;
        let masker = [
            Linear::new(p, "masker0", features, hidden)?,
            Linear::new(p, "masker1", hidden, hidden)?,
            Linear::new(p, "masker2", hidden, features)?,
        ];
        let inferior = Linear::new(p, "inferior", features, context.outputs)?;
        Ok(Self {
            config,
            masker,
            inferior,
            parameters,
            seed: context.seed,
            run: context.run.to_owned(),
        })
    }

    /// Masks `[N, F]` in [0, 1] of constant representations.
    fn mask(&self, features: &Tensor, step: u64) -> Result<Tensor> {
        let hidden = self.masker[0].forward_relu(&features.detach())?;
        let logits = self.masker[2].forward(&self.masker[1].forward_relu(&hidden)?)?;
        let (rows, width) = logits.dims2()?;
        let superior = (self.config.superior_share * width as f64).round() as usize;
        let draws = superior.clamp(1, width);
        let noise = self.noise(draws * rows * width, step);
        let noise = Tensor::from_vec(noise, (draws, rows, width), logits.device())?;
        let shifted = noise.to_dtype(logits.dtype())?.broadcast_add(&logits)?;
        Ok(softmax(&(shifted / self.config.temperature)?, 2)?.max(0)?)
    }

    fn noise(&self, count: usize, step: u64) -> Vec<f32> {
        let mut rng = stream(self.seed, &self.run, &format!("cirl masks {step}"));
        // Location 0 and scale 1 make a distribution.
        let Ok(gumbel) = Gumbel::new(0.0, 1.0) else {
            return vec![0.0; count];
        };
        (0..count).map(|_| gumbel.sample(&mut rng)).collect()
    }

    /// The second head on the input of the first.
    fn second(&self, head: &LinearHead) -> LinearHead {
        let (weight, bias) = self.inferior.weights();
        LinearHead {
            weight: weight.as_tensor().clone(),
            bias: bias.as_tensor().clone(),
            ..head.clone()
        }
    }
}

/// The risks of a head on the masked inputs of all environments, their mean.
fn masked_risk(
    step: &Step<'_>,
    masks: &[Tensor],
    head_of: impl Fn(&LinearHead) -> LinearHead,
) -> Result<Tensor> {
    let risks = step
        .labelled()?
        .into_iter()
        .zip(masks)
        .map(|(environment, mask)| {
            let Some(head) = environment.head.as_ref().map(&head_of) else {
                return environment.risk(step.loss);
            };
            let mut shape = vec![1; head.input.rank()];
            (shape[0], shape[head.input.rank() - 1]) = mask.dims2()?;
            let input = head.input.broadcast_mul(&mask.reshape(shape)?)?;
            let masked = EnvironmentOutputs {
                outputs: head.outputs(&input)?,
                ..environment.clone()
            };
            masked.risk(step.loss)
        });
    let risks = risks.collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&risks, 0)?.mean_all()?)
}

/// The same head without a gradient to its weights or to what it is given.
fn constant(head: &LinearHead) -> LinearHead {
    LinearHead {
        input: head.input.detach(),
        base: head.base.as_ref().map(Tensor::detach),
        ..head.frozen()
    }
}

/// Masks of each environment's rows.
struct Masks {
    /// Part of the masker's graph, and their complements.
    learned: [Vec<Tensor>; 2],
    /// What the network sees of them: constants, ones while nothing is masked.
    used: [Vec<Tensor>; 2],
}

impl Cirl {
    fn masks(&self, environments: &[&EnvironmentOutputs], step: u64) -> Result<Masks> {
        let features: Vec<&Tensor> = environments.iter().map(|e| &e.features).collect();
        let all = self.mask(&Tensor::cat(&features, 0)?, step)?;
        let mut first = 0;
        let (mut learned, mut used) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for rows in features {
            let rows = rows.dim(0)?;
            let superior = all.narrow(0, first, rows)?;
            first += rows;
            let inferior = (1.0 - &superior)?;
            for (side, mask) in [superior, inferior].into_iter().enumerate() {
                used[side].push(if step < self.config.ramp_steps {
                    mask.ones_like()?
                } else {
                    mask.detach()
                });
                learned[side].push(mask);
            }
        }
        Ok(Masks { learned, used })
    }

    /// What the network and the second head minimise of risks, and what the masker does.
    fn masked(&self, step: &Step<'_>, environments: &[&EnvironmentOutputs]) -> Result<Value> {
        let Masks { learned, used } = self.masks(environments, step.number)?;
        let superior = masked_risk(step, &used[0], Clone::clone)?;
        let inferior = masked_risk(step, &used[1], |head| self.second(head))?;
        let kept = masked_risk(step, &learned[0], constant)?;
        let left = masked_risk(step, &learned[1], |head| constant(&self.second(head)))?;
        let own = ((kept - left)? * 0.5)?;
        let total = ((&superior + &inferior)? * 0.5)?;
        let terms = vec![
            ("risk", superior),
            ("inferior-risk", inferior),
            ("masker-loss", own.clone()),
        ];
        let mut value = Value::new(total, terms);
        value.auxiliary = Some(own);
        Ok(value)
    }
}

impl Objective for Cirl {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments = step.labelled()?;
        let parts = environments.iter().map(|e| halves(INFO.id, &e.features));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let version = |index: usize| -> Result<Tensor> {
            let rows: Vec<&Tensor> = parts.iter().map(|both| &both[index]).collect();
            Ok(Tensor::cat(&rows, 0)?)
        };
        let factorised = factorisation(&version(0)?, &version(1)?, self.config.off_diagonal)?;
        let mut value = if environments.iter().all(|e| e.head.is_some()) {
            self.masked(step, &environments)?
        } else {
            let risk = mean_risk(step)?;
            Value::new(risk.clone(), vec![("risk", risk)])
        };
        let ramp = sigmoid_ramp(step.number, self.config.ramp_steps);
        let weight = self.config.factorisation_weight * ramp;
        value.total = (&value.total + (&factorised * weight)?)?;
        value.terms.push(("factorisation", factorised));
        Ok(value)
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.parameters.trained(),
            adam: AdamParams {
                learning_rate: self.config.masker_learning_rate,
                ..AdamParams::default()
            },
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        Ok(self.parameters.snapshot()?)
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        Ok(self.parameters.restore(state)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};
    use ctl_compute::random::normal;

    use super::*;
    use crate::SoftmaxCrossEntropy;

    const WIDTH: usize = 5;

    fn context(run: &str) -> BuildContext<'_> {
        BuildContext {
            environments: 2,
            features: WIDTH,
            outputs: 2,
            steps: 10,
            independences: &[],
            seed: 0,
            run,
        }
    }

    fn config() -> CirlConfig {
        CirlConfig {
            ramp_steps: 0,
            masker_expansion: 2,
            ..CirlConfig::default()
        }
    }

    fn sample(shape: &[usize], purpose: &str) -> Tensor {
        let drawn = normal(&mut stream(0, "t", purpose), shape, 0.0, 1.0).unwrap();
        drawn.to_dtype(DType::F64).unwrap()
    }

    fn cirl() -> Cirl {
        let parameters = Parameters::new(0, "t").in_double_precision();
        Cirl::from_parameters(config(), &context("t"), parameters).unwrap()
    }

    /// Two environments of two pairs each, with a head of these weights; one output at each of
    /// 2 × 1 pixels where `pixels`.
    fn environments(weight: &Var, pixels: bool) -> Vec<EnvironmentOutputs> {
        let environment = |index: usize| {
            let shape: &[usize] = if pixels {
                &[4, 2, 1, WIDTH]
            } else {
                &[4, WIDTH]
            };
            let input = sample(shape, &format!("input {index}"));
            let labels: &[u32] = if pixels {
                &[0, 1, 1, 0, 1, 1, 0, 0]
            } else {
                &[0, 1, 0, 1]
            };
            let target = Tensor::new(labels, &Device::Cpu).unwrap();
            let (target, features) = if pixels {
                (
                    target.reshape((4, 2, 1)).unwrap(),
                    input.flatten(1, 2).unwrap().mean(1).unwrap(),
                )
            } else {
                (target, input.clone())
            };
            let head = LinearHead {
                input: input.clone(),
                weight: weight.as_tensor().clone(),
                bias: Tensor::zeros(2, DType::F64, &Device::Cpu).unwrap(),
                base: None,
            };
            let outputs = head.outputs(&input).unwrap();
            EnvironmentOutputs::labelled(index, features, outputs, target).with_head(Some(head))
        };
        (0..2).map(environment).collect()
    }

    fn evaluate(cirl: &mut Cirl, environments: &[EnvironmentOutputs], number: u64) -> Value {
        let loss: &dyn crate::SampleLoss = if environments[0].outputs.rank() == 4 {
            &crate::PixelCrossEntropy
        } else {
            &SoftmaxCrossEntropy
        };
        cirl.evaluate(&Step {
            number,
            environments,
            loss,
        })
        .unwrap()
    }

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.to_scalar().unwrap()
    }

    /// A direction in which a variable moves.
    fn direction(variable: &Var) -> Tensor {
        sample(variable.dims(), "direction")
    }

    /// Central difference along the direction.
    fn difference(variable: &Var, f: &mut dyn FnMut() -> f64) -> f64 {
        let start = variable.as_detached_tensor().copy().unwrap();
        let mut at = |step: f64| {
            let offset = (direction(variable) * step).unwrap();
            variable.set(&(&start + offset).unwrap()).unwrap();
            f()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        variable.set(&start).unwrap();
        slope
    }

    /// Network and second head descend the total, the masker its own loss, and neither reaches
    /// into the other.
    #[test]
    fn everyone_has_a_gradient_of_their_own() {
        for pixels in [false, true] {
            let mut cirl = cirl();
            let weight = Var::from_tensor(&sample(&[2, WIDTH], "weight")).unwrap();
            let value = evaluate(&mut cirl, &environments(&weight, pixels), 3);
            let total = value.total.backward().unwrap();
            let own = value.auxiliary.unwrap().backward().unwrap();
            let inferior = cirl.inferior.weights().0.clone();
            let masker = cirl.masker[2].weights().0.clone();
            for (variable, reached) in [
                (&weight, [true, false]),
                (&inferior, [true, false]),
                (&masker, [false, true]),
            ] {
                let found = [total.get(variable).is_some(), own.get(variable).is_some()];
                assert_eq!(found, reached);
            }
            for (variable, gradient, of_total) in [
                (&weight, total.get(&weight).unwrap(), true),
                (&inferior, total.get(&inferior).unwrap(), true),
                (&masker, own.get(&masker).unwrap(), false),
            ] {
                let expected = difference(variable, &mut || {
                    let value = evaluate(&mut cirl, &environments(&weight, pixels), 3);
                    scalar(&if of_total {
                        value.total
                    } else {
                        value.auxiliary.unwrap()
                    })
                });
                let along = gradient.mul(&direction(variable)).unwrap();
                let found = scalar(&along.sum_all().unwrap());
                assert!(
                    (found - expected).abs() < 1e-8 && expected.abs() > 1e-7,
                    "{found} {expected}"
                );
            }
        }
    }

    /// Three of five features are superior; a draw's largest entries are near 1 at a low temperature.
    #[test]
    fn masks_are_drawn_for_each_step() {
        let mut cirl = cirl();
        cirl.config.temperature = 0.01;
        let features = sample(&[40, WIDTH], "features");
        let mask = |step| {
            cirl.mask(&features, step)
                .unwrap()
                .to_vec2::<f64>()
                .unwrap()
        };
        assert_eq!(mask(1), mask(1));
        assert_ne!(mask(1), mask(2));
        for row in mask(1) {
            assert!(row.iter().all(|m| (0.0..=1.0).contains(m)));
            let chosen = row.iter().sum::<f64>();
            assert!((0.9..3.01).contains(&chosen), "{chosen}");
        }
    }

    /// As long as nothing is masked the risk is the environments' own.
    #[test]
    fn nothing_is_masked_at_first() {
        let mut cirl = cirl();
        cirl.config.ramp_steps = 10;
        let weight = Var::from_tensor(&sample(&[2, WIDTH], "weight")).unwrap();
        let environments = environments(&weight, false);
        let value = evaluate(&mut cirl, &environments, 9);
        let risks = environments
            .iter()
            .map(|e| scalar(&e.risk(&SoftmaxCrossEntropy).unwrap()));
        let risk = risks.sum::<f64>() / 2.0;
        assert!((value.term("risk").unwrap().unwrap() - risk).abs() < 1e-12);
        let later = evaluate(&mut cirl, &environments, 10);
        assert!((later.term("risk").unwrap().unwrap() - risk).abs() > 1e-6);
    }

    #[test]
    fn without_a_head_risk_and_factorisation_remain() {
        let mut cirl = cirl();
        let weight = Var::from_tensor(&sample(&[2, WIDTH], "weight")).unwrap();
        let mut environments = environments(&weight, false);
        for environment in &mut environments {
            environment.head = None;
        }
        let value = evaluate(&mut cirl, &environments, 0);
        assert!(value.auxiliary.is_none());
        let parts = ["risk", "factorisation"].map(|name| value.term(name).unwrap().unwrap());
        assert!((scalar(&value.total) - parts[0] - 5.0 * parts[1]).abs() < 1e-12);
    }

    #[test]
    fn masker_and_second_head_survive_an_interruption() {
        let mut cirl = Cirl::new(config(), &context("a")).unwrap();
        let other = Cirl::new(config(), &context("b")).unwrap();
        assert_ne!(cirl.state().unwrap(), other.state().unwrap());
        cirl.restore(&other.state().unwrap()).unwrap();
        assert_eq!(cirl.state().unwrap(), other.state().unwrap());
        assert!(cirl.restore(&ObjectiveState::new()).is_err());
    }

    #[test]
    fn ill_settings_are_named() {
        let config = CirlConfig::default();
        for (ill, expected) in [
            (CirlConfig { eta: 1.5, ..config }, "eta = 1.5"),
            (
                CirlConfig {
                    superior_share: 1.0,
                    ..config
                },
                "superior_share = 1",
            ),
            (
                CirlConfig {
                    masker_expansion: 0,
                    ..config
                },
                "masker_expansion = 0",
            ),
            (
                CirlConfig {
                    temperature: 0.0,
                    ..config
                },
                "temperature = 0",
            ),
        ] {
            let message = ill.validate("cirl").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
