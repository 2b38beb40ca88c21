//! What the advice says of a cohort's own diagram is what the plain templates of its shift say.

use ctl_graph::DiagramFile;
use ctl_graph::advice::{Advice, Verdict, advise};
use ctl_phantom::CausalDirection::{Anticausal, Causal};
use ctl_phantom::{CausalDirection, Dials, PhantomSpec};

use super::{cohort, only};

fn advice(dials: Dials, direction: CausalDirection) -> Advice {
    let cohort = cohort(&PhantomSpec {
        direction,
        patients_per_site: 1,
        source_sites: 2,
        dials,
        ..PhantomSpec::default()
    });
    // The way of `ctl advise`: over the text.
    let file = DiagramFile::parse(&cohort.diagram().to_toml()).expect("it reads back");
    assert_eq!(&file, cohort.diagram());
    advise(&file).expect("there is advice")
}

#[track_caller]
fn assert_verdicts(advice: &Advice, licensed: &[&str], refused: &[&str]) {
    for (ids, verdict) in [
        (licensed, Verdict::Licensed),
        (refused, Verdict::NotLicensed),
    ] {
        for id in ids {
            let remedy = advice.remedy(id).expect("the remedy is known");
            assert_eq!(remedy.verdict, verdict, "{remedy}");
        }
    }
}

const EXCHANGING: [&str; 3] = [
    "acquisition-randomisation",
    "counterfactual-augmentation",
    "harmonisation",
];
/// Weak enough that the target's images do not lie outside the sources' support.
const NEAR: f64 = 0.1;

#[test]
fn causal_population() {
    let advice = advice(only("population", 1.0), Causal);
    assert_eq!(advice.is_invariant("label", &["image"]), Some(true));
    assert_eq!(advice.is_invariant("image", &[]), Some(false));
    assert_verdicts(
        &advice,
        &["plain-training", "density-ratio-weighting"],
        &["label-shift-correction", "marginal-alignment"],
    );
}

#[test]
fn causal_acquisition() {
    let far = advice(only("acquisition", 1.0), Causal);
    assert_eq!(far.is_invariant("load", &[]), Some(true));
    assert_verdicts(
        &far,
        &EXCHANGING,
        &["density-ratio-weighting", "plain-training"],
    );
    let near = advice(only("acquisition", NEAR), Causal);
    assert_eq!(near.is_invariant("label", &["image"]), Some(true));
    assert_verdicts(&near, &EXCHANGING, &[]);
}

#[test]
fn causal_annotation() {
    let advice = advice(only("annotation", 1.0), Causal);
    assert_eq!(advice.is_invariant("image", &[]), Some(true));
    assert_eq!(advice.is_invariant("label", &["image"]), Some(false));
    let unsupervised = [
        "plain-training",
        "density-ratio-weighting",
        "label-shift-correction",
        "marginal-alignment",
        "conditional-alignment",
        "test-time-adaptation",
        "invariance",
    ];
    assert_verdicts(&advice, &["target-labels"], &unsupervised);
}

#[test]
fn anticausal_prevalence() {
    let advice = advice(only("prevalence", 1.0), Anticausal);
    assert_eq!(advice.is_invariant("image", &["disease"]), Some(true));
    assert_verdicts(
        &advice,
        &["label-shift-correction", "conditional-alignment"],
        &["marginal-alignment", "plain-training"],
    );
}

#[test]
fn anticausal_manifestation() {
    let advice = advice(only("manifestation", 1.0), Anticausal);
    assert_eq!(advice.is_invariant("disease", &[]), Some(true));
    assert_eq!(
        advice.is_invariant("load", &["severity", "age"]),
        Some(true)
    );
    assert_eq!(advice.is_invariant("image", &["disease"]), Some(false));
    assert_verdicts(
        &advice,
        &["mechanism-reuse"],
        &["label-shift-correction", "marginal-alignment"],
    );
}

#[test]
fn anticausal_acquisition() {
    let plain = advice(only("acquisition", NEAR), Anticausal);
    assert_eq!(plain.is_invariant("disease", &[]), Some(true));
    assert_verdicts(&plain, &EXCHANGING, &[]);
    assert_verdicts(
        &plain,
        &["conditional-alignment", "marginal-alignment"],
        &[],
    );
    let both = Dials {
        prevalence: 1.0,
        ..only("acquisition", NEAR)
    };
    assert_verdicts(&advice(both, Anticausal), &[], &["marginal-alignment"]);
}

/// A site ties its scanner to how often it sees the disease: what the scanner adds to the image can
/// be cut, and no rule from image to label is the same at all sites, because the base rate is not.
#[test]
fn confounded_in_both_directions() {
    for direction in [Causal, Anticausal] {
        let advice = advice(only("confounding", 1.0), direction);
        assert!(advice.confounded_by.contains(&"unit".to_owned()));
        let licensed = [
            "site-back-door-weighting",
            "counterfactual-augmentation",
            "acquisition-randomisation",
        ];
        let refused = ["plain-training", "marginal-alignment", "invariance"];
        assert_verdicts(&advice, &licensed, &refused);
        let given_label = ["conditional-alignment", "label-shift-correction"];
        match direction {
            Causal => assert_verdicts(&advice, &[], &given_label),
            Anticausal => assert_verdicts(&advice, &given_label, &[]),
        }
    }
}

#[test]
fn masks_are_drawn_from_the_image_in_either_direction() {
    let cohort = cohort(&PhantomSpec {
        patients_per_site: 1,
        dials: only("annotation", 1.0),
        ..PhantomSpec::default()
    });
    let file = cohort.mask_diagram().expect("there is a mask");
    assert_eq!(file.causal_direction(), Some(Causal));
    let advice = advise(&file).expect("there is advice");
    assert_verdicts(
        &advice,
        &["target-labels"],
        &["plain-training", "marginal-alignment"],
    );
}
