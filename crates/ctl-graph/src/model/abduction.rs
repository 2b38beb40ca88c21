//! Counterfactuals of one case: abduct the noise, act, predict; exactly or by weighted samples.

use super::noise::{log_normal, log_sum_exp};
use super::scm::stream;
use super::{Intervention, ModelError, Samples, Scm, validate};
use crate::graph::{Mixed, NodeId, NodeSet};

/// How many weighted samples stand for the noise, and how they are drawn.
///
/// # Examples
///
/// ```
/// use ctl_graph::model::ImportanceSampling;
///
/// let options = ImportanceSampling { samples: 500, ..Default::default() };
/// assert_eq!((options.samples, options.seed, options.bandwidth), (500, 0, 0.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportanceSampling {
    /// Number of samples.
    pub samples: usize,
    /// Equal seeds give equal answers.
    pub seed: u64,
    /// Where a mechanism can neither be inverted nor tabulated, an observed value counts with a
    /// normal kernel of this standard deviation around the value the sampled noise gives; with 0
    /// it must be met exactly.
    pub bandwidth: f64,
}

impl Default for ImportanceSampling {
    fn default() -> Self {
        Self {
            samples: 10_000,
            seed: 0,
            bandwidth: 0.0,
        }
    }
}

/// Samples of the counterfactual world with their weights.
///
/// # Examples
///
/// Only the sum of two noises was seen; each explains half of the surprise.
///
/// ```
/// use ctl_graph::Diagram;
/// use ctl_graph::model::{ImportanceSampling, Intervention, Mechanism, Noise, Scm};
///
/// let diagram = Diagram::parse("dose -> score")?;
/// let (dose, score) = (diagram.node("dose")?, diagram.node("score")?);
/// let model = Scm::builder(diagram)
///     .node(dose, Mechanism::linear(0.0, &[]), Noise::STANDARD)
///     .node(score, Mechanism::linear(0.0, &[(dose, 1.0)]), Noise::STANDARD)
///     .build()?;
/// let options = ImportanceSampling { samples: 20_000, ..Default::default() };
/// let other = model.importance(&[(score, 2.0)], &[(dose, Intervention::Set(0.0))], &options)?;
/// assert!((other.mean(score) - 1.0).abs() < 0.05);
/// assert!(other.effective_sample_size() > 5_000.0);
/// # Ok::<(), ctl_graph::model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSamples {
    samples: Samples,
    weights: Vec<f64>,
}

impl WeightedSamples {
    /// The samples.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Their weights, which sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// `1 / Σ w²`: how many equally weighted samples would be as good.
    pub fn effective_sample_size(&self) -> f64 {
        1.0 / self
            .weights
            .iter()
            .map(|weight| weight * weight)
            .sum::<f64>()
    }

    /// The weighted mean of a node.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn mean(&self, node: NodeId) -> f64 {
        self.expectation(node, |value| value)
    }

    /// The weighted mean of a function of a node.
    ///
    /// # Panics
    /// For a node that is not of this model.
    pub fn expectation(&self, node: NodeId, function: impl Fn(f64) -> f64) -> f64 {
        let values = self.samples.column(node).iter().zip(&self.weights);
        values
            .map(|(&value, weight)| weight * function(value))
            .sum()
    }
}

impl Scm {
    /// The noise of every node, given every node's value.
    ///
    /// # Arguments
    /// - `evidence`: a value for each node.
    ///
    /// # Returns
    /// The noises in node order.
    ///
    /// # Errors
    /// [`ModelError::Unobserved`] for a node without a value, [`ModelError::NotInvertible`],
    /// [`ModelError::ImpossibleEvidence`] for a noise outside its support, and
    /// [`ModelError::Graph`], [`ModelError::Repeated`] and [`ModelError::Value`] for evidence that
    /// cannot be used.
    pub fn abduct(&self, evidence: &[(NodeId, f64)]) -> Result<Vec<f64>, ModelError> {
        let values = self.complete(evidence)?;
        let mut noises = Vec::with_capacity(values.len());
        for node in self.diagram().ids() {
            let noise = self.invert(node, &values, values[node.index()]);
            let noise = noise.ok_or_else(|| ModelError::NotInvertible {
                node: self.name(node),
            })?;
            let density = self.assignment(node).noise.log_density(noise);
            if self.fixed(node).is_none() && density == f64::NEG_INFINITY {
                return Err(ModelError::ImpossibleEvidence);
            }
            noises.push(noise);
        }
        Ok(noises)
    }

    fn name(&self, node: NodeId) -> String {
        self.diagram().name(node).to_owned()
    }

    fn complete(&self, evidence: &[(NodeId, f64)]) -> Result<Vec<f64>, ModelError> {
        let values = self.observed(evidence)?;
        let value = |(node, value): (NodeId, Option<f64>)| {
            value.ok_or_else(|| ModelError::Unobserved {
                node: self.name(node),
            })
        };
        self.diagram().ids().zip(values).map(value).collect()
    }

    fn observed(&self, evidence: &[(NodeId, f64)]) -> Result<Vec<Option<f64>>, ModelError> {
        evidence
            .iter()
            .try_for_each(|&(_, value)| validate::finite("evidence", value))?;
        validate::assignment(self.diagram(), evidence, "evidence")
    }

    /// Every node's value for given noises, in causal order.
    ///
    /// # Arguments
    /// - `noises`: one per node, in node order.
    ///
    /// # Errors
    /// [`ModelError::Shape`], and [`ModelError::Value`] where a table meets a value that is no
    /// state of its parent.
    pub fn predict(&self, noises: &[f64]) -> Result<Vec<f64>, ModelError> {
        validate::length("noises", self.diagram().len(), noises.len())?;
        let mut values = vec![0.0; noises.len()];
        for &node in self.diagram().topological_order() {
            values[node.index()] = self.evaluate(node, &values, noises[node.index()])?;
        }
        Ok(values)
    }

