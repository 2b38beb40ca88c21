//! How networks are trained, task by task.

use ctl_nets::Architecture;
use serde::{Deserialize, Serialize};

use super::file::Check;
use crate::Result;
use crate::spec::{AnomalyScore, MainMetric, Shares, Training, Undersampling};
use crate::task::architectures;
use crate::vocabulary::Task;

const MAX_STEPS: u64 = 1_000_000_000;
const MAX_SIZE: usize = 1024;
const MAX_BATCH: usize = 4096;

/// What a task does otherwise than `[training]`; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskTraining {
    /// Methods to run instead of the suite's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
    /// See [`Training::network`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Architecture>,
    /// See [`Training::size`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// See [`Training::colour`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<bool>,
    /// See [`Training::channel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<usize>,
    /// See [`Training::steps`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// See [`Training::batch_size`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// See [`Training::learning_rate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// See [`Training::weight_decay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// See [`Training::evaluate_every`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluate_every: Option<u64>,
    /// See [`Training::first_evaluation`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_evaluation: Option<u64>,
    /// See [`Training::metric`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MainMetric>,
    /// See [`Training::flip`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<bool>,
    /// See [`Training::translate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translate: Option<usize>,
    /// See [`Training::undersampling`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undersampling: Option<Undersampling>,
    /// See [`Training::anomaly_score`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly_score: Option<AnomalyScore>,
    /// See [`Training::attribute_dropout`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_dropout: Option<f64>,
    /// See [`Training::hidden`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// See [`Training::shares`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Shares>,
    /// See [`Training::score_at_most`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_at_most: Option<usize>,
}

/// The network of a task where neither the suite nor the task names one that serves it.
fn usual_network(task: Task) -> Architecture {
    match task {
        Task::Segmentation => Architecture::SmallUNet,
        Task::Reconstruction => Architecture::Unrolled,
        Task::Anomaly => Architecture::Autoencoder,
        Task::Multimodal => Architecture::FusionIntermediate,
        _ => Architecture::SmallCnn,
    }
}

