//! What the causal diagram of a cell licenses, against what was seen there.

use std::collections::BTreeMap;

use ctl_graph::DiagramFile;
use ctl_graph::advice::{Advice, Verdict as Licence, advise};
use ctl_invariance::Role;
use ctl_metrics::rank::holm;
use ctl_phantom::{PhantomSpec, simulate};
use serde::Serialize;

use super::contenders::ALPHA;
use super::contrast::{Contrast, Scores};
use super::sweep::{REFERENCE, Sweep, belongs};
use super::text;
use crate::Result;
use crate::plan::Plan;
use crate::spec::{CohortSpec, RunSpec};
use crate::table::Cell;
use crate::vocabulary::{Protocol, Selector, Task};

/// The section: disagreements first.
#[derive(Debug, Serialize)]
pub(crate) struct Licences {
    sentence: String,
    rows: Vec<LicenceRow>,
    notes: Vec<String>,
}

/// One method in one cell.
#[derive(Debug, Serialize)]
struct LicenceRow {
    cell: String,
    method: String,
    /// What theory says of it, and why.
    licence: &'static str,
    because: String,
    seen: String,
    agreement: &'static str,
    class: &'static str,
    #[serde(skip)]
    order: u8,
}

/// What was seen of a method against plain training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Better,
    Worse,
    Alike,
}

/// How theory and observation go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    /// Licensed and worse, or not licensed and better.
    Disagrees,
    /// Licensed, and no difference was seen.
    Idle,
    /// Not licensed or not needed, and no difference was seen.
    Harmless,
    /// Licensed and better, or not licensed and worse.
    Agrees,
}

impl Agreement {
    fn of(licence: Licence, seen: Seen) -> Self {
        match (licence, seen) {
            (Licence::Licensed, Seen::Better) | (Licence::NotLicensed, Seen::Worse) => Self::Agrees,
            (Licence::Licensed, Seen::Worse) | (Licence::NotLicensed, Seen::Better) => {
                Self::Disagrees
            }
            (Licence::Licensed, Seen::Alike) => Self::Idle,
            // Where nothing moved that it corrects, a method may do better or worse by what it does
            // beside.
            _ => Self::Harmless,
        }
    }

    fn view(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Disagrees => (0, "disagrees", "down1"),
            Self::Idle => (1, "licensed, nothing gained", "flat"),
            Self::Agrees => (2, "agrees", "up1"),
            Self::Harmless => (3, "no difference seen", "flat"),
        }
    }
}

impl Licences {
    /// Every method of every cell whose diagram is known and that advice knows of.
    pub(crate) fn of(sweep: &Sweep<'_>, scores: &Scores) -> Result<Self> {
        let mut rows = Vec::new();
        let mut notes = Vec::new();
        for (cell, run) in cells(sweep) {
            match advice_for(run) {
                Ok(advice) => rows.extend(rows_of(sweep, scores, cell, &advice)?),
                Err(why) => notes.push(format!("{}: {why}", text::cell(cell))),
            }
        }
        rows.sort_by_key(|row| row.order);
        let disagree = rows.iter().filter(|row| row.order == 0).count();
        let agree = rows.iter().filter(|row| row.agreement == "agrees").count();
        let sentence = if rows.is_empty() {
            "No cell of this task has a diagram from which advice follows.".to_owned()
        } else {
            format!(
                "{} of a method and a cell: in {agree} the diagram's verdict and the measurement \
                 agree on a difference to ERM beyond noise, in {disagree} they disagree, in the \
                 others no difference was seen. Differences are tested over seeds and corrected \
                 by Holm's method within a cell; with fewer than three seeds none is.",
                text::count(rows.len(), "pair")
            )
        };
        Ok(Self {
            sentence,
            rows,
            notes,
        })
    }
}

/// The cells whose diagram is known, with a run of each.
fn cells<'a>(sweep: &'a Sweep<'_>) -> Vec<(&'a Cell, &'a RunSpec)> {
    let mut found = Vec::new();
    for cell in sweep.table.cells() {
        let mut records = sweep.records.iter().filter(|record| belongs(record, cell));
        let known = |data: &CohortSpec| match data {
            CohortSpec::Phantom { .. } => true,
            CohortSpec::Folder { diagram, .. } => diagram.is_some(),
        };
        let spec = records.find_map(|record| known(&record.spec.data).then_some(&record.spec));
        found.extend(spec.map(|spec| (cell, spec)));
    }
    found
}

