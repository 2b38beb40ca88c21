//! What a contest says, as data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contest::{Contest, Contestant};
use super::imaging::ImagingRow;

/// One program on one model.
#[derive(Serialize)]
pub(crate) struct Timing {
    pub(crate) median_ms: f64,
    pub(crate) steps: usize,
    pub(crate) peak_rss_bytes: Option<u64>,
    /// Resident memory before the model was built.
    pub(crate) base_rss_bytes: Option<u64>,
    pub(crate) optimiser: Option<String>,
}

/// One model on one number of threads; ratios are ours over theirs.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) model: &'static str,
    pub(crate) threads: usize,
    pub(crate) ours: Option<Timing>,
    pub(crate) pytorch_default: Option<Timing>,
    pub(crate) pytorch_channels_last: Option<Timing>,
    pub(crate) ratio_default: Option<f64>,
    pub(crate) ratio_channels_last: Option<f64>,
    /// Peak memory of our process over that of the leaner of theirs.
    pub(crate) ratio_peak_rss: Option<f64>,
    /// The same for what the model added to the memory of the started process.
    pub(crate) ratio_added_rss: Option<f64>,
}

impl Row {
    pub(super) fn new(
        model: &'static str,
        threads: usize,
        ours: Option<Timing>,
        [default, channels_last]: [Option<Timing>; 2],
    ) -> Self {
        let ratio = |quantity: fn(&Timing) -> Option<f64>, theirs: &[&Option<Timing>]| {
            let ours = quantity(ours.as_ref()?)?;
            let theirs = theirs.iter().filter_map(|t| quantity(t.as_ref()?));
            let least = theirs.min_by(f64::total_cmp)?;
            (least > 0.0).then_some(ours / least)
        };
        let both = [&default, &channels_last];
        Self {
            model,
            threads,
            ratio_default: ratio(milliseconds, &both[..1]),
            ratio_channels_last: ratio(milliseconds, &both[1..]),
            ratio_peak_rss: ratio(peak, &both),
            ratio_added_rss: ratio(added, &both),
            ours,
            pytorch_default: default,
            pytorch_channels_last: channels_last,
        }
    }

    /// One line, for those who wait for the table.
    pub(super) fn summary(&self) -> String {
        let ours = self.ours.as_ref().map_or(f64::NAN, |t| t.median_ms);
        let ratios = [self.ratio_default, self.ratio_channels_last];
        let ratios = ratios.into_iter().flatten().map(|r| format!(", {r:.2}"));
        let ratios: String = ratios.collect();
        format!(
            "{}, threads {}: {ours:.2} ms{ratios}",
            self.model, self.threads
        )
    }
}

// The three are called through one function type.
#[expect(
    clippy::unnecessary_wraps,
    reason = "memory may be unknown, time is not"
)]
fn milliseconds(timing: &Timing) -> Option<f64> {
    Some(timing.median_ms)
}

fn peak(timing: &Timing) -> Option<f64> {
    Some(timing.peak_rss_bytes? as f64)
}

fn added(timing: &Timing) -> Option<f64> {
    let added = timing.peak_rss_bytes?.checked_sub(timing.base_rss_bytes?)?;
    Some(added as f64)
}

/// Means over the models on one number of threads.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the names that rows have in the same file"
)]
pub(crate) struct Means {
    pub(crate) ratio_default: Option<f64>,
    pub(crate) ratio_channels_last: Option<f64>,
    pub(crate) ratio_peak_rss: Option<f64>,
    pub(crate) ratio_added_rss: Option<f64>,
}

/// One workload on causal diagrams beside one peer, or alone.
#[derive(Serialize)]
pub(crate) struct GraphRow {
    pub(crate) workload: &'static str,
    /// Name and version; `null` where no peer was timed.
    pub(crate) peer: Option<String>,
    pub(crate) ours_ms: Option<f64>,
    pub(crate) theirs_ms: Option<f64>,
    /// Ours over theirs.
    pub(crate) ratio: Option<f64>,
    /// A count over all answers of the workload: positive ones, sets, edges or tests.
    pub(crate) our_answer: Option<u64>,
    pub(crate) their_answer: Option<u64>,
}

