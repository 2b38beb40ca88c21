//! Self-supervised contrastive regularisation.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use ctl_compute::optim::AdamParams;
use ctl_compute::random::{permutation, stream};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{check_positive, check_weight};
use crate::projection::Projection;
use crate::{
    Assumption, Auxiliary, BuildContext, ConfigError, Family, MethodConfig, MethodInfo,
    MethodParts, Needs, Objective, ObjectiveState, Result, Role, SearchDimension, Status, Step,
    Value, in_range,
};

const ID: &str = "selfreg";

/// Description of `selfreg`.
pub const INFO: MethodInfo = MethodInfo {
    id: ID,
    name: "SelfReg",
    family: Family::Correlation,
    status: Status::Stable,
    role: Role::Generalisation,
    needs: Needs::NOTHING,
    exceptions: &[],
    assumptions: &[Assumption::InvariantFeatureGivenLabel],
    paper: "Kim, Yoo, Park, Kim & Lee 2021, SelfReg: Self-supervised Contrastive Regularization for Domain Generalization",
    summary: "Draws outputs and features of samples of one class together, one by one and mixed, across the sources.",
};

/// Settings of `selfreg`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelfRegConfig {
    /// Weight of the distances between features, not negative.
    pub feature_weight: f64,
    /// Weight of the distances between outputs, not negative.
    pub output_weight: f64,
    /// Both parameters of the Beta distribution of the mixing weight, above 0 and at most 100.
    pub alpha: f64,
    /// Step size of the projection's Adam, positive.
    pub projection_learning_rate: f64,
}

impl Default for SelfRegConfig {
    /// The paper's weights.
    fn default() -> Self {
        Self {
            feature_weight: 0.3,
            output_weight: 1.0,
            alpha: 0.5,
            projection_learning_rate: 1e-3,
        }
    }
}

impl MethodConfig for SelfRegConfig {
    fn validate(&self, method: &'static str) -> std::result::Result<(), ConfigError> {
        check_weight(method, "feature_weight", self.feature_weight)?;
        check_weight(method, "output_weight", self.output_weight)?;
        let ok = self.alpha > 0.0 && self.alpha <= 100.0;
        in_range(method, "alpha", &self.alpha, "above 0 and at most 100", ok)?;
        let rate = self.projection_learning_rate;
        check_positive(method, "projection_learning_rate", rate)
    }

    fn search_space() -> Vec<SearchDimension> {
        vec![
            SearchDimension::log_uniform("feature_weight", -1.5, 0.5),
            SearchDimension::log_uniform("output_weight", -1.0, 1.0),
            SearchDimension::log_uniform("projection_learning_rate", -4.5, -2.5),
        ]
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<MethodParts> {
        let projection = Projection::new(context.features, context.seed, context.run)?;
        let objective = SelfReg::new(*self, projection, context.seed, context.run);
        Ok(MethodParts::objective(objective))
    }
}

/// `R + min(R, 1) Σ_s λ_s [m D(s, s′) + (1 − m) D(s, m s′ + (1 − m) s″)]` over the outputs and the
/// features s, D the mean squared difference.
///
/// Each sample has two partners s′ and s″ of its own class, drawn from all sources; partners of
/// features are seen through a [`Projection`] that is trained with the network. The mixing weight
/// `m ~ Beta(α, α)` is drawn anew at each step, and the factor `min(R, 1)` is held constant.
///
/// # References
/// Kim et al. 2021, the individualised and the heterogeneous in-batch dissimilarity loss with the
/// class-specific domain perturbation layer. Deviations: neither the curriculum over sources nor
/// the average of weights that the paper adds, as in `DomainBed`; the projection is trained by an
/// optimiser of its own.
pub struct SelfReg {
    config: SelfRegConfig,
    projection: Projection,
    seed: u64,
    run: String,
}

impl SelfReg {
    /// The objective with a given projection, whose partners are drawn for `(seed, run)`.
    pub fn new(config: SelfRegConfig, projection: Projection, seed: u64, run: &str) -> Self {
        Self {
            config,
            projection,
            seed,
            run: run.to_owned(),
        }
    }
}

/// What is drawn at one step.
struct Partners {
    first: Vec<u32>,
    second: Vec<u32>,
    mix: f64,
}

impl Partners {
    fn draw(classes: &[u32], alpha: f64, rng: &mut ChaCha8Rng) -> Self {
        Self {
            first: within_classes(classes, rng),
            second: within_classes(classes, rng),
            // `validate` admits no α for which the distribution does not exist.
            mix: Beta::new(alpha, alpha).map_or(0.5, |beta| beta.sample(rng)),
        }
    }

