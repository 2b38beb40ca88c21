//! Trained models on disk, and their use on new cohorts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ctl_imaging::{MaskRole, Raster};
use ctl_invariance::{BuildContext, ImageTransform, ObjectiveState, OutputCorrection};
use ctl_nets::{Network, NetworkSpec};
use serde::{Deserialize, Serialize};

use super::checkpoint::Best;
use super::evaluate::Deployed;
use super::execute::RunContext;
use super::trainer::Trainer;
use crate::data::{Parts, View, load_unlabelled};
use crate::spec::{CohortSpec, RunSpec};
use crate::store::{read_json, write_atomically, write_json_atomically};
use crate::task::{AttributeScale, How, Selected, kit_of_model};
use crate::vocabulary::{Selector, Task};
use crate::{HarnessError, Registry, Result};

const SCHEMA: u32 = 4;
const CARD: &str = "model.json";
const WEIGHTS: &str = "model.safetensors";

/// The description beside a model's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of this layout.
    pub schema: u32,
    /// The run that trained it.
    pub run: RunSpec,
    /// How the checkpoint was chosen.
    pub selector: Selector,
    /// Steps of the checkpoint.
    pub step: u64,
    /// The network and the size of its images.
    pub network: NetworkSpec,
    /// Names of the classes of images.
    pub classes: Vec<String>,
    /// Names of the classes of pixels.
    pub mask_classes: Vec<String>,
    /// How attributes are scaled, for networks that take them.
    pub attributes: Option<AttributeScale>,
    /// What the method makes of every image first, as numbers by name.
    pub transform: Option<ObjectiveState>,
    /// The site whose unlabelled images the model was adapted to after training; none where it is
    /// as it was trained.
    pub adapted_to: Option<String>,
    /// What is done to class probabilities at that site.
    pub correction: Option<OutputCorrection>,
}

/// A trained network, ready for new images.
pub struct Model {
    /// What it is.
    pub card: ModelCard,
    network: Box<dyn Network>,
    transform: Option<Box<dyn ImageTransform>>,
}

/// What a model says of the images of a new cohort.
pub struct Predictions {
    /// Names of the values.
    pub columns: Vec<String>,
    /// One entry for each image, in manifest order.
    pub images: Vec<Predicted>,
}

/// A prediction for one image of a new cohort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Predicted {
    /// The image, as in the manifest.
    pub path: String,
    /// The most probable class, for models of labels.
    pub predicted: Option<String>,
    /// Values by [`Predictions::columns`].
    pub values: Vec<f64>,
    /// The output as a picture, where it is one: a mask, an anomaly map or a reconstruction.
    #[serde(skip)]
    pub picture: Option<Raster>,
}

/// Writes `model-<selector>/` in the run's folder.
pub(crate) fn write_model(
    context: &RunContext<'_>,
    trainer: &Trainer<'_>,
    (selector, best, deployed): (Selector, &Best, &Deployed),
) -> Result<()> {
    let ground = trainer.ground();
    let folder = context.folder.join(format!("model-{selector}"));
    let card = ModelCard {
        schema: SCHEMA,
        run: ground.spec.clone(),
        selector,
        step: best.step,
        network: trainer.network_spec(),
        classes: context.cohort.classes.clone(),
        mask_classes: context.cohort.mask_classes.clone(),
        attributes: trainer.kit().attribute_scale(),
        transform: ground.transform.as_ref().map(|transform| transform.state()),
        adapted_to: trainer
            .adapts_to_target()
            .then(|| ground.spec.target.clone()),
        correction: deployed.correction.clone(),
    };
    let built = context
        .method
        .network(&ground.spec.settings, &card.network, (0, "model"))?;
    let weights = deployed.weights.as_ref().unwrap_or(&best.weights);
    built.parameters().restore(weights)?;
    let bytes = built.parameters().to_safetensors(&BTreeMap::new())?;
    write_atomically(&folder.join(WEIGHTS), &bytes)?;
    write_json_atomically(&folder.join(CARD), &card)
}

