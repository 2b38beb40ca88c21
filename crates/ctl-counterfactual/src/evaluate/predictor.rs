//! Predictors against the causal direction: what an image says of the attributes that it came from.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use ctl_compute::ops::{Reduction, cross_entropy, log_softmax};
use ctl_compute::optim::{Adam, AdamParams, Clipping, Optimiser, Schedule};
use ctl_graph::NodeId;
use ctl_nets::{ImageEncoder, ImageEncoderSpec, Parameters};
use serde::{Deserialize, Serialize};

use crate::attribute::Batches;
use crate::encoding::moments;
use crate::error::in_range;
use crate::image::signed;
use crate::{
    Columns, CounterfactualError, Encoding, Examples, FitProgress, FitStage, Kind, Records, Result,
    Schema,
};

/// Individuals whose images are looked at together.
const CHUNK: usize = 250;
/// Least and greatest logarithm of the deviation that a predictor states, in standardised units.
const LOG_DEVIATIONS: [f32; 2] = [-5.0, 3.0];
/// `ln √(2 π)`
const LOG_ROOT_TAU: f64 = 0.918_938_533_204_672_8;
/// Gradients are scaled down to this norm.
const LARGEST_NORM: f64 = 10.0;

/// Sizes and training of a [`Predictor`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PredictorConfig {
    /// Channels after each halving of the sides; the sides are multiples of 2 to their number.
    pub widths: Vec<usize>,
    /// Number of features.
    pub hidden: usize,
    /// Updates of Adam.
    pub steps: u64,
    /// Images of an update, at least 1.
    pub batch: usize,
    /// Step size at the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
}

impl Default for PredictorConfig {
    fn default() -> Self {
        Self {
            widths: vec![16, 32],
            hidden: 64,
            steps: 2_000,
            batch: 128,
            learning_rate: 1e-3,
        }
    }
}

impl PredictorConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// Names the setting outside its range, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        const WHAT: &str = "predictor";
        in_range(WHAT, "steps", (self.steps, self.steps > 0), "at least 1")?;
        in_range(WHAT, "batch", (self.batch, self.batch > 0), "at least 1")?;
        let rate = self.learning_rate;
        let fits = rate.is_finite() && rate > 0.0;
        in_range(WHAT, "learning-rate", (rate, fits), "positive and finite")
    }
}

/// `q(a | image, children of a)`: a category, or a normal distribution.
///
/// # References
/// Ribeiro et al. 2023, section 4.3 and appendix: the anticausal factorisation, in which an attribute
/// that causes another is predicted from the image and that other.
pub struct Predictor {
    node: NodeId,
    /// The attributes that stand beside the image.
    conditions: Encoding,
    categories: Option<usize>,
    /// Mean and deviation of the training values.
    scale: (f64, f64),
    network: ImageEncoder,
}

impl Predictor {
    fn new(
        schema: &Schema,
        node: NodeId,
        columns: &Columns,
        config: &PredictorConfig,
        parameters: Parameters,
    ) -> Result<Self> {
        let [channels, height, width] = schema.image_shape().ok_or_else(|| no_image(schema))?;
        let children = schema.diagram().children(node).iter();
        let children: Vec<NodeId> = children.filter(|&c| Some(c) != schema.image()).collect();
        let conditions = Encoding::of(schema, &children, columns);
        let categories = match schema.kind(node) {
            Kind::Categorical { categories } => Some(categories.len()),
            _ => None,
        };
        let spec = ImageEncoderSpec {
            channels,
            sides: [height, width],
            context: conditions.width(),
            widths: config.widths.clone(),
            hidden: config.hidden,
            outputs: categories.unwrap_or(2),
        };
        Ok(Self {
            node,
            conditions,
            categories,
            scale: moments(columns.column(node)),
            network: ImageEncoder::from_parameters(parameters, &spec)?,
        })
    }

    /// The attribute that is predicted.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Weights.
    pub fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    /// Features `[B, F]` and outputs of images `[B, C, H, W]`, 0 to 1, that gradients flow through.
    fn forward(&self, images: &Tensor, columns: &Columns) -> Result<(Tensor, Tensor)> {
        let beside = self.conditions.encode(columns).to_tensor()?;
        let dtype = self.parameters().dtype();
        let (images, beside) = (signed(images)?.to_dtype(dtype)?, beside.to_dtype(dtype)?);
        Ok(self.network.forward(&images, &beside)?)
    }

