//! Structural causal models whose mechanisms are learnt.

mod files;
mod fine_tuning;
mod intervention;
mod spec;
mod store;
mod structural;
mod support;
mod train;
mod trainer;
mod workplace;

pub use fine_tuning::{FineTuning, FineTuningFit, Measured};
pub use intervention::{Act, Acts, Amount};
pub use spec::{ImageSpec, ModelSpec};
pub use structural::{Abducted, Acted, LogProb, StructuralModel};
pub use support::Extrapolation;
pub use train::{
    FitOptions, FitProgress, FitReport, FitStage, ImageFit, ImageTraining, train_image,
};

use std::collections::BTreeMap;

use candle_core::Tensor;
use ctl_compute::random::{permutation, stream};
use ctl_graph::NodeId;
use rand_chacha::ChaCha8Rng;

use self::support::Support;
use crate::image::ImageNoise;
use crate::{
    AttributeCategories, AttributeFlow, AttributeMechanism, Columns, CounterfactualError, Encoding,
    Examples, ImageMechanism, Kind, Records, Result, Rows, Schema,
};

/// Individuals whose images are worked on at a time.
const CHUNK: usize = 250;

/// A mechanism of an attribute, as it is kept.
pub(crate) enum AttributeModel {
    Flow(AttributeFlow),
    Categories(AttributeCategories),
}

impl AttributeModel {
    pub(crate) fn mechanism(&self) -> &dyn AttributeMechanism {
        match self {
            Self::Flow(flow) => flow,
            Self::Categories(categories) => categories,
        }
    }
}

/// A node's parents as numbers, and its mechanism.
pub(crate) struct Part {
    pub(crate) encoding: Encoding,
    pub(crate) model: AttributeModel,
}

/// A structural causal model with a flow or Gumbel-max categories for every attribute and a deep
/// mechanism for the image.
///
/// # Examples
/// A model without an image: age determines volume, and this patient's volume follows when the age
/// is another.
/// ```
/// use std::collections::BTreeMap;
/// use ctl_counterfactual::{
///     Act, Columns, DeepScm, FitOptions, Kind, ModelSpec, Records, StructuralModel,
/// };
///
/// let spec = ModelSpec {
///     edges: "age -> volume".to_owned(),
///     nodes: BTreeMap::from([("age".to_owned(), Kind::REAL), ("volume".to_owned(), Kind::REAL)]),
///     flow: Default::default(),
///     categories: Default::default(),
///     image: None,
/// };
/// let ages: Vec<f64> = (0..400).map(|i| f64::from(i % 40) + 40.0).collect();
/// let noises = (0..400).map(|i| f64::from(i * 37 % 400) / 200.0 - 1.0);
/// let volumes = ages.iter().zip(noises).map(|(age, noise)| 20.0 - age / 10.0 + noise).collect();
/// let schema = spec.schema()?;
/// let columns = Columns::new(&schema, &[("age", ages), ("volume", volumes)])?;
/// let data = Records::new(&schema, columns, None)?;
/// let mut model = DeepScm::new(&spec, &data.columns, 0)?;
/// let mut options = FitOptions::default();
/// options.attributes.steps = 200;
/// model.fit(&data, &options, &mut |_| ())?;
///
/// let patient = data.select(&[3])?;
/// let acted = model.act(&[("age", Act::set(70.0))])?;
/// assert!(acted.extrapolations.is_empty());
/// let other = model.counterfactual(&patient, &acted.acts, 0)?;
/// let volume = schema.attribute("volume")?;
/// // 27 years later: 2.7 less.
/// let change = other.columns.column(volume)[0] - patient.columns.column(volume)[0];
/// assert!((change + 2.7).abs() < 0.4, "{change}");
/// # Ok::<(), ctl_counterfactual::CounterfactualError>(())
/// ```
pub struct DeepScm {
    spec: ModelSpec,
    schema: Schema,
    seed: u64,
    /// By node; none for the image.
    parts: Vec<Option<Part>>,
    image: Option<(Encoding, Box<dyn ImageMechanism>)>,
    support: Support,
    report: Option<FitReport>,
}

