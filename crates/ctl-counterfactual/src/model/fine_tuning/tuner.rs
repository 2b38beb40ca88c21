//! Fine-tuning itself: what an update minimises, and what is measured.

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::random::{permutation, stream};
use ctl_graph::NodeId;
use ctl_nets::Parameters;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::multiplier::{Multiplier, number};
use super::{Begun, FineTuning, FineTuningFit, Measured, WHAT};
use crate::attribute::Batches;
use crate::image::ImageLoss;
use crate::model::train::images_of;
use crate::model::trainer::{Objective, Trainer};
use crate::model::workplace::Workplace;
use crate::model::{DeepScm, FitProgress, FitStage};
use crate::{
    Act, Acts, Columns, CounterfactualError, Encoding, Examples, ImageMechanism, Predictors, Result,
};

/// Past every warm-up of the mechanism's loss.
const WARM: u64 = u64::MAX;

/// A model, what it is fine-tuned on, and its predictors.
pub(in crate::model) struct Tuner<'a> {
    model: &'a DeepScm,
    /// Name of the image.
    name: &'a str,
    mechanism: &'a dyn ImageMechanism,
    encoding: &'a Encoding,
    data: &'a dyn Examples,
    settings: &'a FineTuning,
    seed: u64,
    /// Attributes that interventions are made on.
    causes: Vec<NodeId>,
    predictors: Predictors,
    /// What the predictors are drawn and trained for.
    predictor_seed: u64,
}

impl<'a> Tuner<'a> {
    /// Everything but the training of the predictors, so that what is ill is told at once.
    pub(in crate::model) fn new(
        model: &'a DeepScm,
        data: &'a dyn Examples,
        settings: &'a FineTuning,
        seed: u64,
    ) -> Result<Self> {
        // Neither weights nor batches are those of predictors that anybody scores with.
        let predictor_seed = stream(seed, WHAT, "predictors").random();
        let parameters = |run: &str| Parameters::new(predictor_seed, &format!("{WHAT} {run}"));
        Self::with_parameters(model, data, settings, seed, &parameters).map(|tuner| Self {
            predictor_seed,
            ..tuner
        })
    }

    fn with_parameters(
        model: &'a DeepScm,
        data: &'a dyn Examples,
        settings: &'a FineTuning,
        seed: u64,
        parameters: &dyn Fn(&str) -> Parameters,
    ) -> Result<Self> {
        settings.validate()?;
        let schema = &model.schema;
        let (Some((encoding, mechanism)), Some(image)) = (&model.image, schema.image()) else {
            return Err(CounterfactualError::Node {
                node: "image".to_owned(),
                expected: "an image to fine-tune the mechanism of".to_owned(),
                found: "only attributes".to_owned(),
            });
        };
        if let Some(obstacle) = mechanism.fine_tuning_obstacle() {
            let name = model.spec.image.as_ref().map_or("another", |s| s.name());
            return Err(CounterfactualError::Setting {
                what: WHAT,
                key: "mechanism",
                expected: "vae or hvae",
                found: format!("{name}: {obstacle}"),
            });
        }
        let columns = data.columns();
        columns.check(schema)?;
        if columns.len() < 2 {
            return Err(CounterfactualError::Value {
                subject: "training data of fine-tuning".to_owned(),
                expected: "at least two individuals, which exchange values".to_owned(),
                found: columns.len().to_string(),
            });
        }
        Ok(Self {
            name: schema.diagram().name(image),
            mechanism: &**mechanism,
            encoding,
            causes: settings.causes(schema)?,
            predictors: Predictors::untrained(schema, columns, &settings.predictors, parameters)?,
            predictor_seed: 0,
            model,
            data,
            settings,
            seed,
        })
    }

