//! Training on one's own confident predictions for the target.

use candle_core::Tensor;
use ctl_compute::ops::{log_softmax, softmax};
use ctl_compute::optim::{Adam, AdamParams, Optimiser};
use ctl_nets::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tent::WITHOUT_DISTRIBUTION;
use crate::deployed::{SourcesOnly, Together};
use crate::{
    Assumption, Batch, BuildContext, ConfigError, EnvironmentOutputs, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, NetworkAdaptation, Result, Role, SearchDimension, Site, Status,
    in_range,
};

/// Description of `pseudo-label`.
pub const INFO: MethodInfo = MethodInfo {
    id: "pseudo-label",
    name: "Pseudo-label",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Adaptation,
    needs: Needs::TARGET,
    exceptions: WITHOUT_DISTRIBUTION,
    assumptions: &[Assumption::ConfidenceIsRight],
    paper: "Lee 2013, Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
    summary: "Trains the network further on labelled sources and on its own confident predictions for unlabelled target images.",
};

/// Settings of `pseudo-label`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PseudoLabelConfig {
    /// Steps of further training, at least 1.
    pub steps: u64,
    /// Step size of Adam, positive.
    pub learning_rate: f64,
    /// Probability from which on a prediction is taken for a label, 0 to 1; at 0 all are.
    pub threshold: f64,
    /// Weight of the target's loss in the end, not negative.
    pub weight: f64,
    /// Share of the steps over which that weight grows, 0 to 1.
    pub ramp: f64,
}

impl Default for PseudoLabelConfig {
    /// The paper's final weight, grown over half of the steps.
    fn default() -> Self {
        Self {
            steps: 60,
            learning_rate: 1e-4,
            threshold: 0.8,
            weight: 3.0,
            ramp: 0.5,
        }
    }
}

impl MethodConfig for PseudoLabelConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        in_range(method, "steps", &self.steps, "at least 1", self.steps > 0)?;
        let rate = self.learning_rate;
        let ok = rate.is_finite() && rate > 0.0;
        in_range(method, "learning_rate", &rate, "positive and finite", ok)?;
        for (key, share) in [("threshold", self.threshold), ("ramp", self.ramp)] {
            in_range(method, key, &share, "0 to 1", (0.0..=1.0).contains(&share))?;
        }
        let weight = self.weight;
        let ok = weight.is_finite() && weight >= 0.0;
        in_range(method, "weight", &weight, "finite and not negative", ok)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("learning_rate", -5.0, -3.0),
            SearchDimension::choice("threshold", [0.0, 0.7, 0.8, 0.95].map(Into::into).to_vec()),
        ]
    }

    fn build(&self, _context: &BuildContext<'_>) -> Result<MethodParts> {
        Ok(MethodParts {
            augmentations: vec![Box::new(SourcesOnly)],
            ..MethodParts::network_adaptation(PseudoLabel { config: *self })
        })
    }
}

/// `mean_e R_e + α(t) mean −log p_ŷ` with `ŷ = argmax p` for every sample, or pixel, of the target
/// that the present network gives at least the threshold; `α(t)` grows linearly.
///
/// # References
/// Lee 2013, equations 15 and 16.
/// Deviations: the threshold, which the paper does not have; the labelled phase before `α` sets in
/// is the training itself, and the optimiser starts anew after it.
pub struct PseudoLabel {
    /// Settings.
    pub config: PseudoLabelConfig,
}

/// Mean negative log probability of the most probable class over those rows, or pixels, of logits
/// `[B, K, …]` where it is at least the threshold; none where it nowhere is.
fn own_labels(logits: &Tensor, threshold: f64) -> Result<Option<Tensor>> {
    let present = softmax(&logits.detach(), 1)?;
    let largest = present.max_keepdim(1)?;
    // The first class on ties.
    let classes = present.argmax_keepdim(1)?;
    let sure = largest.ge(threshold)?.to_dtype(logits.dtype())?;
    let count = sure.sum_all()?.to_dtype(candle_core::DType::F64)?;
    let count = count.to_scalar::<f64>()?;
    if count < 1.0 {
        return Ok(None);
    }
    let indices = Tensor::arange(0, logits.dim(1)? as u32, logits.device())?;
    let mut shape = vec![1; logits.rank()];
    shape[1] = logits.dim(1)?;
    let chosen = classes.broadcast_eq(&indices.reshape(shape)?)?;
    let weights = chosen.to_dtype(logits.dtype())?.broadcast_mul(&sure)?;
    let sum = log_softmax(logits, 1)?.mul(&weights)?.sum_all()?;
    Ok(Some((sum * (-1.0 / count))?))
}

impl PseudoLabel {
    /// `α(t)`
    fn weight(&self, step: u64) -> f64 {
        let ramp = self.config.ramp * self.config.steps as f64;
        self.config.weight * ((step + 1) as f64 / ramp.max(1.0)).min(1.0)
    }

    /// The loss of one batch of each source and one of the target, and whether a prediction of the
    /// target counted.
    fn loss(&self, site: &dyn Site, batches: &[&Batch], step: u64) -> Result<(Tensor, bool)> {
        let out = Together::of(batches)?.forward(site.network(), Mode::Train)?;
        let (mut first, mut risks, mut own) = (0, Vec::new(), None);
        for batch in batches {
            let rows = batch.images.dim(0)?;
            let outputs = out.outputs.narrow(0, first, rows)?;
            if batch.is_labelled() {
                let features = out.features.narrow(0, first, rows)?;
                let targets = batch.targets.clone();
                let part = EnvironmentOutputs::new(batch.environment, features, outputs, targets);
                risks.push(part.risk(site.loss())?);
            } else {
                own = own_labels(&outputs, self.config.threshold)?;
            }
            first += rows;
        }
        let risk = Tensor::stack(&risks, 0)?.mean_all()?;
        Ok(match own {
            Some(own) => ((risk + (own * self.weight(step))?)?, true),
            None => (risk, false),
        })
    }
}

