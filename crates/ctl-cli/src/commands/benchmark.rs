//! `ctl benchmark`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ctl_compute::kernels::level;
use ctl_harness::launch::{
    DryRun, LaunchOptions, Launcher as _, Local, Outcome, Sweep, sweep_info,
};
use ctl_harness::plan::{Plan, plan};
use ctl_harness::report::{Format, unlicensed, write};
use ctl_harness::suite::{Filter, Suite, shipped};
use ctl_harness::sweep::{Layout, SweepInfo};
use ctl_harness::table::Table;
use ctl_harness::vocabulary::{Shift, parse_task};
use ctl_harness::{HarnessError, Registry};

use crate::arguments::{Benchmark, Launcher};
use crate::command_line::command_line;
use crate::exit;
use crate::output::{note, print_json, print_line};
use crate::progress::{Progress, minutes};
use crate::{slurm, tables};

pub(crate) fn run(options: &Benchmark) -> anyhow::Result<ExitCode> {
    let registry = Registry::standard();
    let suite = find_suite(&options.suite, &registry)?;
    refuse_unread_data(options, &suite)?;
    refuse_unread_options(options)?;
    let suite = filter(options)?.apply(suite, &registry)?;
    let plan = plan(&suite, &registry, options.data.as_deref())?;
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| Path::new("out").join(&suite.name));
    refuse_cohort(&out)?;
    let at_once = options.jobs.map(|n| n as usize);
    let jobs = at_once.unwrap_or_else(ctl_compute::runtime::available_workers);
    let info = sweep_info(&suite, &plan, &command_line(options));
    let sweep = Sweep {
        info: &info,
        plan: &plan,
        registry: &registry,
    };
    let launch_options = LaunchOptions {
        out: &out,
        jobs,
        save_models: options.save_models || suite.save_models,
        records: options.records.as_deref(),
        provenance: provenance(),
    };
    let progress = Progress::new();
    match options.launcher {
        Launcher::DryRun => {
            let outcome = DryRun.launch(&sweep, &launch_options, &progress)?;
            dry_run(&suite, &plan, (&outcome, jobs), options.json)
        }
        Launcher::Local => {
            announce(&progress, &suite, &plan, Some(jobs));
            let outcome = Local.launch(&sweep, &launch_options, &progress)?;
            progress.finish();
            finish(&out, &registry, &outcome, options.json)
        }
        Launcher::Slurm => {
            let interrupted = slurm::interruption()?;
            let launcher = options.slurm.launcher(at_once, interrupted.clone())?;
            announce(&progress, &suite, &plan, at_once);
            let outcome = launcher.launch(&sweep, &launch_options, &progress)?;
            progress.finish();
            if outcome.open > 0 {
                report_failures(&outcome.failures);
                return Ok(left(&info, &outcome, interrupted.load(Ordering::Relaxed)));
            }
            finish(&out, &registry, &outcome, options.json)
        }
    }
}

/// Says how to come back to jobs that go on.
fn left(info: &SweepInfo, outcome: &Outcome, interrupted: bool) -> ExitCode {
    note(format_args!(
        "{} runs are left to the cluster; to wait for them and write the report: {}",
        outcome.open, info.command
    ));
    if interrupted {
        return ExitCode::from(exit::INTERRUPTED);
    }
    let failure = outcome.failures.first();
    failure.map_or(ExitCode::SUCCESS, exit::code_of_failure)
}

/// Options that nothing reads are a mistake.
fn refuse_unread_options(options: &Benchmark) -> anyhow::Result<()> {
    let Some(option) = options
        .slurm
        .given()
        .filter(|_| options.launcher != Launcher::Slurm)
    else {
        return Ok(());
    };
    Err(HarnessError::Config {
        origin: "command line".into(),
        key: option.into(),
        message: "has no effect without --launcher slurm".into(),
    }
    .into())
}

/// Whoever names a folder expects figures of it, not of simulated films.
fn refuse_unread_data(options: &Benchmark, suite: &Suite) -> anyhow::Result<()> {
    if options.data.is_none() || suite.folders.is_some() {
        return Ok(());
    }
    Err(HarnessError::Config {
        origin: format!("suite {}", suite.name),
        key: "--data".into(),
        message: "this suite reads no cohort; one that does has [folders], as `--suite real`"
            .into(),
    }
    .into())
}

/// Results among the images of a cohort would belong to neither.
fn refuse_cohort(out: &Path) -> anyhow::Result<()> {
    if !out.join(ctl_imaging::MANIFEST).exists() {
        return Ok(());
    }
    Err(HarnessError::Config {
        origin: out.display().to_string(),
        key: "--out".into(),
        message: format!(
            "holds {}: a cohort is no place for results, name another folder",
            ctl_imaging::MANIFEST
        ),
    }
    .into())
}

