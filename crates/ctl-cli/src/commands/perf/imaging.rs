//! Reading, writing and measuring images, beside other software.

use anyhow::{Context, anyhow};
use ctl_benches::imaging::{PEER, Workload, write_inputs};
use serde::Serialize;

use super::child::{Child, Python};
use super::contest::{Contest, Contestant, Pace, Spread};
use super::offers::{Offer, offers};
use crate::arguments::Perf;
use crate::output::note;

/// The first time, which reads the input from the disk, has been done when a program is ready.
const PACE: Pace = Pace {
    warm_up: 1,
    fewest: 1,
    most: 50,
};

/// One workload on one number of threads, beside one peer or alone.
#[derive(Serialize)]
pub(crate) struct ImagingRow {
    pub(crate) workload: &'static str,
    pub(crate) threads: usize,
    /// Name and version; `null` where no peer was timed.
    pub(crate) peer: Option<String>,
    pub(crate) ours_ms: Option<f64>,
    pub(crate) theirs_ms: Option<f64>,
    /// Theirs over ours: the median over rounds, the least and the most.
    pub(crate) speedup: Option<Spread>,
    /// The same of the time of all processors.
    pub(crate) speedup_cpu: Option<Spread>,
    pub(crate) our_peak_rss_bytes: Option<u64>,
    pub(crate) their_peak_rss_bytes: Option<u64>,
    /// Voxels above 0, bytes of a file, or µm.
    pub(crate) our_answer: Option<u64>,
    pub(crate) their_answer: Option<u64>,
}

impl ImagingRow {
    fn all(workload: Workload, threads: usize, contest: &Contest) -> Vec<Self> {
        let ours = &contest.ours;
        let row = |peer: Option<&Contestant>| Self {
            workload: workload.name(),
            threads,
            peer: peer.map(|p| p.software().to_owned()),
            ours_ms: ours.median_ms(),
            theirs_ms: peer.and_then(Contestant::median_ms),
            speedup: peer.and_then(|p| ours.speedup_over(p)),
            speedup_cpu: peer.and_then(|p| ours.cpu_speedup_over(p)),
            our_peak_rss_bytes: ours.peak(),
            their_peak_rss_bytes: peer.and_then(Contestant::peak),
            our_answer: ours.answer(),
            their_answer: peer.and_then(Contestant::answer),
        };
        if contest.peers.is_empty() {
            return vec![row(None)];
        }
        contest.peers.iter().map(|peer| row(Some(peer))).collect()
    }

    /// One line, for those who wait for the table.
    fn summary(&self) -> String {
        let ours = self.ours_ms.unwrap_or(f64::NAN);
        let peer = self.peer.as_deref().unwrap_or("no peer");
        let times = self.speedup.map_or(String::new(), |s| format!(", {s}"));
        let (workload, threads) = (self.workload, self.threads);
        format!("{workload}, threads {threads}: {ours:.2} ms; {peer}{times}")
    }
}

pub(super) fn time(workloads: &[Workload], options: &Perf) -> anyhow::Result<Vec<ImagingRow>> {
    // Both sides read one set of files, and write beside them.
    let folder = tempfile::tempdir().context("cannot make a folder for the inputs")?;
    write_inputs(folder.path()).map_err(|error| anyhow!("cannot write the inputs: {error}"))?;
    let folder = folder.path().to_str();
    let folder = folder.ok_or_else(|| anyhow!("the folder of the inputs is not UTF-8"))?;
    let offers = offers(options, PEER, folder, "software for images");
    let mut rows = Vec::new();
    for &threads in &options.threads {
        for &workload in workloads {
            let mut contest = contest(workload, threads, &offers, folder)?;
            contest.rounds(options.rounds)?;
            for row in ImagingRow::all(workload, threads, &contest) {
                note(row.summary());
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn contest(
    workload: Workload,
    threads: usize,
    offers: &[Offer],
    folder: &str,
) -> anyhow::Result<Contest> {
    let name = workload.name();
    let threads = threads.to_string();
    let common = ["--data", folder, "--threads", &threads];
    let ours = [&["--imaging", name][..], &common].concat();
    let ours = Child::ours(&ours).and_then(|child| Contestant::new(child, PACE));
    let ours = ours.with_context(|| format!("cannot time {name}"))?;
    let mut peers = Vec::new();
    for Offer { peer, python, .. } in offers.iter().filter(|offer| offer.workload == name) {
        let chosen = ["--serve", "--workload", name, "--peer", peer];
        let started = start(python, &[&chosen[..], &common].concat());
        peers.push(started.with_context(|| format!("{peer} on {name}"))?);
    }
    if peers.is_empty() {
        note(format_args!(
            "{name}: no Python has a peer; ours is timed alone"
        ));
    }
    Ok(Contest { ours, peers })
}

fn start(python: &Python, arguments: &[&str]) -> anyhow::Result<Contestant> {
    Contestant::new(python.start(PEER, arguments)?, PACE)
}
