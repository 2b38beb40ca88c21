//! Models on disk: a description in JSON, weights in safetensors, one file for each mechanism.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ctl_compute::optim::OptimiserState;
use ctl_graph::NodeId;
use ctl_nets::Parameters;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::files::{file_error, read, read_json, write_atomically, write_json};
use super::support::Support;
use super::{AttributeModel, DeepScm, FitOptions, FitReport, ImageFit, ModelSpec, Part};
use crate::attribute::Scale;
use crate::{
    AttributeCategories, AttributeFit, AttributeFlow, CounterfactualError, Encoding, Examples,
    Kind, Result, Schema,
};

/// Version of the format of a model's folder.
const SCHEMA: u32 = 1;
/// The description in a model's folder.
const DESCRIPTION: &str = "model.json";
/// What training of a model has finished so far.
const PROGRESS: &str = "training.json";
const CHECKPOINT: &str = "image.checkpoint.safetensors";

/// `model.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    schema: u32,
    seed: u64,
    spec: ModelSpec,
    /// By node.
    encodings: Vec<Encoding>,
    /// By node; none where there is no flow.
    scales: Vec<Option<Scale>>,
    support: Support,
    report: Option<FitReport>,
}

fn weights_of(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("node-{}.safetensors", node.index()))
}

fn invalid(path: &Path, expected: &str, found: String) -> CounterfactualError {
    CounterfactualError::Stored {
        path: path.to_path_buf(),
        expected: expected.to_owned(),
        found,
    }
}

impl DeepScm {
    /// Writes the model into a folder, which is made if it is not there; the description comes last,
    /// so that a folder with one is whole.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(file_error(folder, "make the folder"))?;
        let path = folder.join(DESCRIPTION);
        if path.exists() {
            // Weights of one model and the description of another must never lie side by side.
            std::fs::remove_file(&path).map_err(file_error(&path, "replace the model"))?;
        }
        let none = BTreeMap::new();
        for (node, part) in self.attributes() {
            let bytes = part.model.mechanism().parameters().to_safetensors(&none)?;
            write_atomically(&weights_of(folder, node), &bytes)?;
        }
        if let (Some((_, mechanism)), Some(node)) = (&self.image, self.schema.image()) {
            let bytes = mechanism.parameters().to_safetensors(&none)?;
            write_atomically(&weights_of(folder, node), &bytes)?;
        }
        let image = self.image.as_ref().map(|(encoding, _)| encoding);
        let encodings = self.parts.iter().map(|part| {
            let own = part.as_ref().map(|part| &part.encoding);
            own.or(image).cloned().unwrap_or_else(Encoding::none)
        });
        let scales = self.parts.iter().map(|part| match part {
            Some(Part {
                model: AttributeModel::Flow(flow),
                ..
            }) => Some(flow.scale()),
            _ => None,
        });
        let description = Description {
            schema: SCHEMA,
            seed: self.seed,
            spec: self.spec.clone(),
            encodings: encodings.collect(),
            scales: scales.collect(),
            support: self.support.clone(),
            report: self.report.clone(),
        };
        write_json(&path, &description)
    }

    /// Reads a model that [`DeepScm::save`] wrote.
    ///
    /// # Errors
    /// When a file is missing, of another version, not what it should be, or weights do not suit the
    /// description.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let description: Description = read_json(&path)?;
        if description.schema != SCHEMA {
            let expected = format!("schema {SCHEMA}");
            return Err(invalid(&path, &expected, description.schema.to_string()));
        }
        let schema = description.spec.schema()?;
        description.check(&schema, &path)?;
        let mut parts = Vec::new();
        for node in schema.diagram().ids() {
            let is_image = schema.image() == Some(node);
            let part = || description.attribute(&schema, node, &path);
            parts.push(if is_image { None } else { Some(part()?) });
        }
        let encoding = schema
            .image()
            .map(|node| description.encodings[node.index()].clone());
        let image = super::image(&description.spec, &schema, encoding, description.seed)?;
        let model = Self {
            spec: description.spec,
            seed: description.seed,
            parts,
            image,
            support: description.support,
            report: description.report,
            schema,
        };
        for (node, part) in model.attributes() {
            let parameters = part.model.mechanism().parameters();
            parameters.load(&weights_of(folder, node))?;
        }
        if let (Some((_, mechanism)), Some(node)) = (&model.image, model.schema.image()) {
            mechanism.parameters().load(&weights_of(folder, node))?;
        }
        Ok(model)
    }
}