impl DeepScm {
    /// An untrained model, standardised by the columns of its training data.
    ///
    /// # Arguments
    /// - `seed`: what the first weights are drawn for
    ///
    /// # Errors
    /// When the specification is not sound, or there are no data.
    pub fn new(spec: &ModelSpec, columns: &Columns, seed: u64) -> Result<Self> {
        let schema = spec.schema()?;
        if columns.is_empty() {
            return Err(CounterfactualError::Value {
                subject: "training data".to_owned(),
                expected: "at least one individual".to_owned(),
                found: "none".to_owned(),
            });
        }
        columns.check(&schema)?;
        let mut parts: Vec<Option<Part>> = Vec::new();
        for node in schema.diagram().ids() {
            let is_image = schema.image() == Some(node);
            let encoding = Encoding::fit(&schema, node, columns);
            let part = || attribute(spec, &schema, (node, encoding), columns.column(node), seed);
            parts.push(if is_image { None } else { Some(part()?) });
        }
        let encoding = schema
            .image()
            .map(|node| Encoding::fit(&schema, node, columns));
        let image = image(spec, &schema, encoding, seed)?;
        Ok(Self {
            support: Support::of(&schema, columns),
            spec: spec.clone(),
            schema,
            seed,
            parts,
            image,
            report: None,
        })
    }

    /// What the model is made of.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// What came of training, once it is trained.
    pub fn report(&self) -> Option<&FitReport> {
        self.report.as_ref()
    }

    /// The mechanism of an attribute; none for the image.
    pub fn attribute(&self, node: NodeId) -> Option<&dyn AttributeMechanism> {
        let part = self.parts.get(node.index())?.as_ref()?;
        Some(part.model.mechanism())
    }

    /// The mechanism of the image.
    pub fn image(&self) -> Option<&dyn ImageMechanism> {
        self.image.as_ref().map(|(_, mechanism)| &**mechanism)
    }

    /// The parents of an attribute as its mechanism is told them; none for the image.
    pub fn parents_of(&self, node: NodeId, columns: &Columns) -> Option<Rows> {
        let part = self.parts.get(node.index())?.as_ref()?;
        Some(part.encoding.encode(columns))
    }