    /// Features `[B, F]` of images alone: what stands beside them is at its mean.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        let beside = (images.dims()[0], self.conditions.width());
        let beside = Tensor::zeros(beside, DType::F32, &Device::Cpu)?;
        Ok(self.network.forward(&signed(images)?, &beside)?.0)
    }

    /// Mean of `−ln q(a | image, children of a)` over a batch, in nats, a scalar that gradients flow
    /// from, to the images as well; of a continuous attribute standardised by the training data.
    ///
    /// # Errors
    /// When images and columns do not fit.
    pub fn loss(&self, images: &Tensor, columns: &Columns) -> Result<Tensor> {
        let (_, outputs) = self.forward(images, columns)?;
        let values = columns.column(self.node);
        if self.categories.is_some() {
            let classes: Vec<u32> = values.iter().map(|&value| value as u32).collect();
            let classes = Tensor::new(classes, &Device::Cpu)?;
            return Ok(cross_entropy(&outputs, &classes, Reduction::Mean)?);
        }
        let (mean, deviation) = self.scale;
        let standard = values.iter().map(|v| ((v - mean) / deviation) as f32);
        let values = Tensor::new(standard.collect::<Vec<f32>>(), &Device::Cpu)?;
        let values = values.to_dtype(outputs.dtype())?;
        let column =
            |index: usize| -> Result<Tensor> { Ok(outputs.narrow(1, index, 1)?.squeeze(1)?) };
        let [least, greatest] = LOG_DEVIATIONS;
        let log_deviation = column(1)?.clamp(least, greatest)?;
        let error = (values - column(0)?)?.mul(&log_deviation.neg()?.exp()?)?;
        Ok((((error.sqr()? * 0.5)? + log_deviation)?.mean_all()? + LOG_ROOT_TAU)?)
    }

    /// The most probable category, or the mean, of every individual, in the attribute's units.
    fn predict(&self, images: &Tensor, columns: &Columns) -> Result<Vec<f64>> {
        let (_, outputs) = self.forward(images, columns)?;
        if self.categories.is_some() {
            let best = log_softmax(&outputs, 1)?.argmax(1)?.to_vec1::<u32>()?;
            return Ok(best.into_iter().map(f64::from).collect());
        }
        let (mean, deviation) = self.scale;
        let standard = outputs.narrow(1, 0, 1)?.squeeze(1)?.to_vec1::<f32>()?;
        let back = standard
            .iter()
            .map(|&value| f64::from(value) * deviation + mean);
        Ok(back.collect())
    }

    /// Trains it on facts; the same seed gives the same weights.
    ///
    /// # Arguments
    /// - `name`: of the attribute, for errors and progress
    ///
    /// # Errors
    /// When a setting is out of range, images cannot be read, or training diverges.
    pub fn train(
        &self,
        name: &str,
        data: &dyn Examples,
        config: &PredictorConfig,
        seed: u64,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<()> {
        config.validate()?;
        let params = AdamParams {
            learning_rate: config.learning_rate,
            ..AdamParams::default()
        };
        let mut adam = Adam::new(self.parameters().trained(), params)?.clipped(Clipping {
            norm: Some(LARGEST_NORM),
            value: None,
        })?;
        let schedule = Schedule::Cosine {
            steps: config.steps,
            floor: 0.0,
        };
        let run = format!("predictor {name}");
        let mut batches = Batches::new(data.columns().len(), config.batch, (seed, &run));
        for step in 0..config.steps {
            let rows = batches.next_rows();
            let images = data
                .images(&rows)?
                .ok_or_else(|| CounterfactualError::Training {
                    node: name.to_owned(),
                    message: "the data have no images".to_owned(),
                })?;
            let loss = self.loss(&images, &data.columns().select(&rows))?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return Err(CounterfactualError::Training {
                    node: name.to_owned(),
                    message: format!("the loss of its predictor is {value} at update {step}"),
                });
            }
            adam.set_rate_factor(schedule.factor(step));
            adam.step(&loss.backward()?)?;
            observer(FitProgress {
                node: name,
                stage: FitStage::Predictor,
                step: step + 1,
                steps: config.steps,
                loss: Some(value),
            });
        }
        Ok(())
    }
}

fn no_image(schema: &Schema) -> CounterfactualError {
    let names: Vec<&str> = schema
        .attributes()
        .map(|n| schema.diagram().name(n))
        .collect();
    CounterfactualError::Node {
        node: "image".to_owned(),
        expected: "an image to predict attributes from".to_owned(),
        found: format!("only {}", names.join(", ")),
    }
}

/// A predictor for each parent of the image.
pub struct Predictors {
    schema: Schema,
    all: Vec<Predictor>,
}

impl Predictors {
    /// Predictors that are not trained: for weights that were kept.
    ///
    /// # Errors
    /// When the model has no image, or a setting is out of range or does not suit the images.
    pub fn new(
        schema: &Schema,
        columns: &Columns,
        config: &PredictorConfig,
        seed: u64,
    ) -> Result<Self> {
        let parameters = |run: &str| Parameters::new(seed, run);
        Self::untrained(schema, columns, config, &parameters)
    }