    /// `m D(s, s′) + (1 − m) D(s, m s′ + (1 − m) s″)` for rows and the rows that partners are.
    fn distance(&self, rows: &Tensor, partners: &Tensor) -> Result<Tensor> {
        let of = |order: &[u32]| -> Result<Tensor> {
            let order = Tensor::new(order, partners.device())?;
            Ok(partners.index_select(&order, 0)?)
        };
        let (first, second) = (of(&self.first)?, of(&self.second)?);
        let mixed = ((&first * self.mix)? + (second * (1.0 - self.mix))?)?;
        let squared = |other: Tensor| -> Result<Tensor> { Ok((rows - other)?.sqr()?.mean_all()?) };
        Ok(((squared(first)? * self.mix)? + (squared(mixed)? * (1.0 - self.mix))?)?)
    }
}

/// A random order in which every row stands where one of its class stood.
fn within_classes(classes: &[u32], rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, &class) in classes.iter().enumerate() {
        rows.entry(class).or_default().push(row);
    }
    let mut order = vec![0; classes.len()];
    for own in rows.into_values() {
        for (&place, from) in own.iter().zip(permutation(rng, own.len())) {
            order[place] = own[from] as u32;
        }
    }
    order
}

impl Objective for SelfReg {
    fn evaluate(&mut self, step: &Step<'_>) -> Result<Value> {
        let mut environments = step.labelled()?;
        environments.sort_by_key(|e| e.environment);
        let classes = environments.iter().map(|e| e.classes_or_one(ID));
        let classes = classes.collect::<Result<Vec<_>>>()?.concat();
        let losses = environments.iter().map(|e| e.losses(step.loss));
        let risk = Tensor::cat(&losses.collect::<Result<Vec<_>>>()?, 0)?.mean_all()?;
        let outputs: Vec<_> = environments.iter().map(|e| &e.outputs).collect();
        let outputs = Tensor::cat(&outputs, 0)?;
        let features: Vec<_> = environments.iter().map(|e| &e.features).collect();
        let features = Tensor::cat(&features, 0)?;

        let rng = &mut stream(
            self.seed,
            &self.run,
            &format!("selfreg step {}", step.number),
        );
        let partners = Partners::draw(&classes, self.config.alpha, rng);
        let of_outputs = partners.distance(&outputs, &outputs)?;
        let of_features = partners.distance(&features, &self.projection.forward(&features)?)?;
        let penalty = ((&of_outputs * self.config.output_weight)?
            + (&of_features * self.config.feature_weight)?)?;
        let factor = risk.to_dtype(DType::F64)?.to_scalar::<f64>()?.min(1.0);
        let total = (&risk + (penalty * factor)?)?;
        let terms = vec![
            ("risk", risk),
            ("selfreg-outputs", of_outputs),
            ("selfreg-features", of_features),
        ];
        Ok(Value::new(total, terms))
    }

    fn auxiliary(&self) -> Option<Auxiliary> {
        Some(Auxiliary {
            variables: self.projection.variables(),
            adam: AdamParams {
                learning_rate: self.config.projection_learning_rate,
                ..AdamParams::default()
            },
        })
    }

    fn state(&self) -> Result<ObjectiveState> {
        self.projection.state()
    }

