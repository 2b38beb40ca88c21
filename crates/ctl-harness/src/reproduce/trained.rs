//! Models that experiments train once, with what they cost.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ctl_counterfactual::{
    AttributeTraining, DeepScm, Examples, FitOptions, ImageSpec, ImageTraining, ModelSpec,
    StructuralModel,
};
use serde::{Deserialize, Serialize};

use crate::store::{read_json, write_json_atomically};
use crate::truth::Budget;
use crate::{Event, Observer, Result};

/// What is kept beside a model of what its training cost.
const BUDGET: &str = "budget.json";
const SECONDS_PER_MINUTE: f64 = 60.0;

/// A model that is to be trained.
pub(super) struct Recipe<'a> {
    /// Its name, and that of its folder.
    pub(super) name: &'a str,
    pub(super) spec: ModelSpec,
    pub(super) attributes: AttributeTraining,
    pub(super) image: ImageTraining,
}

/// Seconds of training, as they are kept.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spent {
    seconds: f64,
}

/// Trains a model, or goes on, or reads it where it is trained.
///
/// # Arguments
/// - `out`: folder of the experiment
///
/// # Errors
/// When the folder holds the training of another model, training diverges, or a file cannot be
/// written.
pub(super) fn trained(
    recipe: &Recipe<'_>,
    data: &dyn Examples,
    out: &Path,
    observer: &dyn Observer,
) -> Result<(DeepScm, Budget)> {
    observer.event(&Event::Started { name: recipe.name });
    let folder = out.join(recipe.name).join("model");
    let kept = out.join(recipe.name).join(BUDGET);
    let before: Option<Spent> = kept.exists().then(|| read_json(&kept)).transpose()?;
    let earlier = before.as_ref().map_or(0.0, |spent| spent.seconds);
    let mut model = DeepScm::new(&recipe.spec, data.columns(), 0)?;
    let options = FitOptions {
        seed: 0,
        attributes: recipe.attributes,
        image: recipe.image,
        fine_tuning: None,
        folder: Some(folder.clone()),
    };
    let (start, every) = (Instant::now(), recipe.image.checkpoint_every);
    let mut written = Ok(());
    model.fit(data, &options, &mut |progress| {
        if progress.node != "image" {
            return;
        }
        observer.event(&Event::Advanced {
            units: 1,
            work: 1.0,
        });
        if progress.step.is_multiple_of(every) || progress.step == progress.steps {
            let seconds = earlier + start.elapsed().as_secs_f64();
            if written.is_ok() {
                written = write_json_atomically(&kept, &Spent { seconds });
            }
        }
    })?;
    written?;
    model.save(&folder)?;
    let spent: Option<Spent> = kept.exists().then(|| read_json(&kept)).transpose()?;
    let budget = Budget {
        mechanism: mechanism(&recipe.spec).to_owned(),
        updates: recipe.image.steps,
        batch: recipe.image.batch,
        weights: model.image().map_or(0, |image| image.parameters().count()),
        minutes: spent.map(|spent| spent.seconds / SECONDS_PER_MINUTE),
    };
    let minutes = budget.minutes.unwrap_or_default();
    observer.event(&Event::Finished {
        name: recipe.name,
        summary: &format!("{} updates, {minutes:.1} min", budget.updates),
    });
    Ok((model, budget))
}

/// Trains several models on the same facts, some at once; [`trained`] reads them afterwards.
///
/// # Errors
/// The first of those of [`trained`]; what is finished stays.
pub(super) fn train_all(
    recipes: &[&Recipe<'_>],
    data: &(dyn Examples + Sync),
    out: &Path,
    jobs: usize,
    observer: &dyn Observer,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1).min(recipes.len()) {
            scope.spawn(|| {
                while let Some(recipe) = recipes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = trained(recipe, data, out, observer) {
                        next.store(recipes.len(), Ordering::Relaxed);
                        let mut slot = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        slot.get_or_insert(error);
                    }
                }
            });
        }
    });
    let failure = failure.into_inner();
    failure
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Ok(()), Err)
}

fn mechanism(spec: &ModelSpec) -> &'static str {
    spec.image.as_ref().map_or("none", ImageSpec::name)
}

/// The same model, whose noise of an image has the part that latent variables leave unexplained:
/// the same weights, since training does not ask for that part.
///
/// # Returns
/// None where the mechanism has no such part.
///
/// # Errors
/// When candle refuses.
pub(super) fn with_residual(model: &DeepScm, data: &dyn Examples) -> Result<Option<DeepScm>> {
    let mut spec = model.spec().clone();
    match &mut spec.image {
        Some(ImageSpec::Vae(config)) => config.residual = true,
        Some(ImageSpec::Hvae(config)) => config.residual = true,
        _ => return Ok(None),
    }
    let twin = DeepScm::new(&spec, data.columns(), model.seed())?;
    for node in model.schema().diagram().ids() {
        if let (Some(from), Some(to)) = (model.attribute(node), twin.attribute(node)) {
            to.parameters().restore(&from.parameters().snapshot()?)?;
        }
    }
    if let (Some(from), Some(to)) = (model.image(), twin.image()) {
        to.parameters().restore(&from.parameters().snapshot()?)?;
    }
    Ok(Some(twin))
}