    /// Trains a predictor for each parent of the image on facts; the same seed gives the same ones.
    ///
    /// # Errors
    /// When the model has no image, a setting is out of range or does not suit the images, or images
    /// cannot be read.
    pub fn train(
        schema: &Schema,
        data: &dyn Examples,
        config: &PredictorConfig,
        seed: u64,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<Self> {
        let predictors = Self::new(schema, data.columns(), config, seed)?;
        for predictor in &predictors.all {
            let name = schema.diagram().name(predictor.node);
            predictor.train(name, data, config, seed, observer)?;
        }
        Ok(predictors)
    }

    /// The same with weights of another kind.
    ///
    /// # Arguments
    /// - `parameters`: empty weights, by the name of their run
    ///
    /// # Errors
    /// When the model has no image, or a setting is out of range or does not suit the images.
    pub(crate) fn untrained(
        schema: &Schema,
        columns: &Columns,
        config: &PredictorConfig,
        parameters: &dyn Fn(&str) -> Parameters,
    ) -> Result<Self> {
        config.validate()?;
        let image = schema.image().ok_or_else(|| no_image(schema))?;
        let all = schema.parents(image).into_iter().map(|node| {
            let run = format!("predictor {}", schema.diagram().name(node));
            Predictor::new(schema, node, columns, config, parameters(&run))
        });
        Ok(Self {
            all: all.collect::<Result<_>>()?,
            schema: schema.clone(),
        })
    }

    /// The predictors, in the order of the image's parents.
    pub fn all(&self) -> &[Predictor] {
        &self.all
    }

    /// `−ln q(a | image, children of a)` of each parent `a` of the image, by name: means over a batch
    /// in nats, as [`Predictor::loss`] has them, which gradients flow from to the images.
    ///
    /// # Arguments
    /// - `images`: `[B, C, H, W]`, 0 to 1
    /// - `columns`: the values that the images should show, those of the children as well
    ///
    /// # Errors
    /// When images and columns do not fit.
    pub fn losses(&self, images: &Tensor, columns: &Columns) -> Result<Vec<(&str, Tensor)>> {
        let losses = self.all.iter().map(|predictor| {
            let name = self.schema.diagram().name(predictor.node);
            Ok((name, predictor.loss(images, columns)?))
        });
        losses.collect()
    }

    /// How far what the images say of each parent is from what it should be, by name: the mean
    /// absolute difference in its units, or the share of wrong categories.
    ///
    /// Of counterfactuals this is effectiveness, of facts the predictors' own error.
    ///
    /// # Errors
    /// When the records have no images.
    ///
    /// # References
    /// Monteiro et al. 2023, "Measuring axiomatic soundness of counterfactual image models",
    /// definition 3.
    pub fn errors(&self, records: &Records) -> Result<BTreeMap<String, f64>> {
        let mut errors = BTreeMap::new();
        for predictor in &self.all {
            let found = self.predicted(predictor, records)?;
            let values = records.columns.column(predictor.node);
            let pairs = found.iter().zip(values);
            let sum: f64 = match predictor.categories {
                Some(_) => pairs.filter(|(a, b)| **a as usize != **b as usize).count() as f64,
                None => pairs.map(|(a, b)| (a - b).abs()).sum(),
            };
            let name = self.schema.diagram().name(predictor.node).to_owned();
            errors.insert(name, sum / values.len().max(1) as f64);
        }
        Ok(errors)
    }

    /// What the images say of each parent, by name: its value, or the index of its most probable
    /// category, individual after individual.
    ///
    /// # Errors
    /// When the records have no images.
    pub fn predictions(&self, records: &Records) -> Result<BTreeMap<String, Vec<f64>>> {
        let predictors = self.all.iter();
        let found = predictors.map(|predictor| {
            let name = self.schema.diagram().name(predictor.node).to_owned();
            Ok((name, self.predicted(predictor, records)?))
        });
        found.collect()
    }

    fn predicted(&self, predictor: &Predictor, records: &Records) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for part in parts(records)? {
            let images = part.images.as_ref().ok_or_else(|| no_image(&self.schema))?;
            all.extend(predictor.predict(images, &part.columns)?);
        }
        Ok(all)
    }

    /// Features of images, `[B, F]` row after row and `F`: those of all predictors side by side.
    ///
    /// # Errors
    /// When the records have no images.
    pub fn features(&self, records: &Records) -> Result<(Vec<f64>, usize)> {
        let (mut values, mut width) = (Vec::new(), 0);
        for part in parts(records)? {
            let images = part.images.as_ref().ok_or_else(|| no_image(&self.schema))?;
            let features = self.all.iter().map(|predictor| predictor.features(images));
            let features = Tensor::cat(&features.collect::<Result<Vec<_>>>()?, 1)?;
            width = features.dims()[1];
            values.extend(
                features
                    .to_dtype(DType::F64)?
                    .flatten_all()?
                    .to_vec1::<f64>()?,
            );
        }
        Ok((values, width))
    }
}

/// Records some at a time.
pub(super) fn parts(records: &Records) -> Result<Vec<Records>> {
    let starts = (0..records.len()).step_by(CHUNK);
    starts
        .map(|start| {
            let rows: Vec<usize> = (start..(start + CHUNK).min(records.len())).collect();
            records.select(&rows)
        })
        .collect()
}
