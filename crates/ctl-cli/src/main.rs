//! The command line of the toolkit.

mod arguments;
mod command_line;
mod commands;
mod exit;
mod import_arguments;
mod kernels;
mod output;
mod progress;
mod slurm;
mod tables;

use std::process::ExitCode;

use clap::Parser;
use ctl_compute::allocator::CachingAllocator;

use crate::arguments::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: CachingAllocator = CachingAllocator::new();

#[expect(
    unsafe_code,
    reason = "the environment is changed before any thread exists"
)]
fn main() -> ExitCode {
    // SAFETY: this is the first statement of `main`; no other thread runs yet.
    unsafe { ctl_compute::runtime::use_one_thread_per_run() };
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    start_log();
    if let Err(error) = kernels::choose() {
        return exit::misuse(&error);
    }
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => exit::failure(&error),
    }
}

/// Libraries speak through `tracing`; `CTL_LOG` says how much of it is shown.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CTL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Benchmark(options) => commands::benchmark::run(&options),
        Command::Reproduce(options) => commands::reproduce::run(&options),
        Command::Report(options) => commands::report::run(&options),
        Command::Methods(options) => commands::methods::run(&options),
        Command::Suites(options) => commands::suites::run(&options),
        Command::Data(action) => commands::data::run(&action),
        Command::Image(action) => commands::image::run(&action),
        Command::Conformance(options) => commands::conformance::run(&options),
        Command::Advise(options) => commands::advise::run(&options),
        Command::Counterfactual(action) => commands::counterfactual::run(&action),
        Command::Predict(options) => commands::predict::run(&options),
        Command::Perf(options) => commands::perf::run(&options),
        Command::RunChunk(options) => commands::run_chunk::run(&options),
        Command::PerfWorker(options) => commands::perf::serve(&options),
    }
}
