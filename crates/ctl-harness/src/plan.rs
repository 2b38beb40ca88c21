//! From a suite to the list of runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ctl_imaging::discover;

use crate::data::{CohortData, load_chest, load_folder};
use crate::spec::{RunSpec, SPEC_SCHEMA};
use crate::suite::Suite;
use crate::vocabulary::{Protocol, Shift, Task};
use crate::{HarnessError, Registry, Result};

/// Where a planned run finds its cohort.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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

/// A cohort's name, source and shift while the plan is made.
struct Entry<'a> {
    name: &'a str,
    shift: Shift,
    origin: Origin,
    cohort: Arc<CohortData>,
}

/// A way of using a cohort: protocol, sources, target.
type Arrangement = (Protocol, Vec<String>, String);

/// Makes the plan of a suite; `data` is a cohort or a folder of cohorts.
///
/// # Errors
/// When the suite needs data and none is given or usable, or a method's settings are at fault.
pub fn plan(suite: &Suite, registry: &Registry, data: Option<&Path>) -> Result<Plan> {
    let mut plan = Plan::default();
    for entry in &suite.chest {
        for seed in 0..suite.seeds {
            let spec = entry.spec(seed, suite.training.size);
            // The plan needs the names of the sites, not their images.
            let small = ctl_phantom::ChestSpec {
                images_per_site: 1,
                size: 16,
                ..spec.clone()
            };
            let mut cohort = load_chest(&small)?;
            cohort.spec = crate::spec::CohortSpec::Chest { spec };
            let (target, sources) = named_target(&cohort);
            let entry = Entry {
                name: &entry.name,
                shift: entry.shift,
                origin: Origin::Simulated,
                cohort: Arc::new(cohort),
            };
            let arrangement = (Protocol::NamedTarget, sources, target);
            add_runs(
                &mut plan,
                suite,
                registry,
                &entry,
                &[arrangement],
                seed..seed + 1,
            )?;
        }
    }
    if suite.folders.is_some() {
        plan_folders(&mut plan, suite, registry, data)?;
    }
    if plan.runs.is_empty() {
        return Err(HarnessError::Config {
            origin: format!("suite {}", suite.name),
            key: "runs".into(),
            message: format!("nothing to run; left out: {}", plan.skipped.join("; ")),
        });
    }
    Ok(plan)
}

fn named_target(cohort: &CohortData) -> (String, Vec<String>) {
    let mut sources = cohort.sites.clone();
    let target = sources.pop().unwrap_or_default();
    (target, sources)
}