impl Description {
    /// Refuses statistics that are not those of the diagram's nodes.
    fn check(&self, schema: &Schema, path: &Path) -> Result<()> {
        let count = schema.diagram().len();
        let ids = || schema.diagram().ids();
        let fits = self.encodings.len() == count
            && self.scales.len() == count
            && self.support.suits(schema)
            && ids().all(|node| self.encodings[node.index()].suits(schema, node))
            && ids().all(|node| {
                let is_flow = matches!(schema.kind(node), Kind::Continuous { .. });
                match (schema.kind(node), self.scales[node.index()]) {
                    (&Kind::Continuous { lower, upper }, Some(scale)) => {
                        scale.is_sound((lower, upper))
                    }
                    (_, scale) => !is_flow && scale.is_none(),
                }
            });
        if fits {
            return Ok(());
        }
        let expected = "statistics of the nodes of its own diagram";
        Err(invalid(path, expected, "others".to_owned()))
    }

    fn attribute(&self, schema: &Schema, node: NodeId, path: &Path) -> Result<Part> {
        let encoding = self.encodings[node.index()].clone();
        let run = format!("mechanism {}", schema.diagram().name(node));
        let (key, width) = ((self.seed, &run[..]), encoding.width());
        let model = match (schema.kind(node), self.scales[node.index()]) {
            (Kind::Categorical { categories }, _) => {
                let (config, count) = (self.spec.categories, categories.len());
                let categories = AttributeCategories::new(config, count, &[], width, key)?;
                AttributeModel::Categories(categories)
            }
            (_, Some(scale)) => {
                let flow = AttributeFlow::with_scale(self.spec.flow, scale, width, key)?;
                AttributeModel::Flow(flow)
            }
            (_, None) => return Err(invalid(path, "a scale for every flow", "none".to_owned())),
        };
        Ok(Part { encoding, model })
    }
}

/// What has been trained: `training.json`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finished {
    schema: u32,
    /// Hash of model, options and data.
    training: String,
    attributes: BTreeMap<usize, AttributeFit>,
    image: Option<ImageFit>,
}

/// State of the image's training at a checkpoint.
pub(super) struct Resumed {
    pub(super) step: u64,
    pub(super) skipped: u64,
    pub(super) skipped_in_a_row: u64,
    pub(super) last: Vec<BTreeMap<String, f64>>,
    pub(super) weights: BTreeMap<String, Vec<f32>>,
    pub(super) optimiser: OptimiserState,
    pub(super) average: Vec<Vec<f32>>,
}

/// The part of a checkpoint that is not arrays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    training: String,
    step: u64,
    skipped: u64,
    skipped_in_a_row: u64,
    updates: u64,
    moments: usize,
    averages: usize,
    last: Vec<BTreeMap<String, f64>>,
}

/// The folder in which a training keeps what it has done, if there is one.
pub(super) struct Workplace {
    folder: Option<PathBuf>,
    training: String,
    image: Option<NodeId>,
}

impl Workplace {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it holds the training of another model, with other data or other options.
    pub(super) fn open(model: &DeepScm, data: &dyn Examples, options: &FitOptions) -> Result<Self> {
        let workplace = Self {
            folder: options.folder.clone(),
            training: identity(model, data, options)?,
            image: model.schema.image(),
        };
        let Some(folder) = &workplace.folder else {
            return Ok(workplace);
        };
        std::fs::create_dir_all(folder).map_err(file_error(folder, "make the folder"))?;
        let path = folder.join(PROGRESS);
        if path.exists() {
            workplace.finished()?;
        } else if folder.join(DESCRIPTION).exists() {
            let expected = "a training that goes on, or a folder without a model";
            return Err(invalid(folder, expected, "a model".to_owned()));
        } else {
            let finished = Finished {
                schema: SCHEMA,
                training: workplace.training.clone(),
                ..Finished::default()
            };
            write_json(&path, &finished)?;
        }
        Ok(workplace)
    }

