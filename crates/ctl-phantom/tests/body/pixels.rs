//! Images and masks: their ranges, what their variants share, and what raters do.

use ctl_phantom::{Dials, MrContrast, PhantomSpec, SiteRole};

use super::{cohort, of_role, only};

#[test]
fn pixels_are_between_0_and_1_at_the_ends_of_every_range() {
    let all = Dials {
        population: 1.0,
        prevalence: 1.0,
        acquisition: 1.0,
        annotation: 1.0,
        manifestation: 1.0,
        selection: 1.0,
        confounding: 1.0,
    };
    let cases = [
        (16, Some(MrContrast::T1)),
        (33, None),
        (128, Some(MrContrast::T2)),
    ];
    for (size, contrast) in cases {
        let cohort = cohort(&PhantomSpec {
            size,
            contrast,
            patients_per_site: 3,
            severity: 6.0,
            dials: all,
            ..PhantomSpec::default()
        });
        for index in 0..cohort.samples().len() {
            let images = [
                cohort.image(index),
                cohort.reference_image(index),
                cohort.oracle_image(index),
            ];
            for image in images {
                assert_eq!(image.len(), size * size);
                assert!(image.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
                assert!(image.iter().sum::<f32>() > 0.02 * image.len() as f32);
            }
            assert!(cohort.mask(index).iter().all(|&pixel| pixel <= 1));
        }
    }
}

#[test]
fn the_oracle_image_does_not_depend_on_acquisition() {
    let cohort = cohort(&PhantomSpec {
        size: 32,
        patients_per_site: 6,
        dials: only("acquisition", 1.0),
        ..PhantomSpec::default()
    });
    let acts = [
        ("unit", 1.0),
        ("contrast", 1.2),
        ("noise", 0.15),
        ("site", 3.0),
    ];
    for index in 0..8 {
        let twin = cohort.counterfactual(index, &acts).expect("it is valid");
        assert_ne!(cohort.image_of(&twin), cohort.image(index));
        assert_eq!(cohort.oracle_image_of(&twin), cohort.oracle_image(index));
    }
}

#[test]
fn the_reference_has_neither_noise_nor_motion() {
    let cohort = cohort(&PhantomSpec {
        size: 48,
        patients_per_site: 4,
        ..PhantomSpec::default()
    });
    let apart = |noise: f64, motion: f64| {
        let twin = cohort.counterfactual(0, &[("noise", noise), ("motion", motion)]);
        let twin = twin.expect("it is valid");
        let (image, ideal) = (cohort.image_of(&twin), cohort.reference_image_of(&twin));
        assert_eq!(ideal, cohort.reference_image(0));
        let squares = image.iter().zip(&ideal).map(|(a, b)| (a - b).powi(2));
        (squares.sum::<f32>() / image.len() as f32).sqrt()
    };
    assert!(apart(0.0, 0.0) < 1e-6);
    assert!(apart(0.08, 0.0) > 2.0 * apart(0.02, 0.0));
    assert!(apart(0.0, 0.3) > 0.02);
}

#[test]
fn annotation_changes_masks_and_labels_and_no_pixel() {
    let [plain, moved] = [0.0, 1.0].map(|strength| {
        cohort(&PhantomSpec {
            size: 48,
            patients_per_site: 60,
            source_sites: 1,
            dials: only("annotation", strength),
            ..PhantomSpec::default()
        })
    });
    let area = |mask: Vec<u8>| mask.iter().map(|&pixel| usize::from(pixel)).sum::<usize>();
    let (mut drawn, mut lesions, mut relabelled) = (0, 0, 0);
    let pairs = of_role(&plain, SiteRole::Target)
        .iter()
        .zip(of_role(&moved, SiteRole::Target));
    for (before, after) in pairs {
        assert_eq!(plain.image_of(before), moved.image_of(after));
        assert_eq!(plain.true_mask_of(before), moved.true_mask_of(after));
        relabelled += usize::from(before.label != after.label);
        lesions += area(plain.mask_of(before));
        drawn += area(moved.mask_of(after));
    }
    assert!(drawn as f64 > 1.3 * lesions as f64, "{drawn} for {lesions}");
    // Of 30 healthy about 35 %, of 30 diseased about 10 %.
    assert!((5..30).contains(&relabelled), "{relabelled}");
}

#[test]
fn lesions_go_with_the_disease() {
    let cohort = cohort(&PhantomSpec {
        patients_per_site: 150,
        source_sites: 1,
        ..PhantomSpec::default()
    });
    let share = |label: usize| {
        let of = of_role(&cohort, SiteRole::Source)
            .iter()
            .filter(|s| s.label == label);
        let with: Vec<bool> = of.map(|s| cohort.true_mask_of(s).contains(&1)).collect();
        with.iter().filter(|&&has| has).count() as f64 / with.len() as f64
    };
    assert!(
        share(1) > 0.9 && share(0) < 0.5,
        "{} and {}",
        share(1),
        share(0)
    );
}

#[test]
fn a_volume_is_a_stack_whose_slices_follow_each_other() {
    let cohort = cohort(&PhantomSpec {
        size: 32,
        patients_per_site: 2,
        ..PhantomSpec::default()
    });
    let volume = cohort.volume(0, 9).expect("a head has depth");
    assert_eq!(volume.len(), 9 * 32 * 32);
    let slice = |place: usize| &volume[place * 1024..(place + 1) * 1024];
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
    // The middle slice is the image but for the noise; neighbours are nearer than the ends.
    assert!(apart(slice(4), &cohort.image(0)) < apart(slice(4), slice(5)));
    assert!(apart(slice(4), slice(5)) < apart(slice(0), slice(8)));
    assert!(cohort.volume(0, 0).is_err() && cohort.volume(99, 4).is_err());
}
