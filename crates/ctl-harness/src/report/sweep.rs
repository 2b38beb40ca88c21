//! Everything the report is computed from.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::Path;

use crate::record::{Record, Status};
use crate::sweep::{Layout, SweepInfo};
use crate::table::{Cell, Table};
use crate::vocabulary::{Selector, TASKS, Task};
use crate::{Registry, Result};

/// Chance levels that differ by less are shown as one.
const SAME_CHANCE: f64 = 0.005;

/// Plain training, which every other method is compared with.
pub(crate) const REFERENCE: &str = "erm";

/// What a sweep found in one task; figures of different tasks are never averaged.
pub(crate) struct Sweep<'a> {
    pub(crate) layout: Layout,
    pub(crate) info: SweepInfo,
    /// Of the runs that were trained on all sources.
    pub(crate) records: Vec<Record>,
    /// Of those that were trained without one.
    pub(crate) held_out: Vec<Record>,
    pub(crate) table: Table,
    pub(crate) registry: &'a Registry,
    /// The task of all records.
    pub(crate) task: Task,
}

impl<'a> Sweep<'a> {
    /// Reads the folder of a sweep: its tasks in the order of the documentation, at least one.
    pub(crate) fn load(root: &Path, registry: &'a Registry) -> Result<Vec<Self>> {
        let layout = Layout::new(root);
        let info = layout.read_info()?;
        let records = layout.read_records(&info)?;
        let of_task = |task: Task| {
            let own = records.iter().filter(|record| record.spec.task == task);
            let records: Vec<Record> = own.cloned().collect();
            let table = Table::of(&records, registry);
            let whole = |record: &Record| record.spec.held_out.is_none();
            let (records, held_out) = records.into_iter().partition(whole);
            Self {
                layout: layout.clone(),
                info: info.clone(),
                table,
                records,
                held_out,
                registry,
                task,
            }
        };
        let mut tasks: Vec<Task> = TASKS.to_vec();
        tasks.retain(|task| records.iter().any(|record| record.spec.task == *task));
        if tasks.is_empty() {
            tasks.push(Task::Classification);
        }
        Ok(tasks.into_iter().map(of_task).collect())
    }

    /// The metric that methods are compared by.
    pub(crate) fn metric(&self) -> &'static str {
        self.table.main_metric(self.task)
    }

    /// What a predictor without information scores by it, where that is the same in all cells.
    pub(crate) fn chance(&self) -> Option<f64> {
        let mut all = self.records.iter().map(Record::chance);
        let first = all.next()?;
        all.all(|other| (other - first).abs() < SAME_CHANCE)
            .then_some(first)
    }

    /// The same in one cell.
    pub(crate) fn chance_in(&self, cell: &Cell) -> Option<f64> {
        let record = self.records.iter().find(|record| belongs(record, cell));
        record.map(Record::chance)
    }

    /// A method's name as its paper writes it.
    pub(crate) fn name(&self, method: &str) -> String {
        match self.registry.get(method) {
            Ok(entry) => entry.info().name.to_owned(),
            Err(_) => method.to_owned(),
        }
    }

    /// Records of all runs.
    pub(crate) fn all_records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().chain(&self.held_out)
    }

    /// Number of runs that diverged.
    pub(crate) fn diverged(&self) -> usize {
        let diverged = |record: &&Record| record.status == Status::Diverged;
        self.all_records().filter(diverged).count()
    }

    /// Methods with records that the registry does not know.
    pub(crate) fn unknown_methods(&self) -> BTreeSet<&str> {
        let methods = self.records.iter().map(|r| r.spec.method.as_str());
        methods
            .filter(|method| self.registry.get(method).is_err())
            .collect()
    }

    /// The run that stands for a method in a cell where one run must do: of the first seed, the
    /// draw that training-domain validation prefers.
    pub(crate) fn first_run(&self, cell: &Cell, method: &str) -> Option<&Record> {
        let of_cell = |record: &&Record| record.spec.method == method && belongs(record, cell);
        let scored = self
            .records
            .iter()
            .filter(of_cell)
            .filter_map(|r| Some((r, r.selections.get(&Selector::TrainingDomain)?.score)));
        scored
            .min_by(|(a, a_score), (b, b_score)| {
                let key = |r: &Record| (r.spec.seed, Reverse(r.spec.draw));
                let (a, b) = (key(a), key(b));
                a.0.cmp(&b.0)
                    .then(b_score.total_cmp(a_score))
                    .then(b.1.cmp(&a.1))
            })
            .map(|(record, _)| record)
    }
}

pub(super) fn belongs(record: &Record, cell: &Cell) -> bool {
    let spec = &record.spec;
    spec.task == cell.task
        && spec.shift == cell.shift
        && spec.cohort == cell.cohort
        && spec.protocol == cell.protocol
        && spec.sources == cell.sources
        && spec.target == cell.target
}