fn plan_folders(
    plan: &mut Plan,
    suite: &Suite,
    registry: &Registry,
    data: Option<&Path>,
) -> Result<()> {
    let Some(data) = data else {
        return Err(HarnessError::Config {
            origin: format!("suite {}", suite.name),
            key: "folders".into(),
            message: "this suite needs --data DIR: one cohort, or a folder of cohorts".into(),
        });
    };
    let found = discover(data)?;
    if found.cohorts.is_empty() {
        return Err(HarnessError::Data {
            path: data.to_path_buf(),
            message: "holds no cohort: expected a manifest.csv here or in a folder below".into(),
        });
    }
    for (folder, reason) in found.skipped {
        plan.skipped.push(format!("{}: {reason}", shown(&folder)));
    }
    let mut named: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in found.cohorts {
        let opened = ctl_imaging::Cohort::open(&folder)?;
        let chest = suite.chest.iter().any(|c| c.name == opened.name());
        let twin = named.insert(opened.name().to_owned(), folder.clone());
        if let Some(twin) = twin.or(chest.then(|| PathBuf::from("the suite"))) {
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
        plan_folder(plan, suite, registry, (&folder, &opened))?;
    }
    Ok(())
}

fn shown(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

fn plan_folder(
    plan: &mut Plan,
    suite: &Suite,
    registry: &Registry,
    (folder, opened): (&Path, &ctl_imaging::Cohort),
) -> Result<()> {
    let Some(folders) = &suite.folders else {
        return Ok(());
    };
    if !opened.tasks().contains(&Task::Classification) {
        let tasks: Vec<&str> = opened.tasks().iter().map(|t| t.as_str()).collect();
        plan.skipped.push(format!(
            "{}: its tasks are {}; this suite runs classification",
            opened.name(),
            tasks.join(", ")
        ));
        return Ok(());
    }
    let cohort = Arc::new(load_folder(folder, &suite.training)?);
    let sites = usable_sites(&cohort, folders.min_per_class);
    if sites.len() < 2 {
        plan.skipped.push(format!(
            "{}: {} of its {} sites have {} images of every class; two are needed to transfer",
            opened.name(),
            sites.len(),
            cohort.sites.len(),
            folders.min_per_class
        ));
    }
    let arrangements: Vec<Arrangement> = match sites[..] {
        [] => return Ok(()),
        [site] => {
            let name = cohort.sites[site].clone();
            vec![(Protocol::SingleSite, vec![name.clone()], name)]
        }
        _ => folders
            .protocols
            .iter()
            .flat_map(|&protocol| arrange(protocol, &cohort, &sites))
            .collect(),
    };
    let entry = Entry {
        name: opened.name(),
        shift: folders.shift,
        origin: Origin::Folder(folder.to_path_buf()),
        cohort,
    };
    add_runs(plan, suite, registry, &entry, &arrangements, 0..suite.seeds)
}

/// Sites with enough images of every class, the largest (by its rarest class) first.
fn usable_sites(cohort: &CohortData, least: usize) -> Vec<usize> {
    let rarest = |site: usize| cohort.class_counts(site).into_iter().min().unwrap_or(0);
    let mut sites: Vec<usize> = (0..cohort.sites.len())
        .filter(|&s| rarest(s) >= least)
        .collect();
    sites.sort_by_key(|&site| (std::cmp::Reverse(rarest(site)), site));
    sites
}

fn arrange(protocol: Protocol, cohort: &CohortData, sites: &[usize]) -> Vec<Arrangement> {
    let name = |site: usize| cohort.sites[site].clone();
    if protocol == Protocol::SiteLabelMixture {
        let [first, second] = [sites[0], sites[1]];
        let pairs = [[first, second], [second, first]];
        return pairs
            .into_iter()
            .flat_map(|pair| pair.map(|target| (protocol, pair.map(name).to_vec(), name(target))))
            .collect();
    }
    sites
        .iter()
        .map(|&target| {
            let sources = sites
                .iter()
                .filter(|&&s| s != target)
                .map(|&s| name(s))
                .collect();
            (protocol, sources, name(target))
        })
        .collect()
}

fn add_runs(
    plan: &mut Plan,
    suite: &Suite,
    registry: &Registry,
    entry: &Entry<'_>,
    arrangements: &[Arrangement],
    seeds: std::ops::Range<u64>,
) -> Result<()> {
    for id in &suite.methods {
        let method = registry.get(id)?;
        if method.info().needs.oracle_view && entry.origin != Origin::Simulated {
            let note = format!("{id} on {}: no images without the shortcut", entry.name);
            if !plan.skipped.contains(&note) {
                plan.skipped.push(note);
            }
            continue;
        }
        for (protocol, sources, target) in arrangements {
            for seed in seeds.clone() {
                for draw in 0..suite.draws {
                    let (settings, training) = drawn(suite, method, seed, draw)?;
                    plan.runs.push(PlannedRun {
                        origin: entry.origin.clone(),
                        spec: RunSpec {
                            schema: SPEC_SCHEMA,
                            method: id.clone(),
                            settings,
                            task: Task::Classification,
                            cohort: entry.name.to_owned(),
                            data: entry.cohort.spec.clone(),
                            shift: entry.shift,
                            protocol: *protocol,
                            sources: sources.clone(),
                            target: target.clone(),
                            seed,
                            draw,
                            training,
                        },
                    });
                }
            }
        }
    }
    Ok(())
}

/// Settings of a draw: the suite's for draw 0; for later ones whatever the method's search space
/// varies and the suite does not fix, each setting from a stream of its own.
fn drawn(
    suite: &Suite,
    method: &dyn ctl_invariance::Method,
    seed: u64,
    draw: u64,
) -> Result<(serde_json::Value, crate::spec::Training)> {
    let mut settings = suite.settings_of(method.info().id);
    let mut training = suite.training.clone();
    if draw > 0 {
        for dimension in method.search_space() {
            let value = dimension.sample(seed, method.info().id, draw);
            if let Some(map) = settings.as_object_mut() {
                map.entry(dimension.key).or_insert(value);
            }
        }
        let rate = ctl_invariance::SearchDimension::log_uniform("learning_rate", -4.0, -2.5);
        let value = rate.sample(seed, method.info().id, draw);
        training.learning_rate = value.as_f64().unwrap_or(training.learning_rate);
    }
    Ok((method.resolve(&settings)?, training))
}
