//! `ctl reproduce`

use std::process::ExitCode;

use ctl_harness::HarnessError;
use ctl_harness::reproduce::{
    Extent, Ledger, ReproduceOptions, Reproduction, document, extent, reproduce, to_markdown,
};
use ctl_harness::store::{write_atomically, write_json_atomically};

use crate::arguments::Reproduce;
use crate::exit;
use crate::output::{note, print_json, print_line};
use crate::progress::{Progress, minutes};
use crate::tables;

/// Single-precision operations per second and core that the estimate up front assumes: what dense
/// products reach on a recent server core; the bar corrects it as soon as steps are measured.
const OPERATIONS_PER_SECOND: f64 = 6e10;

/// Restarts of recipes where nothing is said: of some experiments, and of all, which are for the
/// record.
const RESTARTS: [u64; 2] = [3, 10];

pub(crate) fn run(options: &Reproduce) -> anyhow::Result<ExitCode> {
    let jobs = options
        .jobs
        .map_or_else(ctl_compute::runtime::available_workers, |n| n as usize);
    let restarts = options
        .restarts
        .unwrap_or(RESTARTS[usize::from(options.all)]);
    let settings = ReproduceOptions {
        data: options.data.clone(),
        restarts,
        jobs,
        out: options.out.clone(),
        records: options.records.clone(),
        provenance: super::benchmark::provenance(),
    };
    let ids = experiments(options)?;
    refuse_unread_records(&settings, &ids)?;
    // Data that are missing must not come to light after hours.
    let extents: Vec<Extent> = ids
        .iter()
        .map(|id| extent(id, &settings))
        .collect::<Result<_, _>>()?;
    let mut tables = Vec::new();
    let mut failure = None;
    for (id, extent) in ids.iter().zip(extents) {
        match one(id, extent, &settings) {
            Ok(table) => tables.push(table),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    // A document of all tables is not replaced by one of some; each table lies in `out` as well.
    let document_path = options.document.as_ref().filter(|_| failure.is_none());
    if let Some(path) = document_path {
        let which = if options.all {
            "--all".to_owned()
        } else {
            ids.join(" ")
        };
        let command = format!("cargo xtask reproduce {which} --data DIR --restarts {restarts}");
        write_atomically(path, document(&tables, &command).as_bytes())?;
        note(format_args!("written: {}", path.display()));
    }
    if options.json {
        print_json(&tables)?;
    } else {
        for table in &tables {
            print_line(format_args!("{}\n", tables::comparison(table)))?;
        }
    }
    if let Some(failure) = failure {
        return Err(failure);
    }
    if tables.iter().all(Reproduction::passed) {
        return Ok(ExitCode::SUCCESS);
    }
    let failed = tables.iter().filter(|table| !table.passed());
    let failed: Vec<&str> = failed.map(|table| table.experiment.id.as_str()).collect();
    note(format_args!(
        "figures outside their tolerance, or claims or checks that do not hold: {}",
        failed.join(", ")
    ));
    Ok(ExitCode::from(exit::FOUND))
}

/// Whoever names a folder of records expects that some of them are taken.
fn refuse_unread_records(settings: &ReproduceOptions, ids: &[String]) -> anyhow::Result<()> {
    let Some(folder) = &settings.records else {
        return Ok(());
    };
    if ids.iter().any(|id| settings.records_of(id).is_some()) {
        return Ok(());
    }
    let names: Vec<String> = ids.iter().map(|id| format!("{id}.jsonl.gz")).collect();
    Err(HarnessError::Data {
        path: folder.clone(),
        message: format!(
            "holds no records of what is to be reproduced; expected {}",
            names.join(" or ")
        ),
    }
    .into())
}

/// The ids asked for, each known: a mistake in the last must not come to light after hours.
fn experiments(options: &Reproduce) -> anyhow::Result<Vec<String>> {
    let ledger = Ledger::shipped()?;
    if options.all {
        return Ok(ledger.experiments.into_iter().map(|e| e.id).collect());
    }
    for id in &options.ids {
        ledger.experiment(id)?;
    }
    Ok(options.ids.clone())
}

fn one(id: &str, extent: Extent, settings: &ReproduceOptions) -> anyhow::Result<Reproduction> {
    let progress = Progress::new();
    let kept = settings.out.display();
    progress.say(&match extent {
        Extent::Operations(operations) => {
            let seconds = operations / OPERATIONS_PER_SECOND / settings.jobs as f64;
            format!(
                "{id}: {:.0} TFLOP to compute, about {} with {} jobs; finished restarts are kept in \
                 {kept}",
                operations / 1e12,
                minutes(std::time::Duration::from_secs_f64(seconds)),
                settings.jobs,
            )
        }
        Extent::Models { models, steps } => format!(
            "{id}: {models} models, {steps} training steps, {} at once; what is trained is kept in \
             {kept}",
            settings.jobs
        ),
        Extent::Sweep { runs, steps } => format!(
            "{id}: {runs} runs, {steps} training steps, {} at once; finished runs are kept in {kept}",
            settings.jobs
        ),
    });
    let table = reproduce(id, settings, &progress)?;
    progress.finish();
    write_json_atomically(&settings.out.join(format!("{id}.json")), &table)?;
    let text = to_markdown(&table);
    write_atomically(&settings.out.join(format!("{id}.md")), text.as_bytes())?;
    Ok(table)
}