impl Model {
    /// Reads a model: a folder `model-<selector>`, or a run's folder, whose training-domain model
    /// is taken.
    ///
    /// # Arguments
    /// - `registry`: where the model's method is found, which may have built its own network.
    ///
    /// # Errors
    /// When the folder holds no model, its files are damaged or do not fit each other, or its
    /// method is not registered.
    pub fn load(folder: &Path, registry: &Registry) -> Result<Self> {
        let inner = folder.join(format!("model-{}", Selector::TrainingDomain));
        let folder: PathBuf = if inner.join(CARD).exists() {
            inner
        } else {
            folder.to_path_buf()
        };
        let path = folder.join(CARD);
        if !path.exists() {
            return Err(HarnessError::Data {
                path: folder,
                message: format!(
                    "holds no model: expected {CARD} and {WEIGHTS}, which `benchmark \
                     --save-models` writes"
                ),
            });
        }
        let card: ModelCard = read_json(&path)?;
        if card.schema != SCHEMA {
            return Err(HarnessError::Stored {
                path,
                message: format!("expected schema {SCHEMA}, found {}", card.schema),
            });
        }
        let method = registry.get(&card.run.method)?;
        let network = method.network(&card.run.settings, &card.network, (0, "model"))?;
        network.parameters().load(&folder.join(WEIGHTS))?;
        let transform = transform_of(&card, registry, network.as_ref())?;
        if let Some(correction) = &card.correction {
            correction
                .validate(card.classes.len())
                .map_err(|message| HarnessError::Stored { path, message })?;
        }
        Ok(Self {
            card,
            network,
            transform,
        })
    }
}

/// What the method of a model makes of images.
fn transform_of(
    card: &ModelCard,
    registry: &Registry,
    network: &dyn Network,
) -> Result<Option<Box<dyn ImageTransform>>> {
    let Some(state) = &card.transform else {
        return Ok(None);
    };
    let parts = registry.get(&card.run.method)?.build(
        &card.run.settings,
        &BuildContext {
            environments: card.run.sources.len(),
            features: network.feature_width(),
            outputs: card.network.outputs,
            steps: card.run.training.steps,
            independences: &[],
            seed: card.run.seed,
            run: "model",
        },
    )?;
    let preparation = parts.preparation.as_ref();
    let restored = preparation.map(|preparation| preparation.restore(state));
    Ok(restored.transpose()?.flatten())
}

/// The lowest index on ties.
fn most_probable(classes: &[String], values: &[f64]) -> String {
    let better = |best: usize, k| if values[k] > values[best] { k } else { best };
    let best = (0..values.len()).fold(0, better);
    classes.get(best).cloned().unwrap_or_default()
}

impl Model {
    /// Applies a model to every image of a cohort, in manifest order.
    ///
    /// A model that was adapted to a site ([`ModelCard::adapted_to`]) says what it would say there.
    /// A reconstruction model is given images: it measures them in some columns of k-space, as in its
    /// training, and says how well it restores them.
    ///
    /// # Errors
    /// When the cohort is at fault, lacks the model's attributes, an image cannot be decoded, or an
    /// output is not finite.
    pub fn predict(&self, cohort: &Path) -> Result<Predictions> {
        let (card, network) = (&self.card, self.network.as_ref());
        let spec = &card.run;
        let names = (card.classes.as_slice(), card.mask_classes.as_slice());
        let environment = match &spec.data {
            CohortSpec::Folder { environment, .. } => environment.as_deref(),
            CohortSpec::Phantom { .. } => None,
        };
        let cohort = load_unlabelled(cohort, names, (&spec.training, environment))?;
        let parts = Parts::empty();
        let kit = kit_of_model(spec, (&cohort, &parts), card.attributes.as_ref())?;
        let labels = matches!(spec.task, Task::Classification | Task::Multimodal);
        let [_, height, width] = cohort.images.shape();
        let all: Vec<usize> = (0..cohort.samples.len()).collect();
        let selected = Selected {
            spec,
            cohort: &cohort,
            view: View::Plain,
            samples: &all,
            how: How::Evaluate,
            observer: MaskRole::Annotation,
            transform: self.transform.as_deref(),
        };
        let raster = |pixels: Vec<f32>| {
            let pixels = pixels.into_iter().map(|v| v.clamp(0.0, 1.0)).collect();
            Raster::new(1, height, width, pixels)
        };
        let mut images = Vec::with_capacity(all.len());
        for chunk in &selected.chunks(kit.at_once()) {
            let said = kit.describe(network, &selected.with(chunk))?;
            for (&sample, said) in chunk.iter().zip(said) {
                let values = match &card.correction {
                    Some(correction) => correction.apply(&said.values),
                    None => said.values,
                };
                let predicted = Predicted {
                    path: cohort.samples[sample].id.clone(),
                    predicted: labels.then(|| most_probable(&card.classes, &values)),
                    values,
                    picture: said.picture.map(raster).transpose()?,
                };
                images.push((sample, predicted));
            }
        }
        images.sort_by_key(|(sample, _)| *sample);
        Ok(Predictions {
            columns: kit.described(),
            images: images.into_iter().map(|(_, image)| image).collect(),
        })
    }
}
