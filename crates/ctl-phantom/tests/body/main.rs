//! The simulated cohorts of `simulate`: that their causal model, shifts, references, counterfactuals
//! and files are what they are said to be.

mod advice;
mod bayes;
mod counterfactual;
mod model;
mod pixels;
mod shifts;
mod statistics;
mod write;

use ctl_phantom::{Dials, PhantomCohort, PhantomSample, PhantomSpec, SiteRole, simulate};

/// One dial, as the only one that is on.
fn only(dial: &str, strength: f64) -> Dials {
    let mut dials = Dials::default();
    let place = match dial {
        "population" => &mut dials.population,
        "prevalence" => &mut dials.prevalence,
        "acquisition" => &mut dials.acquisition,
        "annotation" => &mut dials.annotation,
        "manifestation" => &mut dials.manifestation,
        "selection" => &mut dials.selection,
        "confounding" => &mut dials.confounding,
        other => panic!("no dial {other}"),
    };
    *place = strength;
    dials
}

fn cohort(spec: &PhantomSpec) -> PhantomCohort {
    simulate(spec).expect("the specification is valid")
}

/// A small cohort in which every mechanism is moved.
fn mixed() -> PhantomCohort {
    let dials = Dials {
        population: 0.5,
        prevalence: 0.4,
        acquisition: 0.6,
        annotation: 0.3,
        manifestation: 0.5,
        selection: 0.5,
        confounding: 0.7,
    };
    cohort(&PhantomSpec {
        size: 24,
        patients_per_site: 12,
        seed: 3,
        dials,
        ..PhantomSpec::default()
    })
}

/// The samples of the first site of a role.
fn of_role(cohort: &PhantomCohort, role: SiteRole) -> &[PhantomSample] {
    let site = cohort.sites().iter().find(|site| site.role == role);
    &cohort.samples()[site.expect("every role has a site").samples.clone()]
}

fn column(cohort: &PhantomCohort, samples: &[PhantomSample], node: &str) -> Vec<f64> {
    let value = |sample| cohort.value(sample, node).expect("the node exists");
    samples.iter().map(value).collect()
}
