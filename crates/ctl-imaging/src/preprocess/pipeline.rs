//! Steps one after another.

use super::image::Image;
use super::mask::Mask;
use super::provenance::{Provenance, StepRecord};
use super::step::Step;
use super::stream::Stream;
use crate::Result;
use crate::error::ImagingError;
use crate::volume::{Samples, Scaling, Volume};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// Changes with every change of what a step computes, so that no cache outlives it.
const ALGORITHMS: &str = "ctl-imaging preprocess algorithms v1";

/// Where errors say that a pipeline's text came from, when it came from no file.
const TEXT: &str = "pipeline";

/// Steps in the order in which they are applied.
///
/// # Examples
/// ```
/// use ctl_imaging::preprocess::{Pipeline, Step, ZScore};
///
/// let pipeline = Pipeline { steps: vec![Step::ZScore(ZScore::default())] };
/// let text = pipeline.to_toml()?;
/// assert_eq!(Pipeline::from_toml(&text)?, pipeline);
/// assert_eq!(pipeline.content_hash()?.len(), 64);
/// # Ok::<(), ctl_imaging::ImagingError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The steps.
    pub steps: Vec<Step>,
}

/// What selects the random numbers of a run.
///
/// Two images of one patient that are run with the same draw get the same movements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Draw {
    /// The master seed.
    pub seed: u64,
    /// Which image, or which repetition; every index has draws of its own.
    pub index: u64,
}

/// What a run gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// The image, in single precision, unscaled, where the steps left it.
    pub volume: Volume,
    /// The mask, where one was given, moved as the image was.
    pub mask: Option<Mask>,
    /// What was done.
    pub provenance: Provenance,
}

impl Pipeline {
    /// A pipeline from TOML, all settings checked.
    ///
    /// # Errors
    /// [`ImagingError::Decode`] when the text is no TOML, a key is missing, unknown or of another
    /// type; the cause names the key. [`ImagingError::Argument`] when a value is out of range.
    pub fn from_toml(text: &str) -> Result<Self> {
        let wrong = |error| ImagingError::decode(Path::new(TEXT), "TOML", error);
        let parsed =
            toml::Deserializer::parse(text).map_err(|error| wrong(Box::new(error).into()))?;
        let pipeline: Self = serde_path_to_error::deserialize(parsed)
            .map_err(|error| wrong(Box::<dyn std::error::Error + Send + Sync>::from(error)))?;
        pipeline.validate()?;
        Ok(pipeline)
    }

    /// A pipeline from JSON, all settings checked.
    ///
    /// # Errors
    /// As for [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let pipeline: Self = serde_path_to_error::deserialize(&mut reader)
            .map_err(|error| ImagingError::decode(Path::new(TEXT), "JSON", error))?;
        reader
            .end()
            .map_err(|error| ImagingError::decode(Path::new(TEXT), "JSON", error))?;
        pipeline.validate()?;
        Ok(pipeline)
    }

    /// The pipeline as TOML.
    ///
    /// # Errors
    /// [`ImagingError::Decode`] when a setting is a number that TOML has no word for.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| ImagingError::decode(Path::new(TEXT), "TOML", error))
    }

    /// The pipeline as JSON, keys in alphabetical order, without white space: the form of which
    /// the hash is taken.
    ///
    /// # Errors
    /// [`ImagingError::Decode`] when JSON cannot hold a setting.
    pub fn to_json(&self) -> Result<String> {
        let value = serde_json::to_value(self)
            .map_err(|error| ImagingError::decode(Path::new(TEXT), "JSON", error))?;
        let mut text = String::new();
        write_sorted(&value, &mut text);
        Ok(text)
    }

    /// BLAKE3 of the canonical JSON, as 64 hexadecimal digits: equal for equal settings, however
    /// they were written, and different after a change of what steps compute.
    ///
    /// # Errors
    /// Those of [`to_json`](Self::to_json).
    pub fn content_hash(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new_derive_key(ALGORITHMS);
        hasher.update(self.to_json()?.as_bytes());
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Checks every setting of every step.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] of the first setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        self.steps.iter().try_for_each(Step::validate)
    }

    /// Runs the steps on an image of index 0.
    ///
    /// # Arguments
    /// * `volume`: one frame of one real component, finite.
    /// * `mask`: its classes, where steps need them.
    /// * `seed`: selects what random steps draw.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn apply(
        &self,
        volume: &Volume,
        mask: Option<&Mask>,
        seed: u64,
    ) -> Result<(Volume, Provenance)> {
        let done = self.run(volume, mask, Draw { seed, index: 0 })?;
        Ok((done.volume, done.provenance))
    }

    /// Runs the steps and returns the mask as well.
    ///
    /// # Errors
    /// [`ImagingError::Argument`] when a setting is out of range, the image has several frames or
    /// components, is complex or not finite, the mask has another shape or is missing where a step
    /// needs it, or a step cannot do what it is asked to on this image.
    pub fn run(&self, volume: &Volume, mask: Option<&Mask>, draw: Draw) -> Result<Processed> {
        self.validate()?;
        let mut image = Image::new(volume, mask)?;
        let mut steps = Vec::with_capacity(self.steps.len());
        for (number, step) in self.steps.iter().enumerate() {
            let mut stream = Stream::new(draw.seed, draw.index, number);
            let measured = step.apply(&mut image, &mut stream)?;
            image.check_finite("values after a step")?;
            steps.push(StepRecord {
                step: step.name().to_owned(),
                measured,
            });
        }
        let provenance = Provenance {
            pipeline: self.content_hash()?,
            seed: draw.seed,
            index: draw.index,
            steps,
        };
        let mask = image.mask.take();
        Ok(Processed {
            volume: image.finish(volume)?,
            mask,
            provenance,
        })
    }
}

/// The same place in the patient with other numbers.
pub(crate) fn with_values(volume: &Volume, values: Vec<f32>) -> Result<Volume> {
    Volume::new(volume.shape(), Samples::F32(values), *volume.affine())?
        .with_scaling(Scaling::NONE)?
        .with_series(volume.series())
}

/// JSON with keys in order whatever the map type of `serde_json` keeps.
fn write_sorted(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (number, key) in keys.into_iter().enumerate() {
                text.push_str(if number > 0 { "," } else { "" });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_sorted(&map[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (number, item) in items.iter().enumerate() {
                text.push_str(if number > 0 { "," } else { "" });
                write_sorted(item, text);
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}
