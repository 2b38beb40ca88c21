//! Outputs for every scored sample, `predictions.csv`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::data::CohortData;
use crate::store::write_atomically;
use crate::vocabulary::Selector;
use crate::{HarnessError, Result};

/// The output of one selected checkpoint for one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Name of the sample.
    pub id: String,
    /// Its site.
    pub site: String,
    /// Its patient, unique within the site; absent in files of earlier versions.
    #[serde(default)]
    pub patient: Option<String>,
    /// Its class; for anomalies 1.
    pub target: usize,
    /// Probability of each class, or the figures of a task whose outputs are images.
    pub outputs: Vec<f64>,
}

impl Prediction {
    /// A row for a sample of a cohort.
    pub(crate) fn of(cohort: &CohortData, sample: usize, outputs: Vec<f64>) -> Self {
        let sample = &cohort.samples[sample];
        Self {
            id: sample.id.clone(),
            site: cohort.sites[sample.site].clone(),
            patient: Some(sample.patient.clone()),
            target: sample.label,
            outputs,
        }
    }
}

/// Part of the data in `predictions.csv`.
pub(crate) const IN_DISTRIBUTION: &str = "in-distribution";
/// Part of the data in `predictions.csv`.
pub(crate) const TARGET: &str = "target";

/// One selector's predictions on one part.
pub(crate) type Block<'a> = (Selector, &'static str, &'a [Prediction]);

/// Writes the file; columns `selector,part,id,site,patient,target`, then the named outputs, or
/// `output_0,…` where they have no names.
///
/// Returns the blake3 hash of its bytes.
pub(crate) fn write_predictions(
    path: &Path,
    names: &[&str],
    blocks: &[Block<'_>],
) -> Result<String> {
    let fault = |message: String| HarnessError::Stored {
        path: path.to_path_buf(),
        message,
    };
    let classes = blocks
        .iter()
        .flat_map(|b| b.2)
        .map(|p| p.outputs.len())
        .max()
        .unwrap_or(0);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = ["selector", "part", "id", "site", "patient", "target"]
        .map(String::from)
        .to_vec();
    if names.is_empty() {
        header.extend((0..classes).map(|k| format!("output_{k}")));
    } else {
        header.extend(names.iter().map(|&name| name.to_owned()));
    }
    writer
        .write_record(&header)
        .map_err(|e| fault(e.to_string()))?;
    for (selector, part, predictions) in blocks {
        for p in *predictions {
            let mut row = vec![
                selector.to_string(),
                (*part).to_owned(),
                p.id.clone(),
                p.site.clone(),
                p.patient.clone().unwrap_or_default(),
                p.target.to_string(),
            ];
            row.extend(p.outputs.iter().map(ToString::to_string));
            writer
                .write_record(&row)
                .map_err(|e| fault(e.to_string()))?;
        }
    }
    let bytes = writer.into_inner().map_err(|e| fault(e.to_string()))?;
    write_atomically(path, &bytes)?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Reads one selector's predictions on one part (`in-distribution` or `target`).
///
/// # Errors
/// When the file cannot be read or a row is malformed.
pub fn read_predictions(path: &Path, selector: Selector, part: &str) -> Result<Vec<Prediction>> {
    let fault = |message: String| HarnessError::Stored {
        path: path.to_path_buf(),
        message,
    };
    let mut reader = csv::Reader::from_path(path).map_err(|e| fault(e.to_string()))?;
    let mut out = Vec::new();
    let header = reader.headers().map_err(|e| fault(e.to_string()))?;
    // Files of earlier versions have no patients.
    let patients = header.get(4) == Some("patient");
    let target_column = 4 + usize::from(patients);
    for row in reader.records() {
        let row = row.map_err(|e| fault(e.to_string()))?;
        if row.get(0) != Some(selector.as_str()) || row.get(1) != Some(part) {
            continue;
        }
        let number = |i: usize| row.get(i).and_then(|cell| cell.parse::<f64>().ok());
        let outputs: Option<Vec<f64>> = (target_column + 1..row.len()).map(number).collect();
        let target = row.get(target_column).and_then(|cell| cell.parse().ok());
        let (Some(outputs), Some(target)) = (outputs, target) else {
            return Err(fault(format!("row {row:?} is not a prediction")));
        };
        out.push(Prediction {
            id: row[2].to_owned(),
            site: row[3].to_owned(),
            patient: (patients && !row[4].is_empty()).then(|| row[4].to_owned()),
            target,
            outputs,
        });
    }
    Ok(out)
}
