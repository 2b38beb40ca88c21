//! Our side of a contest.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use ctl_benches::graph::{Failure, GraphWork};
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
    let (Some(workload), Some(data)) = (options.workload, &options.data) else {
        bail!("expected `--model`, or `--workload` and `--data`");
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
        for _ in 0..count {
            let begun = Instant::now();
            step()?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        say(&Answer {
            seconds,
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

/// A line of `/proc/self/status` in bytes; `None` where the system has no such file.
fn memory(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
