//! `ctl reproduce`

use std::process::ExitCode;

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

pub(crate) fn run(options: &Reproduce) -> anyhow::Result<ExitCode> {
    let jobs = options
        .jobs
        .map_or_else(ctl_compute::runtime::available_workers, |n| n as usize);
    let settings = ReproduceOptions {
        data: options.data.clone(),
        restarts: options.restarts,
        jobs,
        out: options.out.clone(),
        provenance: super::benchmark::provenance(),
    };
    let mut tables = Vec::new();
    for id in &experiments(options)? {
        tables.push(one(id, &settings)?);
    }
    if let Some(path) = &options.document {
        write_atomically(path, document(&tables).as_bytes())?;
        note(format_args!("written: {}", path.display()));
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
    let extent = extent(id, settings)?;
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