    fn restore(&mut self, state: &ObjectiveState) -> Result<()> {
        self.projection.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::testing::{
        assert_gradient, assert_gradient_of, assert_near, classification, environments_of,
        evaluate, evaluate_at, flat, scalar, tensor, values,
    };

    fn selfreg() -> SelfReg {
        let projection = Projection::in_double_precision(2, 3, "t").unwrap();
        SelfReg::new(SelfRegConfig::default(), projection, 5, "t")
    }

    fn squared(a: &[f64], b: &[f64]) -> f64 {
        let squares = a.iter().zip(b).map(|(a, b)| (a - b).powi(2));
        squares.sum::<f64>() / a.len() as f64
    }

    /// One sample of each class is its own partner: outputs have no distance, features that from
    /// their projection, whatever the mixing weight.
    #[test]
    fn value_by_hand_where_nobody_has_a_partner() {
        let rows = [[0.3, -0.2], [1.4, 0.9]];
        let environments = [
            classification(0, &rows[..1], &[0]),
            classification(1, &rows[1..], &[1]),
        ];
        let mut selfreg = selfreg();
        let value = evaluate(&mut selfreg, &environments);
        assert!(value.term("selfreg-outputs").unwrap().unwrap().abs() < 1e-15);
        let features = tensor(&rows.concat(), &[2, 2]);
        let projected = flat(&selfreg.projection.forward(&features).unwrap());
        let distance = squared(&rows.concat(), &projected);
        let risk = f64::midpoint((1.0 + (-0.5f64).exp()).ln(), (1.0 + 0.5f64.exp()).ln());
        assert_near(scalar(&value.total), risk * (1.0 + 0.3 * distance));
    }

    /// With given partners and mixing weight ¼; rows 0, 2, 4.
    #[test]
    fn distance_by_hand() {
        let partners = Partners {
            first: vec![1, 0, 2],
            second: vec![2, 1, 0],
            mix: 0.25,
        };
        let rows = tensor(&[0.0, 2.0, 4.0], &[3, 1]);
        // Partners 2, 0, 4; mixed ¼·(2, 0, 4) + ¾·(4, 2, 0) = 3.5, 1.5, 1.
        let individual = (4.0 + 4.0) / 3.0;
        let mixed = (12.25 + 0.25 + 9.0) / 3.0;
        let found = partners.distance(&rows, &rows).unwrap();
        assert_near(scalar(&found), 0.25 * individual + 0.75 * mixed);
    }

    #[test]
    fn partners_are_of_the_same_class_and_everyone_is_one() {
        let classes = [2, 0, 1, 0, 0, 2, 1, 0];
        let mut rng = stream(0, "t", "partners");
        let mut moved = 0;
        for _ in 0..50 {
            let order = within_classes(&classes, &mut rng);
            for (row, &partner) in order.iter().enumerate() {
                assert_eq!(classes[row], classes[partner as usize]);
                moved += usize::from(row != partner as usize);
            }
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..8).collect::<Vec<u32>>());
        }
        assert!(moved > 150, "{moved}");
    }

    /// Where the risk is above 1 the factor is 1; below, it is held constant.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let labels = [0, 1, 0, 1, 1, 0, 0];
        let logits = tensor(&values(14, 3), &[7, 2]);
        let (logits, large) = ((&logits * 0.3).unwrap(), (logits * 6.0).unwrap());
        let features = tensor(&values(14, 4), &[7, 2]);
        let total = |z: &Tensor, x: &Tensor| {
            let environments = environments_of((x, z), &labels, &[3, 4]);
            evaluate(&mut selfreg(), &environments)
        };
        assert!(total(&large, &features).term("risk").unwrap().unwrap() > 1.0);
        assert_gradient(&large, |z| total(z, &features).total);
        assert_gradient(&features, |x| total(&logits, x).total);
        let factor = total(&logits, &features).term("risk").unwrap().unwrap();
        assert!(factor < 1.0);
        let held = |z: &Tensor| {
            let value = total(z, &features);
            let term = |name| value.term(name).unwrap().unwrap();
            term("risk") + factor * (term("selfreg-outputs") + 0.3 * term("selfreg-features"))
        };
        assert_gradient_of(&logits, |z| total(z, &features).total, held);
    }

    #[test]
    fn partners_change_with_the_step_and_the_projection_learns() {
        let logits = tensor(&values(14, 3), &[7, 2]);
        let environments = environments_of((&logits, &logits), &[0, 1, 0, 1, 1, 0, 0], &[3, 4]);
        let mut selfreg = selfreg();
        let [first, second] = [0, 1].map(|n| evaluate_at(&mut selfreg, &environments, n));
        assert!((scalar(&first.total) - scalar(&second.total)).abs() > 1e-6);
        let gradients = first.total.backward().unwrap();
        let own = selfreg.auxiliary().unwrap().variables;
        let moved = own.iter().filter(|v| gradients.get(v).is_some());
        assert_eq!(moved.count(), own.len());
    }
}
