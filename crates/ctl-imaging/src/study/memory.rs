//! Prepared studies in memory, the latest up to a bound.

use super::prepare::Study;
use std::collections::VecDeque;
use std::sync::Arc;

/// The studies that were used last, up to a number of bytes; always at least the latest.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    bytes: usize,
    /// The one used longest ago first.
    studies: VecDeque<(usize, Arc<Study>)>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            studies: VecDeque::new(),
        }
    }

    /// A study that is there, which is now the latest.
    pub(super) fn get(&mut self, number: usize) -> Option<Arc<Study>> {
        let place = self.studies.iter().position(|(held, _)| *held == number)?;
        let entry = self.studies.remove(place)?;
        let study = Arc::clone(&entry.1);
        self.studies.push_back(entry);
        Some(study)
    }

    /// Takes a study in, for which others go.
    pub(super) fn put(&mut self, number: usize, study: &Arc<Study>) {
        if self.get(number).is_some() {
            return;
        }
        let needed = study.bytes();
        while self.bytes.saturating_add(needed) > self.limit {
            let Some((_, oldest)) = self.studies.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
        self.bytes += needed;
        self.studies.push_back((number, Arc::clone(study)));
    }
}
