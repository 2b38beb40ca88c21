//! Conditional domain-adversarial training.

use candle_core::{Tensor, Var};
use ctl_nets::{Initialiser, Parameters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dann::{DannConfig, environment_of_rows};
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, Discriminator, Family, MethodConfig,
    MethodInfo, MethodParts, Needs, Objective, ObjectiveError, ObjectiveState, Result, Role,
    SearchDimension, Status, Step, Value, pooled_risk, weights,
};

const ID: &str = "cdann";

/// Description of `cdann`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "CDANN",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::ENVIRONMENTS,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureGivenLabel],
    paper: "Li et al. 2018, Deep Domain Generalization via Conditional Invariant Adversarial Networks",
    summary: "Trains features from which a discriminator that knows the class cannot tell the sources apart.",
};

/// Settings of `cdann`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CdannConfig {
    /// Weight of the reversed discriminator loss, not negative.
    pub lambda: f64,
    /// Weight of the squared norm of the discriminator's input gradient, not negative.
    pub grad_penalty: f64,
    /// Width of the discriminator's hidden layers, 1 to 4096.
    pub discriminator_width: usize,
    /// Linear layers of the discriminator, 1 to 8.
    pub discriminator_depth: usize,
    /// Step size of the discriminator's Adam, positive.
    pub discriminator_learning_rate: f64,
    /// First-moment decay of the discriminator's Adam, in [0, 1).
    pub discriminator_beta1: f64,
}

impl Default for CdannConfig {
    /// The defaults of `DomainBed` for small images.
    fn default() -> Self {
        let of_dann = DannConfig::default();
        Self {
            lambda: of_dann.lambda,
            grad_penalty: of_dann.grad_penalty,
            discriminator_width: of_dann.discriminator_width,
            discriminator_depth: of_dann.discriminator_depth,
            discriminator_learning_rate: of_dann.discriminator_learning_rate,
            discriminator_beta1: of_dann.discriminator_beta1,
        }
    }
}

impl From<CdannConfig> for DannConfig {
    fn from(config: CdannConfig) -> Self {
        Self {
            lambda: config.lambda,
            grad_penalty: config.grad_penalty,
            discriminator_width: config.discriminator_width,
            discriminator_depth: config.discriminator_depth,
            discriminator_learning_rate: config.discriminator_learning_rate,
            discriminator_beta1: config.discriminator_beta1,
        }
    }
}

impl MethodConfig for CdannConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        DannConfig::from(*self).validate(method)
    }

    fn search_space() -> Vec<SearchDimension> {
        DannConfig::search_space()
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let discriminator = DannConfig::from(*self).discriminator(context)?;
        let shape = [context.outputs, context.features];
        let standard_deviation = 1.0;
        let embedding = Parameters::new(context.seed, context.run).add(
            "class-embedding",
            &shape,
            Initialiser::Normal { standard_deviation },
        )?;
        let objective = Cdann::new(*self, discriminator, Some(embedding));
        Ok(MethodParts::objective(objective))
    }
}

/// `R − λ L_D` for the network, `L_D` for the discriminator, as in
/// [`Dann`](super::dann::Dann), with a discriminator that knows the class of each sample.
///
/// Its input is `φ + v_y` with a trained vector `v_y` for each class, and its cross-entropy is
/// balanced over classes: a sample of class y has the weight `1 / (n_y (K + 1))`, `n_y` its class's
/// samples and K the highest class in the step. The gradient penalty is not weighted.
///
/// # References
/// Li et al. 2018, in the form of `DomainBed`. Deviations: one discriminator that is
/// given the class where the paper has one for each; only the class-conditional part of its loss.
pub struct Cdann {
    config: DannConfig,
    discriminator: Discriminator,
    /// `[classes, F]`
    embedding: Option<Var>,
}

impl Cdann {
    /// The objective with a given discriminator and vectors of the classes `[classes, F]`; without
    /// them the discriminator sees the features alone.
    pub fn new(config: CdannConfig, discriminator: Discriminator, embedding: Option<Var>) -> Self {
        Self {
            config: config.into(),
            discriminator,
            embedding,
        }
    }

    fn named(&self) -> weights::Named {
        let mut named = self.discriminator.named();
        let embedding = self.embedding.iter();
        named.extend(embedding.map(|var| ("class-embedding".to_owned(), var.clone())));
        named
    }

    /// What the discriminator sees: the features and the vectors of the classes.
    fn inputs(&self, features: &Tensor, classes: &[u32], frozen: bool) -> Result<Tensor> {
        let Some(embedding) = &self.embedding else {
            return Ok(features.clone());
        };
        let known = embedding.dim(0)?;
        if let Some(class) = classes.iter().find(|&&class| class as usize >= known) {
            return Err(ObjectiveError::Environments {
                method: ID,
                expected: format!("class indices below {known}"),
                found: class.to_string(),
            });
        }
        let table = if frozen {
            embedding.detach()
        } else {
            embedding.as_tensor().clone()
        };
        let rows = table.index_select(&Tensor::new(classes, table.device())?, 0)?;
        Ok((features + rows)?)
    }

    /// Balanced cross-entropy and mean gradient penalty.
    fn loss(
        &self,
        features: &Tensor,
        (index, classes): (&[u32], &[u32]),
        frozen: bool,
    ) -> Result<[Tensor; 2]> {
        let inputs = self.inputs(features, classes, frozen)?;
        let [losses, squared_norms] = self.discriminator.row_losses(&inputs, index, frozen)?;
        let weights = Tensor::new(balance(classes), losses.device())?.to_dtype(losses.dtype())?;
        Ok([losses.mul(&weights)?.sum_all()?, squared_norms.mean_all()?])
    }
}

