//! Programs that take turns.

use std::time::Duration;

use serde::Serialize;

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
    /// Medians of turns.
    turns: Vec<f64>,
    /// Time of all threads for a step, turn by turn.
    cpu: Vec<f64>,
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
            turns: Vec::new(),
            cpu: Vec::new(),
            peak: None,
        })
    }

    fn take_turn(&mut self) -> anyhow::Result<()> {
        std::thread::sleep(PAUSE);
        let answer = self.child.step(self.turn)?;
        self.turns.extend(median(&answer.seconds));
        let steps = answer.seconds.len() as f64;
        self.cpu.extend(answer.cpu_seconds.map(|all| all / steps));
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

    /// Largest resident memory of the process.
    pub(super) fn peak(&self) -> Option<u64> {
        self.peak
    }

    /// A peer's time over ours, from round to round.
    pub(super) fn speedup_over(&self, peer: &Self) -> Option<Spread> {
        Spread::of(&peer.turns, &self.turns)
    }

    /// The same of the time of all threads.
    pub(super) fn cpu_speedup_over(&self, peer: &Self) -> Option<Spread> {
        Spread::of(&peer.cpu, &self.cpu)
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

/// A ratio over the rounds of a contest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Ratios of numbers of the same rounds; `None` where there are none.
    fn of(above: &[f64], below: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = above.iter().zip(below).map(|(a, b)| a / b).collect();
        Some(Self {
            median: median(&ratios)?,
            low: ratios.iter().copied().min_by(f64::total_cmp)?,
            high: ratios.iter().copied().max_by(f64::total_cmp)?,
        })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, low, high } = self;
        write!(formatter, "{median:.2} ({low:.2}–{high:.2})")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let spread = Spread::of(&[2.0, 9.0, 4.0], &[1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread.to_string(), "2.00 (2.00–3.00)");
        assert_eq!(Spread::of(&[], &[1.0]), None);
    }
}
