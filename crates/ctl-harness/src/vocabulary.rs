//! The words that suites, records and filters share.

pub use ctl_imaging::Task;
use serde::{Deserialize, Serialize};

use crate::{HarnessError, Result};

/// What moves between sources and target (Castro, Walker & Glocker 2020).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shift {
    /// P(Z): anatomy, age, sex.
    Population,
    /// P(Y).
    Prevalence,
    /// P(X given Z): scanner, protocol.
    Acquisition,
    /// P(Y given X): who labels, and how.
    Annotation,
    /// P(Z given Y): how disease shows.
    Manifestation,
    /// Who enters the data.
    Selection,
    /// Several at once, as between hospitals.
    Combined,
}

/// How sources and targets are made from the sites of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The cohort names its target; every other site is a source.
    NamedTarget,
    /// Every site that carries both classes is the target once; the others are the sources.
    LeaveOneSiteOut,
    /// Sources are the negatives of one site and the positives of another: site and label
    /// coincide. Targets are both classes of either.
    SiteLabelMixture,
    /// The cohort has one usable site: other patients of it are the target, and nothing moves.
    SingleSite,
    /// Training sees the first observer's masks; the target is other patients of a site, scored by
    /// the second observer.
    SecondObserver,
}

/// Which checkpoint and draw stand for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// Best on held-out patients of the sources: what can be done in practice.
    TrainingDomain,
    /// The draw that does best, on average, on sources that were left out of training one after the
    /// other; its checkpoint is that of [`Selector::TrainingDomain`].
    LeaveOneDomainOut,
    /// Best on labelled target patients set aside for it: an upper reference, not a method.
    TargetOracle,
}

/// Which checkpoint of a run the target oracle sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OracleCheckpoint {
    /// Whichever is best on the target patients set aside for it.
    #[default]
    Best,
    /// The last, so that only draws are chosen by the target (Gulrajani & Lopez-Paz 2021,
    /// section 3).
    Last,
}

impl OracleCheckpoint {
    /// Whether it is the usual one.
    pub fn is_best(&self) -> bool {
        *self == Self::Best
    }
}

/// Names of an enumeration's values, and back.
macro_rules! named {
    ($type:ident, $what:literal, [$($variant:ident => $name:literal),+ $(,)?]) => {
        impl $type {
            /// All values, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in files and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value of a name.
            ///
            /// # Errors
            /// On any other name; the message lists those there are.
            pub fn parse(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(HarnessError::Unknown {
                        what: $what,
                        name: name.to_owned(),
                        known: vec![$($name.to_owned()),+],
                    }),
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

named!(Shift, "shift", [
    Population => "population", Prevalence => "prevalence", Acquisition => "acquisition",
    Annotation => "annotation", Manifestation => "manifestation", Selection => "selection",
    Combined => "combined",
]);
named!(Protocol, "protocol", [
    NamedTarget => "named-target", LeaveOneSiteOut => "leave-one-site-out",
    SiteLabelMixture => "site-label-mixture", SingleSite => "single-site",
    SecondObserver => "second-observer",
]);
named!(Selector, "selector", [
    TrainingDomain => "training-domain", LeaveOneDomainOut => "leave-one-domain-out",
    TargetOracle => "target-oracle",
]);

/// The tasks of the benchmark, in the order of the documentation.
pub const TASKS: [Task; 5] = [
    Task::Classification,
    Task::Segmentation,
    Task::Reconstruction,
    Task::Anomaly,
    Task::Multimodal,
];

/// The task of a name.
///
/// # Errors
/// On any other name; the message lists those there are.
pub fn parse_task(name: &str) -> Result<Task> {
    TASKS
        .into_iter()
        .find(|task| task.as_str() == name)
        .ok_or_else(|| HarnessError::Unknown {
            what: "task",
            name: name.to_owned(),
            known: TASKS.iter().map(|task| task.as_str().to_owned()).collect(),
        })
}
