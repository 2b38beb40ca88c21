//! Programs that take turns.

use std::time::Duration;

use super::child::Child;
use super::figures::{Timing, median};

/// Between turns, so that busy-waiting threads of the last program have gone to sleep.
const PAUSE: Duration = Duration::from_millis(50);
/// A turn is long enough that its first steps, with another program's data in the caches, are few.
const TURN: Duration = Duration::from_millis(300);

/// How many steps make a turn.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Steps of the first turn, which touch new memory and say how long a step takes.
    pub(super) warm_up: usize,
    pub(super) fewest: usize,
    pub(super) most: usize,
}

/// One of the programs.
pub(super) struct Contestant {
    child: Child,
    turn: usize,
    seconds: Vec<f64>,
    peak: Option<u64>,
}

impl Contestant {
    pub(super) fn new(mut child: Child, pace: Pace) -> anyhow::Result<Self> {
        let warm_up = child.step(pace.warm_up)?;
        let per_step = median(&warm_up.seconds).unwrap_or(0.0);
        let turn = (TURN.as_secs_f64() / per_step.max(f64::MIN_POSITIVE)) as usize;
        Ok(Self {
            child,
            turn: turn.clamp(pace.fewest, pace.most),
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

    pub(super) fn software(&self) -> &str {
        &self.child.facts().software
    }

    /// What came out of the work; `None` where it has no outcome.
    pub(super) fn answer(&self) -> Option<u64> {
        self.child.facts().answer
    }

    pub(super) fn median_ms(&self) -> Option<f64> {
        Some(median(&self.seconds)? * 1e3)
    }

    pub(super) fn timing(&self) -> Option<Timing> {
        let facts = self.child.facts();
        Some(Timing {
            median_ms: self.median_ms()?,
            steps: self.seconds.len(),
            peak_rss_bytes: self.peak,
            base_rss_bytes: facts.base_rss_bytes,
            optimiser: facts.optimiser.clone(),
        })
    }
}

/// Ours, and the peers on the same work.
pub(super) struct Contest {
    pub(super) ours: Contestant,
    pub(super) peers: Vec<Contestant>,
}

impl Contest {
    pub(super) fn rounds(&mut self, rounds: u32) -> anyhow::Result<()> {
        for _ in 0..rounds {
            self.ours.take_turn()?;
            for peer in &mut self.peers {
                peer.take_turn()?;
            }
        }
        Ok(())
    }
}