impl GraphRow {
    /// A row for each peer; one where there is none.
    pub(super) fn all(workload: &'static str, contest: &Contest) -> Vec<Self> {
        let ours = &contest.ours;
        let row = |peer: Option<&Contestant>| {
            let (ours_ms, theirs_ms) = (ours.median_ms(), peer.and_then(Contestant::median_ms));
            Self {
                workload,
                peer: peer.map(|p| p.software().to_owned()),
                ours_ms,
                theirs_ms,
                ratio: ours_ms.zip(theirs_ms).map(|(ours, theirs)| ours / theirs),
                our_answer: ours.answer(),
                their_answer: peer.and_then(Contestant::answer),
            }
        };
        if contest.peers.is_empty() {
            return vec![row(None)];
        }
        contest.peers.iter().map(|peer| row(Some(peer))).collect()
    }

    /// One line, for those who wait for the table.
    pub(super) fn summary(&self) -> String {
        let ours = self.ours_ms.unwrap_or(f64::NAN);
        let peer = self.peer.as_deref().unwrap_or("no peer");
        let ratio = self.ratio.map_or(String::new(), |r| format!(", {r:.5}"));
        format!("{}: {ours:.3} ms; {peer}{ratio}", self.workload)
    }
}

/// All of a session.
#[derive(Serialize)]
pub(crate) struct Figures {
    schema: u32,
    pub(crate) rounds: u32,
    /// Name and version of the peer of training steps; `null` where it was not timed.
    pub(crate) peer: Option<String>,
    /// Training steps.
    pub(crate) rows: Vec<Row>,
    /// Of training steps, by number of threads.
    pub(crate) geometric_means: BTreeMap<usize, Means>,
    /// Questions to causal diagrams and searches for them, on one thread.
    pub(crate) graph: Vec<GraphRow>,
    /// Reading, writing and measuring images.
    pub(crate) imaging: Vec<ImagingRow>,
}

const SCHEMA: u32 = 3;

impl Figures {
    pub(super) fn new(rounds: u32) -> Self {
        Self {
            schema: SCHEMA,
            rounds,
            peer: None,
            rows: Vec::new(),
            geometric_means: BTreeMap::new(),
            graph: Vec::new(),
            imaging: Vec::new(),
        }
    }

    /// Adds a training step, and sees to the means.
    pub(super) fn push(&mut self, row: Row) {
        let threads = row.threads;
        self.rows.push(row);
        let of = |ratio: fn(&Row) -> Option<f64>| {
            let rows = self.rows.iter().filter(|row| row.threads == threads);
            geometric_mean(&rows.filter_map(ratio).collect::<Vec<_>>())
        };
        let means = Means {
            ratio_default: of(|row| row.ratio_default),
            ratio_channels_last: of(|row| row.ratio_channels_last),
            ratio_peak_rss: of(|row| row.ratio_peak_rss),
            ratio_added_rss: of(|row| row.ratio_added_rss),
        };
        self.geometric_means.insert(threads, means);
    }
}

fn geometric_mean(values: &[f64]) -> Option<f64> {
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (logs / values.len() as f64).exp())
}

/// The middle value, or the mean of the two middle ones.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(median_ms: f64, peak: u64) -> Timing {
        Timing {
            median_ms,
            steps: 1,
            peak_rss_bytes: Some(peak),
            base_rss_bytes: Some(100),
            optimiser: None,
        }
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    /// Times 2 against 4 and 1; peaks 300 against 500 and 400; added 200 against 400 and 300.
    #[test]
    fn ratios_and_their_means() {
        let row = |name, threads, ours, theirs| Row::new(name, threads, Some(ours), theirs);
        let theirs = || [Some(timing(4.0, 500)), Some(timing(1.0, 400))];
        let full = || row("a", 1, timing(2.0, 300), theirs());
        assert_eq!(full().ratio_default, Some(0.5));
        assert_eq!(full().ratio_channels_last, Some(2.0));
        assert_eq!(full().ratio_peak_rss, Some(0.75));
        assert_eq!(full().ratio_added_rss, Some(200.0 / 300.0));
        let alone = row("b", 2, timing(2.0, 300), [None, None]);
        assert_eq!(alone.ratio_default, None);
        let other = row("c", 1, timing(8.0, 300), [Some(timing(4.0, 500)), None]);
        let mut figures = Figures::new(1);
        for row in [full(), other, alone] {
            figures.push(row);
        }
        let means = &figures.geometric_means;
        assert!((means[&1].ratio_default.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(means[&2].ratio_default, None);
    }
}
