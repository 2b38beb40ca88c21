//! What the single predictions show: calibration, sampling intervals, the worst mistakes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ctl_metrics::MetricError;
use ctl_metrics::calibration::{Binning, ReliabilityTable, top_predictions};
use ctl_metrics::discrimination::predicted_classes;
use ctl_metrics::interval::{Interval, clustered_auroc, delong};
use serde::Serialize;

use super::svg::{Curve, ReliabilityPlot};
use super::sweep::{REFERENCE, Sweep};
use super::text;
use crate::record::Record;
use crate::run::{IN_DISTRIBUTION, Prediction, TARGET, read_predictions};
use crate::table::Cell;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// Bins of the calibration error, as in the records.
const BINS: usize = 15;
/// Coverage of the intervals.
const LEVEL: f64 = 0.95;
/// Mistakes that are listed for each cell.
const MISTAKES_SHOWN: usize = 8;

/// The predictions of one seed of every method in a cell.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    title: String,
    figure: Option<String>,
    rows: Vec<DiagnosisRow>,
    mistakes: Vec<Mistake>,
    mistakes_of: String,
}

#[derive(Debug, Serialize)]
struct DiagnosisRow {
    name: String,
    seed: u64,
    ece_in_distribution: String,
    ece_target: String,
    auroc: String,
    interval: String,
    samples: usize,
    /// How many patients the samples come from.
    patients: String,
}

/// A target sample that plain training is sure about and wrong.
#[derive(Debug, Serialize)]
struct Mistake {
    id: String,
    site: String,
    target: usize,
    predicted: usize,
    output: String,
}

/// A part's predictions, flat.
struct Part {
    classes: usize,
    outputs: Vec<f64>,
    labels: Vec<usize>,
    /// Site and patient of each sample; absent when some sample has none.
    patients: Option<Vec<(String, String)>>,
}

impl Diagnosis {
    /// The diagnosis of every cell, and what could not be read.
    pub(crate) fn all(sweep: &Sweep<'_>, notices: &mut Vec<String>) -> Vec<Self> {
        let cells = sweep.table.cells();
        let diagnoses = cells
            .into_iter()
            .map(|cell| Self::of(sweep, cell, notices))
            .filter(|diagnosis| !diagnosis.rows.is_empty());
        diagnoses.collect()
    }

    fn of(sweep: &Sweep<'_>, cell: &Cell, notices: &mut Vec<String>) -> Self {
        let mut diagnosis = Self {
            title: text::cell(cell),
            figure: None,
            rows: Vec::new(),
            mistakes: Vec::new(),
            mistakes_of: String::new(),
        };
        for line in sweep.table.lines_of(cell, Selector::TrainingDomain) {
            let Some(record) = sweep.first_run(cell, &line.method) else {
                continue;
            };
            if let Err(error) = diagnosis.add(sweep, record) {
                notices.push(notice(record, &error));
            }
        }
        diagnosis
    }

    fn add(&mut self, sweep: &Sweep<'_>, record: &Record) -> Result<()> {
        let path = predictions_of(sweep, record);
        unchanged(record, &path)?;
        let read = |part: &str| read_predictions(&path, Selector::TrainingDomain, part);
        let (inside, target) = (read(IN_DISTRIBUTION)?, read(TARGET)?);
        complete(record, &inside, &target).map_err(|message| HarnessError::Stored {
            path: path.clone(),
            message,
        })?;
        let (inside_part, target_part) = (Part::of(&inside), Part::of(&target));
        let tables = (inside_part.reliability()?, target_part.reliability()?);
        let seed = record.spec.seed;
        self.rows
            .push(row(sweep, record, &target_part, (&tables.0, &tables.1))?);
        if record.spec.method == REFERENCE {
            self.figure = figure(&tables);
            self.mistakes = mistakes(&target, &target_part)?;
            self.mistakes_of = format!("ERM, seed {seed}, training-domain selection");
        }
        Ok(())
    }
}

fn predictions_of(sweep: &Sweep<'_>, record: &Record) -> PathBuf {
    let folder = sweep.layout.run(&record.spec.folder());
    folder.join("predictions.csv")
}

