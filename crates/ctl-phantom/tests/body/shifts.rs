//! Every dial moves its own mechanism, and nothing is moved where all are at 0.

use ctl_graph::Mixed;
use ctl_phantom::{CausalDirection, Dials, PhantomCohort, PhantomSample, PhantomSpec, SiteRole};

use super::{cohort, column, of_role, only};
use crate::statistics::{critical, kolmogorov_smirnov, mean};

/// Each dial with a node whose law it moves.
const MOVED: [(&str, &str); 6] = [
    ("population", "age"),
    ("prevalence", "disease"),
    ("acquisition", "contrast"),
    ("annotation", "rater"),
    ("manifestation", "spread"),
    ("selection", "load"),
];

fn study(dials: Dials, direction: CausalDirection, patients_per_site: usize) -> PhantomCohort {
    cohort(&PhantomSpec {
        size: 24,
        direction,
        patients_per_site,
        source_sites: 2,
        seed: 5,
        dials,
        ..PhantomSpec::default()
    })
}

fn ends(study: &PhantomCohort) -> [&[PhantomSample]; 2] {
    [SiteRole::Source, SiteRole::Target].map(|role| of_role(study, role))
}

fn distance(study: &PhantomCohort, node: &str) -> f64 {
    let [source, target] = ends(study).map(|samples| column(study, samples, node));
    kolmogorov_smirnov(&source, &target)
}

/// Statistics of an image that a scanner, an anatomy or a lesion would move.
fn image_statistics(pixels: &[f32]) -> [f64; 3] {
    let values: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel)).collect();
    let centre = mean(&values);
    let squares: Vec<f64> = values.iter().map(|v| (v - centre).powi(2)).collect();
    let steps: Vec<f64> = values.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    [centre, mean(&squares).sqrt(), mean(&steps)]
}

/// The largest distance over the image statistics of 300 patients of either site.
fn image_distance(study: &PhantomCohort) -> f64 {
    let [source, target] = ends(study).map(|samples| {
        let of = |sample| image_statistics(&study.image_of(sample));
        samples[..300].iter().map(of).collect::<Vec<_>>()
    });
    let of = |all: &[[f64; 3]], place: usize| all.iter().map(|s| s[place]).collect::<Vec<_>>();
    let at = |place| kolmogorov_smirnov(&of(&source, place), &of(&target, place));
    (0..3).map(at).fold(0.0, f64::max)
}

#[test]
fn without_dials_source_and_target_are_one_population() {
    for direction in [CausalDirection::Causal, CausalDirection::Anticausal] {
        let study = study(Dials::default(), direction, 600);
        let diagram = study.scm().diagram();
        let names = diagram.ids().map(|id| diagram.name(id));
        for node in names.filter(|&name| name != "site") {
            let distance = distance(&study, node);
            assert!(distance < critical(600, 600, 1e-3), "{node}: {distance}");
        }
        let distance = image_distance(&study);
        assert!(distance < critical(300, 300, 1e-3), "images: {distance}");
    }
}

#[test]
fn the_difference_grows_with_the_dial() {
    let limit = critical(1500, 1500, 1e-3);
    for (dial, node) in MOVED {
        let at = |strength| {
            let study = study(only(dial, strength), CausalDirection::Anticausal, 1500);
            distance(&study, node)
        };
        let found = [0.0, 0.5, 1.0].map(at);
        assert!(found[0] < limit && found[1] > limit, "{dial}: {found:?}");
        assert!(found[2] >= found[1], "{dial}: {found:?}");
    }
}

#[test]
fn images_differ_more_with_more_of_the_acquisition_dial() {
    let at = |strength| {
        image_distance(&study(
            only("acquisition", strength),
            CausalDirection::Anticausal,
            300,
        ))
    };
    let found = [0.0, 0.1, 1.0].map(at);
    assert!(found[0] < found[1] && found[1] < found[2], "{found:?}");
}

/// A dial moves the law of its own mechanism and of what follows from it, of no other node.
#[test]
fn a_dial_moves_its_mechanism_and_descendants_only() {
    for (dial, _) in MOVED.into_iter().filter(|&(dial, _)| dial != "selection") {
        let study = study(only(dial, 1.0), CausalDirection::Anticausal, 1000);
        let (diagram, moved) = (study.scm().diagram(), study.diagram().shifted());
        let reached = diagram.descendants(&moved);
        for node in diagram.ids().filter(|&node| diagram.name(node) != "site") {
            let name = diagram.name(node);
            let distance = distance(&study, name);
            if moved.contains(node) {
                assert!(
                    distance > critical(1000, 1000, 1e-2),
                    "{dial}, {name}: {distance}"
                );
            } else if !reached.contains(node) {
                assert!(
                    distance < critical(1000, 1000, 1e-3),
                    "{dial}, {name}: {distance}"
                );
            }
        }
    }
}

/// The prevalence dial leaves P(image | disease): with the disease set, sites do not differ.
#[test]
fn prevalence_leaves_what_the_disease_looks_like() {
    let study = study(only("prevalence", 1.0), CausalDirection::Anticausal, 1500);
    let [source, target] = ends(&study).map(|samples| {
        let twin = |sample| study.counterfactual_of(sample, &[("disease", 1.0)]);
        let twins: Result<Vec<_>, _> = samples.iter().map(twin).collect();
        twins.expect("the intervention is valid")
    });
    for node in ["load", "spread", "ventricles", "noise"] {
        let [a, b] = [&source, &target].map(|samples| column(&study, samples, node));
        let distance = kolmogorov_smirnov(&a, &b);
        assert!(distance < critical(1500, 1500, 1e-3), "{node}: {distance}");
    }
    let [_, target] = ends(&study).map(|s| mean(&column(&study, s, "disease")));
    assert!((target - 0.1).abs() < 0.03, "{target}");
}