/// `1 / (n_y (K + 1))` for a sample of class y, K the highest class there is.
fn balance(classes: &[u32]) -> Vec<f64> {
    let highest = classes.iter().copied().max().unwrap_or(0) as usize;
    let mut counts = vec![0_usize; highest + 1];
    for &class in classes {
        counts[class as usize] += 1;
    }
    let weight = |&class: &u32| 1.0 / (counts[class as usize] * counts.len()) as f64;
    classes.iter().map(weight).collect()
}

impl Objective for Cdann {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let environments = step.labelled()?;
        let classes = environments.iter().map(|e| e.classes_or_one(ID));
        let classes = classes.collect::<Result<Vec<_>>>()?.concat();
        let index = environment_of_rows(&environments)?;
        let features: Vec<_> = environments.iter().map(|e| &e.features).collect();
        let features = Tensor::cat(&features, 0)?;
        let rows = (&index[..], &classes[..]);
        let frozen = self.loss(&features, rows, true)?;
        let own = self.loss(&features.detach(), rows, false)?;
        self.config.value(pooled_risk(step)?, frozen, &own)
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.named().into_iter().map(|(_, var)| var).collect(),
            adam: self.config.adam(),
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        weights::state(&self.named())
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        weights::restore(ID, &self.named(), state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_near, classification, environments_of, evaluate, scalar, tensor,
        values,
    };

    fn cdann(embedding: Option<&[f64]>) -> Cdann {
        let layer = |out: usize, inputs: usize, seed| {
            let weight = tensor(&values(out * inputs, seed), &[out, inputs]);
            (weight, tensor(&values(out, seed + 1), &[out]))
        };
        let layers = [layer(4, 2, 1), layer(2, 4, 3)];
        let discriminator = Discriminator::from_weights(&layers).unwrap();
        let config = CdannConfig {
            lambda: 0.8,
            grad_penalty: 0.3,
            ..CdannConfig::default()
        };
        let embedding = embedding.map(|v| Var::from_tensor(&tensor(v, &[3, 2])).unwrap());
        Cdann::new(config, discriminator, embedding)
    }

    const VECTORS: [f64; 6] = [0.3, -0.7, 1.1, 0.2, -0.4, 0.9];

    /// Classes 0, 2, 2: weights 1/3, 1/6, 1/6; class 1, of which there is no sample, has its share.
    #[test]
    fn every_class_up_to_the_highest_has_the_same_share() {
        let weights = balance(&[2, 0, 2]);
        for (found, expected) in weights.into_iter().zip([1.0 / 6.0, 1.0 / 3.0, 1.0 / 6.0]) {
            assert_near(found, expected);
        }
    }

    /// A constant discriminator (zero weights, logits (0, log 3)) has the loss log 4 in environment
    /// 0 and log 4/3 in environment 1.
    #[test]
    fn value_by_hand() {
        let zero = tensor(&[0.0; 4], &[2, 2]);
        let discriminator =
            Discriminator::from_weights(&[(zero, tensor(&[0.0, 3f64.ln()], &[2]))]).unwrap();
        let environments = [
            classification(0, &[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], &[0, 0, 1]),
            classification(1, &[[0.0, 0.0]], &[1]),
        ];
        let mut objective = Cdann::new(CdannConfig::default(), discriminator, None);
        let value = evaluate(&mut objective, &environments);
        let (of_first, of_second) = (4f64.ln(), (4f64 / 3.0).ln());
        let expected = (2.0 * of_first) / 4.0 + f64::midpoint(of_first, of_second) / 2.0;
        assert_near(
            value.term("discriminator-cross-entropy").unwrap().unwrap(),
            expected,
        );
        assert_near(scalar(&value.total), 2f64.ln() - expected);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let logits = tensor(&values(10, 1), &[5, 2]);
        let features = tensor(&values(10, 7), &[5, 2]);
        let labels = [0, 1, 1, 0, 1];
        assert_gradient(&features, |x| {
            let environments = environments_of((x, &logits), &labels, &[2, 3]);
            evaluate(&mut cdann(Some(&VECTORS)), &environments).total
        });
        // The vectors of the classes are the discriminator's.
        let environments = environments_of((&features, &logits), &labels, &[2, 3]);
        let mut objective = cdann(Some(&VECTORS));
        let value = evaluate(&mut objective, &environments);
        let vectors = objective.embedding.clone().unwrap();
        assert!(value.total.backward().unwrap().get(&vectors).is_none());
        let own = value.auxiliary.unwrap().backward().unwrap();
        let found = crate::methods::testing::flat(own.get(&vectors).unwrap());
        for (i, found) in found.into_iter().enumerate() {
            let at = |by: f64| {
                let mut moved = VECTORS;
                moved[i] += by;
                let value = evaluate(&mut cdann(Some(&moved)), &environments);
                scalar(&value.auxiliary.unwrap())
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-8, "{i}: {found} {expected}");
        }
    }

    #[test]
    fn the_class_matters_and_must_be_one_of_the_known() {
        let environments = [classification(0, &[[0.0, 0.0], [1.0, 0.0]], &[0, 1])];
        let with = evaluate(&mut cdann(Some(&VECTORS)), &environments);
        let without = evaluate(&mut cdann(None), &environments);
        assert!((scalar(&with.total) - scalar(&without.total)).abs() > 1e-3);
        let features = tensor(&[0.0, 0.0], &[1, 2]);
        let message = cdann(Some(&VECTORS)).inputs(&features, &[3], true);
        let message = message.unwrap_err().to_string();
        assert!(
            message.contains("below 3") && message.contains("found 3"),
            "{message}"
        );
    }
}