/// Compares a file with the hash in its record, where that has one.
fn unchanged(record: &Record, path: &Path) -> Result<()> {
    let Some(expected) = &record.predictions else {
        return Ok(());
    };
    let bytes = std::fs::read(path).map_err(|source| HarnessError::File {
        path: path.to_path_buf(),
        action: "read",
        source,
    })?;
    if blake3::hash(&bytes).to_hex().as_str() == expected {
        return Ok(());
    }
    Err(HarnessError::Stored {
        path: path.to_path_buf(),
        message: "its hash is not the one in the record".into(),
    })
}

/// A file that was cut short reads well, so its rows are counted against the record.
fn complete(
    record: &Record,
    inside: &[Prediction],
    target: &[Prediction],
) -> std::result::Result<(), String> {
    let counts = &record.counts;
    for (part, expected, found) in [
        (IN_DISTRIBUTION, counts.in_distribution, inside.len()),
        (TARGET, counts.target, target.len()),
    ] {
        if expected != found {
            return Err(format!(
                "expected {expected} rows of part {part} under training-domain selection, as the \
                 record counts, found {found}"
            ));
        }
    }
    let of_class = |class| target.iter().filter(|p| p.target == class).count();
    let found: Vec<usize> = (0..counts.target_by_class.len()).map(of_class).collect();
    if found != counts.target_by_class {
        let expected = &counts.target_by_class;
        return Err(format!(
            "expected {expected:?} target rows by class, found {found:?}"
        ));
    }
    Ok(())
}

/// Names the run, not the machine's folders.
fn notice(record: &Record, error: &HarnessError) -> String {
    let (folder, method) = (record.spec.folder(), &record.spec.method);
    let message = match error {
        HarnessError::Stored { message, .. } | HarnessError::Data { message, .. } => {
            message.clone()
        }
        HarnessError::File { action, .. } => format!("cannot {action}"),
        other => other.to_string(),
    };
    format!("predictions.csv of run {folder} ({method}) is not used: {message}")
}

impl Part {
    fn of(predictions: &[Prediction]) -> Self {
        Self {
            classes: predictions.first().map_or(0, |p| p.outputs.len()),
            outputs: predictions.iter().flat_map(|p| p.outputs.clone()).collect(),
            labels: predictions.iter().map(|p| p.target).collect(),
            patients: predictions
                .iter()
                .map(|p| Some((p.site.clone(), p.patient.clone()?)))
                .collect(),
        }
    }

    fn reliability(&self) -> Result<Option<ReliabilityTable>> {
        if self.labels.is_empty() {
            return Ok(None);
        }
        let top = top_predictions(&self.outputs, self.classes, &self.labels)?;
        Ok(Some(ReliabilityTable::of(&top, Binning::EqualWidth, BINS)?))
    }

    /// AUROC of the second of two classes with its interval; other numbers of classes have none.
    fn area(&self) -> Result<Option<(f64, [f64; 2])>> {
        if self.classes != 2 {
            return Ok(None);
        }
        let scores: Vec<f64> = self.outputs.chunks_exact(2).map(|row| row[1]).collect();
        let labels: Vec<bool> = self.labels.iter().map(|&label| label == 1).collect();
        let estimate = match &self.patients {
            Some(patients) => {
                clustered_auroc(&scores, &labels, patients, LEVEL).map(|e| (e.auroc, e.interval))
            }
            None => delong(&scores, &labels, LEVEL).map(|e| (e.auroc, e.interval)),
        };
        bounds(estimate)
    }

    /// Distinct patients, and what the interval takes as independent when they are unknown.
    fn patients(&self) -> String {
        match &self.patients {
            Some(all) => all.iter().collect::<BTreeSet<_>>().len().to_string(),
            None => "unknown, images taken as independent".to_owned(),
        }
    }
}

