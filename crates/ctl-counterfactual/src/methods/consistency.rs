//! One prediction for an image and for what it would have been elsewhere.

use candle_core::Tensor;
use ctl_invariance::pairs::{disagreement, halves, outputs_images, squared_difference};
use ctl_invariance::{
    Assumption, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, Result, Role, SearchDimension, Status, Step, Value, in_range,
    mean_risk,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::generated::{Generator, GeneratorSettings, Learning};
use super::pairs::{CounterfactualPairs, check_reach};

const ID: &str = "counterfactual-consistency";

/// Description of `counterfactual-consistency`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "Counterfactual consistency",
    family: Family::Counterfactual,
    status: Status::Preview,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::SoundCounterfactuals],
    paper: "Veitch, D'Amour, Yadlowsky & Eisenstein 2021, Counterfactual Invariance to Spurious Correlations (definition 1.1); Mitrovic et al. 2021, Representation Learning via Invariant Causal Mechanisms",
    summary: "Trains on each image and its counterfactual from another site, and asks both for one prediction.",
};

/// Settings of `counterfactual-consistency`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CounterfactualConsistencyConfig {
    /// Weight of the disagreement between an image and its counterfactual, finite and not negative.
    pub consistency_weight: f64,
    /// How far beyond the other site a counterfactual may lie on the way there, 1 to 16: at 1 it is
    /// the other site's, else drawn between that and this.
    pub reach: f64,
    /// What makes the counterfactuals: `statistics` of each site, or an `autoencoder`, for which the
    /// sides of images must be multiples of 4.
    pub generator: Generator,
    /// Updates of the autoencoder, 1 to 1000000.
    pub updates: u64,
    /// Whether a counterfactual keeps what the autoencoder cannot draw of the image: it is as sharp
    /// as the image then, and what a site leaves there stays.
    pub keep_detail: bool,
    /// Images of each source from which the generator learns, about and at most, 2 to 1000000.
    pub examples: usize,
}

impl Default for CounterfactualConsistencyConfig {
    fn default() -> Self {
        Self {
            consistency_weight: 5.0,
            reach: 1.0,
            generator: Generator::Statistics,
            updates: 2_000,
            keep_detail: true,
            examples: 1_000,
        }
    }
}

impl CounterfactualConsistencyConfig {
    fn generator(&self) -> GeneratorSettings {
        GeneratorSettings {
            generator: self.generator,
            updates: self.updates,
            keep_detail: self.keep_detail,
            examples: self.examples,
        }
    }
}

impl MethodConfig for CounterfactualConsistencyConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        let weight = self.consistency_weight;
        let ok = weight.is_finite() && weight >= 0.0;
        let allowed = "finite and not negative";
        in_range(method, "consistency_weight", &weight, allowed, ok)?;
        check_reach(method, self.reach)?;
        self.generator().validate(method)
    }

    fn search_space() -> Vec<SearchDimension> {
        let reaches = [1.0, 2.0, 4.0].map(Into::into).to_vec();
        vec![
            SearchDimension::log_uniform("consistency_weight", -1.0, 2.0),
            SearchDimension::choice("reach", reaches),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let (place, learning) = Learning::of(ID, self.generator(), context);
        Ok(MethodParts {
            augmentations: vec![Box::new(CounterfactualPairs {
                method: ID,
                reach: self.reach,
                place,
            })],
            preparation: Some(Box::new(learning)),
            ..MethodParts::objective(CounterfactualConsistency {
                weight: self.consistency_weight,
            })
        })
    }
}

/// Mean risk over images and counterfactuals plus `λ mean_e mean_i (½ KL(m ‖ p) + ½ KL(m ‖ q))` with
/// the predictions `p` of an image and `q` of its counterfactual and `m` their mean. Where outputs are
/// images, whose targets become counterfactuals as well, the errors of both are asked to be alike:
/// the mean squared difference of both errors from their mean.
///
/// The batches are pairs: images in the first half, their counterfactuals in the second.
///
/// # References
/// Veitch et al. 2021, definition 1.1: a predictor is counterfactually invariant where `f(X(z)) =
/// f(X(z′))` almost everywhere; here by a penalty on pairs of the counterfactuals themselves, where
/// the paper has only observations and penalises a consequence. The distance is that of Ouyang et
/// al. 2022, equation 6, without the mean over classes.
pub struct CounterfactualConsistency {
    /// Weight of the disagreement, `λ`, finite and not negative.
    pub weight: f64,
}

fn gap(environment: &EnvironmentOutputs) -> Result<Tensor> {
    let [first, second] = halves(ID, &environment.outputs)?;
    if let (true, Some(part)) = (outputs_images(environment), environment.targets.first()) {
        let [one, other] = halves(ID, &part.target)?;
        let (first, second) = ((first - one)?, (second - other)?);
        // Half the difference is the distance of either from the mean.
        return Ok((squared_difference(&first, &second)?.mean_all()? * 0.25)?);
    }
    Ok(disagreement(&first, &second)?.mean_all()?)
}

