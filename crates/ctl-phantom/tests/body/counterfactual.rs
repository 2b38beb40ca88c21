//! Counterfactuals: exact, consistent between worlds, and confined to descendants.

use ctl_graph::{Mixed, NodeSet};
use ctl_phantom::PhantomError;
use proptest::prelude::*;

use super::mixed;

const SETTABLE: [(&str, f64, f64); 9] = [
    ("age", 20.0, 94.0),
    ("load", -2.0, 5.0),
    ("severity", 0.0, 4.0),
    ("ventricles", 0.5, 2.0),
    ("cortex", 1.5, 4.0),
    ("contrast", 0.0, 1.0),
    ("noise", 0.01, 0.1),
    ("rater", -1.0, 1.0),
    ("lab", -2.0, 3.0),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Composition: setting a node besides to what it becomes anyway changes nothing.
    #[test]
    fn composition(
        index in 0_usize..60,
        first in 0_usize..SETTABLE.len(),
        second in 0_usize..SETTABLE.len(),
        share in 0.0_f64..1.0,
    ) {
        prop_assume!(first != second);
        let cohort = mixed();
        let (name, low, high) = SETTABLE[first];
        let act = (name, low + share * (high - low));
        let twin = cohort.counterfactual(index, &[act]).expect("it is valid");
        let other = SETTABLE[second].0;
        let anyway = cohort.value(&twin, other).expect("the node exists");
        let both = cohort.counterfactual(index, &[act, (other, anyway)]).expect("it is valid");
        prop_assert_eq!(twin, both);
    }

    /// What does not descend from the node stays to the last bit, and so do the noises.
    #[test]
    fn only_descendants_move(index in 0_usize..60, place in 0_usize..SETTABLE.len()) {
        let cohort = mixed();
        let (name, low, high) = SETTABLE[place];
        let act = (name, f64::midpoint(low, high));
        let twin = cohort.counterfactual(index, &[act]).expect("it is valid");
        let sample = &cohort.samples()[index];
        let diagram = cohort.scm().diagram();
        let node = diagram.node(name).expect("the node exists");
        let reached = diagram.descendants(&NodeSet::single(node));
        for other in diagram.ids().filter(|&other| !reached.contains(other)) {
            let (was, is) = (sample.values[other.index()], twin.values[other.index()]);
            prop_assert_eq!(was.to_bits(), is.to_bits(), "{}", diagram.name(other));
        }
        prop_assert_eq!(&twin.noises, &sample.noises);
    }

    /// Consistency of two worlds: back from the other world is the world that was.
    #[test]
    fn there_and_back(index in 0_usize..60, place in 0_usize..SETTABLE.len()) {
        let cohort = mixed();
        let sample = &cohort.samples()[index];
        let (name, low, _) = SETTABLE[place];
        let there = cohort.counterfactual(index, &[(name, low)]).expect("it is valid");
        let back = cohort.counterfactual_of(&there, &[]).expect("it is valid");
        prop_assert_eq!(&back, sample);
        let was = cohort.value(sample, name).expect("the node exists");
        let same = cohort.counterfactual(index, &[(name, was)]).expect("it is valid");
        prop_assert_eq!(cohort.image_of(&same), cohort.image(index));
        prop_assert_eq!(&same, sample);
    }
}

#[test]
fn images_change_where_the_intervention_acts() {
    let cohort = mixed();
    let has_lesion = |sample| cohort.true_mask_of(sample).contains(&1);
    let sick = cohort.samples().iter().position(has_lesion);
    let index = sick.expect("somebody has a lesion");
    let twin = cohort
        .counterfactual(index, &[("contrast", 0.9)])
        .expect("it is valid");
    assert_eq!(cohort.mask_of(&twin), cohort.mask(index));
    assert_ne!(cohort.image_of(&twin), cohort.image(index));
    let bare = cohort
        .counterfactual(index, &[("load", -4.0)])
        .expect("it is valid");
    assert!(!cohort.true_mask_of(&bare).contains(&1));
    let (with, without) = (
        cohort.reference_image(index),
        cohort.reference_image_of(&bare),
    );
    let mask = cohort.true_mask(index);
    let change = |inside: u8| {
        let pairs = with.iter().zip(&without).zip(&mask);
        let of: Vec<f32> = pairs
            .filter(|(_, pixel)| **pixel == inside)
            .map(|((a, b), _)| (a - b).abs())
            .collect();
        of.iter().sum::<f32>() / of.len() as f32
    };
    assert!(
        change(1) > 4.0 * change(0),
        "{} and {}",
        change(1),
        change(0)
    );
}

#[test]
fn refuses_what_does_not_exist() {
    let cohort = mixed();
    let count = cohort.samples().len();
    assert!(matches!(
        cohort.counterfactual(count, &[]),
        Err(PhantomError::NoSuchSample { index, .. }) if index == count
    ));
    let fault = |name, value| {
        let refused = cohort.counterfactual(0, &[(name, value)]);
        refused.map(|_| ()).map_err(|error| error.to_string())
    };
    let text = fault("sccanner", 1.0).expect_err("there is no such node");
    assert!(
        text.starts_with("node `sccanner` does not exist, the model has site, age"),
        "{text}"
    );
    assert_eq!(
        fault("disease", 0.5),
        Err("node `disease` cannot be 0.5, allowed is 0 or 1".to_owned())
    );
    for (name, value) in [("site", 8.0), ("age", 12.0), ("load", f64::NAN)] {
        assert!(fault(name, value).is_err(), "{name}");
    }
}