    /// Trains the predictors, and the mechanism against them.
    pub(in crate::model) fn tune(
        &self,
        workplace: &Workplace,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<FineTuningFit> {
        if let Some(fit) = workplace.begin_tuning(self.mechanism.parameters())? {
            return Ok(fit);
        }
        self.train_predictors(workplace, observer)?;
        let rows = self.measured_rows();
        let begin = || {
            let (before, facts) = (self.measure(&rows)?, self.facts(&rows)?);
            Ok(Begun { before, facts })
        };
        let begun = workplace.begun(begin)?;
        let mut lagrangian = Lagrangian {
            tuner: self,
            multiplier: self.settings.multiplier(&begun.before),
        };
        let batches = self.batches();
        let stage = (self.name, FitStage::FineTuning);
        let updates = self.settings.updates();
        let trainer = Trainer::new(stage, self.mechanism, &mut lagrangian, updates, batches)?;
        let made = trainer.train(workplace, observer)?;
        let fit = FineTuningFit {
            steps: made.steps,
            skipped: made.skipped,
            lambda: lagrangian.multiplier.lambda,
            limit: lagrangian.multiplier.limit,
            facts: begun.facts,
            before: begun.before,
            after: self.measure(&rows)?,
            terms: made.terms,
        };
        workplace.finish_tuning(self.mechanism.parameters(), &fit)?;
        Ok(fit)
    }

    fn train_predictors(
        &self,
        workplace: &Workplace,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<()> {
        let (config, seed) = (&self.settings.predictors, self.predictor_seed);
        for predictor in self.predictors.all() {
            let (node, parameters) = (predictor.node(), predictor.parameters());
            if workplace.finished_predictor(node, parameters)? {
                continue;
            }
            let name = self.model.schema.diagram().name(node);
            predictor.train(name, self.data, config, seed, observer)?;
            workplace.finish_predictor(node, parameters)?;
        }
        Ok(())
    }

    fn batches(&self) -> Batches {
        let run = format!("{WHAT} {}", self.name);
        let count = self.data.columns().len();
        Batches::new(count, self.settings.batch, (self.seed, &run))
    }

    fn stream(&self, purpose: &str, place: &str) -> ChaCha8Rng {
        stream(self.seed, WHAT, &format!("{purpose} {place}"))
    }

    /// An attribute that is acted on, one after the other at random.
    fn cause(&self, place: &str) -> NodeId {
        let index = self
            .stream("attribute", place)
            .random_range(..self.causes.len());
        self.causes[index]
    }

    /// Attributes after one of them has taken the values of others, and all that descends from it the
    /// values that follow.
    fn attributes_after(&self, facts: &Columns, cause: NodeId, place: &str) -> Result<Columns> {
        let values = facts.column(cause);
        let order = permutation(&mut self.stream("values", place), values.len());
        let values: Vec<f64> = order.into_iter().map(|row| values[row]).collect();
        let schema = &self.model.schema;
        let acts = Acts::new(schema, &[(schema.diagram().name(cause), Act::set(values))])?;
        let key = |node: NodeId| {
            let name = schema.diagram().name(node);
            self.stream(&format!("noise of {name}"), place)
        };
        let noise = self.model.abduct_attributes(facts, &key)?;
        self.model.attributes_after(&noise, &acts)
    }

    /// `−ln q` of each parent of the counterfactual images of some rows, which gradients flow from to
    /// the weights of encoder and decoder.
    fn effectiveness(
        &self,
        (images, facts): (&Tensor, &Columns),
        cause: NodeId,
        place: &str,
    ) -> Result<Vec<(&str, Tensor)>> {
        let parents = self.encoding.encode(facts).to_tensor()?;
        let rng = &mut self.stream("abduct", place);
        let noise = self.mechanism.abduct(images, &parents, rng)?;
        let after = self.attributes_after(facts, cause, place)?;
        let others = self.encoding.encode(&after).to_tensor()?;
        let counterfactuals = self.mechanism.predict(&noise, &others)?;
        self.predictors.losses(&counterfactuals, &after)
    }

    /// `F` of some rows.
    fn bound(&self, (images, facts): (&Tensor, &Columns), place: &str) -> Result<Tensor> {
        let parents = self.encoding.encode(facts).to_tensor()?;
        let rng = &mut self.stream("bound", place);
        Ok(self.mechanism.loss(images, &parents, WARM, rng)?.total)
    }

    fn batch(&self, rows: &[usize]) -> Result<(Tensor, Columns)> {
        let images = images_of(self.name, self.data, rows)?;
        Ok((images, self.data.columns().select(rows)))
    }

    /// Rows that are measured, a random part of the training data in their order.
    fn measured_rows(&self) -> Vec<usize> {
        let count = self.data.columns().len();
        let mut rows = permutation(&mut self.stream("rows", "measured"), count);
        rows.truncate(self.settings.measured);
        rows.sort_unstable();
        rows
    }

    /// Means over some rows, a batch at a time; the attributes take turns.
    fn measure(&self, rows: &[usize]) -> Result<Measured> {
        let turn = rows.len().div_ceil(self.causes.len());
        let mut parents: BTreeMap<String, f64> = BTreeMap::new();
        let mut bound = 0.0;
        for (index, part) in rows.chunks(self.settings.batch.min(turn)).enumerate() {
            let (place, share) = (format!("measured {index}"), share(part, rows));
            let (images, facts) = self.batch(part)?;
            let cause = self.causes[index % self.causes.len()];
            for (name, loss) in self.effectiveness((&images, &facts), cause, &place)? {
                *parents.entry(name.to_owned()).or_default() += number(&loss)? * share;
            }
            bound += number(&self.bound((&images, &facts), &place)?)? * share;
        }
        Ok(Measured {
            effectiveness: parents.values().sum(),
            parents,
            bound,
        })
    }

    /// What the predictors make of facts.
    fn facts(&self, rows: &[usize]) -> Result<f64> {
        let mut sum = 0.0;
        for part in rows.chunks(self.settings.batch) {
            let (images, facts) = self.batch(part)?;
            for (_, loss) in self.predictors.losses(&images, &facts)? {
                sum += number(&loss)? * share(part, rows);
            }
        }
        Ok(sum)
    }
}

fn share(part: &[usize], of: &[usize]) -> f64 {
    part.len() as f64 / of.len() as f64
}

/// What an update minimises.
struct Lagrangian<'a> {
    tuner: &'a Tuner<'a>,
    multiplier: Multiplier,
}

impl Objective for Lagrangian<'_> {
    fn loss(&self, rows: &[usize], step: u64) -> Result<ImageLoss> {
        let (tuner, place) = (self.tuner, format!("step {step}"));
        let (images, facts) = tuner.batch(rows)?;
        let cause = tuner.cause(&place);
        let losses = tuner.effectiveness((&images, &facts), cause, &place)?;
        let losses: Vec<Tensor> = losses.into_iter().map(|(_, loss)| loss).collect();
        let effectiveness = Tensor::stack(&losses, 0)?.sum_all()?;
        let bound = tuner.bound((&images, &facts), &place)?;
        Ok(ImageLoss {
            total: self.multiplier.lagrangian(&effectiveness, &bound)?,
            terms: vec![("effectiveness", effectiveness), ("bound", bound)],
        })
    }

    fn updated(&mut self, terms: &BTreeMap<String, f64>) {
        if let Some(&bound) = terms.get("bound") {
            self.multiplier.ascend(bound);
        }
    }

    fn state(&self) -> Option<f64> {
        Some(self.multiplier.lambda)
    }

    fn resume(&mut self, lambda: f64) {
        self.multiplier.lambda = lambda;
    }
}

#[cfg(test)]
mod tests;