/// Advice on what a task predicts.
///
/// It depends on mechanisms, not on patients: one of each site is enough to have the diagram.
fn advice_for(run: &RunSpec) -> std::result::Result<Advice, String> {
    let task = run.task;
    match task {
        Task::Reconstruction => {
            return Err("the image itself is predicted, and advice is about a label".into());
        }
        Task::Anomaly => {
            return Err("no label is learnt from, and advice is about learning one".into());
        }
        _ => {}
    }
    run.diagram_speaks_of()?;
    let spec = match &run.data {
        CohortSpec::Phantom { spec } => spec,
        CohortSpec::Folder { diagram, .. } => {
            if task == Task::Segmentation {
                return Err("the folder's diagram is about its label, not about masks".into());
            }
            let text = diagram.as_deref().ok_or("the folder has no diagram.toml")?;
            let file = DiagramFile::parse(text).map_err(|error| error.to_string())?;
            return advise(&file).map_err(|error| error.to_string());
        }
    };
    let small = PhantomSpec {
        patients_per_site: 1,
        ..spec.clone()
    };
    let cohort = simulate(&small).map_err(|error| error.to_string())?;
    let diagram = match task {
        Task::Segmentation => cohort.mask_diagram().map_err(|error| error.to_string())?,
        _ => cohort.diagram().clone(),
    };
    advise(&diagram).map_err(|error| error.to_string())
}

/// What is said before a plan runs: the methods that the diagrams of its cohorts do not
/// license, with the number of cohorts and the reason at the first. They run all the same, and the
/// report marks their cells.
pub fn unlicensed(plan: &Plan) -> Vec<String> {
    type Runs<'a> = BTreeMap<(&'a str, Protocol), &'a RunSpec>;
    let mut methods: BTreeMap<(Task, &str), Runs<'_>> = BTreeMap::new();
    // Plain training is what the others are compared with, licensed or not.
    let competing = plan.runs.iter().map(|run| &run.spec);
    for spec in competing.filter(|spec| spec.method != REFERENCE) {
        let cohorts = methods.entry((spec.task, &spec.method)).or_default();
        let cohort = (spec.cohort.as_str(), spec.protocol);
        cohorts.entry(cohort).or_insert(spec);
    }
    let mut known: BTreeMap<(Task, &str, Protocol), Option<Advice>> = BTreeMap::new();
    let mut said = Vec::new();
    for ((task, method), cohorts) in &methods {
        let mut reasons = Vec::new();
        for (&(cohort, protocol), run) in cohorts {
            let advice = known
                .entry((*task, cohort, protocol))
                // Why there is none is said in the report.
                .or_insert_with(|| advice_for(run).ok());
            let remedy = advice.as_ref().and_then(|advice| advice.remedy_of(method));
            let refused = remedy.filter(|remedy| remedy.verdict == Licence::NotLicensed);
            reasons.extend(refused.map(|remedy| (cohort, remedy.because.clone())));
        }
        if let Some((cohort, because)) = reasons.first() {
            said.push(format!(
                "{method} on {}: not licensed by the diagram in {} of {} cohorts, the first {cohort}: \
                 {because}",
                task.as_str(),
                reasons.len(),
                cohorts.len(),
            ));
        }
    }
    said
}

fn rows_of(
    sweep: &Sweep<'_>,
    scores: &Scores,
    cell: &Cell,
    advice: &Advice,
) -> Result<Vec<LicenceRow>> {
    let selector = Selector::TrainingDomain;
    let here = scores.in_cell(cell);
    let mut contrasts: BTreeMap<&str, Contrast> = BTreeMap::new();
    for line in sweep.table.lines_of(cell, selector) {
        if line.role == Role::Oracle || line.method == REFERENCE {
            continue;
        }
        let arms = ((line.method.as_str(), selector), (REFERENCE, selector));
        if let Some(contrast) = here.contrast(arms.0, arms.1)? {
            contrasts.insert(&line.method, contrast);
        }
    }
    let raw: Vec<f64> = contrasts.values().filter_map(|c| c.p).collect();
    let mut adjusted = if raw.is_empty() {
        Vec::new()
    } else {
        holm(&raw)?
    }
    .into_iter();
    let mut rows = Vec::new();
    for (method, contrast) in contrasts {
        let p = contrast.p.and_then(|_| adjusted.next());
        let Some(remedy) = advice.remedy_of(method) else {
            continue;
        };
        let seen = match p.is_some_and(|p| p < ALPHA) {
            false => Seen::Alike,
            true if contrast.difference > 0.0 => Seen::Better,
            true => Seen::Worse,
        };
        let (order, agreement, class) = Agreement::of(remedy.verdict, seen).view();
        rows.push(LicenceRow {
            cell: text::cell(cell),
            method: sweep.name(method),
            licence: match remedy.verdict {
                Licence::Licensed => "licensed",
                Licence::Unneeded => "not needed",
                Licence::NotLicensed => "not licensed",
            },
            because: remedy.because.clone(),
            seen: seen_text(&contrast, p),
            agreement,
            class,
            order,
        });
    }
    Ok(rows)
}

