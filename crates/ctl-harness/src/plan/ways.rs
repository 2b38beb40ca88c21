//! How the sites of a cohort become sources and target.

use ctl_imaging::MaskRole;

use crate::data::CohortData;
use crate::suite::FolderEntry;
use crate::vocabulary::{Protocol, Task};

/// A way of using a cohort: protocol, sources, target.
pub(super) type Way = (Protocol, Vec<String>, String);

/// Sites with enough images of every class, or enough patients, the largest first.
pub(super) fn usable_sites(cohort: &CohortData, task: Task, folders: &FolderEntry) -> Vec<usize> {
    let size = |site: usize| match task {
        Task::Classification | Task::Multimodal => {
            cohort.class_counts(site).into_iter().min().unwrap_or(0)
        }
        _ => cohort.patients(site),
    };
    let least = match task {
        Task::Classification | Task::Multimodal => folders.min_per_class,
        _ => folders.min_patients,
    };
    let mut sites: Vec<usize> = (0..cohort.sites.len())
        .filter(|&site| size(site) >= least)
        .collect();
    sites.sort_by_key(|&site| (std::cmp::Reverse(size(site)), site));
    sites
}

/// The ways in which a protocol uses the sites of a cohort; none where it does not suit the task.
pub(super) fn ways(
    protocol: Protocol,
    task: Task,
    cohort: &CohortData,
    sites: &[usize],
) -> Vec<Way> {
    let name = |site: usize| cohort.sites[site].clone();
    let labels = matches!(task, Task::Classification | Task::Multimodal);
    match protocol {
        Protocol::SiteLabelMixture if labels => {
            let [first, second] = [sites[0], sites[1]];
            let pairs = [[first, second], [second, first]];
            pairs
                .into_iter()
                .flat_map(|pair| {
                    pair.map(|target| (protocol, pair.map(name).to_vec(), name(target)))
                })
                .collect()
        }
        Protocol::SecondObserver if task == Task::Segmentation => {
            let observed = |site: &&usize| {
                let mut samples =
                    (0..cohort.samples.len()).filter(|&s| cohort.samples[s].site == **site);
                samples.any(|s| cohort.images.has_mask(s, MaskRole::SecondObserver))
            };
            let targets = sites.iter().filter(observed);
            let all: Vec<String> = sites.iter().map(|&site| name(site)).collect();
            targets
                .map(|&site| (protocol, all.clone(), name(site)))
                .collect()
        }
        Protocol::LeaveOneSiteOut => sites
            .iter()
            .map(|&target| {
                let others = sites.iter().filter(|&&site| site != target);
                let sources = others.map(|&site| name(site)).collect();
                (protocol, sources, name(target))
            })
            .collect(),
        _ => Vec::new(),
    }
}
