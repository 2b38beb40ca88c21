//! Training steps, beside `PyTorch`'s.

use std::ffi::OsString;

use anyhow::Context;
use ctl_benches::train_step::{Model, PEER};

use super::child::{Child, Python};
use super::contest::{Contest, Contestant, Pace};
use super::figures::{Figures, Row};
use crate::arguments::Perf;
use crate::output::note;

const PACE: Pace = Pace {
    warm_up: 3,
    fewest: 3,
    most: 200,
};

/// Orders of a tensor's axes in memory in `PyTorch`.
const LAYOUTS: [&str; 2] = ["default", "channels-last"];

pub(super) fn time(models: &[Model], options: &Perf, figures: &mut Figures) -> anyhow::Result<()> {
    let torch = torch(&options.python);
    for &threads in &options.threads {
        for &model in models {
            let mut contest = contest(model, threads, torch.as_ref())?;
            contest.rounds(options.rounds)?;
            let software = contest.peers.first().map(|p| p.software().to_owned());
            figures.peer = figures.peer.take().or(software);
            let mut peers = contest.peers.iter().map(Contestant::timing);
            let row = Row::new(
                model.name(),
                threads,
                contest.ours.timing(),
                [peers.next().flatten(), peers.next().flatten()],
            );
            note(row.summary());
            figures.push(row);
        }
    }
    Ok(())
}

/// The first Python that has torch; where there is none, it is said why.
fn torch(pythons: &[OsString]) -> Option<Python> {
    for path in pythons {
        let python = Python::new(path);
        match python.run(&["-c", "import torch"]) {
            Ok(_) => return Some(python),
            Err(reason) => note(format_args!("PyTorch is not timed: {reason:#}")),
        }
    }
    None
}

fn contest(model: Model, threads: usize, torch: Option<&Python>) -> anyhow::Result<Contest> {
    let threads = threads.to_string();
    let work = ["--model", model.name(), "--threads", &threads];
    let ours = Child::ours(&work).and_then(|child| Contestant::new(child, PACE));
    let ours = ours.with_context(|| format!("cannot time {}", model.name()))?;
    let mut peers = Vec::new();
    for layout in LAYOUTS {
        let Some(torch) = torch else { break };
        let arguments = [&["--serve", "--layout", layout][..], &work].concat();
        let child = torch.start(PEER, &arguments);
        let started = child.and_then(|child| Contestant::new(child, PACE));
        peers.push(started.with_context(|| format!("PyTorch on {}", model.name()))?);
    }
    Ok(Contest { ours, peers })
}
