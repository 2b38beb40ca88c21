//! What a run leaves behind.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::spec::RunSpec;
use crate::store::read_json;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// Version of the layout of `record.json`.
pub const RECORD_SCHEMA: u32 = 1;

/// A number that JSON cannot hold is written as `"nan"`, `"inf"` or `"-inf"`.
pub mod number {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes one number.
    ///
    /// # Errors
    /// When the serialiser fails.
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_nan() {
            serializer.serialize_str("nan")
        } else if value.is_infinite() {
            serializer.serialize_str(if *value > 0.0 { "inf" } else { "-inf" })
        } else {
            serializer.serialize_f64(*value)
        }
    }

    /// Reads one number.
    ///
    /// # Errors
    /// On anything but a number or one of the three words.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match (&value, value.as_f64()) {
            (_, Some(number)) => Ok(number),
            (serde_json::Value::String(word), _) => match word.as_str() {
                "nan" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => Err(D::Error::custom(format!("{word:?} is not a number"))),
            },
            _ => Err(D::Error::custom("expected a number")),
        }
    }
}

/// As [`number`], for the values of a map.
pub mod numbers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// A number that is written as [`super::number`] writes it.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Number(#[serde(with = "super::number")] f64);

    /// Writes all numbers.
    ///
    /// # Errors
    /// When the serialiser fails.
    pub fn serialize<S: Serializer>(
        values: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(values.iter().map(|(name, value)| (name, Number(*value))))
    }

    /// Reads all numbers.
    ///
    /// # Errors
    /// On anything but a number or one of the three words.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let values = BTreeMap::<String, Number>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|(name, n)| (name, n.0)).collect())
    }
}

/// Metrics by name; a metric that is undefined on the samples at hand is absent.
pub type Metrics = BTreeMap<String, f64>;

/// One look at the network during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Number of steps taken.
    pub step: u64,
    /// Mean of the objective's terms since the last evaluation.
    #[serde(with = "numbers")]
    pub terms: BTreeMap<String, f64>,
    /// Score that training-domain validation selects by, higher is better.
    #[serde(with = "number")]
    pub validation: f64,
    /// Score that the target oracle selects by, higher is better.
    #[serde(with = "number")]
    pub oracle: f64,
}

/// What one selector chose, and how that checkpoint does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Steps of the chosen checkpoint.
    pub step: u64,
    /// The score it was chosen by.
    #[serde(with = "number")]
    pub score: f64,
    /// On held-out patients of the sources.
    #[serde(with = "numbers")]
    pub in_distribution: Metrics,
    /// On the target's scored patients.
    #[serde(with = "numbers")]
    pub target: Metrics,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All steps were taken.
    Finished,
    /// The loss or the outputs left the range of numbers; the selections are of checkpoints before.
    Diverged,
}

/// Number of images in each part of a run's data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Training images by source environment.
    pub train: BTreeMap<String, usize>,
    /// Validation images of all sources.
    pub validation: usize,
    /// In-distribution test images of all sources.
    pub in_distribution: usize,
    /// Target images open to adaptation and to the oracle.
    pub adaptation: usize,
    /// Target images that are scored.
    pub target: usize,
    /// Of these, how many are of each class.
    pub target_by_class: Vec<usize>,
}

/// How sound the generator is that a method trains on, asked of held-out images of its sources; means
/// over them, all finite.
///
/// It is asked for images as other sources would have taken them, and no further: methods that draw
/// acquisitions beyond another source train on extrapolations of these answers.
/// Predictors of site and class that learnt from the training images judge what images show. They
/// know what goes together in the sources, so that where the class gives the site away, or the other
/// way round, the figures of the true counterfactuals say what can be asked of answers.
///
/// # References
/// Monteiro et al. 2023, "Measuring axiomatic soundness of counterfactual image models".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorScore {
    /// Images that it is asked about, of all sources.
    pub images: usize,
    /// Mean absolute difference of an image from what nothing done makes of it, in grey levels of 255.
    pub composition: f64,
    /// What became of the images of one source at another.
    pub ways: Vec<Way>,
}