impl TaskTraining {
    /// The whole settings of a task.
    pub(super) fn over(&self, task: Task, base: &Training) -> Training {
        let b = base.clone();
        Training {
            network: self
                .network
                .or_else(|| {
                    architectures(task)
                        .contains(&b.network)
                        .then_some(b.network)
                })
                .unwrap_or_else(|| usual_network(task)),
            size: self.size.unwrap_or(b.size),
            colour: self.colour.unwrap_or(b.colour),
            channel: self.channel.or(b.channel),
            steps: self.steps.unwrap_or(b.steps),
            batch_size: self.batch_size.unwrap_or(b.batch_size),
            learning_rate: self.learning_rate.unwrap_or(b.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(b.weight_decay),
            evaluate_every: self.evaluate_every.unwrap_or(b.evaluate_every),
            first_evaluation: self.first_evaluation.or(b.first_evaluation),
            metric: self.metric.unwrap_or(b.metric),
            flip: self.flip.unwrap_or(b.flip),
            translate: self.translate.unwrap_or(b.translate),
            undersampling: self.undersampling.unwrap_or(b.undersampling),
            anomaly_score: self.anomaly_score.unwrap_or(b.anomaly_score),
            attribute_dropout: self.attribute_dropout.unwrap_or(b.attribute_dropout),
            hidden: self.hidden.or(b.hidden),
            shares: self.shares.or(b.shares),
            score_at_most: self.score_at_most.or(b.score_at_most),
        }
    }
}

/// Checks every range of training settings; `key` is where they stand.
pub(super) fn validate(key: &str, t: &Training, check: &Check<'_>) -> Result<()> {
    let key = |name: &str| format!("{key}.{name}");
    let size = (1..=MAX_SIZE).contains(&t.size);
    check(&key("size"), t.size.to_string(), "from 1 to 1024", size)?;
    check(
        &key("steps"),
        t.steps.to_string(),
        "from 1 to 1000000000",
        (1..=MAX_STEPS).contains(&t.steps),
    )?;
    let batch = (1..=MAX_BATCH).contains(&t.batch_size);
    check(
        &key("batch_size"),
        t.batch_size.to_string(),
        "from 1 to 4096",
        batch,
    )?;
    let every = t.evaluate_every > 0;
    check(
        &key("evaluate_every"),
        t.evaluate_every.to_string(),
        "at least 1",
        every,
    )?;
    let first = t.first_evaluation;
    check(
        &key("first_evaluation"),
        first.unwrap_or(0).to_string(),
        "from 1 to evaluate_every",
        first.is_none_or(|f| f > 0 && f <= t.evaluate_every),
    )?;
    let rate = t.learning_rate.is_finite() && t.learning_rate > 0.0;
    check(
        &key("learning_rate"),
        t.learning_rate.to_string(),
        "positive",
        rate,
    )?;
    let decay = t.weight_decay.is_finite() && t.weight_decay >= 0.0;
    check(
        &key("weight_decay"),
        t.weight_decay.to_string(),
        "not negative",
        decay,
    )?;
    let shift = t.translate < t.size;
    check(
        &key("translate"),
        t.translate.to_string(),
        "below the image size",
        shift,
    )?;
    let channel = t.channel.is_none_or(|c| c < 3 && !t.colour);
    check(
        &key("channel"),
        t.channel.unwrap_or(0).to_string(),
        "0, 1 or 2, and only where colour is false",
        channel,
    )?;
    validate_parts(&key, t, check)?;
    validate_of_tasks(&key, t, check)
}

/// How a site is divided and how much of it is scored.
fn validate_parts(key: &dyn Fn(&str) -> String, t: &Training, check: &Check<'_>) -> Result<()> {
    let scored = t.score_at_most.is_none_or(|n| n > 0);
    check(&key("score_at_most"), "0".into(), "at least 1", scored)?;
    let hidden = t.hidden.is_none_or(|n| (1..=4096).contains(&n));
    let shown = t.hidden.unwrap_or(0).to_string();
    check(&key("hidden"), shown, "from 1 to 4096", hidden)?;
    let s = t.shares.unwrap_or_default();
    for (name, share, fits) in [
        ("validation", s.validation, s.validation > 0.0),
        ("test", s.test, s.test >= 0.0 && s.validation + s.test < 1.0),
        ("open", s.open, s.open > 0.0 && s.open < 1.0),
    ] {
        check(
            &key(&format!("shares.{name}")),
            share.to_string(),
            "a share: validation and open above 0, test not negative, some patients left to train \
             and to score",
            fits,
        )?;
    }
    Ok(())
}

/// The settings that one task alone reads.
fn validate_of_tasks(key: &dyn Fn(&str) -> String, t: &Training, check: &Check<'_>) -> Result<()> {
    let dropout = (0.0..=1.0).contains(&t.attribute_dropout);
    check(
        &key("attribute_dropout"),
        t.attribute_dropout.to_string(),
        "from 0 to 1",
        dropout,
    )?;
    let u = t.undersampling;
    let acceleration = u.acceleration.is_finite() && u.acceleration >= 1.0;
    check(
        &key("undersampling.acceleration"),
        u.acceleration.to_string(),
        "at least 1",
        acceleration,
    )?;
    let centre = u.centre_fraction > 0.0 && u.centre_fraction <= 1.0;
    check(
        &key("undersampling.centre_fraction"),
        u.centre_fraction.to_string(),
        "above 0 and at most 1: a mask that keeps nothing measures nothing",
        centre,
    )
}

#[cfg(test)]
mod tests {
    use Architecture::{Mlp, ReconUNet, SmallCnn, SmallUNet, UNet, Unrolled};

    use super::*;

    #[test]
    fn the_suites_network_is_used_where_it_serves_the_task() {
        let of = |network| {
            let base = Training {
                network,
                ..Training::default()
            };
            [
                Task::Classification,
                Task::Segmentation,
                Task::Reconstruction,
            ]
            .map(|task| TaskTraining::default().over(task, &base).network)
        };
        assert_eq!(of(Mlp), [Mlp, SmallUNet, Unrolled]);
        assert_eq!(of(UNet), [SmallCnn, UNet, Unrolled]);
        assert_eq!(of(ReconUNet), [SmallCnn, SmallUNet, ReconUNet]);
        let own = TaskTraining {
            network: Some(UNet),
            ..TaskTraining::default()
        };
        let base = Training::default();
        assert_eq!(own.over(Task::Segmentation, &base).network, UNet);
    }

    #[test]
    fn accuracy_is_of_labels_and_the_first_evaluation_is_no_later_than_usual() {
        use crate::spec::MainMetric;
        use crate::task::check_training;
        let training = Training {
            metric: MainMetric::Accuracy,
            network: SmallUNet,
            size: 48,
            ..Training::default()
        };
        let error = check_training(Task::Segmentation, &training).unwrap_err();
        assert!(error.to_string().contains("tasks with labels"), "{error}");
        let of_labels = Training {
            network: SmallCnn,
            ..training
        };
        assert!(check_training(Task::Classification, &of_labels).is_ok());

        let check = |key: &str, found: String, _: &str, fits: bool| {
            fits.then_some(()).ok_or(crate::HarnessError::Config {
                origin: "test".into(),
                key: key.into(),
                message: found,
            })
        };
        for (first, fits) in [(1, true), (60, true), (0, false), (61, false)] {
            let training = Training {
                first_evaluation: Some(first),
                ..Training::default()
            };
            assert_eq!(validate("t", &training, &check).is_ok(), fits, "{first}");
        }
    }
}
