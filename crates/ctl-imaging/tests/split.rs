//! The laws of patient-wise splits.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop the test")]

use ctl_imaging::{ImagingError, split_patients};
use proptest::prelude::*;
use rstest::rstest;
use std::collections::BTreeMap;

#[rstest]
#[case::none(&[])]
#[case::too_little(&[0.5, 0.4])]
#[case::too_much(&[0.5, 0.6])]
#[case::negative(&[1.5, -0.5])]
#[case::nan(&[f64::NAN, 1.0])]
fn ill_fractions_are_refused(#[case] fractions: &[f64]) {
    let error = split_patients(&["p"], fractions, 0, None).unwrap_err();
    assert!(
        matches!(
            error,
            ImagingError::Argument {
                subject: "split fractions",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn classes_must_match_samples() {
    assert!(split_patients(&["a", "b"], &[1.0], 0, Some(&[0])).is_err());
}

#[test]
fn nobody_is_divided_into_nothing() {
    assert_eq!(
        split_patients(&[], &[0.5, 0.5], 0, None).unwrap(),
        Vec::<usize>::new()
    );
}

/// The parts of the first release: a change here changes every published split.
#[test]
fn a_seed_means_the_same_split_for_ever() {
    let patients: Vec<String> = (0..12).map(|patient| format!("p{patient:02}")).collect();
    let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
    let parts = split_patients(&patients, &[0.5, 0.25, 0.25], 42, None).unwrap();
    assert_eq!(parts, FIRST_RELEASE);
    let others = split_patients(&patients, &[0.5, 0.25, 0.25], 43, None).unwrap();
    assert_ne!(parts, others);
}

/// Computed by `golden/make_split.py`.
const FIRST_RELEASE: [usize; 12] = [0, 2, 1, 0, 1, 0, 2, 0, 1, 0, 0, 2];

#[test]
fn every_class_is_divided_by_the_fractions() {
    let patients: Vec<String> = (0..1000).map(|patient| patient.to_string()).collect();
    let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
    let classes: Vec<usize> = (0..1000)
        .map(|patient| usize::from(patient % 10 == 0))
        .collect();
    let parts = split_patients(&patients, &[0.7, 0.1, 0.2], 5, Some(&classes)).unwrap();
    for (class, count) in [(0, 900.0), (1, 100.0)] {
        for (part, fraction) in [(0, 0.7), (1, 0.1), (2, 0.2)] {
            let found = (0..1000)
                .filter(|&i| classes[i] == class && parts[i] == part)
                .count();
            let wanted = count * fraction;
            assert!(
                (found as f64 - wanted).abs() <= 2.0,
                "class {class} part {part}: {found}"
            );
        }
    }
}

/// Samples with patients and classes, in any order.
fn samples() -> impl Strategy<Value = Vec<(String, usize)>> {
    prop::collection::vec(("[a-f]{1,2}", 0_usize..3), 0..60)
}

fn split(samples: &[(String, usize)], seed: u64) -> Vec<usize> {
    let patients: Vec<&str> = samples
        .iter()
        .map(|(patient, _)| patient.as_str())
        .collect();
    let classes: Vec<usize> = samples.iter().map(|&(_, class)| class).collect();
    split_patients(&patients, &[0.6, 0.2, 0.2], seed, Some(&classes)).unwrap()
}

proptest! {
    #[test]
    fn patients_stay_together(samples in samples(), seed: u64) {
        let mut part_of = BTreeMap::new();
        for ((patient, _), part) in samples.iter().zip(split(&samples, seed)) {
            prop_assert_eq!(*part_of.entry(patient).or_insert(part), part);
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter(samples in samples(), seed: u64) {
        let mut reversed = samples.clone();
        reversed.reverse();
        let mut parts = split(&reversed, seed);
        parts.reverse();
        prop_assert_eq!(parts, split(&samples, seed));
    }

    #[test]
    fn numbers_of_patients_follow_the_fractions(count in 1_usize..200, seed: u64, first in 0.0_f64..=1.0) {
        let patients: Vec<String> = (0..count).map(|patient| patient.to_string()).collect();
        let patients: Vec<&str> = patients.iter().map(String::as_str).collect();
        let parts = split_patients(&patients, &[first, 1.0 - first], seed, None).unwrap();
        let found = parts.iter().filter(|&&part| part == 0).count() as f64;
        prop_assert!((found - first * count as f64).abs() <= 1.0);
    }
}
