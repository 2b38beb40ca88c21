//! Simulated cohorts of a suite: tasks × anatomies × directions × shifts × strengths.

use std::fmt::Write as _;

use ctl_phantom::{Anatomy, CausalDirection, Dials, MrContrast, PhantomSpec};
use serde::{Deserialize, Serialize};

use crate::vocabulary::{Shift, Task};
use crate::{HarnessError, Result};

/// Share of the strength that scanner and prevalence move by beside confounding, where a shift is
/// combined.
const BESIDE_CONFOUNDING: f64 = 0.5;

/// A block of simulated cohorts; seed and image size come from the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedEntry {
    /// Tasks.
    pub tasks: Vec<Task>,
    /// What moves.
    pub shifts: Vec<Shift>,
    /// How far, 0 to 1; 0 moves nothing.
    #[serde(default = "full")]
    pub strengths: Vec<f64>,
    /// What is imaged; where it is left out, what suits the task.
    #[serde(default)]
    pub anatomies: Vec<Anatomy>,
    /// Whether the image causes the label or the label the image; where it is left out, what suits
    /// the task.
    #[serde(default)]
    pub directions: Vec<CausalDirection>,
    /// Patients of every site, with one image each.
    pub patients_per_site: usize,
    /// Number of source sites.
    #[serde(default = "three")]
    pub source_sites: usize,
    /// Dials of the simulator instead of those that shift and strength give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dials: Option<Dials>,
    /// Sequence of heads instead of FLAIR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contrast: Option<MrContrast>,
    /// Load that the disease adds, instead of the simulator's; see [`PhantomSpec::severity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<f64>,
}

fn full() -> Vec<f64> {
    vec![1.0]
}

fn three() -> usize {
    3
}

/// One simulated cohort of a suite, for every seed.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedCohort {
    /// Name in tables.
    pub name: String,
    /// The task.
    pub task: Task,
    /// What moves.
    pub shift: Shift,
    /// The simulator's settings, with seed 0.
    pub spec: PhantomSpec,
}

/// What images of a task show, unless a suite says otherwise.
pub fn usual_anatomy(task: Task) -> Anatomy {
    match task {
        Task::Classification | Task::Multimodal => Anatomy::Chest,
        _ => Anatomy::Brain,
    }
}

/// The causal directions that a task can have, the usual one first.
///
/// A mask is drawn from the image; an image that is to be reconstructed, and a disease that makes
/// an image anomalous, cause what is measured.
pub fn directions(task: Task) -> &'static [CausalDirection] {
    use CausalDirection::{Anticausal, Causal};
    match task {
        Task::Segmentation => &[Causal],
        Task::Reconstruction | Task::Anomaly => &[Anticausal],
        _ => &[Anticausal, Causal],
    }
}

/// Whether a shift exists for a task: a reconstruction is compared with the image itself, which
/// nobody annotates.
pub fn exists(task: Task, shift: Shift) -> bool {
    !(task == Task::Reconstruction && shift == Shift::Annotation)
}

/// The simulator's dials for a shift of some strength.
pub fn dials(shift: Shift, strength: f64) -> Dials {
    let mut dials = Dials::default();
    match shift {
        Shift::Population => dials.population = strength,
        Shift::Prevalence => dials.prevalence = strength,
        Shift::Acquisition => dials.acquisition = strength,
        Shift::Annotation => dials.annotation = strength,
        Shift::Manifestation => dials.manifestation = strength,
        Shift::Selection => dials.selection = strength,
        Shift::Combined => {
            dials.confounding = strength;
            dials.acquisition = BESIDE_CONFOUNDING * strength;
            dials.prevalence = BESIDE_CONFOUNDING * strength;
        }
    }
    dials
}

impl SimulatedEntry {
    /// The cohorts of the block for the tasks and shifts that are kept, task by task; `size` gives
    /// the side of a task's images.
    ///
    /// Combinations that do not exist are left out where the block names several tasks.
    ///
    /// # Errors
    /// Names the key of the first value that is not allowed.
    pub fn cohorts(&self, size: impl Fn(Task) -> usize) -> Result<Vec<SimulatedCohort>> {
        self.check()?;
        let mut cohorts = Vec::new();
        for &task in &self.tasks {
            for anatomy in self.anatomies_of(task) {
                for direction in self.directions_of(task) {
                    for &shift in self.shifts.iter().filter(|&&shift| exists(task, shift)) {
                        for strength in self.strengths.iter().map(|s| s.abs()) {
                            let spec =
                                self.spec((anatomy, direction), (shift, strength), size(task));
                            spec.validate()?;
                            cohorts.push(SimulatedCohort {
                                name: self.name((task, shift), (anatomy, direction), strength),
                                task,
                                shift,
                                spec,
                            });
                        }
                    }
                }
            }
        }
        Ok(cohorts)
    }

