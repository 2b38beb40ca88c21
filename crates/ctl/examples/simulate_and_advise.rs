//! A study in which site, disease and scanner go together: what the diagram advises, and what the
//! tie does to the images.
//!
//! Run with `cargo run -p ctl --example simulate_and_advise`.

use std::io::Write;

use ctl::graph::advice::advise;
use ctl::metrics::discrimination::auroc;
use ctl::phantom::{Anatomy, Dials, PhantomSpec, SiteRole, simulate};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = PhantomSpec {
        anatomy: Anatomy::Chest,
        size: 32,
        patients_per_site: 200,
        dials: Dials {
            confounding: 1.0,
            ..Dials::default()
        },
        ..PhantomSpec::default()
    };
    let cohort = simulate(&spec)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", advise(cohort.diagram())?)?;
    for role in [SiteRole::Source, SiteRole::Target] {
        let (mut brightness, mut diseased) = (Vec::new(), Vec::new());
        for (index, sample) in cohort.samples().iter().enumerate() {
            if cohort.sites()[sample.site].role == role {
                let image = cohort.image(index);
                let sum: f64 = image.iter().map(|&v| f64::from(v)).sum();
                brightness.push(sum / image.len() as f64);
                diseased.push(sample.label == 1);
            }
        }
        let area = auroc(&brightness, &diseased)?;
        writeln!(out, "AUROC of mean brightness alone, {role:?}: {area:.3}")?;
    }
    Ok(())
}