impl NetworkAdaptation for PseudoLabel {
    fn adapt(&self, site: &dyn Site) -> Result<Option<String>> {
        let (sources, target) = (site.sources()?, site.target()?);
        if target.is_empty() || sources.iter().any(Vec::is_empty) {
            return Ok(Some("there are no images to train further on".into()));
        }
        let adam = AdamParams {
            learning_rate: self.config.learning_rate,
            ..AdamParams::default()
        };
        let mut adam = Adam::new(site.network().parameters().trained(), adam)?;
        let mut counted = 0;
        for step in 0..self.config.steps {
            let at = |batches: &'_ Vec<Batch>| step as usize % batches.len();
            let labelled = sources.iter().map(|batches| &batches[at(batches)]);
            let batches: Vec<&Batch> = labelled.chain([&target[at(&target)]]).collect();
            let (loss, any) = self.loss(site, &batches, step)?;
            counted += u64::from(any);
            adam.step(&loss.backward()?)?;
        }
        Ok((counted == 0).then(|| {
            let threshold = self.config.threshold;
            format!("no prediction on the target was as sure as {threshold}: none became a label")
        }))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use ctl_nets::Architecture;

    use super::*;
    use crate::deployed::testing::{Place, place, snapshot};

    /// Shares (¾, ¼), (½, ½) and (0.1, 0.9): at 0.7 the first and the last count, with their
    /// larger share; the gradient is (p − 1) / 2 there and 0 elsewhere.
    #[test]
    fn confident_predictions_by_hand() {
        let logits = [[3f64.ln(), 0.0], [0.0, 0.0], [0.0, 9f64.ln()]];
        let variable = Var::new(&logits, &Device::Cpu).unwrap();
        let loss = own_labels(&variable, 0.7).unwrap().unwrap();
        let expected = -f64::midpoint(0.75f64.ln(), 0.9f64.ln());
        assert!((loss.to_scalar::<f64>().unwrap() - expected).abs() < 1e-12);
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&variable).unwrap().to_vec2::<f64>().unwrap();
        let expected = [[-0.125, 0.125], [0.0, 0.0], [0.05, -0.05]];
        for (found, expected) in gradient.concat().iter().zip(expected.concat()) {
            assert!((found - expected).abs() < 1e-12, "{gradient:?}");
        }
        // The same as one image of three pixels.
        let image = variable
            .as_tensor()
            .t()
            .unwrap()
            .reshape((1, 2, 3, 1))
            .unwrap();
        let same = own_labels(&image, 0.7)
            .unwrap()
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        assert!((same + f64::midpoint(0.75f64.ln(), 0.9f64.ln())).abs() < 1e-12);
        assert!(own_labels(&image, 0.95).unwrap().is_none());
        // Without a threshold a tie goes to the first class.
        let all = own_labels(&variable, 0.0)
            .unwrap()
            .unwrap()
            .to_scalar::<f64>()
            .unwrap();
        assert!((all + (0.75f64.ln() + 0.5f64.ln() + 0.9f64.ln()) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_weight_grows() {
        let config = PseudoLabelConfig {
            steps: 8,
            ..PseudoLabelConfig::default()
        };
        let method = PseudoLabel { config };
        for (step, expected) in [(0, 0.75), (1, 1.5), (3, 3.0), (7, 3.0)] {
            assert!((method.weight(step) - expected).abs() < 1e-12, "{step}");
        }
    }

    /// Trained on its own labels the network is surer of them.
    #[test]
    fn own_labels_are_learned() {
        let place = place(Architecture::SmallCnn);
        let loss = || {
            let batch = Together::of(&[&place.target[0]]).unwrap();
            let outputs = batch
                .forward(place.network(), Mode::Evaluate)
                .unwrap()
                .outputs;
            let loss = own_labels(&outputs, 0.0).unwrap().unwrap();
            f64::from(loss.to_scalar::<f32>().unwrap())
        };
        let before = loss();
        let config = PseudoLabelConfig {
            steps: 12,
            learning_rate: 1e-3,
            threshold: 0.0,
            ..PseudoLabelConfig::default()
        };
        assert_eq!(PseudoLabel { config }.adapt(&place).unwrap(), None);
        assert!(loss() < before, "{} {before}", loss());
    }

    #[test]
    fn nothing_to_learn_is_said() {
        let shy = PseudoLabelConfig {
            steps: 1,
            threshold: 1.0,
            ..PseudoLabelConfig::default()
        };
        let method = PseudoLabel { config: shy };
        let note = method
            .adapt(&place(Architecture::SmallCnn))
            .unwrap()
            .unwrap();
        assert!(note.contains("as sure as 1"), "{note}");
        let empty = Place {
            target: Vec::new(),
            ..place(Architecture::SmallCnn)
        };
        let before = snapshot(&empty);
        assert!(method.adapt(&empty).unwrap().unwrap().contains("no images"));
        assert_eq!(snapshot(&empty), before);
        for (ill, expected) in [
            (
                PseudoLabelConfig {
                    threshold: 1.1,
                    ..shy
                },
                "threshold = 1.1",
            ),
            (
                PseudoLabelConfig {
                    weight: -1.0,
                    ..shy
                },
                "weight = -1",
            ),
            (PseudoLabelConfig { ramp: 2.0, ..shy }, "ramp = 2"),
            (PseudoLabelConfig { steps: 0, ..shy }, "steps = 0"),
        ] {
            let message = ill.validate("pseudo-label").unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
