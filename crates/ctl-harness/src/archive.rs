//! The records of a sweep in one file.
//!
//! A record says all that tables are made of, so that a few megabytes of them stand for a sweep that
//! took hours: whoever has the file makes the tables again, chooses by another rule, or goes on with
//! the sweep on another machine without repeating what is done.
//! Predictions, pictures and models stay where they were made.
//!
//! The file holds one record as JSON per line, compressed by gzip, in the order of `sweep.json`; the
//! same records give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::claim;
use crate::plan::{Plan, PlannedRun};
use crate::record::Record;
use crate::store::write_json_atomically;
use crate::sweep::Layout;
use crate::{HarnessError, Result};

/// Name of the file in the folder of a sweep.
pub const RECORDS: &str = "records.jsonl.gz";

/// The content of the file.
///
/// # Errors
/// When a record cannot be serialised.
pub fn pack(records: &[Record]) -> Result<Vec<u8>> {
    let fault = |message: String| HarnessError::Stored {
        path: RECORDS.into(),
        message,
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for record in records {
        let mut line = serde_json::to_vec(record).map_err(|e| fault(e.to_string()))?;
        line.push(b'\n');
        encoder.write_all(&line).map_err(|e| fault(e.to_string()))?;
    }
    encoder.finish().map_err(|e| fault(e.to_string()))
}

/// Calls `each` with every record of the file.
///
/// # Errors
/// When the file cannot be read, is cut short, or holds what is no record, with the line's number;
/// whatever `each` returns.
pub fn unpack(path: &Path, mut each: impl FnMut(Record) -> Result<()>) -> Result<()> {
    let unreadable = |source| HarnessError::File {
        path: path.to_path_buf(),
        action: "read",
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(file))).lines();
    for (number, line) in (1..).zip(lines) {
        let fault = |message: String| HarnessError::Stored {
            path: path.to_path_buf(),
            message: format!("line {number}: {message}"),
        };
        let line = line.map_err(|e| fault(format!("{e}; expected lines compressed by gzip")))?;
        let record: Record = serde_json::from_str(&line).map_err(|e| fault(e.to_string()))?;
        each(record.checked().map_err(fault)?)?;
    }
    Ok(())
}

/// Planned runs by id.
fn by_id(plan: &Plan) -> BTreeMap<String, &PlannedRun> {
    let runs = plan.runs.iter();
    runs.map(|run| (run.spec.id(), run)).collect()
}

/// Puts the records of a file into the folder of a sweep where the plan has a run that the folder
/// has no record of; others are left alone.
///
/// # Returns
/// How many were put there.
///
/// # Errors
/// As [`unpack`]; when a record cannot be written.
pub(crate) fn take_up(layout: &Layout, plan: &Plan, path: &Path) -> Result<usize> {
    let planned = by_id(plan);
    let mut taken = 0;
    unpack(path, |record| {
        let Some(run) = planned.get(&record.id) else {
            return Ok(());
        };
        let folder = run.spec.folder();
        let _held = claim::lock_run(layout, &folder, || {})?;
        let place = layout.record(&folder);
        if !place.exists() {
            write_json_atomically(&layout.run(&folder).join("spec.json"), &record.spec)?;
            write_json_atomically(&place, &record)?;
            taken += 1;
        }
        Ok(())
    })?;
    Ok(taken)
}

/// How many of these runs the file has a record of.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn holds(path: &Path, runs: &[&PlannedRun]) -> Result<usize> {
    let mut wanted: std::collections::BTreeSet<String> =
        runs.iter().map(|run| run.spec.id()).collect();
    let before = wanted.len();
    unpack(path, |record| {
        wanted.remove(&record.id);
        Ok(())
    })?;
    Ok(before - wanted.len())
}