/// Images of one source as they would have been at another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// Their own source.
    pub from: String,
    /// The other one.
    pub to: String,
    /// How many they are.
    pub images: usize,
    /// Mean absolute difference after there and back, in grey levels of 255.
    pub reversibility: f64,
    /// Share of answers of which a predictor reads another `environment` than was asked for, or
    /// another `class` than the image has; empty where there are no predictors.
    pub misread: BTreeMap<String, f64>,
    /// The same of the facts, with their own environment: the predictors' own error.
    pub misread_facts: BTreeMap<String, f64>,
    /// Fréchet distance from answers to facts of the other source, as crowds, in the features of the
    /// predictors; none where either are fewer than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frechet: Option<f64>,
    /// The same from the facts: what it is to change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frechet_unchanged: Option<f64>,
    /// Against the true counterfactual, where the cohort is simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TrueCounterfactuals>,
}

/// Answers against the true counterfactual: the same patient with the same noises and the same
/// disease, at the other source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrueCounterfactuals {
    /// Mean absolute error in grey levels of 255.
    pub mae: f64,
    /// The same of facts: what it costs to change nothing.
    pub unchanged: f64,
    /// Structural similarity, at most 1.
    pub ssim: f64,
    /// Share of the true change that is made, `Σ ⟨answer − fact, truth − fact⟩ / Σ ‖truth − fact‖²`;
    /// none where nothing changes in truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_out: Option<f64>,
    /// What the predictors misread of the true counterfactuals: no answer can be asked for less.
    pub misread: BTreeMap<String, f64>,
}

/// The result of one run; everything in it is the same on every machine of one instruction set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this layout.
    pub schema: u32,
    /// blake3 hash of the specification.
    pub id: String,
    /// The specification.
    pub spec: RunSpec,
    /// How it ended.
    pub status: Status,
    /// What a reader must know to use the figures, such as a method's unmet needs.
    pub notes: Vec<String>,
    /// Sizes of the parts of the data.
    pub counts: Counts,
    /// Every evaluation.
    pub evaluations: Vec<Evaluation>,
    /// By selector; empty when the run diverged before the first evaluation.
    pub selections: BTreeMap<Selector, Selection>,
    /// blake3 hash of `predictions.csv`; records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<String>,
    /// How sound the generator is that the method trains on, where it has one: of runs on all sources
    /// with the first draw of settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorScore>,
}

impl Record {
    /// What a predictor without information scores by the metric that the run is compared by.
    pub fn chance(&self) -> f64 {
        let classes = &self.counts.target_by_class;
        self.spec.training.metric.chance(self.spec.task, classes)
    }

    /// Reads and checks a record.
    ///
    /// # Errors
    /// When the file cannot be read, has another schema, or its id is not the hash of its
    /// specification.
    pub fn read(path: &Path) -> Result<Self> {
        let record: Self = read_json(path)?;
        record.checked().map_err(|message| HarnessError::Stored {
            path: path.to_path_buf(),
            message,
        })
    }

    /// The record, where it is of this version and of its own specification; what is wrong otherwise.
    pub(crate) fn checked(self) -> std::result::Result<Self, String> {
        if self.schema != RECORD_SCHEMA {
            let found = self.schema;
            return Err(format!("expected schema {RECORD_SCHEMA}, found {found}"));
        }
        if self.id != self.spec.id() {
            return Err("the id is not the hash of the specification".into());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_json_survive_in_every_field() {
        let odd = [
            ("a", f64::INFINITY),
            ("b", f64::NEG_INFINITY),
            ("c", f64::NAN),
            ("d", 0.25),
        ];
        let odd: BTreeMap<String, f64> = odd.map(|(name, v)| (name.to_owned(), v)).into();
        let evaluation = Evaluation {
            step: 1,
            terms: odd.clone(),
            validation: f64::NAN,
            oracle: f64::INFINITY,
        };
        let selection = Selection {
            step: 1,
            score: f64::NEG_INFINITY,
            in_distribution: odd.clone(),
            target: odd,
        };
        let text = serde_json::to_string(&(&evaluation, &selection)).unwrap();
        assert!(!text.contains("null"), "{text}");
        assert_eq!(
            text.matches(r#"{"a":"inf","b":"-inf","c":"nan","d":0.25}"#)
                .count(),
            3
        );
        let read: (Evaluation, Selection) = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(serde_json::from_str::<Selection>(&text.replace("0.25", "null")).is_err());
    }
}
