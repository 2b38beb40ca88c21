//! What the simulated cohort promises: determinism, dials, exchangeability without them.

use std::borrow::Borrow;

use ctl_phantom::{ChestCohort, ChestSample, ChestSpec, simulate_chest};

fn cohort(spec: impl Borrow<ChestSpec>) -> ChestCohort {
    simulate_chest(spec.borrow()).expect("the specification is valid")
}

fn small() -> ChestSpec {
    ChestSpec {
        size: 24,
        images_per_site: 6,
        seed: 3,
        ..ChestSpec::default()
    }
}

/// Many patients on tiny films, for rates.
fn crowd() -> ChestSpec {
    ChestSpec {
        size: 16,
        images_per_site: 1500,
        seed: 8,
        ..ChestSpec::default()
    }
}

/// A number that every sample has.
type Measure = fn(&ChestSample) -> f64;

fn of_site(cohort: &ChestCohort, site: usize) -> impl Iterator<Item = &ChestSample> {
    cohort
        .samples
        .iter()
        .filter(move |sample| sample.site == site)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    sum / count
}

fn prevalence(cohort: &ChestCohort, site: usize) -> f64 {
    mean(of_site(cohort, site).map(|sample| f64::from(u8::from(sample.label))))
}

/// P(device | disease) - P(device | no disease).
fn gap(cohort: &ChestCohort, site: usize, device: fn(&ChestSample) -> bool) -> f64 {
    let rate = |label: bool| {
        let group = of_site(cohort, site).filter(|sample| sample.label == label);
        mean(group.map(|sample| f64::from(u8::from(device(sample)))))
    };
    rate(true) - rate(false)
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let spec = ChestSpec {
        confounding: 0.5,
        acquisition: 0.5,
        ..small()
    };
    let on = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be started")
            .install(|| cohort(&spec))
    };
    let (one, two) = (on(1), on(2));
    assert_eq!(one, two);
    // Equality of floats would let -0.0 pass for 0.0.
    let bits = |cohort: &ChestCohort| -> Vec<u32> {
        let pixels = cohort.samples.iter().flat_map(|sample| &sample.image);
        pixels.map(|pixel| pixel.to_bits()).collect()
    };
    assert_eq!(bits(&one), bits(&two));
}

#[test]
fn another_seed_gives_other_patients() {
    let first = cohort(small());
    let second = cohort(ChestSpec { seed: 4, ..small() });
    for (a, b) in first.samples.iter().zip(&second.samples) {
        assert_ne!(a.image, b.image);
        assert_ne!(a.noise, b.noise);
    }
}

#[test]
fn sizes_sites_and_dials_leave_the_noises_alone() {
    let base = cohort(small());
    let others = [
        ChestSpec {
            size: 32,
            ..small()
        },
        ChestSpec {
            confounding: 1.0,
            acquisition: 1.0,
            prevalence: 1.0,
            ..small()
        },
    ];
    for spec in others {
        for (a, b) in base.samples.iter().zip(&cohort(spec).samples) {
            assert_eq!((&a.id, &a.noise), (&b.id, &b.noise));
        }
    }
    let more = cohort(ChestSpec {
        images_per_site: 8,
        source_sites: 5,
        ..small()
    });
    for sample in &base.samples {
        let twin = more.samples.iter().find(|other| other.id == sample.id);
        assert_eq!(twin.map(|twin| &twin.noise), Some(&sample.noise));
    }
}

#[test]
fn the_acquisition_dial_moves_the_targets_scanner_and_nothing_else() {
    let still = cohort(small());
    let moved = cohort(ChestSpec {
        acquisition: 1.0,
        ..small()
    });
    for (a, b) in still.samples.iter().zip(&moved.samples) {
        if a.site == still.target() {
            assert!(b.acquisition.gain > 1.1 * a.acquisition.gain);
            assert_ne!(a.image, b.image);
            let mut restored = b.clone();
            restored.acquisition = a.acquisition;
            restored.image.clone_from(&a.image);
            assert_eq!(a, &restored);
        } else {
            assert_eq!(a, b);
        }
    }
}