    /// What would have been: abduct, act, predict, exactly.
    ///
    /// Nodes that the interventions cannot reach keep their values to the last bit.
    ///
    /// # Arguments
    /// - `evidence`: a value for each node.
    /// - `interventions`: what is done in the other world.
    ///
    /// # Returns
    /// Every node's value in the other world, in node order.
    ///
    /// # Errors
    /// Those of [`Scm::abduct`] and of [`Scm::intervene`].
    ///
    /// # References
    /// Pearl (2009), *Causality*, theorem 7.1.7.
    pub fn counterfactual(
        &self,
        evidence: &[(NodeId, f64)],
        interventions: &[(NodeId, Intervention)],
    ) -> Result<Vec<f64>, ModelError> {
        let noises = self.abduct(evidence)?;
        let other = self.intervene(interventions)?;
        let acted: NodeSet = interventions.iter().map(|(node, _)| *node).collect();
        let reached = self.diagram().descendants(&acted);
        let mut values = self.complete(evidence)?;
        for &node in self.diagram().topological_order() {
            if reached.contains(node) {
                values[node.index()] = other.evaluate(node, &values, noises[node.index()])?;
            }
        }
        Ok(values)
    }

    /// What would have been, by weighted samples of the noise given the evidence.
    ///
    /// Noises are drawn in causal order. An observed node contributes its density given the
    /// sampled parents as a weight and, where its mechanism can be inverted, the very noise that
    /// gives its value; a table's noise is drawn from the interval that gives the state; any other
    /// mechanism's noise is drawn freely and weighted by the kernel of
    /// [`ImportanceSampling::bandwidth`].
    ///
    /// # Errors
    /// [`ModelError::ImpossibleEvidence`] where every weight is 0, [`ModelError::Value`] for
    /// unusable options, and those of [`Scm::intervene`].
    ///
    /// # References
    /// Fung & Chang (1990), likelihood weighting; Kong (1992) for the effective sample size.
    pub fn importance(
        &self,
        evidence: &[(NodeId, f64)],
        interventions: &[(NodeId, Intervention)],
        options: &ImportanceSampling,
    ) -> Result<WeightedSamples, ModelError> {
        validate::positive("samples", options.samples as f64)?;
        validate::non_negative("bandwidth", options.bandwidth)?;
        let observed = self.observed(evidence)?;
        let other = self.intervene(interventions)?;
        let size = self.diagram().len();
        let mut streams: Vec<_> = (0..size).map(|node| stream(options.seed, node)).collect();
        let mut samples = Samples::empty(size);
        let mut log_weights = Vec::with_capacity(options.samples);
        for _ in 0..options.samples {
            let draw = self.draw(&observed, options.bandwidth, &mut streams)?;
            samples.push(&other.predict(&draw.noises)?);
            log_weights.push(draw.log_weight);
        }
        let total = log_sum_exp(&log_weights);
        if !total.is_finite() {
            return Err(ModelError::ImpossibleEvidence);
        }
        let weights = log_weights
            .iter()
            .map(|weight| (weight - total).exp())
            .collect();
        Ok(WeightedSamples { samples, weights })
    }

    fn draw(
        &self,
        observed: &[Option<f64>],
        bandwidth: f64,
        streams: &mut [rand_chacha::ChaCha8Rng],
    ) -> Result<Draw, ModelError> {
        let mut values = vec![0.0; observed.len()];
        let mut draw = Draw {
            noises: vec![0.0; observed.len()],
            log_weight: 0.0,
        };
        for &node in self.diagram().topological_order() {
            let i = node.index();
            let free = self.assignment(node).noise.sample(&mut streams[i]);
            let (noise, log_weight) = match observed[i] {
                Some(value) => self.explain(node, &values, value, (free, bandwidth))?,
                None => (free, 0.0),
            };
            draw.noises[i] = noise;
            draw.log_weight += log_weight;
            values[i] = match observed[i] {
                Some(value) => value,
                None => self.evaluate(node, &values, noise)?,
            };
        }
        Ok(draw)
    }

    /// A noise that explains an observed value, and the logarithm of its weight.
    fn explain(
        &self,
        node: NodeId,
        values: &[f64],
        value: f64,
        (free, bandwidth): (f64, f64),
    ) -> Result<(f64, f64), ModelError> {
        let placed = self.placed(node);
        if self.fixed(node).is_none() {
            if placed.is_table() {
                let (low, width) = placed.interval(values, value - self.shift(node))?;
                return Ok((low + width * free, width.ln()));
            }
            if let Some(noise) = self.invert(node, values, value) {
                let density = self.assignment(node).noise.log_density(noise);
                let derivative = placed.log_derivative(values, value - self.shift(node));
                return Ok((noise, density + derivative));
            }
        }
        let met = self.evaluate(node, values, free)?;
        Ok((free, kernel(met, value, bandwidth)))
    }
}

/// Logarithm of the weight of meeting a value only nearly.
fn kernel(met: f64, value: f64, bandwidth: f64) -> f64 {
    if bandwidth > 0.0 {
        return log_normal((met - value) / bandwidth);
    }
    // Equality is meant: without a bandwidth only an exact match counts.
    if met.total_cmp(&value).is_eq() {
        0.0
    } else {
        f64::NEG_INFINITY
    }
}

struct Draw {
    noises: Vec<f64>,
    log_weight: f64,
}
