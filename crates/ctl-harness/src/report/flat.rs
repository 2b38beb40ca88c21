//! All figures as one flat file.

use std::collections::BTreeMap;
use std::path::Path;

use super::sweep::Sweep;
use crate::table::{Estimate, Line};
use crate::{HarnessError, Result};

const HEADER: [&str; 21] = [
    "task",
    "shift",
    "cohort",
    "protocol",
    "sources",
    "target",
    "method",
    "family",
    "sees_target_images",
    "upper_reference",
    "selector",
    "part",
    "metric",
    "mean",
    "standard_error",
    "seeds",
    "runs",
    "diverged",
    "main_metric",
    "scored_as_chance",
    "few_samples",
];

/// One line per cell, method, selector, part and metric; the standard error of a single seed is
/// empty, as is every figure that does not exist.
pub(crate) fn csv(chapters: &[Sweep<'_>], path: &Path) -> Result<String> {
    let fault = |message: String| HarnessError::Stored {
        path: path.to_path_buf(),
        message,
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![HEADER.map(str::to_owned)];
    for line in chapters.iter().flat_map(|sweep| &sweep.table.lines) {
        let parts = [
            ("in-distribution", &line.in_distribution),
            ("target", &line.target),
        ];
        for (part, metrics) in parts {
            rows.extend(rows_of(line, part, metrics));
        }
    }
    for row in rows {
        writer
            .write_record(&row)
            .map_err(|e| fault(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| fault(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| fault(e.to_string()))
}

fn rows_of(line: &Line, part: &str, metrics: &BTreeMap<String, Estimate>) -> Vec<[String; 21]> {
    use ctl_invariance::Role;
    let cell = &line.cell;
    let finite = |value: f64| value.is_finite().then(|| value.to_string());
    metrics
        .iter()
        .map(|(metric, e)| {
            let error = e.standard_error.and_then(finite);
            [
                cell.task.as_str().to_owned(),
                cell.shift.to_string(),
                cell.cohort.clone(),
                cell.protocol.to_string(),
                cell.sources.join("+"),
                cell.target.clone(),
                line.method.clone(),
                line.family.as_str().to_owned(),
                (line.role == Role::Adaptation).to_string(),
                (line.role == Role::Oracle).to_string(),
                line.selector.to_string(),
                part.to_owned(),
                metric.clone(),
                finite(e.mean).unwrap_or_default(),
                error.unwrap_or_default(),
                e.seeds.to_string(),
                line.runs.to_string(),
                line.diverged.to_string(),
                (metric == line.main_metric()).to_string(),
                line.at_chance.to_string(),
                line.few_samples.to_string(),
            ]
        })
        .collect()
}
