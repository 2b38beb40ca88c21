//! A cohort from its table and its description.

use super::attributes::{self, Column};
use super::config::{Config, MaskConfig};
use super::labels::Labels;
use super::table::Table;
use super::volumes::VolumesConfig;
use super::{Cohort, DESCRIPTION, MANIFEST, MaskSpec, Record, Scan, Split, Task};
use crate::Result;
use crate::address::ImageAddress;
use crate::error::ImagingError;
use crate::problem::{Problem, ProblemKind};
use csv::StringRecord;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The one site of a cohort without a `site` column.
const ONLY_SITE: &str = "all";

/// Reads what can be read, with every problem.
pub(crate) fn scan(folder: &Path) -> Result<Scan> {
    let mut problems = Vec::new();
    let (config, description_digest) = Config::read(&folder.join(DESCRIPTION), &mut problems)?;
    let Some(table) = Table::read(&folder.join(MANIFEST), &mut problems)? else {
        return Ok(Scan {
            cohort: None,
            problems,
        });
    };
    let table = Arc::new(table);
    let mut cohort = Builder::new(&table, &config, folder, &mut problems).build();
    cohort.description_digest = description_digest;
    cohort.divide_volumes(&mut problems);
    sort(&mut problems);
    Ok(Scan {
        cohort: Some(cohort),
        problems,
    })
}

/// By file (the description first, on whose mistakes others follow), then by line.
fn sort(problems: &mut [Problem]) {
    let place = |problem: &Problem| {
        let is_manifest = problem.file.ends_with(MANIFEST);
        (is_manifest, problem.row)
    };
    problems.sort_by_key(place);
}

/// Positions of the columns that have a meaning.
#[derive(Debug, Default)]
struct Columns {
    path: Option<usize>,
    label: Option<usize>,
    anomaly: Option<usize>,
    site: Option<usize>,
    patient: Option<usize>,
    split: Option<usize>,
    mask: Option<usize>,
    second_observer: Option<usize>,
    evaluate_within: Option<usize>,
}

struct Builder<'a> {
    table: &'a Arc<Table>,
    config: &'a Config,
    folder: &'a Path,
    problems: &'a mut Vec<Problem>,
    columns: Columns,
    labels: Option<Labels>,
    sites: Vec<String>,
}

impl<'a> Builder<'a> {
    fn new(
        table: &'a Arc<Table>,
        config: &'a Config,
        folder: &'a Path,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        let columns = Columns::default();
        let sites = Vec::new();
        Self {
            table,
            config,
            folder,
            problems,
            columns,
            labels: None,
            sites,
        }
    }

    fn build(mut self) -> Cohort {
        self.find_columns();
        self.labels = self.labels();
        self.sites = self.sites();
        let mask = self.mask_spec();
        let attributes = attributes::columns(self.table, self.config, self.problems);
        let records = self.records(&attributes);
        self.check_patients(&records);
        let tasks = self.tasks(mask.is_some());
        Cohort {
            missing: self.config.missing(),
            root: self.folder.to_owned(),
            name: self.name(),
            tasks,
            licence: self.config.licence.clone(),
            pixel_mm: self.config.pixel_mm,
            classes: self.labels.map(|labels| labels.classes).unwrap_or_default(),
            sites: self.sites,
            attribute_inputs: attributes.into_iter().map(|column| column.input).collect(),
            mask,
            volumes: self.config.volumes.as_ref().map(VolumesConfig::spec),
            records,
            table: Arc::clone(self.table),
            description_digest: None,
        }
    }