#[test]
fn pixels_are_grey_values() {
    for size in [16, 17, 96] {
        let spec = ChestSpec {
            size,
            acquisition: 1.0,
            confounding: 1.0,
            ..small()
        };
        for sample in cohort(spec).samples {
            assert_eq!(sample.image.len(), size * size);
            assert!(sample.image.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            // A film with a chest in it is neither black nor white nor flat.
            let dark = sample.image.iter().filter(|&&pixel| pixel < 0.5).count();
            assert!(
                (size * size / 10..size * size * 9 / 10).contains(&dark),
                "{}",
                sample.id
            );
        }
    }
}

#[test]
fn without_dials_the_target_is_exchangeable_with_the_middle_source() {
    let cohort = cohort(crowd());
    let (source, target) = (1, cohort.target());
    let measures: [(&str, Measure); 5] = [
        ("label", |sample| f64::from(u8::from(sample.label))),
        ("age", |sample| sample.attributes.age),
        ("gain", |sample| sample.acquisition.gain),
        ("tube", |sample| {
            f64::from(u8::from(sample.acquisition.tube))
        }),
        ("grey", |sample| {
            mean(sample.image.iter().map(|&pixel| f64::from(pixel)))
        }),
    ];
    for (name, measure) in measures {
        let summary = |site: usize| {
            let values: Vec<f64> = of_site(&cohort, site).map(measure).collect();
            let mean = mean(values.iter().copied());
            let spread = values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>();
            let count = values.len() as f64;
            (mean, spread / (count - 1.0) / count)
        };
        let ((a, variance_a), (b, variance_b)) = (summary(source), summary(target));
        let z = (a - b) / (variance_a + variance_b).sqrt();
        assert!(z.abs() < 3.0, "{name}: {a} against {b}, z = {z}");
    }
}

#[test]
fn confounding_ties_devices_to_the_disease_and_the_target_reverses_it() {
    let tube = |sample: &ChestSample| sample.acquisition.tube;
    let marker = |sample: &ChestSample| sample.acquisition.marker;
    let none = cohort(crowd());
    for site in 0..=none.target() {
        // Four standard errors of a difference of two rates over 750 patients each.
        assert!(gap(&none, site, tube).abs() < 0.1);
    }
    let half = cohort(ChestSpec {
        confounding: 0.5,
        ..crowd()
    });
    let full = cohort(ChestSpec {
        confounding: 1.0,
        ..crowd()
    });
    for site in 0..full.target() {
        assert!(gap(&half, site, tube) > 0.2 && gap(&half, site, tube) < 0.55);
        assert!(gap(&full, site, tube) > 0.5);
        assert!(gap(&full, site, marker) > 0.2);
    }
    assert!(gap(&full, 0, tube) > gap(&full, 2, tube) + 0.15);
    assert!(gap(&full, full.target(), tube) < -0.65);
    assert!(gap(&full, full.target(), marker) < -0.25);
    assert!(prevalence(&full, 0) < 0.25 && prevalence(&full, 2) > 0.75);
}

#[test]
fn the_prevalence_dial_moves_the_target_to_its_value() {
    for (dial, expected) in [(0.0, 0.5), (0.5, 0.3), (1.0, 0.1)] {
        let cohort = cohort(ChestSpec {
            prevalence: dial,
            ..crowd()
        });
        let standard_error = (expected * (1.0 - expected) / 1500.0_f64).sqrt();
        let target = prevalence(&cohort, cohort.target());
        assert!(
            (target - expected).abs() < 3.5 * standard_error,
            "{dial}: {target}"
        );
        assert!((prevalence(&cohort, 0) - 0.5).abs() < 0.05);
    }
}

#[test]
fn the_disease_comes_with_age_and_age_shows_in_the_chest() {
    let cohort = cohort(crowd());
    let age = |label: bool| {
        let group = cohort.samples.iter().filter(|sample| sample.label == label);
        mean(group.map(|sample| sample.attributes.age))
    };
    assert!(age(true) > age(false) + 1.5);
    let heart = |old: bool| {
        let group = cohort
            .samples
            .iter()
            .filter(|sample| (sample.attributes.age > 70.0) == old);
        mean(group.map(|sample| sample.anatomy.heart_ratio))
    };
    assert!(heart(true) > heart(false) + 0.01);
}
