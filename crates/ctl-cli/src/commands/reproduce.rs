//! `ctl reproduce`

use std::process::ExitCode;

use ctl_harness::reproduce::{
    Ledger, ReproduceOptions, Reproduction, estimate_operations, reproduce, to_markdown,
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

pub(crate) fn run(options: &Reproduce) -> anyhow::Result<ExitCode> {
    let jobs = options
        .jobs
        .map_or_else(ctl_compute::runtime::available_workers, |n| n as usize);
    let settings = ReproduceOptions {
        data: options.data.clone(),
        restarts: options.restarts,
        jobs,
        out: options.out.clone(),
    };
    let mut tables = Vec::new();
    for id in &experiments(options)? {
        tables.push(one(id, &settings)?);
    }
    if options.json {
        print_json(&tables)?;
    } else {
        for table in &tables {
            print_line(format_args!("{}\n", tables::comparison(table)))?;
        }
    }
    if tables.iter().all(Reproduction::passed) {
        return Ok(ExitCode::SUCCESS);
    }
    note("some figures lie outside their tolerance");
    Ok(ExitCode::from(exit::FOUND))
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

fn one(id: &str, settings: &ReproduceOptions) -> anyhow::Result<Reproduction> {
    let operations = estimate_operations(id, settings)?;
    let progress = Progress::new();
    let seconds = operations / OPERATIONS_PER_SECOND / settings.jobs as f64;
    progress.say(&format!(
        "{id}: {:.0} TFLOP to compute, about {} with {} jobs; finished restarts are kept in {}",
        operations / 1e12,
        minutes(std::time::Duration::from_secs_f64(seconds)),
        settings.jobs,
        settings.out.display()
    ));
    let table = reproduce(id, settings, &progress)?;
    progress.finish();
    write_json_atomically(&settings.out.join(format!("{id}.json")), &table)?;
    let text = to_markdown(&table);
    write_atomically(&settings.out.join(format!("{id}.md")), text.as_bytes())?;
    Ok(table)
}
