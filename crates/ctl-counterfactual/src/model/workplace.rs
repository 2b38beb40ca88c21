//! The folder in which a training keeps what it has done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ctl_compute::optim::OptimiserState;
use ctl_graph::NodeId;
use ctl_nets::Parameters;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::files::{file_error, read, read_json, write_atomically, write_json};
use super::fine_tuning::Begun;
use super::store::{DESCRIPTION, SCHEMA, invalid, weights_of};
use super::{AttributeModel, DeepScm, FineTuningFit, FitOptions, FitStage, ImageFit};
use crate::attribute::Scale;
use crate::{AttributeFit, CounterfactualError, Encoding, Examples, FineTuning, Result};

/// What training of a model has finished so far.
const PROGRESS: &str = "training.json";

/// Where the state of the updates of the image's mechanism is kept.
fn checkpoint_of(folder: &Path, stage: FitStage) -> PathBuf {
    folder.join(match stage {
        FitStage::FineTuning => "fine-tuning.checkpoint.safetensors",
        _ => "image.checkpoint.safetensors",
    })
}

/// The weights of the image's mechanism before it was fine-tuned.
fn first_weights_of(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("node-{}.first.safetensors", node.index()))
}

fn predictor_of(folder: &Path, node: NodeId) -> PathBuf {
    folder.join(format!("predictor-{}.safetensors", node.index()))
}

fn write_weights(path: &Path, parameters: &Parameters) -> Result<()> {
    write_atomically(path, &parameters.to_safetensors(&BTreeMap::new())?)
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_file(path).map_err(file_error(path, "remove what is no longer needed"))?;
    }
    Ok(())
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
    /// Once fine-tuning has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fine_tuning: Option<Tuning>,
}

/// How far fine-tuning is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    /// Hash of the first training and the settings.
    training: String,
    /// Nodes whose predictors are trained.
    predictors: BTreeSet<usize>,
    begun: Option<Begun>,
    fit: Option<FineTuningFit>,
}

/// State of the image's training at a checkpoint.
pub(super) struct Resumed {
    pub(super) step: u64,
    pub(super) skipped: u64,
    pub(super) skipped_in_a_row: u64,
    pub(super) last: Vec<BTreeMap<String, f64>>,
    pub(super) objective: Option<f64>,
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
    /// State of what is minimised, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objective: Option<f64>,
}

/// The folder in which a training keeps what it has done, if there is one.
pub(super) struct Workplace {
    folder: Option<PathBuf>,
    training: String,
    /// The same of the fine-tuning, if there will be one.
    tuning: Option<String>,
    image: Option<NodeId>,
}

impl Workplace {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// When it holds the training of another model, with other data or other options, or a fine-tuning
    /// with other ones; a training without fine-tuning may be fine-tuned.
    pub(super) fn open(model: &DeepScm, data: &dyn Examples, options: &FitOptions) -> Result<Self> {
        let training = identity(model, data, options)?;
        let tuning = options.fine_tuning.as_ref();
        let workplace = Self {
            folder: options.folder.clone(),
            tuning: tuning.map(|s| tuning_identity(&training, s)).transpose()?,
            training,
            image: model.schema.image(),
        };
        let Some(folder) = &workplace.folder else {
            return Ok(workplace);
        };
        std::fs::create_dir_all(folder).map_err(file_error(folder, "make the folder"))?;
        let path = folder.join(PROGRESS);
        if path.exists() {
            workplace.check_tuning()?;
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
            tuning: None,
            image: None,
        }
    }