    /// The parents of the images as their mechanism is told them, `[B, P]`.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn image_parents(&self, columns: &Columns) -> Result<Option<Tensor>> {
        let image = self.image.as_ref();
        image
            .map(|(encoding, _)| encoding.encode(columns).to_tensor())
            .transpose()
    }

    /// Where each value lies in the distribution that its parents give, by attribute: uniform between
    /// 0 and 1 where the mechanism is right.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn ranks(&self, columns: &Columns) -> Result<BTreeMap<String, Vec<f64>>> {
        let mut ranks = BTreeMap::new();
        for (node, part) in self.attributes() {
            let parents = part.encoding.encode(columns);
            if let Some(found) = part
                .model
                .mechanism()
                .rank(columns.column(node), &parents)?
            {
                ranks.insert(self.schema.diagram().name(node).to_owned(), found);
            }
        }
        Ok(ranks)
    }

    fn attributes(&self) -> impl Iterator<Item = (NodeId, &Part)> {
        let nodes = self.schema.attributes();
        nodes.filter_map(|node| Some((node, self.parts[node.index()].as_ref()?)))
    }

    fn stream(&self, seed: u64, purpose: &str, node: NodeId, offset: usize) -> ChaCha8Rng {
        let name = self.schema.diagram().name(node);
        stream(seed, purpose, &format!("{name} from {offset}"))
    }

    /// The noises of the attributes alone, each drawn, where it is, from a stream of its own.
    fn abduct_attributes(
        &self,
        facts: &Columns,
        stream: &dyn Fn(NodeId) -> ChaCha8Rng,
    ) -> Result<Abducted> {
        let mut noises = vec![Vec::new(); self.schema.diagram().len()];
        for (node, part) in self.attributes() {
            let parents = part.encoding.encode(facts);
            let (values, rng) = (facts.column(node), &mut stream(node));
            noises[node.index()] = part.model.mechanism().abduct(values, &parents, rng)?;
        }
        Ok(Abducted {
            facts: facts.clone(),
            noises,
            image: None,
            offset: 0,
        })
    }

    fn abduct_from(&self, facts: &Records, seed: u64, offset: usize) -> Result<Abducted> {
        let stream = |node: NodeId| self.stream(seed, "abduct", node, offset);
        let attributes = self.abduct_attributes(&facts.columns, &stream)?;
        let image = match (&self.image, &facts.images, self.schema.image()) {
            (Some((encoding, mechanism)), Some(images), Some(node)) => {
                let rng = &mut stream(node);
                let parents = encoding.encode(&facts.columns).to_tensor()?;
                Some(mechanism.abduct(images, &parents, rng)?)
            }
            _ => None,
        };
        Ok(Abducted {
            image,
            offset,
            ..attributes
        })
    }

    /// Attributes after interventions; those that are not reached stay the facts.
    fn attributes_after(&self, noise: &Abducted, acts: &Acts) -> Result<Columns> {
        let mut columns = noise.facts.clone();
        let affected = self.schema.affected(&acts.nodes());
        for (node, part) in self.attributes() {
            if !affected.contains(node) {
                continue;
            }
            let values = match acts.on(node) {
                Some(Act::Set(amount)) => (0..columns.len()).map(|row| amount.of(row)).collect(),
                act => self.mechanism_after(noise, &columns, (node, part), act)?,
            };
            columns.set(node, values);
        }
        Ok(columns)
    }

    fn mechanism_after(
        &self,
        noise: &Abducted,
        columns: &Columns,
        (node, part): (NodeId, &Part),
        act: Option<&Act>,
    ) -> Result<Vec<f64>> {
        let mechanism = part.model.mechanism();
        let parents = part.encoding.encode(columns);
        let redrawn;
        let own = if let Some(&Act::Redraw { seed }) = act {
            let drawn = chunks(columns.len()).flat_map(|rows| {
                let rng = &mut self.stream(seed, "redraw", node, noise.offset + rows[0]);
                mechanism.draw_noise(rows.len(), rng)
            });
            redrawn = drawn.collect();
            &redrawn
        } else {
            &noise.noises[node.index()]
        };
        let mut values = mechanism.predict(own, &parents)?;
        for (row, value) in values.iter_mut().enumerate() {
            if let Some(Act::Shift(amount)) = act {
                *value += amount.of(row);
            }
            // What follows from far beyond the data may be no value at all.
            self.schema.check(node, *value, || {
                format!(
                    "{} after the interventions",
                    self.schema.diagram().name(node)
                )
            })?;
        }
        Ok(values)
    }

    /// Records that are of this model's schema.
    fn own(&self, records: &Records) -> Result<Records> {
        Records::new(
            &self.schema,
            records.columns.clone(),
            records.images.clone(),
        )
    }

    /// Interventions whose draws among the individuals are made.
    fn shuffled(&self, acts: &Acts, facts: &Columns) -> Result<Acts> {
        acts.check_count(&self.schema, facts.len())?;
        Ok(acts.with_shuffles(|node, seed| {
            let rng = &mut self.stream(seed, "shuffle", node, 0);
            let values = facts.column(node);
            let order = permutation(rng, values.len());
            order.into_iter().map(|row| values[row]).collect()
        }))
    }
}

fn attribute(
    spec: &ModelSpec,
    schema: &Schema,
    (node, encoding): (NodeId, Encoding),
    values: &[f64],
    seed: u64,
) -> Result<Part> {
    let name = schema.diagram().name(node);
    let (kind, width) = (schema.kind(node), encoding.width());
    let run = format!("mechanism {name}");
    let model = match kind {
        Kind::Categorical { categories } => AttributeModel::Categories(AttributeCategories::new(
            spec.categories,
            categories.len(),
            values,
            width,
            (seed, &run),
        )?),
        _ => AttributeModel::Flow(AttributeFlow::new(
            spec.flow,
            kind,
            values,
            width,
            (seed, &run),
        )?),
    };
    Ok(Part { encoding, model })
}

type ImagePart = (Encoding, Box<dyn ImageMechanism>);