fn seen_text(contrast: &Contrast, p: Option<f64>) -> String {
    let value = text::with_error(Some(contrast.difference), contrast.standard_error);
    let value = if contrast.difference > 0.0 {
        format!("+{value}")
    } else {
        value
    };
    match p {
        Some(p) => format!("{value} ({})", text::p_value(p)),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use ctl_invariance::{Method, Status};

    use super::*;
    use crate::Registry;
    use crate::spec::{SPEC_SCHEMA, Training};
    use crate::vocabulary::{OracleCheckpoint, Shift};

    fn run(task: Task, data: CohortSpec) -> RunSpec {
        RunSpec {
            schema: SPEC_SCHEMA,
            method: "erm".into(),
            settings: serde_json::Value::Null,
            task,
            cohort: "cohort".into(),
            data,
            shift: Shift::Combined,
            protocol: Protocol::LeaveOneSiteOut,
            sources: vec!["a".into()],
            target: "b".into(),
            held_out: None,
            oracle_checkpoint: OracleCheckpoint::Best,
            seed: 0,
            draw: 0,
            training: Training::default(),
        }
    }

    fn simulated(task: Task) -> RunSpec {
        let spec = PhantomSpec {
            patients_per_site: 1,
            ..PhantomSpec::default()
        };
        run(task, CohortSpec::Phantom { spec })
    }

    fn said_of(run: &RunSpec) -> std::result::Result<String, String> {
        advice_for(run).map(|advice| advice.to_string())
    }

    /// A folder that brings a diagram is advised on as the simulation that wrote it, but for masks,
    /// other environments than its sites, and mixtures of them, which the file does not speak of.
    #[test]
    fn a_folders_diagram_gives_the_same_advice() {
        let task = Task::Classification;
        let simulated = simulated(task);
        let text = simulate(simulated.data.phantom().unwrap())
            .unwrap()
            .diagram()
            .to_toml();
        let folder = |task, environment: Option<&str>, diagram: Option<&String>| {
            let data = CohortSpec::Folder {
                hash: String::new(),
                environment: environment.map(str::to_owned),
                diagram: diagram.cloned(),
            };
            run(task, data)
        };
        let plain = folder(task, None, Some(&text));
        assert!(said_of(&plain).is_ok());
        assert_eq!(said_of(&plain), said_of(&simulated));
        let mixed = RunSpec {
            protocol: Protocol::SiteLabelMixture,
            ..plain
        };
        for other in [
            mixed,
            folder(task, Some("scanner"), Some(&text)),
            folder(task, None, None),
            folder(Task::Segmentation, None, Some(&text)),
        ] {
            assert!(said_of(&other).is_err());
        }
    }

    /// Advice speaks of every settled method that competes, but for mixing, balancing classes,
    /// meta-learning and spectral decoupling, which rest on no assumption about causes.
    #[test]
    fn advice_knows_the_methods_that_compete() {
        let advice = advice_for(&simulated(Task::Classification)).unwrap();
        let registry = Registry::standard();
        let competing = registry.iter().map(Method::info);
        let unknown: Vec<&str> = competing
            .filter(|info| info.role != Role::Oracle && info.status == Status::Stable)
            .map(|info| info.id)
            .filter(|id| advice.remedy_of(id).is_none())
            .collect();
        assert_eq!(unknown, ["class-balanced", "mixup", "mldg", "sd"]);
    }

    /// Where only prevalence moves, aligning whole feature distributions is not licensed, and the
    /// correction of prevalence is; the plan keeps both.
    #[test]
    fn what_a_diagram_does_not_license_is_said_and_planned() {
        let text = r#"
schema = 1
name = "licences"
title = "Licences"
methods = ["erm", "em", "coral-target"]
seeds = 2
[[simulated]]
tasks = ["classification"]
shifts = ["prevalence"]
patients_per_site = 20
"#;
        let registry = Registry::standard();
        let suite = crate::suite::Suite::parse(text, "licences", &registry).unwrap();
        let plan = crate::plan::plan(&suite, &registry, None).unwrap();
        assert_eq!(plan.runs.len(), 6);
        let said = unlicensed(&plan);
        assert_eq!(said.len(), 1, "{said:?}");
        let start = "coral-target on classification: not licensed by the diagram in 1 of 1 cohorts";
        assert!(said[0].starts_with(start), "{said:?}");
    }

    #[test]
    fn advice_is_about_what_a_task_predicts() {
        let of = |task| said_of(&simulated(task));
        let (label, mask) = (of(Task::Classification), of(Task::Segmentation));
        assert_ne!(label, mask);
        assert!(mask.unwrap().contains("mask"));
        assert!(of(Task::Reconstruction).is_err() && of(Task::Anomaly).is_err());
    }

    #[test]
    fn theory_and_measurement_agree_or_not() {
        use Agreement::{Agrees, Disagrees, Harmless, Idle};
        for (licence, seen, expected) in [
            (Licence::Licensed, Seen::Better, Agrees),
            (Licence::Licensed, Seen::Worse, Disagrees),
            (Licence::Licensed, Seen::Alike, Idle),
            (Licence::NotLicensed, Seen::Better, Disagrees),
            (Licence::NotLicensed, Seen::Worse, Agrees),
            (Licence::NotLicensed, Seen::Alike, Harmless),
            (Licence::Unneeded, Seen::Worse, Harmless),
        ] {
            assert_eq!(
                Agreement::of(licence, seen),
                expected,
                "{licence:?} {seen:?}"
            );
        }
    }
}
