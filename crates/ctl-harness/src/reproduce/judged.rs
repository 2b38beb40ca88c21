//! Who judges counterfactuals, and what was judged, kept from run to run.

use std::path::{Path, PathBuf};

use ctl_counterfactual::{Examples, PredictorConfig, Predictors, Schema};
use ctl_nets::Parameters;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::counterfactual::{ScoreOptions, encoder, new_encoder};
use crate::store::{read_json, write_atomically, write_json_atomically};
use crate::truth::{
    Judges, Questions, Rival, RivalScore, ScoreSettings, Simulator, TruthReport, score,
};
use crate::{Event, HarnessError, Observer, Result};

/// Raised when judges or scores are measured differently than before.
const REVISION: u32 = 2;

/// How judges are trained, and rivals scored.
#[derive(Clone, Debug)]
pub(super) struct Judging {
    pub(super) predictors: PredictorConfig,
    /// Updates of the autoencoder.
    pub(super) encoder_steps: u64,
    pub(super) score: ScoreSettings,
}

impl Default for Judging {
    fn default() -> Self {
        Self {
            predictors: PredictorConfig {
                steps: 500,
                batch: 64,
                ..PredictorConfig::default()
            },
            encoder_steps: 500,
            score: ScoreSettings::default(),
        }
    }
}

/// The folder of an experiment, and what everything in it depends on.
pub(super) struct Place<'a> {
    pub(super) out: &'a Path,
    pub(super) key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<T> {
    revision: u32,
    key: String,
    found: T,
}

impl Place<'_> {
    /// What was found before, under the same key.
    fn kept<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let stored: Stored<serde_json::Value> = read_json(&path)?;
        if stored.revision != REVISION || stored.key != self.key {
            return Ok(None);
        }
        let found = serde_json::from_value(stored.found);
        found.map(Some).map_err(|error| HarnessError::Stored {
            path,
            message: error.to_string(),
        })
    }

    fn keep<T: Serialize>(&self, name: &str, found: &T) -> Result<()> {
        let stored = Stored {
            revision: REVISION,
            key: self.key.clone(),
            found,
        };
        write_json_atomically(&self.path(name), &stored)
    }

    fn path(&self, name: &str) -> PathBuf {
        let name = name.replace([' ', ','], "-");
        self.out.join("scores").join(format!("{name}.json"))
    }

    /// The report that was made before, under the same key.
    pub(super) fn report(&self) -> Result<Option<TruthReport>> {
        self.kept("report")
    }

    /// Weights that were kept under the same key, or those that training gives.
    fn weights(
        &self,
        name: &str,
        parameters: &Parameters,
        train: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let hash = blake3::hash(format!("{REVISION} {}", self.key).as_bytes()).to_hex();
        let file = format!("{name}-{}.safetensors", &hash[..12]);
        let path = self.out.join("judges").join(file);
        if path.exists() {
            return Ok(parameters.load(&path)?);
        }
        train()?;
        let bytes = parameters.to_safetensors(&std::collections::BTreeMap::new())?;
        write_atomically(&path, &bytes)
    }
}

/// Trains the judges on facts, or reads them.
///
/// # Errors
/// When a setting does not suit the images, or a file cannot be written.
pub(super) fn judges(
    schema: &Schema,
    data: &dyn Examples,
    judging: &Judging,
    place: &Place<'_>,
    observer: &dyn Observer,
) -> Result<Judges> {
    let (config, seed) = (&judging.predictors, judging.score.seed);
    let predictors = Predictors::new(schema, data.columns(), config, seed)?;
    for predictor in predictors.all() {
        let name = schema.diagram().name(predictor.node());
        let text = format!("a predictor of {name}");
        place.weights(&format!("predictor-{name}"), predictor.parameters(), || {
            observer.event(&Event::Notice { text: &text });
            Ok(predictor.train(name, data, config, seed, &mut |_| ())?)
        })?;
    }
    let options = ScoreOptions {
        predictors: config.clone(),
        encoder_steps: judging.encoder_steps,
        seed,
        ..ScoreOptions::default()
    };
    let shape = schema.image_shape().unwrap_or_default();
    let found = new_encoder(shape, &options)?;
    let parameters = ctl_counterfactual::ImageMechanism::parameters(&found);
    place.weights("encoder", parameters, || {
        let text = "an autoencoder without parents";
        observer.event(&Event::Notice { text });
        encoder(&found, data, &options, &mut |_| ())
    })?;
    Ok(Judges {
        predictors,
        encoder: found,
    })
}

/// Scores all rivals, those that were scored before under the same key aside.
///
/// # Errors
/// Those of [`score`], and when a file cannot be written.
pub(super) fn scored(
    rivals: &[Rival<'_>],
    questions: &Questions,
    (simulator, judges): (&dyn Simulator, &Judges),
    (settings, place): (&ScoreSettings, &Place<'_>),
    observer: &dyn Observer,
) -> Result<TruthReport> {
    let mut scores: Vec<RivalScore> = Vec::new();
    for rival in rivals {
        if let Some(found) = place.kept(&rival.name)? {
            scores.push(found);
            continue;
        }
        let text = format!("scoring {}", rival.name);
        observer.event(&Event::Notice { text: &text });
        let found = score(rival, questions, (simulator, judges), settings)?;
        place.keep(&rival.name, &found)?;
        scores.push(found);
    }
    let report = TruthReport::new(scores);
    place.keep("report", &report)?;
    Ok(report)
}
