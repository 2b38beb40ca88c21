//! The structural model: what an intervention reaches, and that a seed fixes everything.

use ctl_graph::model::Intervention;
use ctl_graph::{Mixed, NodeSet};
use ctl_phantom::{CausalDirection, PhantomError, PhantomSample, PhantomSpec, SiteRole, simulate};

use super::{cohort, column, mixed, of_role, only};
use crate::statistics::{critical, kolmogorov_smirnov, mean};

/// With fresh noises in the other world, only descendants of the node change their law.
#[test]
fn intervening_changes_the_statistics_of_descendants_only() {
    let cohort = mixed();
    let scm = cohort.scm();
    let rows = 1500;
    let before = scm.sample(rows, 1).expect("the model can be sampled");
    let acts = [
        ("age", 90.0),
        ("disease", 1.0),
        ("unit", 1.0),
        ("rater", 2.0),
        ("cortex", 1.0),
    ];
    for (name, value) in acts {
        let node = scm.diagram().node(name).expect("the node exists");
        let other_world = scm
            .intervene(&[(node, Intervention::Set(value))])
            .expect("it can be set");
        let after = other_world.sample(rows, 2).expect("it can be sampled");
        let reached = scm.diagram().descendants(&NodeSet::single(node));
        for other in scm.diagram().ids() {
            let distance = kolmogorov_smirnov(before.column(other), after.column(other));
            let is_far = distance > critical(rows, rows, 1e-4);
            if other == node || !reached.contains(other) {
                let subject = scm.diagram().name(other);
                assert_eq!(is_far, other == node, "do({name}), {subject}: {distance}");
            }
        }
    }
}

#[test]
fn age_sex_and_disease_do_what_they_are_said_to() {
    let cohort = cohort(&PhantomSpec {
        patients_per_site: 800,
        source_sites: 1,
        ..PhantomSpec::default()
    });
    let samples = of_role(&cohort, SiteRole::Source);
    let under = |node: &str, value: f64, seen: &str| {
        let twin = |sample| cohort.counterfactual_of(sample, &[(node, value)]);
        let twins: Result<Vec<_>, _> = samples.iter().map(twin).collect();
        mean(&column(&cohort, &twins.expect("it is valid"), seen))
    };
    let effect = |node, [to, from]: [f64; 2], seen| under(node, to, seen) - under(node, from, seen);
    assert!((effect("age", [80.0, 60.0], "ventricles") - 0.34).abs() < 1e-9);
    assert!((effect("age", [80.0, 60.0], "cortex") + 0.26).abs() < 1e-9);
    assert!((effect("sex", [1.0, 0.0], "head") - 0.045).abs() < 1e-9);
    // The mean of 2.6 + 0.5 u over 800 patients: a standard error of 0.018.
    assert!((effect("disease", [1.0, 0.0], "load") - 2.6).abs() < 0.08);
}

#[test]
fn one_thread_and_two_give_the_same_bytes() {
    let spec = PhantomSpec {
        size: 24,
        patients_per_site: 20,
        seed: 9,
        dials: only("selection", 1.0),
        ..PhantomSpec::default()
    };
    let under = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(|| {
            let cohort = cohort(&spec);
            let bits = |index| cohort.image(index).into_iter().map(f32::to_bits).collect();
            let images: Vec<Vec<u32>> = (0..6).map(bits).collect();
            (cohort.samples().to_vec(), images)
        })
    };
    assert_eq!(under(1), under(2));
}

#[test]
fn more_patients_leave_the_first_ones_and_another_seed_does_not() {
    let values = |patients_per_site, seed| {
        let cohort = cohort(&PhantomSpec {
            patients_per_site,
            seed,
            ..PhantomSpec::default()
        });
        let first = cohort.samples()[..5]
            .iter()
            .map(|sample| sample.noises[1..].to_vec());
        first.collect::<Vec<_>>()
    };
    assert_eq!(values(5, 0), values(9, 0));
    assert_ne!(values(5, 0), values(5, 1));
}

#[test]
fn the_reference_without_confounding_has_the_sources_patients_and_no_tie() {
    let cohort = cohort(&PhantomSpec {
        patients_per_site: 600,
        source_sites: 2,
        dials: only("confounding", 1.0),
        ..PhantomSpec::default()
    });
    let shares = |site: usize| {
        let samples = &cohort.samples()[cohort.sites()[site].samples.clone()];
        ["unit", "disease"].map(|node| mean(&column(&cohort, samples, node)))
    };
    let (first, second) = (shares(0), shares(1));
    assert!(first[0] > 0.9 && first[1] > 0.75, "{first:?}");
    assert!(second[0] < 0.1 && second[1] < 0.25, "{second:?}");
    for cut in [4, 5] {
        let shares = shares(cut);
        assert!(
            shares.iter().all(|share| (share - 0.5).abs() < 0.08),
            "{shares:?}"
        );
    }
    let first_of = |site: usize| &cohort.samples()[cohort.sites()[site].samples.start];
    assert_eq!(first_of(0).patient, first_of(4).patient);
    assert_eq!(first_of(0).attributes[0], first_of(4).attributes[0]);
}

#[test]
fn the_target_reverses_the_tie_of_scanner_and_label() {
    for direction in [CausalDirection::Anticausal, CausalDirection::Causal] {
        let cohort = cohort(&PhantomSpec {
            direction,
            patients_per_site: 1500,
            source_sites: 2,
            dials: only("confounding", 1.0),
            ..PhantomSpec::default()
        });
        let product = |sample: &PhantomSample| {
            let unit = cohort.value(sample, "unit").expect("the node exists");
            (2.0 * unit - 1.0) * (2.0 * sample.label as f64 - 1.0)
        };
        let tie =
            |samples: &[PhantomSample]| mean(&samples.iter().map(product).collect::<Vec<_>>());
        let target = of_role(&cohort, SiteRole::Target);
        let (together, apart) = (tie(&cohort.samples()[..3000]), tie(target));
        assert!(
            together > 0.2 && apart < -0.2,
            "{direction:?}: {together}, {apart}"
        );
        let labels = mean(&target.iter().map(|s| s.label as f64).collect::<Vec<_>>());
        assert!((labels - 0.5).abs() < 0.06, "{direction:?}: {labels}");
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    type Change = fn(&mut PhantomSpec);
    let cases: [(&str, Change); 3] = [
        ("annotation", |spec| spec.dials.annotation = 2.0),
        ("patients_per_site", |spec| spec.patients_per_site = 0),
        ("size", |spec| spec.size = 5),
    ];
    for (expected, change) in cases {
        let mut spec = PhantomSpec::default();
        change(&mut spec);
        match simulate(&spec) {
            Err(PhantomError::InvalidSetting { key, .. }) => assert_eq!(key, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