    /// Nothing is kept.
    pub(super) fn nowhere() -> Self {
        Self {
            folder: None,
            training: String::new(),
            image: None,
        }
    }

    fn finished(&self) -> Result<Option<(PathBuf, Finished)>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = folder.join(PROGRESS);
        let finished: Finished = read_json(&path)?;
        if finished.schema != SCHEMA || finished.training != self.training {
            let expected = "the training of the same model, data and options, or an empty folder";
            return Err(invalid(&path, expected, "another training".to_owned()));
        }
        Ok(Some((path, finished)))
    }

    pub(super) fn finished_attribute(
        &self,
        node: NodeId,
        parameters: &Parameters,
    ) -> Result<Option<AttributeFit>> {
        let (Some(folder), Some((_, finished))) = (&self.folder, self.finished()?) else {
            return Ok(None);
        };
        let Some(&fit) = finished.attributes.get(&node.index()) else {
            return Ok(None);
        };
        parameters.load(&weights_of(folder, node))?;
        Ok(Some(fit))
    }

    pub(super) fn finish_attribute(
        &self,
        node: NodeId,
        parameters: &Parameters,
        fit: &AttributeFit,
    ) -> Result<()> {
        let (Some(folder), Some((path, mut finished))) = (&self.folder, self.finished()?) else {
            return Ok(());
        };
        let bytes = parameters.to_safetensors(&BTreeMap::new())?;
        write_atomically(&weights_of(folder, node), &bytes)?;
        finished.attributes.insert(node.index(), *fit);
        write_json(&path, &finished)
    }

    pub(super) fn finished_image(&self, parameters: &Parameters) -> Result<Option<ImageFit>> {
        let found = (&self.folder, self.image, self.finished()?);
        let (Some(folder), Some(node), Some((_, finished))) = found else {
            return Ok(None);
        };
        let Some(fit) = finished.image else {
            return Ok(None);
        };
        parameters.load(&weights_of(folder, node))?;
        Ok(Some(fit))
    }

    pub(super) fn finish_image(&self, parameters: &Parameters, fit: &ImageFit) -> Result<()> {
        let found = (&self.folder, self.image, self.finished()?);
        let (Some(folder), Some(node), Some((path, mut finished))) = found else {
            return Ok(());
        };
        let bytes = parameters.to_safetensors(&BTreeMap::new())?;
        write_atomically(&weights_of(folder, node), &bytes)?;
        finished.image = Some(fit.clone());
        write_json(&path, &finished)?;
        let checkpoint = folder.join(CHECKPOINT);
        if checkpoint.exists() {
            std::fs::remove_file(&checkpoint)
                .map_err(file_error(&checkpoint, "remove the checkpoint"))?;
        }
        Ok(())
    }

    /// Keeps the state of the image's training.
    pub(super) fn keep(&self, state: &Resumed) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let path = folder.join(CHECKPOINT);
        let mut arrays: BTreeMap<String, &[f32]> = BTreeMap::new();
        for (name, values) in &state.weights {
            arrays.insert(format!("weight/{name}"), values);
        }
        for (index, values) in state.optimiser.moments.iter().enumerate() {
            arrays.insert(format!("moment/{index}"), values);
        }
        for (index, values) in state.average.iter().enumerate() {
            arrays.insert(format!("average/{index}"), values);
        }
        let place = Place {
            training: self.training.clone(),
            step: state.step,
            skipped: state.skipped,
            skipped_in_a_row: state.skipped_in_a_row,
            updates: state.optimiser.step,
            moments: state.optimiser.moments.len(),
            averages: state.average.len(),
            last: state.last.clone(),
        };
        write_atomically(&path, &serialised(&path, &arrays, &place)?)
    }

    /// The state of the image's training that was kept last, if any.
    pub(super) fn checkpoint(&self) -> Result<Option<Resumed>> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(CHECKPOINT)) else {
            return Ok(None);
        };
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path)?;
        let damaged = |source| ctl_nets::NetError::Format {
            path: path.clone(),
            source,
        };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let place = metadata.metadata().as_ref().and_then(|m| m.get("place"));
        let place: Place =
            serde_json::from_str(place.map_or("", String::as_str)).map_err(|source| {
                CounterfactualError::Description {
                    path: path.clone(),
                    source,
                }
            })?;
        if place.training != self.training {
            let expected = "the checkpoint of the same training";
            return Err(invalid(&path, expected, "another's".to_owned()));
        }
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let array = |name: String| -> Result<Vec<f32>> {
            let view = file.tensor(&name).map_err(damaged)?;
            let values = view.data().chunks_exact(4);
            Ok(values
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect())
        };
        let mut weights = BTreeMap::new();
        for name in file.names() {
            if let Some(weight) = name.strip_prefix("weight/") {
                weights.insert(weight.to_owned(), array(name.to_owned())?);
            }
        }
        let numbered = |kind: &str, count: usize| -> Result<Vec<Vec<f32>>> {
            (0..count)
                .map(|index| array(format!("{kind}/{index}")))
                .collect()
        };
        Ok(Some(Resumed {
            optimiser: OptimiserState {
                step: place.updates,
                moments: numbered("moment", place.moments)?,
            },
            average: numbered("average", place.averages)?,
            step: place.step,
            skipped: place.skipped,
            skipped_in_a_row: place.skipped_in_a_row,
            last: place.last,
            weights,
        }))
    }
}

