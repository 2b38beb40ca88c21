//! Counterfactuals change what they should and nothing else.

#![expect(clippy::float_cmp, reason = "counterfactuals are exact, to the bit")]

use ctl_phantom::{
    ChestAcquisition, ChestCohort, ChestIntervention, ChestSpec, PhantomError, simulate_chest,
};
use proptest::prelude::*;

/// No blur and no noise: pixels change where the patient does.
const CLEAN: ChestAcquisition = ChestAcquisition {
    noise_sd: 0.0,
    blur_sigma: 0.0,
    ..ChestAcquisition::NEUTRAL
};

fn cohort(size: usize) -> ChestCohort {
    let spec = ChestSpec {
        size,
        images_per_site: 10,
        seed: 21,
        confounding: 0.6,
        acquisition: 0.5,
        prevalence: 0.2,
        ..ChestSpec::default()
    };
    simulate_chest(&spec).expect("the specification is valid")
}

#[test]
fn the_empty_intervention_gives_the_same_bytes() {
    let cohort = cohort(24);
    for (index, sample) in cohort.samples.iter().enumerate() {
        let same = cohort.counterfactual(index, &ChestIntervention::default());
        assert_eq!(&same.expect("the sample exists"), sample);
    }
}

#[test]
fn setting_what_is_so_anyway_changes_nothing() {
    let cohort = cohort(24);
    for (index, sample) in cohort.samples.iter().enumerate() {
        let act = ChestIntervention {
            site: Some(sample.site),
            acquisition: Some(sample.site),
            age: Some(sample.attributes.age),
            sex: Some(sample.attributes.sex),
            disease: Some(sample.label),
            tube: Some(sample.acquisition.tube),
            marker: Some(sample.acquisition.marker),
        };
        assert_eq!(
            &cohort.counterfactual(index, &act).expect("it is valid"),
            sample
        );
    }
}

#[test]
fn a_tube_changes_only_pixels_near_itself() {
    let cohort = cohort(64);
    for index in 0..cohort.samples.len() {
        let with = ChestAcquisition {
            tube: true,
            ..CLEAN
        };
        let bare = cohort.retake(index, &CLEAN).expect("it is valid");
        let drawn = cohort.retake(index, &with).expect("it is valid");
        let tube: Vec<bool> = bare.iter().zip(&drawn).map(|(a, b)| a != b).collect();
        let share = tube.iter().filter(|&&changed| changed).count() as f64 / 4096.0;
        assert!(
            (0.01..0.12).contains(&share),
            "the tube covers {share} of the film"
        );
        assert!(
            bare.iter().zip(&drawn).all(|(a, b)| b >= a),
            "metal is never darker"
        );

        let film = |tube: bool| {
            let act = ChestIntervention {
                tube: Some(tube),
                ..ChestIntervention::default()
            };
            cohort.counterfactual(index, &act).expect("it is valid")
        };
        let (without, with) = (film(false), film(true));
        let blur_pixels = without.acquisition.blur_sigma / 100.0 * 64.0;
        let reach = (3.0 * blur_pixels).ceil() as usize;
        for (pixel, (a, b)) in without.image.iter().zip(&with.image).enumerate() {
            assert!(
                a == b || near(&tube, 64, pixel, reach),
                "pixel {pixel} of {index}"
            );
        }
    }
}

/// Whether `mask` holds within a square of `reach` around a pixel.
fn near(mask: &[bool], size: usize, pixel: usize, reach: usize) -> bool {
    let (row, column) = (pixel / size, pixel % size);
    let window = |centre: usize| centre.saturating_sub(reach)..(centre + reach + 1).min(size);
    window(row).any(|row| window(column).any(|column| mask[row * size + column]))
}

#[test]
fn the_disease_changes_only_the_lungs_and_only_towards_white() {
    let cohort = cohort(64);
    for index in 0..cohort.samples.len() {
        let lungs = cohort.lung_field(index).expect("the sample exists");
        let film = |disease: bool| {
            let act = ChestIntervention {
                disease: Some(disease),
                ..ChestIntervention::default()
            };
            let twin = cohort.counterfactual(index, &act).expect("it is valid");
            let alone = ChestCohort {
                samples: vec![twin],
                ..cohort.clone()
            };
            alone.retake(0, &CLEAN).expect("it is valid")
        };
        let (healthy, diseased) = (film(false), film(true));
        assert_ne!(healthy, diseased);
        for ((a, b), lung) in healthy.iter().zip(&diseased).zip(lungs) {
            assert!(b >= a);
            assert!(a == b || lung > 0.0);
        }
    }
}

