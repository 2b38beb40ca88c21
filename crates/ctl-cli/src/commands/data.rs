//! `ctl data`

use std::path::Path;
use std::process::ExitCode;

use ctl_compute::runtime::on_every_core;
use ctl_harness::HarnessError;
use ctl_harness::portrait::{self, portray};
use ctl_harness::store::write_atomically;
use ctl_imaging::{Cohort, VerifyOptions, VerifyReport, discover, verify};
use ctl_phantom::digits::{DigitCohort, DigitSpec, ImageCount};
use ctl_phantom::{Anatomy, CausalDirection, Dials, PhantomSpec, simulate};
use serde::Serialize;

use crate::arguments::{Data, Digits, Make};
use crate::exit;
use crate::output::{note, print_json, print_line};
use crate::tables;

/// Faults shown per cohort in the terminal.
const SHOWN: usize = 50;

pub(crate) fn run(action: &Data) -> anyhow::Result<ExitCode> {
    match action {
        Data::List { folder, json } => list(folder, *json),
        Data::Verify {
            folder,
            decode,
            json,
        } => check(folder, *decode, *json),
        Data::Stats { folder, html, json } => stats(folder, html.as_deref(), *json),
        Data::Make(options) => make(options),
        Data::Digits(options) => digits(options),
        Data::Import { layout, json } => super::import::run(layout, *json),
        Data::Kspace(options) => super::kspace::run(options),
    }
}

fn stats(folder: &Path, html: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let found = on_every_core(|| portray(folder))??;
    if let Some(file) = html {
        let page = on_every_core(|| portrait::page(folder, &found))??;
        write_atomically(file, page.as_bytes())?;
        note(format_args!("page: {}", file.display()));
    }
    if json {
        print_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    print_line(tables::sites(&found))?;
    print_line(tables::associations(&found))?;
    for flag in &found.flags {
        print_line(format_args!("flag: {flag}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn digits(options: &Digits) -> anyhow::Result<ExitCode> {
    let spec = DigitSpec {
        images: options.images.map_or(ImageCount::All, ImageCount::AtMost),
        seed: options.seed,
        ..DigitSpec::new(options.kind)
    };
    let folder = &options.folder;
    on_every_core(|| DigitCohort::from_idx(&options.mnist, &spec)?.write(folder))??;
    print_line(format_args!("cohort: {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn make(options: &Make) -> anyhow::Result<ExitCode> {
    let spec = PhantomSpec {
        anatomy: if options.anatomy == "brain" {
            Anatomy::Brain
        } else {
            Anatomy::Chest
        },
        direction: if options.direction == "causal" {
            CausalDirection::Causal
        } else {
            CausalDirection::Anticausal
        },
        size: options.size,
        patients_per_site: options.patients_per_site,
        source_sites: options.source_sites,
        seed: options.seed,
        dials: Dials {
            population: options.population,
            prevalence: options.prevalence,
            acquisition: options.acquisition,
            annotation: options.annotation,
            manifestation: options.manifestation,
            selection: options.selection,
            confounding: options.confounding,
        },
        contrast: options.contrast,
        severity: options.severity,
    };
    simulate(&spec)?.write(&options.folder)?;
    print_line(format_args!("cohort: {}", options.folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Listed {
    path: String,
    name: String,
    images: usize,
    tasks: Vec<&'static str>,
    sites: Vec<String>,
    licence: Option<String>,
}

fn list(folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let found = discover(folder)?;
    let mut cohorts = Vec::new();
    let mut faults = Vec::new();
    for path in found.cohorts {
        let cohort = match Cohort::open(&path) {
            Ok(cohort) => cohort,
            Err(error) => {
                faults.push(error);
                continue;
            }
        };
        cohorts.push(Listed {
            path: path.display().to_string(),
            name: cohort.name().to_owned(),
            images: cohort.len(),
            tasks: cohort.tasks().iter().map(|task| task.as_str()).collect(),
            sites: cohort.sites().to_vec(),
            licence: cohort.licence().map(str::to_owned),
        });
    }
    for (path, reason) in found.skipped {
        note(format_args!("left out: {}: {reason}", path.display()));
    }
    if json {
        print_json(&cohorts)?;
    } else {
        for c in cohorts {
            let (tasks, sites) = (c.tasks.join(", "), c.sites.join(", "));
            let (name, images) = (c.name, c.images);
            print_line(format_args!(
                "{name}: {images} images, {tasks}; sites: {sites}"
            ))?;
        }
    }
    for fault in &faults {
        note(format_args!("error: {}", exit::chain(fault)));
    }
    Ok(match faults[..] {
        [] => ExitCode::SUCCESS,
        _ => ExitCode::from(exit::DATA),
    })
}

#[derive(Serialize)]
struct Checked {
    cohort: String,
    report: VerifyReport,
}

fn check(folder: &Path, decode: bool, json: bool) -> anyhow::Result<ExitCode> {
    let found = discover(folder)?;
    if found.cohorts.is_empty() {
        return Err(HarnessError::Data {
            path: folder.to_path_buf(),
            message: "holds no cohort: expected a manifest.csv here or in a folder below".into(),
        }
        .into());
    }
    let options = VerifyOptions {
        decode,
        ..VerifyOptions::default()
    };
    let mut all = Vec::new();
    for path in &found.cohorts {
        let report = on_every_core(|| verify(path, &options))??;
        all.push(Checked {
            cohort: path.display().to_string(),
            report,
        });
    }
    for (path, reason) in found.skipped {
        note(format_args!("left out: {}: {reason}", path.display()));
    }
    let clean = all.iter().all(|c| c.report.is_clean());
    if json {
        print_json(&all)?;
    } else {
        all.iter().try_for_each(show)?;
    }
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::DATA)
    })
}

fn show(checked: &Checked) -> anyhow::Result<()> {
    let report = &checked.report;
    for notice in &report.notices {
        print_line(format_args!("{}: notice: {notice}", checked.cohort))?;
    }
    for problem in report.problems.iter().take(SHOWN) {
        print_line(problem)?;
    }
    if report.problems_found > SHOWN {
        print_line(format_args!("… and {} more", report.problems_found - SHOWN))?;
    }
    let how = if report.decoded {
        "decoded"
    } else {
        "checked by header"
    };
    print_line(format_args!(
        "{}: {} rows, {} images and {} masks {how}, {} faults",
        checked.cohort,
        report.rows,
        report.images_checked,
        report.masks_checked,
        report.problems_found
    ))
}
