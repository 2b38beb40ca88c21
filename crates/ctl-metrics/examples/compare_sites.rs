//! Two models at three hospitals: AUROC per site with intervals, the worst site, and whether the
//! models differ.
//!
//! Run with `cargo run -p ctl-metrics --example compare_sites`.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use ctl_metrics::discrimination::auroc;
use ctl_metrics::groups::{GroupTable, group_rows};
use ctl_metrics::interval::{Resampler, bootstrap, delong, paired_delong};
use ctl_metrics::rank::holm;
use ctl_metrics::{Direction, MetricError, gather};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SITES: [&str; 3] = ["aarhus", "beirut", "cusco"];
const PATIENTS_PER_SITE: usize = 60;
const IMAGES_PER_PATIENT: usize = 2;
const LEVEL: f64 = 0.95;
const RESAMPLES: usize = 1000;
const SEED: u64 = 11;

#[derive(Default)]
struct Cohort {
    sites: Vec<&'static str>,
    patients: Vec<usize>,
    labels: Vec<bool>,
    plain: Vec<f64>,
    invariant: Vec<f64>,
}

/// The plain model leans on a cue that disappears from site to site; the other does not.
fn simulate() -> Cohort {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut cohort = Cohort::default();
    for (site, &name) in SITES.iter().enumerate() {
        let cue = 1.2 - 0.5 * site as f64;
        for patient in 0..PATIENTS_PER_SITE {
            let label = patient % 3 == 0;
            let shared: f64 = rng.random_range(-1.0..1.0);
            let signal = if label { 1.0 } else { 0.0 };
            for _ in 0..IMAGES_PER_PATIENT {
                cohort.sites.push(name);
                cohort.patients.push(site * PATIENTS_PER_SITE + patient);
                cohort.labels.push(label);
                cohort
                    .plain
                    .push(cue * signal + shared + rng.random_range(-0.5..0.5));
                cohort
                    .invariant
                    .push(0.8 * signal + shared + rng.random_range(-0.5..0.5));
            }
        }
    }
    cohort
}

fn main() -> Result<(), MetricError> {
    let cohort = simulate();
    println!("site     model      AUROC  DeLong by image   bootstrap by patient");
    for (name, scores) in [("plain", &cohort.plain), ("invariant", &cohort.invariant)] {
        for (site, rows) in group_rows(&cohort.sites)? {
            print_site(site, name, &cohort, &gather(scores, &rows)?, &rows)?;
        }
        let metric = |rows: &[usize]| auroc(&gather(scores, rows)?, &gather(&cohort.labels, rows)?);
        let table = GroupTable::of(&cohort.sites, metric)?;
        let worst = table.worst(Direction::HigherIsBetter)?;
        println!(
            "  worst: {} at {:.3}, gap {:.3}\n",
            worst.group,
            worst.value,
            table.gap()?
        );
    }
    print_differences(&cohort)
}

fn print_site(
    site: &str,
    model: &str,
    cohort: &Cohort,
    scores: &[f64],
    rows: &[usize],
) -> Result<(), MetricError> {
    let labels = gather(&cohort.labels, rows)?;
    let patients = gather(&cohort.patients, rows)?;
    let by_image = delong(scores, &labels, LEVEL)?;
    let resamples = Resampler::clusters(&patients, RESAMPLES, SEED, 0)?;
    let by_patient = bootstrap(resamples, LEVEL, |drawn| {
        auroc(&gather(scores, drawn)?, &gather(&labels, drawn)?)
    })?;
    let (a, b) = (by_image.interval, by_patient.interval);
    println!(
        "{site:8} {model:10} {:.3}  [{:.3}, {:.3}]    [{:.3}, {:.3}]",
        by_image.auroc, a.lower, a.upper, b.lower, b.upper
    );
    Ok(())
}

fn print_differences(cohort: &Cohort) -> Result<(), MetricError> {
    let sites = group_rows(&cohort.sites)?;
    let mut tests = Vec::new();
    for (_, rows) in &sites {
        let (plain, invariant) = (
            gather(&cohort.plain, rows)?,
            gather(&cohort.invariant, rows)?,
        );
        let labels = gather(&cohort.labels, rows)?;
        tests.push(paired_delong(&invariant, &plain, &labels, LEVEL)?);
    }
    let p_values: Vec<f64> = tests.iter().map(|test| test.p_two_sided).collect();
    println!("invariant minus plain (paired DeLong, Holm over sites)");
    for (((site, _), test), p) in sites.iter().zip(&tests).zip(holm(&p_values)?) {
        println!("{site:8} {:+.3}  p = {p:.1e}", test.auroc_a - test.auroc_b);
    }
    Ok(())
}
