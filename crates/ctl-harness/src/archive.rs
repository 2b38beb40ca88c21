//! The records of a sweep in one file.
//!
//! A record says all that tables are made of, so that a few megabytes of them stand for a sweep that
//! took hours: whoever has the file makes the tables again, chooses by another rule, or goes on with
//! the sweep on another machine without repeating what is done.
//! Predictions, pictures and models stay where they were made.
//!
//! The file holds one record as JSON per line, compressed by gzip, in the order of `sweep.json`; the
//! same records give the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::claim;
use crate::plan::PlannedRun;
use crate::record::Record;
use crate::store::write_json_atomically;
use crate::sweep::Layout;
use crate::{Event, HarnessError, Observer, Result};

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

/// The records of a file that a plan has runs for, and how many the file holds in all.
///
/// # Errors
/// As [`unpack`].
fn wanted<'a>(
    path: &Path,
    runs: &[&'a PlannedRun],
) -> Result<(Vec<(&'a PlannedRun, Record)>, usize)> {
    let planned: BTreeMap<String, &PlannedRun> =
        runs.iter().map(|&run| (run.spec.id(), run)).collect();
    let (mut found, mut all) = (Vec::new(), 0);
    unpack(path, |record| {
        all += 1;
        if let Some(&run) = planned.get(&record.id) {
            found.push((run, record));
        }
        Ok(())
    })?;
    Ok((found, all))
}

/// Puts the records of a file into the folder of a sweep where `open`, planned runs without a record,
/// has a run for them; others are left alone.
///
/// Nothing is put there unless the whole file can be read.
///
/// # Errors
/// As [`unpack`]; when a record cannot be written.
pub(crate) fn take_up(
    layout: &Layout,
    open: &[&PlannedRun],
    path: &Path,
    observer: &dyn Observer,
) -> Result<()> {
    let (found, all) = wanted(path, open)?;
    let text = format!(
        "{}: {} of its {all} records are of runs that are missing here, and are taken",
        path.display(),
        found.len()
    );
    observer.event(&Event::Notice { text: &text });
    for (run, record) in found {
        let folder = run.spec.folder();
        let _held = claim::lock_run(layout, &folder, || {})?;
        write_json_atomically(&layout.run(&folder).join("spec.json"), &record.spec)?;
        write_json_atomically(&layout.record(&folder), &record)?;
    }
    Ok(())
}

/// How many of these runs the file has a record of.
///
/// # Errors
/// As [`unpack`].
pub(crate) fn holds(path: &Path, runs: &[&PlannedRun]) -> Result<usize> {
    let (found, _) = wanted(path, runs)?;
    let ids: BTreeSet<String> = found.into_iter().map(|(_, record)| record.id).collect();
    Ok(ids.len())
}
