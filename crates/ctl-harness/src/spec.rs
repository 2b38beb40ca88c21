//! The fully resolved description of one run.

use ctl_nets::Architecture;
use ctl_phantom::PhantomSpec;
use serde::{Deserialize, Serialize};

use crate::task::{chance, main_metric};
use crate::vocabulary::{OracleCheckpoint, Protocol, Selector, Shift, Task};

/// Version of the layout of `spec.json`.
pub const SPEC_SCHEMA: u32 = 3;

/// Where the images come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CohortSpec {
    /// A simulated cohort.
    Phantom {
        /// The simulator's settings, the size of the images among them.
        spec: PhantomSpec,
    },
    /// A cohort on disk; the path is not part of the specification, its content is.
    Folder {
        /// Hash of manifest, configuration and every file that the manifest names.
        hash: String,
        /// The column whose values are the environments, where it is not `site`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
        /// The content of `diagram.toml`, where the folder has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diagram: Option<String>,
    },
}

impl CohortSpec {
    /// The simulator's settings, where the cohort is simulated.
    pub fn phantom(&self) -> Option<&PhantomSpec> {
        match self {
            Self::Phantom { spec } => Some(spec),
            Self::Folder { .. } => None,
        }
    }
}

/// How a network is trained; the same for every method of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Architecture.
    pub network: Architecture,
    /// Side of the images in pixels, 1 to 1024.
    pub size: usize,
    /// Images in colour.
    pub colour: bool,
    /// The one channel of coloured images that is used, 0 to 2; without it, grey images are made
    /// of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<usize>,
    /// Steps, at least 1.
    pub steps: u64,
    /// Images per environment and step, at least 1.
    pub batch_size: usize,
    /// Step size of Adam, positive.
    pub learning_rate: f64,
    /// Weight decay of Adam, not negative.
    pub weight_decay: f64,
    /// Steps between evaluations, at least 1; every one is a checkpoint.
    pub evaluate_every: u64,
    /// Step of the first evaluation, from 1 to `evaluate_every`, which it is where it is not said;
    /// the others follow at that distance, and the last step is always evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_evaluation: Option<u64>,
    /// What checkpoints are chosen by and methods are compared by.
    #[serde(skip_serializing_if = "MainMetric::is_of_task")]
    pub metric: MainMetric,
    /// Mirror training images left to right at random.
    pub flip: bool,
    /// Largest shift of training images in pixels, random in both directions.
    pub translate: usize,
    /// What reconstruction is given.
    pub undersampling: Undersampling,
    /// How anomalies are scored.
    pub anomaly_score: AnomalyScore,
    /// Share of training patients whose attributes are hidden, 0 to 1, so that a multimodal
    /// network can do without them.
    pub attribute_dropout: f64,
    /// Width of the hidden layers of an MLP, 1 to 4096; 256 where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Shares of the patients of a site, where they are not the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<Shares>,
    /// Most images of a site that are scored in any part, at least 1; all where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score_at_most: Option<usize>,
}

impl Training {
    /// Whether a checkpoint is evaluated after a step, counted from 1.
    pub fn evaluates_at(&self, step: u64) -> bool {
        let first = self.first_evaluation.unwrap_or(self.evaluate_every);
        let regular = step >= first && (step - first).is_multiple_of(self.evaluate_every);
        regular || step == self.steps
    }
}

/// What checkpoints are chosen by and methods are compared by; higher is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MainMetric {
    /// The task's own: AUROC, Dice or SSIM.
    #[default]
    OfTask,
    /// The share of right answers, mean over sites where checkpoints are chosen; of tasks with
    /// labels only.
    Accuracy,
}

impl MainMetric {
    /// Whether it is the usual one.
    pub fn is_of_task(&self) -> bool {
        *self == Self::OfTask
    }

    /// Its name among the metrics of a task.
    pub fn name(self, task: Task) -> &'static str {
        match self {
            Self::OfTask => main_metric(task),
            Self::Accuracy => "accuracy",
        }
    }

    /// What a predictor that knows how frequent classes are, and nothing else, scores; `classes` are
    /// the numbers of images.
    pub fn chance(self, task: Task, classes: &[usize]) -> f64 {
        let all: usize = classes.iter().sum();
        let most = classes.iter().max().copied().unwrap_or(0);
        match self {
            Self::OfTask => chance(task),
            Self::Accuracy => most as f64 / all.max(1) as f64,
        }
    }
}

/// How the patients of a site are divided where one target is held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Share of a source that validates, above 0.
    pub validation: f64,
    /// Share of a source that is scored in distribution, not negative; where it is 0 the patients
    /// who validate are scored.
    pub test: f64,
    /// Share of the target that is open to adaptation and to the oracle, above 0; the others are
    /// scored.
    pub open: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            validation: 0.15,
            test: 0.20,
            open: 0.5,
        }
    }
}