    /// Takes out shifts and directions that none of the tasks has; a task without one of the
    /// directions goes as well.
    pub(super) fn keep_what_exists(&mut self) {
        let tasks = &self.tasks;
        self.shifts
            .retain(|&shift| tasks.iter().any(|&task| exists(task, shift)));
        if self.directions.is_empty() {
            return;
        }
        let wanted = self.directions.clone();
        self.tasks
            .retain(|&task| directions(task).iter().any(|known| wanted.contains(known)));
        let tasks = &self.tasks;
        self.directions
            .retain(|own| tasks.iter().any(|&task| directions(task).contains(own)));
    }

    fn anatomies_of(&self, task: Task) -> Vec<Anatomy> {
        if self.anatomies.is_empty() {
            vec![usual_anatomy(task)]
        } else {
            self.anatomies.clone()
        }
    }

    fn directions_of(&self, task: Task) -> Vec<CausalDirection> {
        let known = directions(task);
        if self.directions.is_empty() {
            return known[..1].to_vec();
        }
        let wanted = self.directions.iter().copied();
        wanted
            .filter(|direction| known.contains(direction))
            .collect()
    }

    fn spec(
        &self,
        (anatomy, direction): (Anatomy, CausalDirection),
        (shift, strength): (Shift, f64),
        size: usize,
    ) -> PhantomSpec {
        let usual = PhantomSpec::default();
        PhantomSpec {
            anatomy,
            direction,
            size,
            patients_per_site: self.patients_per_site,
            source_sites: self.source_sites,
            dials: self.dials.unwrap_or_else(|| dials(shift, strength)),
            contrast: self.contrast,
            severity: self.severity.unwrap_or(usual.severity),
            ..usual
        }
    }

    /// Such as `brain-segmentation-acquisition`, with sequence and severity where the block sets
    /// them, the direction where the task has several and the strength where it is not 1.
    fn name(
        &self,
        (task, shift): (Task, Shift),
        (anatomy, direction): (Anatomy, CausalDirection),
        strength: f64,
    ) -> String {
        let anatomy = match anatomy {
            Anatomy::Brain => "brain",
            Anatomy::Chest => "chest",
        };
        let mut name = format!("{anatomy}-{}-{shift}", task.as_str());
        // Writing to a string cannot fail.
        if let Some(contrast) = self.contrast {
            let _ = write!(name, "-{}", contrast.name());
        }
        if let Some(severity) = self.severity {
            let _ = write!(name, "-severity-{severity}");
        }
        if directions(task).len() > 1 {
            name.push_str(match direction {
                CausalDirection::Causal => "-causal",
                CausalDirection::Anticausal => "-anticausal",
            });
        }
        if self.dials.is_none() && strength.to_bits() != 1f64.to_bits() {
            let _ = write!(name, "-{strength}");
        }
        name
    }

    fn check(&self) -> Result<()> {
        let fault = |key: &str, message: String| {
            Err(HarnessError::Config {
                origin: "simulated".into(),
                key: key.to_owned(),
                message,
            })
        };
        for (key, empty) in [
            ("tasks", self.tasks.is_empty()),
            ("shifts", self.shifts.is_empty()),
            ("strengths", self.strengths.is_empty()),
        ] {
            if empty {
                return fault(
                    key,
                    "an empty list is not allowed: name at least one".into(),
                );
            }
        }
        if let Some(strength) = self.strengths.iter().find(|s| !(0.0..=1.0).contains(*s)) {
            return fault(
                "strengths",
                format!("{strength} is not allowed: it must be from 0 to 1"),
            );
        }
        if self.dials.is_some() && self.strengths != full() {
            return fault(
                "strengths",
                "has no effect beside `dials`: give one of them".into(),
            );
        }
        if let [task] = self.tasks[..] {
            if let Some(shift) = self.shifts.iter().find(|&&shift| !exists(task, shift)) {
                return fault(
                    "shifts",
                    format!(
                        "{shift} does not exist for {}: nobody annotates it",
                        task.as_str()
                    ),
                );
            }
            if self.directions_of(task).is_empty() {
                let known: Vec<String> = directions(task)
                    .iter()
                    .map(|d| format!("{d:?}").to_lowercase())
                    .collect();
                return fault(
                    "directions",
                    format!("{} is {} only", task.as_str(), known.join(" or ")),
                );
            }
        }
        Ok(())
    }
}
