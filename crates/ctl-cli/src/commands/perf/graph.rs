//! Questions to causal diagrams, and searches for them, beside other software.

use anyhow::{Context, anyhow};
use ctl_benches::graph::{PEER, Workload, shared_inputs, write_drawn_inputs};

use super::child::Child;
use super::contest::{Contest, Contestant, Pace};
use super::figures::GraphRow;
use super::offers::{Offer, offers};
use crate::arguments::Perf;
use crate::output::note;

/// Some peers take seconds for a workload, and they have done it once when they are ready.
const PACE: Pace = Pace {
    warm_up: 1,
    fewest: 1,
    most: 200,
};

pub(super) fn time(workloads: &[Workload], options: &Perf) -> anyhow::Result<Vec<GraphRow>> {
    // Both sides read one set of files.
    let drawn;
    let shared = shared_inputs();
    let folder = if shared.is_dir() {
        shared.as_path()
    } else {
        drawn = tempfile::tempdir().context("cannot make a folder for the inputs")?;
        write_drawn_inputs(drawn.path()).context("cannot write the inputs")?;
        drawn.path()
    };
    let folder = folder.to_str();
    let folder = folder.ok_or_else(|| anyhow!("the folder of the inputs is not UTF-8"))?;
    let offers = offers(options, PEER, folder, "software for causal diagrams");
    let mut rows = Vec::new();
    for &workload in workloads {
        let mut contest = contest(workload, &offers, folder)?;
        contest.rounds(options.rounds)?;
        for row in GraphRow::all(workload.name(), &contest) {
            note(row.summary());
            rows.push(row);
        }
    }
    Ok(rows)
}

fn contest(workload: Workload, offers: &[Offer], folder: &str) -> anyhow::Result<Contest> {
    let name = workload.name();
    let work = ["--workload", name, "--data", folder];
    let ours = Child::ours(&work).and_then(|child| Contestant::new(child, PACE));
    let ours = ours.with_context(|| format!("cannot time {name}"))?;
    let mut peers = Vec::new();
    for Offer { peer, python, .. } in offers.iter().filter(|offer| offer.workload == name) {
        let arguments = [&["--serve", "--peer", peer][..], &work].concat();
        let child = python.start(PEER, &arguments);
        let started = child.and_then(|child| Contestant::new(child, PACE));
        peers.push(started.with_context(|| format!("{peer} on {name}"))?);
    }
    if peers.is_empty() {
        note(format_args!(
            "{name}: no Python has a peer; ours is timed alone"
        ));
    }
    Ok(Contest { ours, peers })
}