    fn check_tuning(&self) -> Result<()> {
        let Some((path, finished)) = self.finished()? else {
            return Ok(());
        };
        match (finished.fine_tuning, &self.tuning) {
            (Some(begun), Some(ours)) if begun.training == *ours => Ok(()),
            (None, _) => Ok(()),
            (Some(_), ours) => {
                let found = ours.as_ref().map_or("none", |_| "another");
                let expected = "the fine-tuning that was begun there, or an empty folder";
                Err(invalid(&path, expected, found.to_owned()))
            }
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
        write_weights(&weights_of(folder, node), parameters)?;
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
        write_weights(&weights_of(folder, node), parameters)?;
        finished.image = Some(fit.clone());
        write_json(&path, &finished)?;
        remove(&checkpoint_of(folder, FitStage::Mechanism))
    }

    /// What came of fine-tuning where it is done, whose weights are the image's by then; otherwise puts
    /// the weights that it begins with into the mechanism.
    pub(super) fn begin_tuning(&self, parameters: &Parameters) -> Result<Option<FineTuningFit>> {
        let found = (&self.folder, self.image, self.finished()?, &self.tuning);
        let (Some(folder), Some(node), Some((path, mut finished)), Some(training)) = found else {
            return Ok(None);
        };
        let first = first_weights_of(folder, node);
        if let Some(tuning) = finished.fine_tuning {
            if tuning.fit.is_none() {
                parameters.load(&first)?;
            }
            return Ok(tuning.fit);
        }
        write_weights(&first, parameters)?;
        finished.fine_tuning = Some(Tuning {
            training: training.clone(),
            predictors: BTreeSet::new(),
            begun: None,
            fit: None,
        });
        write_json(&path, &finished)?;
        Ok(None)
    }

    /// Puts the weights of a predictor that is trained already back; whether it is.
    pub(super) fn finished_predictor(&self, node: NodeId, parameters: &Parameters) -> Result<bool> {
        let (Some(folder), Some((_, finished))) = (&self.folder, self.finished()?) else {
            return Ok(false);
        };
        let trained = finished.fine_tuning.map(|tuning| tuning.predictors);
        if !trained.is_some_and(|nodes| nodes.contains(&node.index())) {
            return Ok(false);
        }
        parameters.load(&predictor_of(folder, node))?;
        Ok(true)
    }

    pub(super) fn finish_predictor(&self, node: NodeId, parameters: &Parameters) -> Result<()> {
        let (Some(folder), Some((path, mut finished))) = (&self.folder, self.finished()?) else {
            return Ok(());
        };
        write_weights(&predictor_of(folder, node), parameters)?;
        if let Some(tuning) = &mut finished.fine_tuning {
            tuning.predictors.insert(node.index());
        }
        write_json(&path, &finished)
    }

    /// What fine-tuning begins with, measured unless it was before.
    pub(super) fn begun(&self, measure: impl FnOnce() -> Result<Begun>) -> Result<Begun> {
        let Some((path, mut finished)) = self.finished()? else {
            return measure();
        };
        let Some(tuning) = &mut finished.fine_tuning else {
            return measure();
        };
        if let Some(begun) = &tuning.begun {
            return Ok(begun.clone());
        }
        let begun = measure()?;
        tuning.begun = Some(begun.clone());
        write_json(&path, &finished)?;
        Ok(begun)
    }

    /// Keeps the fine-tuned weights as the image's; predictors and checkpoint are no longer needed.
    pub(super) fn finish_tuning(&self, parameters: &Parameters, fit: &FineTuningFit) -> Result<()> {
        let found = (&self.folder, self.image, self.finished()?);
        let (Some(folder), Some(node), Some((path, mut finished))) = found else {
            return Ok(());
        };
        write_weights(&weights_of(folder, node), parameters)?;
        let mut trained = BTreeSet::new();
        if let Some(tuning) = &mut finished.fine_tuning {
            tuning.fit = Some(fit.clone());
            trained.append(&mut tuning.predictors);
        }
        write_json(&path, &finished)?;
        for node in trained {
            remove(&predictor_of(folder, NodeId::new(node)))?;
        }
        remove(&checkpoint_of(folder, FitStage::FineTuning))
    }

    /// The hash that a checkpoint of a stage carries.
    fn identity_of(&self, stage: FitStage) -> &str {
        match (stage, &self.tuning) {
            (FitStage::FineTuning, Some(tuning)) => tuning,
            _ => &self.training,
        }
    }

    /// Keeps the state of the updates of the image's mechanism.
    pub(super) fn keep(&self, stage: FitStage, state: &Resumed) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let path = checkpoint_of(folder, stage);
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
            training: self.identity_of(stage).to_owned(),
            step: state.step,
            skipped: state.skipped,
            skipped_in_a_row: state.skipped_in_a_row,
            updates: state.optimiser.step,
            moments: state.optimiser.moments.len(),
            averages: state.average.len(),
            last: state.last.clone(),
            objective: state.objective,
        };
        write_atomically(&path, &serialised(&path, &arrays, &place)?)
    }

    /// The state of the updates of the image's mechanism that was kept last, if any.
    pub(super) fn checkpoint(&self, stage: FitStage) -> Result<Option<Resumed>> {
        let folder = self.folder.as_ref();
        let Some(path) = folder.map(|folder| checkpoint_of(folder, stage)) else {
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
        if place.training != self.identity_of(stage) {
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
            objective: place.objective,
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
    // What comes behind the first training does not make it another.
    let options = FitOptions {
        fine_tuning: None,
        ..options.clone()
    };
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

/// Hash of what a fine-tuning depends on: the first training, and the settings.
fn tuning_identity(training: &str, settings: &FineTuning) -> Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key("ctl-counterfactual fine-tuning v1");
    let text = serde_json::to_string(&(training, settings)).map_err(|source| {
        CounterfactualError::Description {
            path: PathBuf::from("fine-tuning in memory"),
            source,
        }
    })?;
    hasher.update(text.as_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}
