//! From a suite to the list of runs.

mod draws;
mod ways;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ctl_imaging::discover;
use ctl_invariance::{LearnsFrom, MethodInfo};
use ctl_phantom::{PhantomSpec, SiteRole};
use serde::{Deserialize, Serialize};

use self::draws::drawn;
use self::ways::{Way, usable_sites, ways};
use crate::data::{Arrangement, CohortData, can_leave_out, load_folder, load_phantom, split};
use crate::spec::{CohortSpec, RunSpec, SPEC_SCHEMA};
use crate::suite::{FolderEntry, SimulatedCohort, Suite};
use crate::task::check_training;
use crate::vocabulary::{Protocol, Selector, Shift, Task};
use crate::{HarnessError, Registry, Result};

/// Where a planned run finds its cohort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It is simulated from the specification.
    Simulated,
    /// It lies in a folder.
    Folder(PathBuf),
}

impl Origin {
    /// The folder, or what stands for it in messages.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Simulated => PathBuf::from("simulated cohort"),
            Self::Folder(folder) => folder.clone(),
        }
    }
}

/// One run of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// Everything that determines its result.
    pub spec: RunSpec,
    /// Where its cohort is.
    pub origin: Origin,
}

/// The runs of a sweep, and what was left out.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The runs, cohort by cohort.
    pub runs: Vec<PlannedRun>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
}

/// A cohort of one task while the plan is made.
struct Entry<'a> {
    name: &'a str,
    task: Task,
    shift: Shift,
    origin: Origin,
    cohort: Arc<CohortData>,
}

/// What all parts of planning share.
struct Planner<'a> {
    suite: &'a Suite,
    registry: &'a Registry,
    plan: Plan,
}

/// Makes the plan of a suite; `data` is a cohort or a folder of cohorts.
///
/// # Errors
/// When the suite needs data and none is given or usable, or a method's settings are at fault.
pub fn plan(suite: &Suite, registry: &Registry, data: Option<&Path>) -> Result<Plan> {
    let mut planner = Planner {
        suite,
        registry,
        plan: Plan::default(),
    };
    let cohorts = suite.cohorts()?;
    for cohort in &cohorts {
        planner.simulated(cohort)?;
    }
    if let Some(folders) = &suite.folders {
        planner.folders(folders, data, &cohorts)?;
    }
    if planner.plan.runs.is_empty() {
        let message = format!(
            "nothing to run; left out: {}",
            planner.plan.skipped.join("; ")
        );
        // Where there is a folder, what it holds does not do; else the suite asks for nothing.
        return Err(match data {
            Some(path) => HarnessError::Data {
                path: path.to_path_buf(),
                message,
            },
            None => HarnessError::Config {
                origin: format!("suite {}", suite.name),
                key: "runs".into(),
                message,
            },
        });
    }
    Ok(planner.plan)
}