impl Objective for CounterfactualConsistency {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let gaps = step.labelled()?.into_iter().map(gap);
        let gap = Tensor::stack(&gaps.collect::<Result<Vec<_>>>()?, 0)?.mean_all()?;
        let risk = mean_risk(step)?;
        let total = (&risk + (&gap * self.weight)?)?;
        Ok(Value::new(
            total,
            vec![("risk", risk), ("inconsistency", gap)],
        ))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_invariance::SoftmaxCrossEntropy;

    use super::*;

    fn environment(index: usize, outputs: Tensor, labels: &[u32]) -> EnvironmentOutputs {
        let target = Tensor::new(labels, &Device::Cpu).unwrap();
        EnvironmentOutputs::labelled(index, outputs.clone(), outputs, target)
    }

    fn evaluate(weight: f64, environments: &[EnvironmentOutputs]) -> Result<Value> {
        CounterfactualConsistency { weight }.evaluate(&Step {
            number: 0,
            environments,
            loss: &SoftmaxCrossEntropy,
        })
    }

    fn logits(rows: &[[f64; 2]]) -> Tensor {
        Tensor::from_vec(rows.concat(), (rows.len(), 2), &Device::Cpu).unwrap()
    }

    /// Predictions (½, ½) and (¾, ¼) have the mean (⅝, ⅜); a second environment agrees with itself
    /// and halves the mean.
    #[test]
    fn value_by_hand() {
        let pair = environment(0, logits(&[[0.0, 0.0], [3f64.ln(), 0.0]]), &[0, 0]);
        let equal = environment(1, logits(&[[0.7, 0.0], [0.7, 0.0]]), &[1, 1]);
        let (m, n) = (0.625f64, 0.375f64);
        let apart = m * m.ln() + n * n.ln()
            - 0.5 * (m * (0.5f64.ln() + 0.75f64.ln()) + n * (0.5f64.ln() + 0.25f64.ln()));
        let risks = [0.5 * (2f64.ln() - 0.75f64.ln()), (1.0 + 0.7f64.exp()).ln()];
        let value = evaluate(3.0, &[pair, equal]).unwrap();
        let found = value.total.to_scalar::<f64>().unwrap();
        let expected = 0.5 * (risks[0] + risks[1]) + 3.0 * apart / 2.0;
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        assert!((value.term("inconsistency").unwrap().unwrap() - apart / 2.0).abs() < 1e-12);
    }

    #[test]
    fn gradient_by_differences() {
        let rows = [0.3f64, -0.4, 1.1, 0.2, -0.9, 0.6, 0.5, 0.1];
        let total = |rows: &Tensor| {
            let outputs = environment(0, rows.clone(), &[0, 1, 0, 1]);
            evaluate(2.0, &[outputs]).unwrap().total
        };
        let at = Tensor::from_slice(&rows, (4, 2), &Device::Cpu).unwrap();
        let var = Var::from_tensor(&at).unwrap();
        let gradient = total(&var).backward().unwrap();
        let gradient = gradient.get(&var).unwrap().flatten_all().unwrap();
        let gradient = gradient.to_vec1::<f64>().unwrap();
        for (index, found) in gradient.into_iter().enumerate() {
            let moved = |step: f64| {
                let mut rows = rows;
                rows[index] += step;
                let rows = Tensor::from_slice(&rows, (4, 2), &Device::Cpu).unwrap();
                total(&rows).to_scalar::<f64>().unwrap()
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }

    /// Image targets differ between an image and its counterfactual: what is exact costs nothing, and
    /// errors of 0.2 and −0.2 are each 0.2 from their mean.
    #[test]
    fn images_agree_where_their_errors_do() {
        let tensor =
            |values: [f64; 2]| Tensor::new(&[[[[values[0]]]], [[[values[1]]]]], &Device::Cpu);
        let of = |outputs: [f64; 2]| {
            let (outputs, target) = (tensor(outputs).unwrap(), tensor([0.1, 0.7]).unwrap());
            let environment = EnvironmentOutputs::labelled(0, outputs.clone(), outputs, target);
            gap(&environment).unwrap().to_scalar::<f64>().unwrap()
        };
        assert!(of([0.1, 0.7]).abs() < 1e-15 && of([0.3, 0.9]).abs() < 1e-15);
        assert!((of([0.3, 0.5]) - 0.04).abs() < 1e-12);
    }

    #[test]
    fn samples_that_do_not_come_twice_are_an_error() {
        let odd = environment(0, logits(&[[0.0, 0.0]]), &[0]);
        let error = evaluate(1.0, &[odd]).err().unwrap().to_string();
        assert!(error.contains("every sample twice"), "{error}");
        let ill = CounterfactualConsistencyConfig {
            consistency_weight: f64::NAN,
            ..CounterfactualConsistencyConfig::default()
        };
        let error = ill.validate(ID).unwrap_err().to_string();
        assert!(error.contains("consistency_weight = NaN"), "{error}");
    }
}
