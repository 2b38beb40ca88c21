//! Step 4 registers the method, step 6 runs it in a suite beside ERM.

mod worst_case;

use std::collections::BTreeMap;
use std::error::Error;

use ctl_harness::launch::{LaunchOptions, launch, sweep_info};
use ctl_harness::plan::plan;
use ctl_harness::suite::Suite;
use ctl_harness::sweep::Layout;
use ctl_harness::table::Table;
use ctl_harness::{Registry, Silent};
use ctl_invariance::Configured;
use worst_case::{INFO, WorstCaseConfig};

const SUITE: &str = r#"
schema = 1
name = "outside"
title = "A method from outside the workspace"
methods = ["erm", "worst-case"]

[training]
size = 24
steps = 20
batch_size = 8
evaluate_every = 10

[settings.worst-case]
sharpness = 10.0

[[simulated]]
tasks = ["classification"]
shifts = ["combined"]
strengths = [0.8]
patients_per_site = 40
"#;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

fn registry() -> ctl_harness::Result<Registry> {
    let mut registry = Registry::standard();
    registry.register(Box::new(Configured::<WorstCaseConfig>::new(INFO)))?;
    Ok(registry)
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let registry = registry()?;
    let suite = Suite::parse(SUITE, "the suite of this example", &registry)?;
    let plan = plan(&suite, &registry, None)?;
    let folder = tempfile::tempdir()?;
    let options = LaunchOptions {
        out: folder.path(),
        jobs: 2,
        save_models: false,
        records: None,
        provenance: BTreeMap::new(),
    };
    let info = sweep_info(&suite, &plan, "cargo run");
    let outcome = launch(&info, &plan, &registry, &options, &Silent)?;
    if let Some(error) = outcome.failures.into_iter().next() {
        return Err(error.into());
    }

    let records = Layout::new(folder.path()).read_records(&info)?;
    let table = Table::of(&records, &registry);
    for line in &table.lines {
        let target = line.target.get(line.main_metric());
        let target = target.map_or(f64::NAN, |estimate| estimate.mean);
        let (method, selector) = (&line.method, line.selector);
        println!("{method:<12} {selector:<16} AUROC on the target {target:.3}");
    }
    if !table.lines.iter().any(|line| line.method == INFO.id) {
        return Err("worst-case is missing from the table".into());
    }
    Ok(())
}