fn shown(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

impl Planner<'_> {
    fn simulated(&mut self, cohort: &SimulatedCohort) -> Result<()> {
        for seed in 0..self.suite.seeds {
            let spec = PhantomSpec {
                seed,
                ..cohort.spec.clone()
            };
            // The plan needs the names of the sites, not their patients.
            let few = PhantomSpec {
                patients_per_site: 1,
                ..spec.clone()
            };
            let mut data = load_phantom(&few, cohort.task)?;
            data.spec = CohortSpec::Phantom { spec };
            let named = |role: SiteRole| -> Vec<String> {
                let sites = data.sites_for(role).into_iter();
                sites.map(|site| data.sites[site].clone()).collect()
            };
            let target = named(SiteRole::Target).concat();
            let way = (Protocol::NamedTarget, named(SiteRole::Source), target);
            let entry = Entry {
                name: &cohort.name,
                task: cohort.task,
                shift: cohort.shift,
                origin: Origin::Simulated,
                cohort: Arc::new(data),
            };
            self.add_runs(&entry, &[way], seed..seed + 1)?;
        }
        Ok(())
    }

    fn folders(
        &mut self,
        folders: &FolderEntry,
        data: Option<&Path>,
        simulated: &[SimulatedCohort],
    ) -> Result<()> {
        let Some(data) = data else {
            return Err(HarnessError::Config {
                origin: format!("suite {}", self.suite.name),
                key: "folders".into(),
                message: "this suite needs --data DIR: one cohort, or a folder of cohorts".into(),
            });
        };
        let found = discover(data)?;
        if found.cohorts.is_empty() {
            return Err(HarnessError::Data {
                path: data.to_path_buf(),
                message: "holds no cohort: expected a manifest.csv here or in a folder below"
                    .into(),
            });
        }
        for (folder, reason) in found.skipped {
            self.skip(format!("{}: {reason}", shown(&folder)));
        }
        let mut columns = folders.environment_columns.clone();
        let mut named: BTreeMap<String, PathBuf> = BTreeMap::new();
        for folder in found.cohorts {
            let opened = ctl_imaging::Cohort::open(&folder)?;
            let taken = simulated.iter().any(|c| c.name == opened.name());
            let twin = named.insert(opened.name().to_owned(), folder.clone());
            if let Some(twin) = twin.or(taken.then(|| PathBuf::from("the suite"))) {
                return Err(HarnessError::Data {
                    path: folder,
                    message: format!(
                        "is named {:?} like {}; results are told apart by name, so set another \
                         `name` in cohort.toml",
                        opened.name(),
                        twin.display()
                    ),
                });
            }
            columns.retain(|column| !opened.columns().contains(column));
            self.folder(folders, (&folder, &opened))?;
        }
        for column in columns {
            self.skip(format!(
                "environments by {column}: no cohort has that column"
            ));
        }
        Ok(())
    }

    fn skip(&mut self, note: String) {
        if !self.plan.skipped.contains(&note) {
            self.plan.skipped.push(note);
        }
    }

    /// Every task that the cohort has and the suite runs.
    fn folder(
        &mut self,
        folders: &FolderEntry,
        (folder, opened): (&Path, &ctl_imaging::Cohort),
    ) -> Result<()> {
        let mut some = false;
        for &task in folders.tasks.iter().filter(|t| opened.tasks().contains(t)) {
            some = true;
            self.folder_task(folders, (folder, opened, None), task)?;
            let columns = folders.environment_columns.iter();
            for column in columns.filter(|column| opened.columns().contains(column)) {
                self.folder_task(folders, (folder, opened, Some(column)), task)?;
            }
        }
        if !some {
            let list = |tasks: &[Task]| -> String {
                let names: Vec<&str> = tasks.iter().map(|t| t.as_str()).collect();
                names.join(", ")
            };
            self.skip(format!(
                "{}: its tasks are {}; this suite runs {}",
                opened.name(),
                list(opened.tasks()),
                list(&folders.tasks)
            ));
        }
        Ok(())
    }

    fn folder_task(
        &mut self,
        folders: &FolderEntry,
        (folder, opened, column): (&Path, &ctl_imaging::Cohort, Option<&String>),
        task: Task,
    ) -> Result<()> {
        let name = match column {
            Some(column) => format!("{} by {column}", opened.name()),
            None => opened.name().to_owned(),
        };
        let training = self.suite.training_of(task);
        let environment = column.map(String::as_str);
        let cohort = match load_folder(folder, task, (&training, environment)) {
            Ok(cohort) => Arc::new(cohort),
            // Tasks are guessed from columns where a cohort does not name them.
            Err(HarnessError::Data { message, .. }) => {
                self.skip(format!("{name}: {message}"));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let sites = usable_sites(&cohort, task, folders);
        if sites.len() < 2 && column.is_none() {
            let needed = match task {
                Task::Classification | Task::Multimodal => {
                    format!("{} images of every class", folders.min_per_class)
                }
                _ => format!("{} patients", folders.min_patients),
            };
            self.skip(format!(
                "{name}, {}: {} of its {} sites have {needed}; two are needed to transfer{}",
                task.as_str(),
                sites.len(),
                cohort.sites.len(),
                match sites[..] {
                    [_] => ", so that it is measured in distribution only",
                    _ => "",
                }
            ));
        }
        let mut ways: Vec<Way> = match sites[..] {
            [] => return Ok(()),
            [_] if column.is_some() => return Ok(()),
            [site] => {
                let name = cohort.sites[site].clone();
                vec![(Protocol::SingleSite, vec![name.clone()], name)]
            }
            _ => folders
                .protocols
                .iter()
                .flat_map(|&protocol| ways(protocol, task, &cohort, &sites))
                .collect(),
        };
        if !folders.only_targets.is_empty() {
            ways.retain(|way| folders.only_targets.contains(&way.2));
            if ways.is_empty() {
                let task = task.as_str();
                let targets = folders.only_targets.join(", ");
                self.skip(format!(
                    "{name}, {task}: none of its sites is a target: {targets}"
                ));
            }
        }
        for way in ways {
            let shift = match way.0 {
                Protocol::SecondObserver => Shift::Annotation,
                _ if column.is_some() => Shift::Acquisition,
                _ => folders.shift,
            };
            if !folders.only_shifts.is_empty() && !folders.only_shifts.contains(&shift) {
                continue;
            }
            let entry = Entry {
                name: &name,
                task,
                shift,
                origin: Origin::Folder(folder.to_path_buf()),
                cohort: Arc::clone(&cohort),
            };
            self.add_runs(&entry, &[way], 0..self.suite.seeds)?;
        }
        Ok(())
    }

    /// Why a method cannot use the patients of a cohort so, with a source left out or none, where
    /// it cannot.
    fn indivisible(
        &self,
        entry: &Entry<'_>,
        (protocol, sources, target): &Way,
        (learns_from, held_out): (LearnsFrom, Option<&str>),
    ) -> Option<String> {
        // The sites of a simulated cohort are made for it, and the plan has none of their patients.
        if entry.origin == Origin::Simulated {
            return None;
        }
        let training = self.suite.training_of(entry.task);
        (0..self.suite.seeds).find_map(|seed| {
            let arrangement = Arrangement {
                task: entry.task,
                protocol: *protocol,
                sources,
                target,
                held_out,
                seed,
                learns_from,
                shares: training.shares.unwrap_or_default(),
                score_at_most: training.score_at_most,
            };
            match split(&entry.cohort, &arrangement) {
                Err(HarnessError::Config { message, .. }) => Some(message),
                _ => None,
            }
        })
    }

    fn add_runs(
        &mut self,
        entry: &Entry<'_>,
        ways: &[Way],
        seeds: std::ops::Range<u64>,
    ) -> Result<()> {
        let suite = self.suite;
        let base = suite.training_of(entry.task);
        check_training(entry.task, &base)?;
        for id in suite.methods_of(entry.task) {
            let method = self.registry.get(id)?;
            if let Some(why) = unsuited(method.info(), entry) {
                self.skip(format!("{id} on {}: {why}", entry.name));
                continue;
            }
            for way in ways {
                let learns_from = method.info().needs.learns_from;
                if let Some(why) = self.indivisible(entry, way, (learns_from, None)) {
                    let (task, target) = (entry.task.as_str(), &way.2);
                    let who = match learns_from {
                        LearnsFrom::Sources => String::new(),
                        _ => format!("{id} on "),
                    };
                    self.skip(format!(
                        "{who}{}, {task}, target {target}: {why}",
                        entry.name
                    ));
                    continue;
                }
                let (protocol, sources, target) = way;
                let held_out = self.held_out(entry, way, learns_from);
                for seed in seeds.clone() {
                    for draw in 0..suite.draws {
                        let (settings, training) = drawn(suite, &base, method, (seed, draw))?;
                        let spec = RunSpec {
                            schema: SPEC_SCHEMA,
                            method: id.clone(),
                            settings,
                            task: entry.task,
                            cohort: entry.name.to_owned(),
                            data: entry.cohort.spec.clone(),
                            shift: entry.shift,
                            protocol: *protocol,
                            sources: sources.clone(),
                            target: target.clone(),
                            held_out: None,
                            oracle_checkpoint: suite.oracle_checkpoint,
                            seed,
                            draw,
                            training,
                        };
                        self.add_run(entry, spec, &held_out);
                    }
                }
            }
        }
        Ok(())
    }

    /// A run, and one for each source that is held out of it.
    fn add_run(&mut self, entry: &Entry<'_>, spec: RunSpec, held_out: &[String]) {
        let pairs = held_out.iter().map(|source| RunSpec {
            held_out: Some(source.clone()),
            ..spec.clone()
        });
        let pairs: Vec<RunSpec> = pairs.collect();
        let runs = std::iter::once(spec).chain(pairs);
        self.plan.runs.extend(runs.map(|spec| PlannedRun {
            origin: entry.origin.clone(),
            spec,
        }));
    }

    /// The sources to hold out one after the other: all, where the suite asks for it and each can
    /// be; upper references are not selected by them.
    fn held_out(&mut self, entry: &Entry<'_>, way: &Way, learns_from: LearnsFrom) -> Vec<String> {
        let wanted = self.suite.selectors.contains(&Selector::LeaveOneDomainOut);
        if !wanted || learns_from != LearnsFrom::Sources {
            return Vec::new();
        }
        let (protocol, sources, target) = way;
        let why = if can_leave_out(*protocol, sources.len()) {
            let mut all = sources.iter();
            all.find_map(|source| self.indivisible(entry, way, (learns_from, Some(source))))
        } else {
            Some(format!(
                "no source of {protocol} can be left out of {}",
                sources.len()
            ))
        };
        let Some(why) = why else {
            return sources.clone();
        };
        let task = entry.task.as_str();
        self.skip(format!(
            "{} on {}, {task}, target {target}: {why}",
            Selector::LeaveOneDomainOut,
            entry.name
        ));
        Vec::new()
    }
}

/// Why a method cannot be run on a cohort, where it cannot.
fn unsuited(info: &MethodInfo, entry: &Entry<'_>) -> Option<&'static str> {
    let labels = matches!(entry.task, Task::Classification | Task::Multimodal);
    let phantom = entry.cohort.spec.phantom();
    let needs = info.needs;
    let exception = info
        .exceptions
        .iter()
        .find(|e| e.task == entry.task.as_str());
    if let Some(exception) = exception {
        return Some(exception.reason);
    }
    match needs.learns_from {
        LearnsFrom::TrueFactors if phantom.is_none() => Some("true factors are not known"),
        LearnsFrom::TrueFactors if !labels => Some("the best predictor is known for labels only"),
        _ if needs.oracle_view && phantom.is_none() => Some("no images without the shortcut"),
        _ if needs.oracle_view && !labels => {
            Some("images without the shortcut do not fit its masks or reference images")
        }
        LearnsFrom::UnconfoundedSources if phantom.is_none_or(|p| p.dials.confounding <= 0.0) => {
            Some("nothing ties site and label together that could be cut")
        }
        _ => None,
    }
}