/// Where and from which sources this runs, for `env.json`.
pub(super) fn provenance() -> BTreeMap<String, String> {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    [
        ("revision", env!("CTL_REVISION").to_owned()),
        ("host", host),
        ("kernels", level::selected().name().to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn announce(progress: &Progress, suite: &Suite, plan: &Plan, jobs: Option<usize>) {
    let at_once = jobs.map_or(String::new(), |jobs| format!(", {jobs} at once"));
    progress.say(&format!(
        "suite {}: {} runs, {} training steps{at_once}",
        suite.name,
        plan.runs.len(),
        steps_of(plan)
    ));
    if let Some(text) = expected(suite, plan, jobs.unwrap_or(1)) {
        progress.say(&text);
    }
    for text in &plan.skipped {
        progress.say(&format!("left out: {text}"));
    }
    for text in unlicensed(plan) {
        progress.say(&format!("warning: {text}"));
    }
}

fn steps_of(plan: &Plan) -> u64 {
    plan.runs.iter().map(|run| run.spec.training.steps).sum()
}

/// What the suite says of the time of its runs, where it does so of every task in the plan.
fn expected(suite: &Suite, plan: &Plan, jobs: usize) -> Option<String> {
    let seconds = plan
        .runs
        .iter()
        .map(|run| suite.expected_seconds.get(&run.spec.task))
        .sum::<Option<f64>>()?;
    let time = minutes(Duration::from_secs_f64((seconds / jobs as f64).max(60.0)));
    Some(format!(
        "expected: about {time} from the start with {jobs} at once, on machines as fast as the one \
         it was measured on"
    ))
}

/// A shipped suite by name, or a file.
fn find_suite(name: &str, registry: &Registry) -> anyhow::Result<Suite> {
    let all = shipped(registry)?;
    if let Some(suite) = all.iter().find(|suite| suite.name == name) {
        return Ok(suite.clone());
    }
    let path = Path::new(name);
    if path.extension().is_some() || path.exists() {
        return Ok(Suite::read(path, registry)?);
    }
    Err(HarnessError::Unknown {
        what: "suite",
        name: name.to_owned(),
        known: all
            .into_iter()
            .map(|suite| suite.name)
            .chain(["a .toml file".into()])
            .collect(),
    }
    .into())
}

fn filter(options: &Benchmark) -> anyhow::Result<Filter> {
    let tasks = options
        .task
        .iter()
        .map(|name| parse_task(name))
        .collect::<Result<_, _>>()?;
    let shifts = options
        .shift
        .iter()
        .map(|name| Shift::parse(name))
        .collect::<Result<_, _>>()?;
    Ok(Filter {
        tasks,
        shifts,
        methods: options.method.clone(),
        seeds: options.seeds,
    })
}

/// Prints the plan, its size and the time it will take.
fn dry_run(
    suite: &Suite,
    plan: &Plan,
    (outcome, jobs): (&Outcome, usize),
    json: bool,
) -> anyhow::Result<ExitCode> {
    let specs: Vec<_> = plan.runs.iter().map(|run| &run.spec).collect();
    if json {
        print_json(&specs)?;
        return Ok(ExitCode::SUCCESS);
    }
    for spec in &specs {
        let (folder, method, seed) = (spec.folder(), &spec.method, spec.seed);
        print_line(format_args!(
            "{folder}  {method:<14} {}  seed {seed} draw {}",
            spec.cell(),
            spec.draw
        ))?;
    }
    let steps = steps_of(plan);
    print_line(format_args!("{} runs, {steps} training steps", specs.len()))?;
    if outcome.reused > 0 {
        print_line(format_args!("{} of the runs are done", outcome.reused))?;
    }
    if let Some(text) = expected(suite, plan, jobs) {
        print_line(text)?;
    }
    for text in &plan.skipped {
        note(format_args!("left out: {text}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn finish(
    out: &Path,
    registry: &Registry,
    outcome: &Outcome,
    json: bool,
) -> anyhow::Result<ExitCode> {
    report_failures(&outcome.failures);
    match written(out, registry, json) {
        Ok(()) => Ok(outcome
            .failures
            .first()
            .map_or(ExitCode::SUCCESS, exit::code_of_failure)),
        Err(error) => {
            // What stopped the runs has been said; a full disk stops the report as well.
            let fault = error.downcast_ref::<HarnessError>();
            let known = outcome
                .failures
                .iter()
                .find(|failure| fault.is_some_and(|fault| cause_of(fault) == cause_of(failure)));
            known.map_or(Err(error), |failure| Ok(exit::code_of_failure(failure)))
        }
    }
}

/// Writes the reports and shows the summary.
fn written(out: &Path, registry: &Registry, json: bool) -> anyhow::Result<()> {
    let layout = Layout::new(out);
    let records = layout.read_records(&layout.read_info()?)?;
    let table = Table::of(&records, registry);
    let mut written: Vec<PathBuf> = Vec::new();
    for format in [Format::Csv, Format::Markdown, Format::Html] {
        written.push(write(out, format, registry).context("writing the report")?);
    }
    if json {
        print_json(&table)?;
    } else {
        print_line(tables::summary(&table))?;
        let report = written.pop().unwrap_or_default();
        print_line(format_args!("report: {}", report.display()))?;
    }
    Ok(())
}

/// One line per cause, with the first run that it stopped and the number of others.
pub(super) fn report_failures(failures: &[HarnessError]) {
    let mut causes: Vec<(String, String, usize)> = Vec::new();
    for failure in failures {
        let whole = exit::chain(failure);
        let cause = cause_of(failure);
        match causes.iter_mut().find(|(known, ..)| *known == cause) {
            Some((_, _, others)) => *others += 1,
            None => causes.push((cause, whole, 0)),
        }
    }
    for (_, whole, others) in causes {
        let more = match others {
            0 => String::new(),
            1 => " (and another run, for the same reason)".to_owned(),
            _ => format!(" (and {others} other runs, for the same reason)"),
        };
        note(format_args!("error: {whole}{more}"));
    }
}

/// What runs that failed for the same reason have in common.
fn cause_of(failure: &HarnessError) -> String {
    match failure {
        HarnessError::Run { source, .. } => cause_of(source),
        // A full disk stops each run at a file of its own.
        HarnessError::File { action, source, .. } => format!("cannot {action}: {source}"),
        other => exit::chain(other),
    }
}
