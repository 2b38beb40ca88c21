//! `ctl perf`

mod child;
mod contest;
mod figures;
mod graph;
mod imaging;
mod offers;
mod steps;
mod worker;

use std::process::ExitCode;

use ctl_benches::graph::Workload;
use ctl_benches::imaging::Workload as ImagingWorkload;
use ctl_benches::train_step::Model;

pub(crate) use self::figures::Figures;
use crate::arguments::{Perf, PerfWorker};
use crate::output::{print_json, print_line};
use crate::tables;

pub(crate) fn run(options: &Perf) -> anyhow::Result<ExitCode> {
    // Who names some of one kind does not want all of the other.
    let all = options.model.is_empty() && options.workload.is_empty() && options.imaging.is_empty();
    let (models, workloads, imaging) = if all {
        (
            &Model::ALL[..],
            &Workload::ALL[..],
            &ImagingWorkload::ALL[..],
        )
    } else {
        (
            &options.model[..],
            &options.workload[..],
            &options.imaging[..],
        )
    };
    let mut figures = Figures::new(options.rounds);
    if !models.is_empty() {
        steps::time(models, options, &mut figures)?;
    }
    if !workloads.is_empty() {
        figures.graph = graph::time(workloads, options)?;
    }
    if !imaging.is_empty() {
        figures.imaging = imaging::time(imaging, options)?;
    }
    if options.json {
        print_json(&figures)?;
    } else {
        print_line(tables::perf(&figures))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers for our side of a contest, in a process of its own.
pub(crate) fn serve(options: &PerfWorker) -> anyhow::Result<ExitCode> {
    worker::serve(options)?;
    Ok(ExitCode::SUCCESS)
}
