//! Our side of a contest.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use ctl_benches::graph::{Failure, GraphWork};
use ctl_benches::imaging::ImagingWork;
use ctl_benches::train_step::TrainStep;
use ctl_compute::runtime::join_threads;

use super::child::{Answer, Facts};
use crate::arguments::PerfWorker;

/// Says what it is, then answers each `step N` line until `quit` or the end of the input.
pub(super) fn serve(options: &PerfWorker) -> anyhow::Result<()> {
    let _threads = join_threads(options.threads)?;
    let base_rss_bytes = memory("VmRSS");
    if let Some(model) = options.model {
        let mut step = TrainStep::new(model)?;
        return answer(base_rss_bytes, None, || Ok(step.run().map(drop)?));
    }
    let Some(data) = &options.data else {
        bail!("expected `--model`, or `--data` and a workload");
    };
    if let Some(workload) = options.imaging {
        let failed = |e: Failure| anyhow!("{}: {e}", workload.name());
        let work = ImagingWork::new(workload, data).map_err(failed)?;
        let outcome = work.run().map_err(failed)?;
        return answer(base_rss_bytes, Some(outcome), || {
            work.run().map(drop).map_err(failed)
        });
    }
    let Some(workload) = options.workload else {
        bail!("expected `--workload` or `--imaging`");
    };
    let failed = |e: Failure| anyhow!("{}: {e}", workload.name());
    let work = GraphWork::new(workload, data).map_err(failed)?;
    let outcome = work.run().map_err(failed)?;
    answer(base_rss_bytes, Some(outcome as u64), || {
        work.run().map(drop).map_err(failed)
    })
}

fn answer(
    base_rss_bytes: Option<u64>,
    outcome: Option<u64>,
    mut step: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    say(&Facts {
        software: format!("ctl {}", env!("CARGO_PKG_VERSION")),
        optimiser: None,
        base_rss_bytes,
        answer: outcome,
    })?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "quit" {
            break;
        }
        let Some(count) = line.strip_prefix("step ") else {
            bail!("expected `step N` or `quit`, found {line:?}");
        };
        let count: usize = count
            .parse()
            .with_context(|| format!("number of steps: {count:?}"))?;
        let mut seconds = Vec::new();
        let before = processor_seconds();
        for _ in 0..count {
            let begun = Instant::now();
            step()?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        let cpu_seconds = processor_seconds().zip(before);
        say(&Answer {
            seconds,
            cpu_seconds: cpu_seconds.map(|(after, before)| after - before),
            peak_rss_bytes: memory("VmHWM"),
        })?;
    }
    Ok(())
}

fn say(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Time that the living threads of this process have had; `None` where the system does not say.
fn processor_seconds() -> Option<f64> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let figures = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += figures.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanoseconds as f64 / 1e9)
}

/// A line of `/proc/self/status` in bytes; `None` where the system has no such file.
fn memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