/// Which columns of k-space are measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Undersampling {
    /// Columns over measured columns, at least 1.
    pub acceleration: f64,
    /// Share of the columns that lie in the middle and are all measured, above 0, at most 1.
    pub centre_fraction: f64,
    /// How the other columns are chosen.
    pub pattern: SamplingPattern,
}

impl Default for Undersampling {
    fn default() -> Self {
        Self {
            acceleration: 4.0,
            centre_fraction: 0.08,
            pattern: SamplingPattern::Random,
        }
    }
}

/// How columns of k-space outside the middle are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplingPattern {
    /// Each with the same probability.
    Random,
    /// At equal distances.
    Equispaced,
}

/// What makes an image anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyScore {
    /// It is reconstructed badly.
    Residual,
    /// Its features are unlikely among those of normal images, place by place.
    FeatureDensity,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            network: Architecture::SmallCnn,
            size: 48,
            colour: false,
            channel: None,
            steps: 300,
            batch_size: 32,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            evaluate_every: 60,
            first_evaluation: None,
            metric: MainMetric::OfTask,
            flip: false,
            translate: 0,
            undersampling: Undersampling::default(),
            anomaly_score: AnomalyScore::Residual,
            attribute_dropout: 0.2,
            hidden: None,
            shares: None,
            score_at_most: None,
        }
    }
}

/// Everything that determines a run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Version of this layout.
    pub schema: u32,
    /// Id of the method.
    pub method: String,
    /// Its settings, all of them.
    pub settings: serde_json::Value,
    /// The task.
    pub task: Task,
    /// Name of the cohort in the suite.
    pub cohort: String,
    /// Its content.
    pub data: CohortSpec,
    /// What moves between sources and target.
    pub shift: Shift,
    /// How sources and target are made.
    pub protocol: Protocol,
    /// Source environments; in a mixture the site of the negatives, then that of the positives.
    pub sources: Vec<String>,
    /// The target site.
    pub target: String,
    /// The source that is left out of training and scored in the target's place, in the runs that
    /// leave-one-domain-out selection rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
    /// Which checkpoint the target oracle sees.
    #[serde(default, skip_serializing_if = "OracleCheckpoint::is_best")]
    pub oracle_checkpoint: OracleCheckpoint,
    /// Master seed.
    pub seed: u64,
    /// Hyperparameter draw; 0 are the defaults.
    pub draw: u64,
    /// How the network is trained.
    pub training: Training,
}

impl RunSpec {
    /// The blake3 hash of the specification's JSON.
    pub fn id(&self) -> String {
        // Numbers, names and nested settings: it always serialises.
        let text = serde_json::to_string(self).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    /// Whether a diagram of the cohort is about this run.
    ///
    /// # Errors
    /// Why not: a folder's diagram speaks of its sites, so that other environments, or sources that
    /// are mixed otherwise than the sites, are not in it.
    pub fn diagram_speaks_of(&self) -> std::result::Result<(), &'static str> {
        match (&self.data, self.protocol) {
            (CohortSpec::Phantom { .. }, _)
            | (
                CohortSpec::Folder {
                    environment: None, ..
                },
                Protocol::NamedTarget | Protocol::LeaveOneSiteOut,
            ) => Ok(()),
            (CohortSpec::Folder { .. }, _) => {
                Err("the folder's diagram speaks of its sites, each as it is")
            }
        }
    }

    /// Name of the run's folder: the first characters of its id.
    pub fn folder(&self) -> String {
        self.id()[..16].to_owned()
    }

    /// The cell of the table that the run belongs to.
    pub fn cell(&self) -> String {
        let (task, cohort) = (self.task.as_str(), &self.cohort);
        let without = self.without();
        format!(
            "{task} / {cohort} / {} / {}{without}",
            self.protocol, self.target
        )
    }

    /// ` without SOURCE`, where one is held out.
    fn without(&self) -> String {
        let held_out = self.held_out.as_ref();
        held_out.map_or(String::new(), |source| format!(" without {source}"))
    }

    /// Whether a selector takes every checkpoint in place of the one before.
    pub fn takes_last(&self, selector: Selector) -> bool {
        selector == Selector::TargetOracle && self.oracle_checkpoint == OracleCheckpoint::Last
    }

    /// The key of the random streams that all methods of a cell share: splits and batches do not
    /// depend on the method, so that methods are compared on the same draws.
    pub fn data_key(&self) -> String {
        let sources = self.sources.join("+");
        let without = self.without();
        format!(
            "{}/{}/{sources}/{}{without}",
            self.cohort, self.protocol, self.target
        )
    }
}