/// An interval that does not exist on these samples is none; bad input stays an error.
fn bounds(
    estimate: std::result::Result<(f64, Interval), MetricError>,
) -> Result<Option<(f64, [f64; 2])>> {
    match estimate {
        Ok((auroc, interval)) => Ok(Some((auroc, [interval.lower, interval.upper]))),
        Err(error) if error.is_undefined() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

type Tables<'a> = (&'a Option<ReliabilityTable>, &'a Option<ReliabilityTable>);

fn row(
    sweep: &Sweep<'_>,
    record: &Record,
    target: &Part,
    (inside, outside): Tables<'_>,
) -> Result<DiagnosisRow> {
    let ece = |table: &Option<ReliabilityTable>| {
        text::number(table.as_ref().map(ReliabilityTable::expected_error))
    };
    let area = target.area()?;
    let interval = |[lower, upper]: [f64; 2]| {
        format!(
            "{} to {}",
            text::number(Some(lower)),
            text::number(Some(upper))
        )
    };
    Ok(DiagnosisRow {
        name: sweep.name(&record.spec.method),
        seed: record.spec.seed,
        ece_in_distribution: ece(inside),
        ece_target: ece(outside),
        auroc: text::number(area.map(|(value, _)| value)),
        interval: area.map_or(text::MISSING.to_owned(), |(_, bounds)| interval(bounds)),
        samples: target.labels.len(),
        patients: target.patients(),
    })
}

fn figure(tables: &(Option<ReliabilityTable>, Option<ReliabilityTable>)) -> Option<String> {
    let curve = |table: &Option<ReliabilityTable>, name: &'static str, class| {
        let table = table.as_ref()?;
        let bins = table.bins().iter();
        Some(Curve {
            name,
            class,
            points: bins.map(|b| (b.confidence, b.accuracy, b.count)).collect(),
        })
    };
    let curves: Vec<Curve> = [
        curve(&tables.0, "in distribution", "inside"),
        curve(&tables.1, "target", "outside"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!curves.is_empty()).then(|| ReliabilityPlot { curves }.draw())
}

/// Wrong target predictions, the most confident first; ties by id.
fn mistakes(predictions: &[Prediction], part: &Part) -> Result<Vec<Mistake>> {
    if predictions.is_empty() {
        return Ok(Vec::new());
    }
    let predicted = predicted_classes(&part.outputs, part.classes)?;
    let mut wrong: Vec<(f64, usize, &Prediction)> = predictions
        .iter()
        .zip(predicted)
        .filter(|(prediction, class)| prediction.target != *class)
        .map(|(prediction, class)| (prediction.outputs[class], class, prediction))
        .collect();
    wrong.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.id.cmp(&b.2.id)));
    let shown = wrong.into_iter().take(MISTAKES_SHOWN);
    Ok(shown
        .map(|(output, predicted, prediction)| Mistake {
            id: prediction.id.clone(),
            site: prediction.site.clone(),
            target: prediction.target,
            predicted,
            output: text::number(Some(output)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(id: &str, target: usize, positive: f64) -> Prediction {
        Prediction {
            id: id.to_owned(),
            site: "b".to_owned(),
            patient: Some(id.to_owned()),
            target,
            outputs: vec![1.0 - positive, positive],
        }
    }

    #[test]
    fn the_surest_mistake_comes_first() {
        let all = [
            prediction("right", 1, 0.99),
            prediction("slightly", 0, 0.6),
            prediction("surely", 1, 0.1),
        ];
        let found = mistakes(&all, &Part::of(&all)).unwrap();
        let ids: Vec<&str> = found.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["surely", "slightly"]);
        assert_eq!((found[0].predicted, &*found[0].output), (0, "0.900"));
    }

    /// Two films of either of four patients, both alike.
    fn films_in_pairs() -> Vec<Prediction> {
        let outputs = [(0, 0.2), (1, 0.4), (0, 0.6), (1, 0.8)];
        let film = |patient: usize, film: usize| {
            let (target, positive) = outputs[patient];
            Prediction {
                patient: Some(patient.to_string()),
                ..prediction(&format!("{patient}-{film}"), target, positive)
            }
        };
        (0..4).flat_map(|p| [film(p, 0), film(p, 1)]).collect()
    }

    #[test]
    fn films_of_one_patient_do_not_narrow_the_interval() {
        let films = films_in_pairs();
        let single: Vec<Prediction> = films.iter().step_by(2).cloned().collect();
        let (twice, once) = (Part::of(&films), Part::of(&single));
        assert_eq!(twice.area().unwrap(), once.area().unwrap());
        assert_eq!(
            (twice.patients().as_str(), once.patients().as_str()),
            ("4", "4")
        );
        let mut nameless = films;
        nameless[3].patient = None;
        let nameless = Part::of(&nameless);
        assert_eq!(nameless.patients(), "unknown, images taken as independent");
        let width = |part: &Part| {
            let [lower, upper] = part.area().unwrap().unwrap().1;
            upper - lower
        };
        assert!(width(&nameless) < width(&twice));
    }

    #[test]
    fn ragged_rows_are_refused() {
        let mut all = vec![prediction("a", 1, 0.9), prediction("b", 0, 0.2)];
        all[1].outputs.push(0.0);
        assert!(Part::of(&all).reliability().is_err());
    }
}
