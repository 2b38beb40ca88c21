//! The cohorts of a plan in memory, and their pictures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::chain;
use crate::data::{CohortData, load_folder, load_phantom, write_examples};
use crate::plan::{Origin, Plan, PlannedRun};
use crate::spec::CohortSpec;
use crate::sweep::Layout;
use crate::{HarnessError, Result};

/// Cohorts that are kept in memory; runs are ordered by cohort, so few are in use at once.
const COHORTS_IN_MEMORY: usize = 4;

/// Cohorts by content, loaded once by whoever needs them first.
#[derive(Default)]
pub(super) struct CohortCache {
    loaded: Mutex<VecDeque<(String, Slot)>>,
}

/// A cohort that is loaded by one thread while others wait.
type Slot = Arc<OnceLock<std::result::Result<Arc<CohortData>, String>>>;

impl CohortCache {
    pub(super) fn get(&self, run: &PlannedRun) -> Result<Arc<CohortData>> {
        let slot = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let content = content_of(run);
            if let Some((_, slot)) = loaded.iter().find(|(known, _)| *known == content) {
                slot.clone()
            } else {
                let slot = Slot::default();
                loaded.push_back((content, slot.clone()));
                if loaded.len() > COHORTS_IN_MEMORY {
                    loaded.pop_front();
                }
                slot
            }
        };
        let load = || load(run).map(Arc::new).map_err(|error| chain(&error));
        slot.get_or_init(load)
            .clone()
            .map_err(|message| HarnessError::Data {
                path: run.origin.path(),
                message,
            })
    }
}

fn load(run: &PlannedRun) -> Result<CohortData> {
    match (&run.origin, &run.spec.data) {
        (Origin::Folder(folder), CohortSpec::Folder { environment, .. }) => {
            let how = (&run.spec.training, environment.as_deref());
            load_folder(folder, run.spec.task, how)
        }
        (_, CohortSpec::Phantom { spec }) => load_phantom(spec, run.spec.task),
        (Origin::Simulated, CohortSpec::Folder { .. }) => Err(HarnessError::Config {
            origin: format!("cohort {}", run.spec.cohort),
            key: "data".into(),
            message: "a cohort on disk needs its folder".into(),
        }),
    }
}

/// Writes pictures of the plan's cohorts, where the folder has none of their content.
pub(super) fn write_pictures(layout: &Layout, plan: &Plan, cohorts: &CohortCache) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    let mut examples = layout.read_examples()?;
    for run in &plan.runs {
        let name = run.spec.cohort.as_str();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let content = content_of(run);
        if examples.contents.get(name) != Some(&content) {
            let cohort = cohorts.get(run)?;
            write_examples(
                layout,
                &mut examples,
                (run.spec.task, name, &content),
                &cohort,
            )?;
        }
    }
    Ok(())
}

/// Hash of everything that a run's cohort, as it is loaded, depends on.
fn content_of(run: &PlannedRun) -> String {
    let training = &run.spec.training;
    let pixels = (training.size, training.colour, training.channel);
    let key = (&run.spec.data, run.spec.task, pixels);
    // Numbers and names: they always serialise.
    let text = serde_json::to_string(&key).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
