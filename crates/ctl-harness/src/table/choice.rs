//! Which of a method's runs stand for it under a selector.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Cell, Estimate, cell_of};
use crate::record::{Metrics, Record, Selection, Status};
use crate::vocabulary::Selector;

type Key = (Cell, String);

/// The records of a method in a cell.
#[derive(Default)]
pub(super) struct Group<'a> {
    /// Trained on all sources.
    pub(super) whole: Vec<&'a Record>,
    /// Trained without one of the sources.
    held_out: Vec<&'a Record>,
    /// What stands for a run that left no checkpoint.
    without_checkpoint: Option<Selection>,
}

/// Records by cell and method, where any was trained on all sources.
pub(super) fn groups(records: &[Record]) -> BTreeMap<Key, Group<'_>> {
    let mut groups: BTreeMap<Key, Group<'_>> = BTreeMap::new();
    for record in records {
        let key = (cell_of(record), record.spec.method.clone());
        let group = groups.entry(key).or_default();
        match record.spec.held_out {
            None => {
                let at_chance = || without_checkpoint(record);
                group.without_checkpoint.get_or_insert_with(at_chance);
                group.whole.push(record);
            }
            Some(_) => group.held_out.push(record),
        }
    }
    groups.retain(|_, group| !group.whole.is_empty());
    groups
}

impl Group<'_> {
    /// The selectors that there are runs for.
    pub(super) fn selectors(&self) -> &'static [Selector] {
        if self.held_out.is_empty() {
            &[Selector::TrainingDomain, Selector::TargetOracle]
        } else {
            Selector::ALL
        }
    }

    /// The runs that a selector looks at.
    pub(super) fn seen_by(&self, selector: Selector) -> impl Iterator<Item = &Record> {
        let held_out: &[&Record] = match selector {
            Selector::LeaveOneDomainOut => &self.held_out,
            _ => &[],
        };
        self.whole.iter().chain(held_out).copied()
    }

    /// A record's selection; chance where the run diverged before its first evaluation.
    fn selection_of<'a>(&'a self, record: &'a Record, selector: Selector) -> Option<&'a Selection> {
        let diverged = record.status == Status::Diverged && record.selections.is_empty();
        let kept = record.selections.get(&selector);
        let without = || self.without_checkpoint.as_ref();
        kept.or_else(|| diverged.then(without).flatten())
    }

    /// By seed and draw, the mean over the sources of what the run without a source scores on it
    /// (Gulrajani & Lopez-Paz 2021, section 3, leave-one-domain-out cross-validation); only of
    /// draws that have the runs without every source. Its checkpoint is chosen by the other
    /// sources' validation patients.
    fn left_out_scores(&self) -> BTreeMap<(u64, u64), f64> {
        let mut values: BTreeMap<(u64, u64), Vec<Option<f64>>> = BTreeMap::new();
        for record in &self.held_out {
            let selection = self.selection_of(record, Selector::TrainingDomain);
            let metric = record.spec.training.metric.name(record.spec.task);
            let value = selection.and_then(|s| s.target.get(metric)).copied();
            let draw = (record.spec.seed, record.spec.draw);
            values.entry(draw).or_default().push(value);
        }
        let sources = self.whole.first().map_or(0, |r| r.spec.sources.len());
        let complete = values.into_iter().filter(|(_, all)| all.len() == sources);
        // A source with one class has no area under a curve, in no draw.
        let mean = |all: Vec<Option<f64>>| {
            let defined: Vec<f64> = all.into_iter().flatten().collect();
            Estimate::of(&defined).map(|estimate| estimate.mean)
        };
        complete
            .filter_map(|(draw, all)| Some((draw, mean(all)?)))
            .collect()
    }
}

/// What stands for a run that left no checkpoint: it scores chance and is preferred to none.
fn without_checkpoint(record: &Record) -> Selection {
    let spec = &record.spec;
    let metric = spec.training.metric.name(spec.task);
    let at_chance = || Metrics::from([(metric.to_owned(), record.chance())]);
    Selection {
        step: 0,
        score: f64::NEG_INFINITY,
        in_distribution: at_chance(),
        target: at_chance(),
    }
}

/// By seed, the selection of the draw that the selector prefers; the first draw wins a tie.
pub(super) fn chosen<'a>(group: &'a Group<'_>, selector: Selector) -> Chosen<'a> {
    let left_out = match selector {
        Selector::LeaveOneDomainOut => Some(group.left_out_scores()),
        _ => None,
    };
    let preference = |record: &'a Record| {
        let Some(scores) = &left_out else {
            let selection = group.selection_of(record, selector)?;
            return Some((selection, selection.score));
        };
        let selection = group.selection_of(record, Selector::TrainingDomain)?;
        let draw = (record.spec.seed, record.spec.draw);
        Some((selection, *scores.get(&draw)?))
    };
    let mut best: BTreeMap<u64, (&'a Selection, (f64, Reverse<u64>))> = BTreeMap::new();
    for &record in &group.whole {
        let Some((selection, score)) = preference(record) else {
            continue;
        };
        let rank = (score, Reverse(record.spec.draw));
        let old = best.get(&record.spec.seed);
        if old.is_none_or(|(_, old)| rank > *old) {
            best.insert(record.spec.seed, (selection, rank));
        }
    }
    best.into_iter()
        .map(|(seed, (selection, _))| (seed, selection))
        .collect()
}

pub(super) type Chosen<'a> = BTreeMap<u64, &'a Selection>;
