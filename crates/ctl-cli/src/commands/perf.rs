//! `ctl perf`

mod child;
mod figures;
mod worker;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use ctl_benches::train_step::Model;

use self::child::{Child, Layout, Peer};
pub(crate) use self::figures::Figures;
use self::figures::{Row, Timing};
use super::print_json;
use crate::arguments::{Perf, PerfWorker};
use crate::tables;

/// Steps of the first turn, which touch new memory and say how long a step takes.
const WARM_UP: usize = 3;
/// A turn is long enough that its first steps, with another program's data in the caches, are few.
const TURN: Duration = Duration::from_millis(300);
const TURN_STEPS_MIN: usize = 3;
const TURN_STEPS_MAX: usize = 200;
/// Between turns, so that busy-waiting threads of the last program have gone to sleep.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &Perf) -> anyhow::Result<ExitCode> {
    let peer = match Peer::find(&options.python) {
        Ok(peer) => Some(peer),
        Err(reason) => {
            eprintln!("PyTorch is not timed: {reason:#}");
            None
        }
    };
    let models: Vec<Model> = if options.model.is_empty() {
        Model::ALL.to_vec()
    } else {
        options.model.clone()
    };
    let mut rows = Vec::new();
    let mut software = None;
    for &threads in &options.threads {
        for &model in &models {
            let mut contest = Contest::start(model, threads, peer.as_ref())?;
            contest.rounds(options.rounds)?;
            software = software.or_else(|| contest.peer_software());
            let row = contest.row();
            eprintln!("{}", row.summary());
            rows.push(row);
        }
    }
    let figures = Figures::new(options.rounds, software, rows);
    if options.json {
        print_json(&figures)?;
    } else {
        println!("{}", tables::perf(&figures));
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers for our side of a contest, in a process of its own.
pub(crate) fn serve(options: &PerfWorker) -> anyhow::Result<ExitCode> {
    worker::serve(options)?;
    Ok(ExitCode::SUCCESS)
}

/// One of the programs that take turns.
struct Contestant {
    child: Child,
    turn: usize,
    seconds: Vec<f64>,
    peak: Option<u64>,
}

impl Contestant {
    fn new(mut child: Child) -> anyhow::Result<Self> {
        let warm_up = child.step(WARM_UP)?;
        let per_step = figures::median(&warm_up.seconds).unwrap_or(0.0);
        let turn = (TURN.as_secs_f64() / per_step.max(f64::MIN_POSITIVE)) as usize;
        Ok(Self {
            child,
            turn: turn.clamp(TURN_STEPS_MIN, TURN_STEPS_MAX),
            seconds: Vec::new(),
            peak: None,
        })
    }

    fn take_turn(&mut self) -> anyhow::Result<()> {
        std::thread::sleep(PAUSE);
        let answer = self.child.step(self.turn)?;
        self.seconds.extend(answer.seconds);
        self.peak = answer.peak_rss_bytes;
        Ok(())
    }

    fn timing(&self) -> Option<Timing> {
        let facts = self.child.facts();
        Some(Timing {
            median_ms: figures::median(&self.seconds)? * 1e3,
            steps: self.seconds.len(),
            peak_rss_bytes: self.peak,
            base_rss_bytes: facts.base_rss_bytes,
            optimiser: facts.optimiser.clone(),
        })
    }
}

/// One model on one number of threads: ours, and the peer in both layouts.
struct Contest {
    model: Model,
    threads: usize,
    ours: Contestant,
    peers: Vec<Contestant>,
}

impl Contest {
    fn start(model: Model, threads: usize, peer: Option<&Peer>) -> anyhow::Result<Self> {
        let ours = Child::ours(model, threads).and_then(Contestant::new);
        let ours = ours.with_context(|| format!("cannot time {}", model.name()))?;
        let mut peers = Vec::new();
        if let Some(peer) = peer {
            for layout in Layout::ALL {
                let child = peer.start(model, threads, layout);
                let started = child.and_then(Contestant::new);
                peers.push(started.with_context(|| format!("PyTorch on {}", model.name()))?);
            }
        }
        Ok(Self {
            model,
            threads,
            ours,
            peers,
        })
    }

    fn rounds(&mut self, rounds: u32) -> anyhow::Result<()> {
        for _ in 0..rounds {
            self.ours.take_turn()?;
            for peer in &mut self.peers {
                peer.take_turn()?;
            }
        }
        Ok(())
    }

    fn peer_software(&self) -> Option<String> {
        let facts = self.peers.first()?.child.facts();
        Some(facts.software.clone())
    }

    fn row(&self) -> Row {
        let mut peers = self.peers.iter().map(Contestant::timing);
        Row::new(
            self.model.name(),
            self.threads,
            self.ours.timing(),
            [peers.next().flatten(), peers.next().flatten()],
        )
    }
}
