//! Trained models on disk, and their use on new cohorts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ctl_imaging::{Cohort, Colour, ImageRequest, ImageStore};
use ctl_nets::{Network, NetworkSpec};
use serde::{Deserialize, Serialize};

use super::checkpoint::Best;
use super::evaluate::outputs_of_pixels;
use super::execute::RunContext;
use crate::spec::RunSpec;
use crate::store::{read_json, write_atomically, write_json_atomically};
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

const SCHEMA: u32 = 1;
const CARD: &str = "model.json";
const WEIGHTS: &str = "model.safetensors";
/// Images decoded and predicted at once.
const CHUNK: usize = 64;

/// The description beside a model's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of this layout.
    pub schema: u32,
    /// Id of the run that trained it.
    pub run: String,
    /// Id of the method.
    pub method: String,
    /// How the checkpoint was chosen.
    pub selector: Selector,
    /// Steps of the checkpoint.
    pub step: u64,
    /// Sites it was trained on.
    pub sources: Vec<String>,
    /// The network and the size of its images.
    pub network: NetworkSpec,
    /// Names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
}

/// A prediction for one image of a new cohort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Predicted {
    /// The image, as in the manifest.
    pub path: String,
    /// Probability of each class.
    pub probabilities: Vec<f64>,
}

/// Writes `model-<selector>/` in the run's folder.
pub(crate) fn write_model(
    spec: &RunSpec,
    (context, network): (&RunContext<'_>, NetworkSpec),
    (selector, best): (Selector, &Best),
) -> Result<()> {
    let folder = context.folder.join(format!("model-{selector}"));
    let card = ModelCard {
        schema: SCHEMA,
        run: spec.id(),
        method: spec.method.clone(),
        selector,
        step: best.step,
        sources: spec.sources.clone(),
        network,
        classes: context.cohort.classes.clone(),
    };
    let built = network.build(0, "model")?;
    built.parameters().restore(&best.weights)?;
    let bytes = built.parameters().to_safetensors(&BTreeMap::new())?;
    write_atomically(&folder.join(WEIGHTS), &bytes)?;
    write_json_atomically(&folder.join(CARD), &card)
}

/// Reads a model: a folder `model-<selector>`, or a run's folder, whose training-domain model is
/// taken.
///
/// # Errors
/// When the folder holds no model, or its files are damaged or do not fit each other.
pub fn load_model(folder: &Path) -> Result<(ModelCard, Box<dyn Network>)> {
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
                "holds no model: expected {CARD} and {WEIGHTS}, which `benchmark --save-models` \
                 writes"
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
    if card.classes.len() != card.network.outputs {
        return Err(HarnessError::Stored {
            path,
            message: format!(
                "classes: expected a name for each of the network's {} outputs, found {}",
                card.network.outputs,
                card.classes.len()
            ),
        });
    }
    let network = card.network.build(0, "model")?;
    network.parameters().load(&folder.join(WEIGHTS))?;
    Ok((card, network))
}

/// Applies a model to every image of a cohort, in manifest order.
///
/// # Errors
/// When the cohort is at fault, an image cannot be decoded, or an output is not finite.
pub fn predict(card: &ModelCard, network: &dyn Network, cohort: &Path) -> Result<Vec<Predicted>> {
    let cohort = Arc::new(Cohort::open(cohort)?);
    let request = ImageRequest {
        height: card.network.height,
        width: card.network.width,
        colour: if card.network.channels == 1 {
            Colour::Grey
        } else {
            Colour::Rgb
        },
    };
    let paths: Vec<String> = cohort.records().iter().map(|r| r.path.clone()).collect();
    // Every image is used once: nothing is worth caching.
    let store = ImageStore::new(cohort, request, 0);
    let shape = [card.network.channels, request.height, request.width];
    let rows: Vec<usize> = (0..paths.len()).collect();
    let mut out = Vec::with_capacity(paths.len());
    for chunk in rows.chunks(CHUNK) {
        let rasters = store.load(chunk)?;
        let pixels = rasters
            .iter()
            .flat_map(|r| r.samples().iter().copied())
            .collect();
        let count = chunk.len();
        let all = outputs_of_pixels(network, pixels, count, shape, card.classes.len())?;
        for (&row, probabilities) in chunk.iter().zip(all) {
            out.push(Predicted {
                path: paths[row].clone(),
                probabilities,
            });
        }
    }
    Ok(out)
}
