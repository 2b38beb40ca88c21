//! Labels from images, or from images and attributes together.

use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_invariance::{Batch, SampleLoss, SoftmaxCrossEntropy, TargetKind, WeightedTarget};
use ctl_nets::{Mode, Network, NetworkInput};

use super::attributes::AttributeScale;
use super::figures::{
    accuracy_score, auroc_of, classification_metrics, classification_score, probabilities,
};
use super::inputs::{How, Selected, network_images};
use super::{Described, Kit, Scored};
use crate::data::{CohortData, Parts};
use crate::record::Metrics;
use crate::run::Prediction;
use crate::spec::{MainMetric, RunSpec};
use crate::{HarnessError, Result};

/// Images per forward pass in evaluation.
const CHUNK: usize = 64;

/// Classification, and multimodal prediction where there is a scale for the attributes.
pub(crate) struct Classification<'a> {
    cohort: &'a CohortData,
    attributes: Option<AttributeScale>,
    metric: MainMetric,
}

impl<'a> Classification<'a> {
    pub(crate) fn new(spec: &RunSpec, cohort: &'a CohortData) -> Self {
        Self {
            cohort,
            attributes: None,
            metric: spec.training.metric,
        }
    }

    pub(crate) fn multimodal(
        spec: &RunSpec,
        cohort: &'a CohortData,
        parts: &Parts,
    ) -> Result<Self> {
        Ok(Self {
            cohort,
            attributes: Some(AttributeScale::of(spec, cohort, parts)?),
            metric: spec.training.metric,
        })
    }

    /// A trained model on another cohort, whose attributes must be those of its training.
    pub(crate) fn with_scale(
        spec: &RunSpec,
        cohort: &'a CohortData,
        scale: AttributeScale,
    ) -> Result<Self> {
        if cohort.attributes == scale.names() {
            return Ok(Self {
                cohort,
                attributes: Some(scale),
                metric: spec.training.metric,
            });
        }
        Err(HarnessError::Config {
            origin: "cohort".into(),
            key: "attributes".into(),
            message: format!(
                "the model takes {}, found {}",
                scale.names().join(", "),
                cohort.attributes.join(", ")
            ),
        })
    }

    fn context(&self, selected: &Selected<'_>, hidden: bool) -> Result<Option<Tensor>> {
        let Some(scale) = &self.attributes else {
            return Ok(None);
        };
        let rows = match selected.how {
            _ if hidden => scale.hidden(selected.samples.len()),
            How::Evaluate => scale.rows(selected),
            How::Train {
                environment, step, ..
            } => {
                let purpose = format!("attributes of environment {environment} at step {step}");
                let spec = selected.spec;
                let mut rng = stream(spec.seed, &spec.data_key(), &purpose);
                scale.rows_for_training(selected, &mut rng)
            }
        };
        let shape = (selected.samples.len(), 2 * scale.len());
        Ok(Some(Tensor::from_vec(rows, shape, &Device::Cpu)?))
    }

    fn images(&self, selected: &Selected<'_>) -> Result<Tensor> {
        let pixels = selected.pixels(selected.view, &selected.jitter())?;
        network_images(pixels, selected.samples.len(), self.cohort.images.shape())
    }

    fn rows(
        &self,
        network: &dyn Network,
        selected: &Selected<'_>,
        hidden: bool,
    ) -> Result<Vec<Prediction>> {
        let mut rows = Vec::with_capacity(selected.samples.len());
        for chunk in &selected.chunks(CHUNK) {
            let part = selected.with(chunk);
            let (images, context) = (self.images(&part)?, self.context(&part, hidden)?);
            let input = NetworkInput::new(&images, context.as_ref());
            let logits = network.forward(input, Mode::Evaluate)?.outputs;
            let logits = logits.flatten_all()?.to_vec1::<f32>()?;
            let outputs = probabilities(&logits, self.cohort.classes.len(), "network")?;
            for (&sample, outputs) in chunk.iter().zip(outputs) {
                rows.push(Prediction::of(self.cohort, sample, outputs));
            }
        }
        Ok(rows)
    }
}

impl Kit for Classification<'_> {
    fn at_once(&self) -> usize {
        CHUNK
    }

    fn loss(&self) -> &dyn SampleLoss {
        &SoftmaxCrossEntropy
    }

    fn channels(&self) -> [usize; 2] {
        [self.cohort.images.shape()[0], self.cohort.classes.len()]
    }

    fn attributes(&self) -> usize {
        self.attributes.as_ref().map_or(0, AttributeScale::len)
    }

    fn batch(&self, selected: &Selected<'_>) -> Result<Batch> {
        let label = |&s: &usize| self.cohort.samples[s].label as u32;
        let labels: Vec<u32> = selected.samples.iter().map(label).collect();
        let mut batch = selected.batch(self.images(selected)?, TargetKind::Classes);
        batch.context = self.context(selected, false)?;
        if selected.is_labelled() {
            batch.targets.push(WeightedTarget {
                weight: 1.0,
                target: Tensor::new(labels.as_slice(), &Device::Cpu)?,
            });
            batch.classes = Some(labels);
        }
        Ok(batch)
    }

    fn score(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Scored> {
        let rows = self.rows(network, selected, false)?;
        let mut beside = Metrics::new();
        if self.attributes.is_some() {
            let without = self.rows(network, selected, true)?;
            if let Some(area) = auroc_of(&without)? {
                beside.insert("auroc_without_attributes".into(), area);
            }
        }
        Ok(Scored { rows, beside })
    }

    fn metrics(&self, scored: &Scored) -> Result<Metrics> {
        let mut metrics = classification_metrics(&scored.rows)?;
        metrics.extend(scored.beside.clone());
        Ok(metrics)
    }

    fn selection_score(&self, scored: &Scored, _labelled: bool) -> Result<f64> {
        match self.metric {
            MainMetric::OfTask => classification_score(&scored.rows),
            MainMetric::Accuracy => Ok(accuracy_score(&scored.rows)),
        }
    }

    fn described(&self) -> Vec<String> {
        let classes = self.cohort.classes.iter();
        classes.map(|class| format!("p({class})")).collect()
    }

    fn describe(&self, network: &dyn Network, selected: &Selected<'_>) -> Result<Vec<Described>> {
        let rows = self.rows(network, selected, false)?;
        let described = |row: Prediction| Described {
            values: row.outputs,
            picture: None,
        };
        Ok(rows.into_iter().map(described).collect())
    }

    fn attribute_scale(&self) -> Option<AttributeScale> {
        self.attributes.clone()
    }
}