#[test]
fn what_does_not_descend_from_the_intervention_stays() {
    let cohort = cohort(24);
    let target = cohort.target();
    for (index, sample) in cohort.samples.iter().enumerate() {
        let twin = |act: ChestIntervention| cohort.counterfactual(index, &act).expect("valid");
        let none = ChestIntervention::default;

        let scanner = twin(ChestIntervention {
            acquisition: Some(target),
            ..none()
        });
        assert_eq!((scanner.site, scanner.label), (sample.site, sample.label));
        assert_eq!(scanner.acquisition.tube, sample.acquisition.tube);
        assert_eq!(scanner.anatomy, sample.anatomy);
        assert_eq!(scanner.image == sample.image, sample.site == target);

        let older = twin(ChestIntervention {
            age: Some(90.0),
            ..none()
        });
        assert_eq!(older.attributes.sex, sample.attributes.sex);
        assert_eq!(older.acquisition.gain, sample.acquisition.gain);
        // The disease follows age, in one direction only.
        assert!(older.label >= sample.label);

        let moved = twin(ChestIntervention {
            site: Some(target),
            ..none()
        });
        assert_eq!((moved.site, &moved.patient), (target, &sample.patient));
        assert_eq!(moved.noise, sample.noise);
    }
}

#[test]
fn without_shortcut_sees_neither_site_nor_tube() {
    let cohort = cohort(32);
    for (index, sample) in cohort.samples.iter().enumerate() {
        let plain = cohort.without_shortcut(index);
        for site in 0..cohort.sites.len() {
            let act = ChestIntervention {
                acquisition: Some(site),
                disease: Some(sample.label),
                tube: Some(true),
                marker: Some(true),
                ..ChestIntervention::default()
            };
            let twin = cohort.counterfactual(index, &act).expect("it is valid");
            assert_ne!(twin.image, plain);
            let alone = ChestCohort {
                samples: vec![twin],
                ..cohort.clone()
            };
            assert_eq!(alone.without_shortcut(0), plain);
        }
    }
}

#[test]
fn refuses_what_does_not_exist() {
    let cohort = cohort(16);
    let none = ChestIntervention::default;
    assert!(matches!(
        cohort.counterfactual(40, &none()),
        Err(PhantomError::NoSuchSample {
            index: 40,
            count: 40
        })
    ));
    let elsewhere = [
        ChestIntervention {
            site: Some(4),
            ..none()
        },
        ChestIntervention {
            acquisition: Some(4),
            ..none()
        },
    ];
    for act in elsewhere {
        let refused = cohort.counterfactual(0, &act);
        assert!(matches!(
            refused,
            Err(PhantomError::NoSuchSite { site: 4, count: 4 })
        ));
    }
    for age in [17.9, 95.1, f64::NAN] {
        let refused = cohort.counterfactual(
            0,
            &ChestIntervention {
                age: Some(age),
                ..none()
            },
        );
        assert!(matches!(
            refused,
            Err(PhantomError::InvalidSetting { key: "age", .. })
        ));
    }
    let blurred = ChestAcquisition {
        blur_sigma: f64::NAN,
        ..ChestAcquisition::NEUTRAL
    };
    let refused = cohort.retake(0, &blurred);
    assert!(matches!(
        refused,
        Err(PhantomError::InvalidSetting {
            key: "blur_sigma",
            ..
        })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Acting twice, the second time to restore what was, is not acting: counterfactuals compose.
    #[test]
    fn interventions_are_undone_by_restoring(
        index in 0_usize..8,
        age in 18.0_f64..95.0,
        disease: bool,
        tube: bool,
        confounding in 0.0_f64..=1.0,
        acquisition in 0.0_f64..=1.0,
    ) {
        let spec = ChestSpec {
            size: 16,
            images_per_site: 4,
            source_sites: 1,
            confounding,
            acquisition,
            ..ChestSpec::default()
        };
        let cohort = simulate_chest(&spec).expect("the specification is valid");
        let act = ChestIntervention {
            age: Some(age),
            disease: Some(disease),
            tube: Some(tube),
            ..ChestIntervention::default()
        };
        let twin = cohort.counterfactual(index, &act).expect("it is valid");
        prop_assert_eq!(twin.attributes.age, age);
        prop_assert_eq!(twin.label, disease);
        prop_assert_eq!(twin.label, twin.severity > 0.0);
        prop_assert_eq!(twin.acquisition.tube, tube);
        let mut changed = cohort.clone();
        changed.samples[index] = twin;
        let back = changed.counterfactual(index, &ChestIntervention::default());
        prop_assert_eq!(&back.expect("it is valid"), &cohort.samples[index]);
    }
}