/// The mechanism of the image, where there is one on both sides.
fn image(
    spec: &ModelSpec,
    schema: &Schema,
    encoding: Option<Encoding>,
    seed: u64,
) -> Result<Option<ImagePart>> {
    let fault = |node: &str, expected: &str, found: &str| {
        Err(CounterfactualError::Node {
            node: node.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        })
    };
    match (schema.image(), schema.image_shape(), encoding, &spec.image) {
        (Some(node), Some(shape), Some(encoding), Some(image)) => {
            let run = format!("mechanism {}", schema.diagram().name(node));
            let mechanism = image.build(shape, encoding.width(), (seed, &run))?;
            Ok(Some((encoding, mechanism)))
        }
        (Some(node), ..) => {
            let name = schema.diagram().name(node);
            fault(name, "a mechanism of the image", "none")
        }
        (None, _, _, Some(image)) => fault("image", "a node that is an image", image.name()),
        (None, ..) => Ok(None),
    }
}

impl StructuralModel for DeepScm {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn fit(
        &mut self,
        data: &dyn Examples,
        options: &FitOptions,
        observer: &mut dyn FnMut(FitProgress<'_>),
    ) -> Result<FitReport> {
        let report = train::fit(self, data, options, observer)?;
        self.report = Some(report.clone());
        Ok(report)
    }

    fn abduct(&self, facts: &Records, seed: u64) -> Result<Abducted> {
        let facts = self.own(facts)?;
        let mut noises = vec![Vec::new(); self.schema.diagram().len()];
        let mut images = Vec::new();
        for rows in chunks(facts.len()) {
            let part = self.abduct_from(&facts.select(&rows)?, seed, rows[0])?;
            for (all, some) in noises.iter_mut().zip(part.noises) {
                all.extend(some);
            }
            images.extend(part.image);
        }
        Ok(Abducted {
            facts: facts.columns,
            noises,
            image: joined(&images)?,
            offset: 0,
        })
    }

    fn act(&self, acts: &[(&str, Act)]) -> Result<Acted> {
        let acts = Acts::new(&self.schema, acts)?;
        self.checked(acts)
    }

    fn predict(&self, noise: &Abducted, acts: &Acts) -> Result<Records> {
        let acts = self.shuffled(acts, &noise.facts)?;
        let columns = self.attributes_after(noise, &acts)?;
        let images = match (&self.image, &noise.image) {
            (Some((encoding, mechanism)), Some(noise)) => {
                Some(mechanism.predict(noise, &encoding.encode(&columns).to_tensor()?)?)
            }
            _ => None,
        };
        Ok(Records { columns, images })
    }

    fn sample(&self, count: usize, acts: &Acts, seed: u64) -> Result<Records> {
        if count == 0 {
            return Err(CounterfactualError::Value {
                subject: "individuals to draw".to_owned(),
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        }
        let length = self.schema.diagram().len();
        let mut noise = Abducted {
            facts: Columns::from_columns(vec![Vec::new(); length], count),
            noises: vec![Vec::new(); length],
            image: None,
            offset: 0,
        };
        for (node, part) in self.attributes() {
            let rng = &mut self.stream(seed, "sample", node, 0);
            let mechanism = part.model.mechanism();
            let drawn = mechanism.draw_noise(count, rng);
            let parents = part.encoding.encode(&noise.facts);
            let values = mechanism.predict(&drawn, &parents)?;
            let name = self.schema.diagram().name(node);
            for &value in &values {
                self.schema
                    .check(node, value, || format!("{name} that was drawn"))?;
            }
            noise.facts.set(node, values);
            noise.noises[node.index()] = drawn;
        }
        let acts = self.shuffled(acts, &noise.facts)?;
        let columns = self.attributes_after(&noise, &acts)?;
        let Some(((encoding, mechanism), node)) = self.image.as_ref().zip(self.schema.image())
        else {
            return Ok(Records {
                columns,
                images: None,
            });
        };
        let parents = encoding.encode(&columns);
        let images = chunks(count).map(|rows| {
            let rng = &mut self.stream(seed, "sample", node, rows[0]);
            let drawn = mechanism.draw_noise(rows.len(), rng)?;
            mechanism.predict(&drawn, &parents.select(&rows).to_tensor()?)
        });
        let images = images.collect::<Result<Vec<_>>>()?;
        Ok(Records {
            columns,
            images: Some(Tensor::cat(&images, 0)?),
        })
    }

    fn log_prob(&self, records: &Records, seed: u64) -> Result<LogProb> {
        let records = self.own(records)?;
        let mut attributes = BTreeMap::new();
        for (node, part) in self.attributes() {
            let parents = part.encoding.encode(&records.columns);
            let values = records.columns.column(node);
            let found = part.model.mechanism().log_prob(values, &parents)?;
            attributes.insert(self.schema.diagram().name(node).to_owned(), found);
        }
        let mut image = None;
        if let (Some((encoding, mechanism)), Some(node)) = (&self.image, self.schema.image()) {
            let mut all = Vec::new();
            for rows in chunks(records.len()) {
                let part = records.select(&rows)?;
                let Some(images) = &part.images else { break };
                let rng = &mut self.stream(seed, "log-prob", node, rows[0]);
                let parents = encoding.encode(&part.columns).to_tensor()?;
                all.extend(
                    mechanism
                        .log_prob(images, &parents, rng)?
                        .unwrap_or_default(),
                );
            }
            image = (all.len() == records.len()).then_some(all);
        }
        Ok(LogProb { attributes, image })
    }

    fn counterfactual(&self, facts: &Records, acts: &Acts, seed: u64) -> Result<Records> {
        let facts = self.own(facts)?;
        let acts = self.shuffled(acts, &facts.columns)?;
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); self.schema.diagram().len()];
        let mut images = Vec::new();
        for rows in chunks(facts.len()) {
            let noise = self.abduct_from(&facts.select(&rows)?, seed, rows[0])?;
            let part = self.predict(&noise, &acts.select(&rows))?;
            for node in self.schema.attributes() {
                columns[node.index()].extend(part.columns.column(node));
            }
            images.extend(part.images);
        }
        let images = (!images.is_empty()).then(|| Tensor::cat(&images, 0));
        Ok(Records {
            columns: Columns::from_columns(columns, facts.len()),
            images: images.transpose()?,
        })
    }
}

/// The noises of images one after the other.
fn joined(parts: &[ImageNoise]) -> Result<Option<ImageNoise>> {
    let Some(first) = parts.first() else {
        return Ok(None);
    };
    let latents = (0..first.latents.len()).map(|index| {
        let some: Vec<&Tensor> = parts.iter().map(|part| &part.latents[index]).collect();
        Ok(Tensor::cat(&some, 0)?)
    });
    let residuals: Vec<&Tensor> = parts.iter().filter_map(|p| p.residual.as_ref()).collect();
    let residual = first.residual.is_some().then(|| Tensor::cat(&residuals, 0));
    Ok(Some(ImageNoise {
        latents: latents.collect::<Result<_>>()?,
        residual: residual.transpose()?,
    }))
}

impl DeepScm {
    /// What first weights, and whatever else its owner derives from it, were drawn for.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Values of some attributes that lie beyond those of the training data, the farthest of each.
    pub fn beyond(&self, columns: &Columns, nodes: &[NodeId]) -> Vec<Extrapolation> {
        let found = nodes.iter().map(|&node| {
            let values = columns.column(node);
            self.support.beyond(&self.schema, node, values)
        });
        found.flatten().collect()
    }

    /// Checks interventions that were made for this model's schema against what it has seen.
    ///
    /// # Errors
    /// When a category was never seen in training.
    pub fn checked(&self, acts: Acts) -> Result<Acted> {
        let extrapolations = self.support.check(&self.schema, &acts)?;
        Ok(Acted {
            acts,
            extrapolations,
        })
    }
}

/// Rows in runs of [`CHUNK`].
fn chunks(count: usize) -> impl Iterator<Item = Vec<usize>> {
    let starts = (0..count).step_by(CHUNK);
    starts.map(move |start| (start..(start + CHUNK).min(count)).collect())
}

#[cfg(test)]
mod tests;