    fn name(&self) -> String {
        let from_folder = || {
            let folder = self.folder.canonicalize();
            let folder = folder.as_deref().unwrap_or(self.folder);
            let name = folder.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        self.config.name.clone().unwrap_or_else(from_folder)
    }

    fn find_columns(&mut self) {
        let config = self.config;
        let label = config
            .label
            .as_ref()
            .and_then(|label| label.column.as_deref());
        let mask = config.mask.as_ref();
        let mask_column = mask.and_then(|mask| mask.column.as_deref());
        let second_observer = mask.and_then(|mask| mask.second_observer.as_deref());
        let evaluate_within = mask.and_then(|mask| mask.evaluate_within.as_deref());
        let anomaly = config
            .anomaly
            .as_ref()
            .map(|anomaly| anomaly.column.as_str());
        self.columns = Columns {
            path: self.table.position("path"),
            label: self.find("label", label, config.label.is_some()),
            anomaly: anomaly.and_then(|column| self.find(column, None, true)),
            site: self.table.position("site"),
            patient: self.table.position("patient"),
            split: self.table.position("split"),
            mask: self.find("mask_path", mask_column, mask.is_some()),
            second_observer: second_observer.and_then(|column| self.find(column, None, true)),
            evaluate_within: evaluate_within.and_then(|column| self.find(column, None, true)),
        };
    }

    /// A column by its declared or usual name; one that `cohort.toml` speaks of must exist.
    fn find(&mut self, usual: &str, declared: Option<&str>, must_exist: bool) -> Option<usize> {
        let name = declared.unwrap_or(usual);
        let position = self.table.position(name);
        if position.is_none() && must_exist {
            let expected = format!("the column `{name}` of cohort.toml");
            self.problems
                .push(self.table.header_problem(name, &expected, "none"));
        }
        position
    }

    fn labels(&self) -> Option<Labels> {
        let column = self.columns.label?;
        let declared = self
            .config
            .label
            .as_ref()
            .and_then(|label| label.classes.as_ref());
        Some(match declared {
            Some(classes) => Labels::declared(classes),
            None => Labels::derived(self.present_cells(column)),
        })
    }

    fn sites(&self) -> Vec<String> {
        let Some(column) = self.columns.site else {
            return vec![ONLY_SITE.to_owned()];
        };
        let distinct: BTreeSet<&str> = self.present_cells(column).collect();
        distinct.into_iter().map(str::to_owned).collect()
    }

    fn mask_spec(&self) -> Option<MaskSpec> {
        let column = self.columns.mask?;
        let usual = MaskConfig::default();
        let config = self.config.mask.as_ref().unwrap_or(&usual);
        let (classes, rule) = config.classes_and_rule(self.config.volumes.is_some());
        Some(MaskSpec {
            column: self.table.headers()[column].clone(),
            classes,
            rule,
            second_observer: config.second_observer.clone(),
            evaluate_within: config.evaluate_within.clone(),
        })
    }

    fn tasks(&mut self, has_masks: bool) -> Vec<Task> {
        let has_labels = self.columns.label.is_some();
        let Some(declared) = &self.config.tasks else {
            return match (has_labels, has_masks) {
                (true, true) => vec![Task::Classification, Task::Segmentation],
                (true, false) => vec![Task::Classification],
                (false, true) => vec![Task::Segmentation],
                (false, false) => vec![Task::Reconstruction],
            };
        };
        let needs = [
            (
                Task::Classification,
                has_labels,
                "a label column for classification",
            ),
            (
                Task::Segmentation,
                has_masks,
                "a mask column for segmentation",
            ),
        ];
        for (task, is_met, expected) in needs {
            if declared.contains(&task) && !is_met {
                let file = self.folder.join(DESCRIPTION);
                let problem = Problem::new(&file, ProblemKind::BadConfig, expected, "none");
                self.problems.push(problem.in_column("tasks"));
            }
        }
        declared.clone()
    }

    fn records(&mut self, attributes: &[Column]) -> Vec<Record> {
        let table = self.table;
        let mut seen = HashMap::with_capacity(table.rows().len());
        let mut records = Vec::with_capacity(table.rows().len());
        for (position, (line, cells)) in table.rows().iter().enumerate() {
            let row = Row { line: *line, cells };
            let Some(path) = self.address(row, self.columns.path) else {
                continue;
            };
            if let Some(first) = seen.insert(path.clone(), *line) {
                let expected = "a path that stands in one row only";
                let found = format!("`{path}` as in row {first}");
                self.report(
                    row,
                    self.columns.path,
                    ProblemKind::DuplicatePath,
                    expected,
                    found,
                );
            }
            let values = attributes
                .iter()
                .map(|column| column.values[position])
                .collect();
            records.push(self.record(row, path, values));
        }
        records
    }

    fn record(
        &mut self,
        row: Row<'_>,
        path: String,
        attributes: Vec<super::AttributeValue>,
    ) -> Record {
        let patient = self.cell(row, self.columns.patient);
        Record {
            mask_path: self.optional_address(row, self.columns.mask),
            second_observer_path: self.optional_address(row, self.columns.second_observer),
            evaluate_within_path: self.optional_address(row, self.columns.evaluate_within),
            label: self.label(row),
            anomalous: self.anomalous(row),
            site: self.site(row),
            patient: patient.map_or_else(|| path.clone(), str::to_owned),
            split: self.split(row),
            row: row.line,
            attributes,
            path,
        }
    }

    fn address(&mut self, row: Row<'_>, column: Option<usize>) -> Option<String> {
        let text = row.cells.get(column?).unwrap_or_default();
        match text.parse::<ImageAddress>() {
            Ok(address) => Some(address.to_string()),
            Err(ImagingError::Argument {
                expected, found, ..
            }) => {
                self.report(row, column, ProblemKind::BadPath, &expected, found);
                None
            }
            Err(error) => {
                self.report(
                    row,
                    column,
                    ProblemKind::BadPath,
                    "a path",
                    error.to_string(),
                );
                None
            }
        }
    }

    fn optional_address(&mut self, row: Row<'_>, column: Option<usize>) -> Option<String> {
        self.cell(row, column)?;
        self.address(row, column)
    }

    fn label(&mut self, row: Row<'_>) -> Option<usize> {
        let cell = self.cell(row, self.columns.label)?;
        let labels = self.labels.as_ref()?;
        let index = labels.index_of(cell);
        if index.is_none() {
            let (kind, expected) = (ProblemKind::LabelOutsideClasses, labels.expected());
            self.report(
                row,
                self.columns.label,
                kind,
                &expected,
                format!("`{cell}`"),
            );
        }
        index
    }

    fn anomalous(&mut self, row: Row<'_>) -> Option<bool> {
        match self.cell(row, self.columns.anomaly)? {
            "1" | "1.0" | "true" | "True" => Some(true),
            "0" | "0.0" | "false" | "False" => Some(false),
            other => {
                let found = format!("`{other}`");
                self.report(
                    row,
                    self.columns.anomaly,
                    ProblemKind::BadValue,
                    "0 or 1",
                    found,
                );
                None
            }
        }
    }

    fn site(&mut self, row: Row<'_>) -> usize {
        if self.columns.site.is_none() {
            return 0;
        }
        let Some(cell) = self.cell(row, self.columns.site) else {
            let expected = "the name of a site";
            let found = "an empty cell".to_owned();
            self.report(
                row,
                self.columns.site,
                ProblemKind::BadValue,
                expected,
                found,
            );
            return 0;
        };
        self.sites
            .binary_search_by(|site| site.as_str().cmp(cell))
            .unwrap_or(0)
    }

    fn split(&mut self, row: Row<'_>) -> Option<Split> {
        let cell = self.cell(row, self.columns.split)?;
        let split = cell.parse().ok();
        if split.is_none() {
            let expected = "one of train, val, valid, validation, test, or nothing";
            let found = format!("`{cell}`");
            self.report(
                row,
                self.columns.split,
                ProblemKind::BadSplit,
                expected,
                found,
            );
        }
        split
    }

    fn check_patients(&mut self, records: &[Record]) {
        let mut first_seen: HashMap<&str, (Split, u64)> = HashMap::new();
        for record in records {
            let Some(split) = record.split else { continue };
            let &mut (first, line) = first_seen
                .entry(&record.patient)
                .or_insert((split, record.row));
            if first != split {
                let expected = format!("patient `{}` in {first} as in row {line}", record.patient);
                let file = self.table.file();
                let kind = ProblemKind::PatientInTwoSplits;
                let problem = Problem::new(file, kind, expected, split.to_string());
                self.problems
                    .push(problem.at_row(record.row).in_column("split"));
            }
        }
    }

    /// The trimmed cell, unless it is missing.
    fn cell<'t>(&self, row: Row<'t>, column: Option<usize>) -> Option<&'t str> {
        let cell = row.cells.get(column?)?.trim();
        Some(cell).filter(|cell| !cell.is_empty() && !self.config.is_missing(cell))
    }

    fn present_cells(&self, column: usize) -> impl Iterator<Item = &'a str> {
        let (table, config) = (self.table, self.config);
        table
            .rows()
            .iter()
            .filter_map(move |(_, row)| row.get(column).map(str::trim))
            .filter(|cell| !cell.is_empty() && !config.is_missing(cell))
    }

    fn report(
        &mut self,
        row: Row<'_>,
        column: Option<usize>,
        kind: ProblemKind,
        expected: &str,
        found: String,
    ) {
        let problem = Problem::new(self.table.file(), kind, expected, found).at_row(row.line);
        let header = column.and_then(|column| self.table.headers().get(column));
        self.problems.push(match header {
            Some(header) => problem.in_column(header),
            None => problem,
        });
    }
}

#[derive(Clone, Copy)]
struct Row<'a> {
    line: u64,
    cells: &'a StringRecord,
}
