//! Which peers the given Pythons have.

use serde::Deserialize;

use super::child::Python;
use crate::arguments::Perf;
use crate::output::note;

/// A pair of workload and peer, with the first Python that has it.
pub(super) struct Offer {
    pub(super) workload: String,
    pub(super) peer: String,
    pub(super) python: Python,
}

/// What a Python can time, a line of `--list`.
#[derive(Deserialize)]
struct Pair {
    workload: String,
    peer: String,
}

/// Asks every Python what a script can time with it.
///
/// # Arguments
/// * `script`: one that answers `--list`.
/// * `folder`: of the inputs.
/// * `subject`: what is not timed where a Python cannot be asked.
pub(super) fn offers(options: &Perf, script: &str, folder: &str, subject: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for path in &options.python {
        let python = Python::new(path);
        let list = match python.run(&["-c", script, "--list", "--data", folder]) {
            Ok(list) => list,
            Err(reason) => {
                note(format_args!("{subject} is not timed: {reason:#}"));
                continue;
            }
        };
        let pairs = list
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        for Pair { workload, peer } in pairs {
            let known = |other: &Offer| other.workload == workload && other.peer == peer;
            if !offers.iter().any(known) {
                let python = python.clone();
                offers.push(Offer {
                    workload,
                    peer,
                    python,
                });
            }
        }
    }
    offers
}