fn serialised(path: &Path, arrays: &BTreeMap<String, &[f32]>, place: &Place) -> Result<Vec<u8>> {
    let bytes: Vec<(&String, usize, Vec<u8>)> = arrays
        .iter()
        .map(|(name, values)| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, values.len(), bytes)
        })
        .collect();
    let failed = |source| ctl_nets::NetError::Format {
        path: path.to_path_buf(),
        source,
    };
    let mut views = Vec::new();
    for (name, count, bytes) in &bytes {
        let view = TensorView::new(Dtype::F32, vec![*count], bytes).map_err(failed)?;
        views.push(((*name).clone(), view));
    }
    let place =
        serde_json::to_string(place).map_err(|source| CounterfactualError::Description {
            path: path.to_path_buf(),
            source,
        })?;
    let metadata = [("place".to_owned(), place)].into_iter().collect();
    Ok(safetensors::serialize(views, Some(metadata)).map_err(failed)?)
}

/// Images that tell one training's data from another's.
const LOOKED_AT: usize = 16;

/// Hash of what a training depends on: model, seeds, options, attributes of all individuals and some of
/// their images.
fn identity(model: &DeepScm, data: &dyn Examples, options: &FitOptions) -> Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key("ctl-counterfactual training v1");
    let encodings: Vec<&Encoding> = model.attributes().map(|(_, part)| &part.encoding).collect();
    let scales: Vec<Option<Scale>> = model
        .attributes()
        .map(|(_, part)| match &part.model {
            AttributeModel::Flow(flow) => Some(flow.scale()),
            AttributeModel::Categories(_) => None,
        })
        .collect();
    let key = (&model.spec, model.seed, options, encodings, scales);
    let text = serde_json::to_string(&key).map_err(|source| CounterfactualError::Description {
        path: PathBuf::from("model in memory"),
        source,
    })?;
    hasher.update(text.as_bytes());
    let columns = data.columns();
    for node in model.schema.diagram().ids() {
        for value in columns.column(node) {
            hasher.update(&value.to_le_bytes());
        }
    }
    let count = columns.len();
    let looked_at: Vec<usize> = (0..count.min(LOOKED_AT))
        .map(|i| i * count / count.min(LOOKED_AT))
        .collect();
    if let Some(images) = data.images(&looked_at)? {
        for value in images.flatten_all()?.to_vec1::<f32>()? {
            hasher.update(&value.to_le_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
