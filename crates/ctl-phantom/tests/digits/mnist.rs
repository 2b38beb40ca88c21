//! Cohorts made from MNIST itself, where it is present.

use crate::support::{mnist, skipped};
use ctl_phantom::digits::morphology::{
    MEASURING_SCALE, Morphology, median_intensity, with_intensity,
};
use ctl_phantom::digits::{DigitCohort, DigitKind, DigitSample, DigitSpec, ImageCount, Plane};
use serde::Deserialize;

fn cohort(kind: DigitKind, images: ImageCount, seed: u64) -> Option<DigitCohort> {
    let spec = DigitSpec {
        images,
        seed,
        ..DigitSpec::new(kind)
    };
    Some(DigitCohort::from_idx(&mnist()?, &spec).unwrap())
}

fn value(cohort: &DigitCohort, sample: &DigitSample, name: &str) -> f64 {
    cohort.attribute(sample, name).unwrap()
}

fn of_site(cohort: &DigitCohort, site: usize) -> Vec<&DigitSample> {
    let samples = cohort.samples().iter();
    samples.filter(|sample| sample.site == site).collect()
}

/// Fraction of a site's samples for which something holds.
fn fraction(samples: &[&DigitSample], holds: impl Fn(&DigitSample) -> bool) -> f64 {
    let count = samples.iter().filter(|sample| holds(sample)).count();
    count as f64 / samples.len() as f64
}

fn grey(image: &[f32]) -> Plane<u8> {
    let pixels = image.iter().map(|value| (value * 255.0).round() as u8);
    Plane::new([28, 28], pixels.collect()).unwrap()
}

#[derive(Deserialize)]
struct GoldenDigit {
    at_4: Measures,
    at_16: Measures,
    thickness: f64,
    intensity: f64,
    morphed: Morphed,
}

#[derive(Deserialize)]
struct Measures {
    area: f64,
    length: f64,
    thickness: f64,
    slant: f64,
}

#[derive(Deserialize)]
struct Morphed {
    thickness: f64,
    sum: u64,
    median: f64,
}

/// The largest differences to the published program over 200 digits.
#[derive(Default, Debug)]
struct Worst {
    thickness: f64,
    area: f64,
    length: f64,
    slant: f64,
    morphed_thickness: f64,
    morphed_mass: f64,
    median: f64,
}

#[test]
fn two_hundred_digits_measure_as_the_published_program_has_it() {
    let Some(cohort) = cohort(DigitKind::Rotated, ImageCount::All, 0) else {
        return skipped("MNIST");
    };
    let golden: Vec<GoldenDigit> =
        serde_json::from_str(include_str!("golden/morphomnist_digits.json")).unwrap();
    let mut worst = Worst::default();
    for (row, golden) in golden.iter().enumerate() {
        let index = cohort
            .samples()
            .iter()
            .position(|s| s.source == row)
            .unwrap();
        // The site at 0 degrees shows the digit as it is.
        let upright = cohort.counterfactual(index, &[("angle", 0.0)]).unwrap();
        let digit = grey(&cohort.render(&upright).unwrap());
        compare(&mut worst, &digit, golden);
    }
    assert!(worst.thickness < 1e-9 && worst.area < 1e-9, "{worst:?}");
    assert!(worst.length < 1e-9 && worst.slant < 1e-9, "{worst:?}");
    assert!(worst.morphed_thickness < 1e-2, "{worst:?}");
    assert!(
        worst.morphed_mass < 1e-3 && worst.median <= 1.0,
        "{worst:?}"
    );
}

fn compare(worst: &mut Worst, digit: &Plane<u8>, golden: &GoldenDigit) {
    let larger = |worst: &mut f64, found: f64, expected: f64| {
        *worst = worst.max((found - expected).abs());
    };
    let coarse = Morphology::new(digit, 4).unwrap().measures();
    let fine = Morphology::new(digit, 16).unwrap();
    for (found, expected) in [(coarse, &golden.at_4), (fine.measures(), &golden.at_16)] {
        larger(&mut worst.thickness, found.thickness, expected.thickness);
        larger(&mut worst.area, found.area, expected.area);
        larger(&mut worst.length, found.length, expected.length);
        larger(&mut worst.slant, found.slant, expected.slant);
    }
    let morphed = fine.with_thickness(golden.thickness).unwrap();
    let morphed = with_intensity(&morphed, golden.intensity);
    let measured = Morphology::new(&morphed, MEASURING_SCALE).unwrap();
    let expected = &golden.morphed;
    larger(
        &mut worst.morphed_thickness,
        measured.thickness(),
        expected.thickness,
    );
    let mass: u64 = morphed.values().iter().map(|&v| u64::from(v)).sum();
    larger(
        &mut worst.morphed_mass,
        mass as f64 / expected.sum as f64,
        1.0,
    );
    larger(
        &mut worst.median,
        median_intensity(&morphed).unwrap(),
        expected.median,
    );
}

/// Sorted, so that quantiles can be read off.
fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn thickness_of(cohort: &DigitCohort, sample: &DigitSample) -> f64 {
    let image = grey(&cohort.render(sample).unwrap());
    Morphology::new(&image, MEASURING_SCALE)
        .unwrap()
        .thickness()
}

/// The published morphology closes small loops of broad digits, which then measure much thicker;
/// the median digit is within a fifth of a pixel of what was asked for, nine in ten within 0.7.
#[test]
fn morphed_digits_have_the_thickness_and_intensity_of_their_model() {
    let Some(cohort) = cohort(DigitKind::Morpho, ImageCount::AtMost(10), 3) else {
        return skipped("MNIST");
    };
    assert_eq!(cohort.sites(), ["train", "test"]);
    assert_eq!((cohort.samples().len(), cohort.shape()), (20, [1, 28, 28]));
    let samples = cohort.samples().iter();
    let (mut thickness, mut intensity) = (Vec::new(), Vec::new());
    for sample in samples {
        let image = grey(&cohort.render(sample).unwrap());
        let measured = Morphology::new(&image, MEASURING_SCALE).unwrap();
        thickness.push((measured.thickness() - value(&cohort, sample, "thickness")).abs());
        let asked = value(&cohort, sample, "intensity");
        intensity.push((median_intensity(&image).unwrap() - asked).abs());
    }
    let (thickness, intensity) = (sorted(thickness), sorted(intensity));
    assert!(thickness[10] < 0.2 && thickness[17] < 0.7, "{thickness:?}");
    // Grey levels are cut to whole numbers; pixels at the edge of the mask may enter or leave it.
    assert!(
        intensity[10] <= 1.0 && intensity[19] <= 12.0,
        "{intensity:?}"
    );
}

#[test]
fn counterfactual_digits_change_in_what_was_done_and_its_effects_alone() {
    let Some(cohort) = cohort(DigitKind::Morpho, ImageCount::AtMost(7), 9) else {
        return skipped("MNIST");
    };
    let mut grown = Vec::new();
    for (index, fact) in cohort.samples()[..7].iter().enumerate() {
        let same = cohort.counterfactual(index, &[]).unwrap();
        assert_eq!(&same, fact);

        let thickness = value(&cohort, fact, "thickness");
        let broad = [("thickness", thickness + 1.5)];
        let broad = cohort.counterfactual(index, &broad).unwrap();
        let bright = cohort.counterfactual(index, &[("intensity", 250.0)]);
        let bright = bright.unwrap();
        assert_eq!(broad.noises, fact.noises);
        // The logit of the intensity moves by 2 for each pixel of thickness.
        let logit = |sample: &DigitSample| {
            let part = (value(&cohort, sample, "intensity") - 64.0) / 191.0;
            (part / (1.0 - part)).ln()
        };
        assert!((logit(&broad) - logit(fact) - 3.0).abs() < 1e-6);
        let kept = value(&cohort, &bright, "thickness");
        assert_eq!(kept.to_bits(), thickness.to_bits());

        let measured = thickness_of(&cohort, fact);
        grown.push(thickness_of(&cohort, &broad) - measured);
        assert!((thickness_of(&cohort, &bright) - measured).abs() < 0.25);
    }
    let grown = sorted(grown);
    assert!(grown[0] > 1.0 && (grown[3] - 1.5).abs() < 0.35, "{grown:?}");
}

#[test]
fn the_irm_protocol_has_its_sites_and_probabilities() {
    let Some(cohort) = cohort(DigitKind::ColoredIrm, ImageCount::All, 1) else {
        return skipped("MNIST");
    };
    assert_eq!((cohort.shape(), cohort.classes()), ([2, 14, 14], 2));
    let flips = [0.2, 0.1, 0.9];
    for (site, size) in [25_000, 25_000, 10_000].into_iter().enumerate() {
        let samples = of_site(&cohort, site);
        assert_eq!(samples.len(), size);
        let label_noise = fraction(&samples, |sample| {
            (value(&cohort, sample, "digit") < 5.0) != (sample.label == 1)
        });
        let flipped = fraction(&samples, |sample| {
            (value(&cohort, sample, "colour") > 0.5) != (sample.label == 1)
        });
        // Five standard errors of a fraction over 10 000 digits are at most 0.022.
        assert!(
            (label_noise - 0.25).abs() < 0.022,
            "site {site}: {label_noise}"
        );
        assert!(
            (flipped - flips[site]).abs() < 0.022,
            "site {site}: {flipped}"
        );
    }
    let test = of_site(&cohort, 2);
    assert!(
        test.iter()
            .all(|sample| (50_000..60_000).contains(&sample.source))
    );
}

#[test]
fn a_coloured_digit_is_in_the_channel_of_its_colour() {
    let Some(cohort) = cohort(DigitKind::ColoredDomainbed, ImageCount::AtMost(30), 2) else {
        return skipped("MNIST");
    };
    assert_eq!(cohort.sites(), ["plus-90", "plus-80", "minus-90"]);
    for (index, sample) in cohort.samples().iter().enumerate() {
        let image = cohort.image(index).unwrap();
        let colour = value(&cohort, sample, "colour") as usize;
        let masses = [0, 1].map(|c| image[784 * c..][..784].iter().sum::<f32>());
        assert!(masses[colour] > 10.0 && masses[1 - colour] == 0.0);

        let other = cohort
            .counterfactual(index, &[("colour", 1.0 - colour as f64)])
            .unwrap();
        let swapped = cohort.render(&other).unwrap();
        assert_eq!(
            (&swapped[..784], &swapped[784..]),
            (&image[784..], &image[..784])
        );
        // In the reversed environment nine colours of ten are the other one; the label stays.
        let moved = cohort.counterfactual(index, &[("site", 2.0)]).unwrap();
        assert_eq!((moved.site, moved.label), (2, sample.label));
    }
}

#[test]
fn domainbed_deals_all_digits_to_its_sites() {
    for (kind, sites) in [(DigitKind::ColoredDomainbed, 3), (DigitKind::Rotated, 6)] {
        let Some(cohort) = cohort(kind, ImageCount::All, 4) else {
            return skipped("MNIST");
        };
        let mut sources: Vec<usize> = cohort.samples().iter().map(|s| s.source).collect();
        sources.sort_unstable();
        assert_eq!(sources, (0..70_000).collect::<Vec<_>>());
        for site in 0..sites {
            let size = of_site(&cohort, site).len();
            assert_eq!(size, 70_000 / sites + usize::from(site < 70_000 % sites));
        }
    }
}

#[test]
fn a_smaller_cohort_is_the_beginning_of_a_larger_one() {
    for kind in [DigitKind::Morpho, DigitKind::ColoredIrm, DigitKind::Rotated] {
        let Some(small) = cohort(kind, ImageCount::AtMost(5), 8) else {
            return skipped("MNIST");
        };
        let large = cohort(kind, ImageCount::AtMost(9), 8).unwrap();
        for site in 0..small.sites().len() {
            assert_eq!(of_site(&small, site), of_site(&large, site)[..5]);
        }
        assert_eq!(small.data_hash(), large.data_hash());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_and_two_threads() {
    if mnist().is_none() {
        return skipped("MNIST");
    }
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let cohort = cohort(DigitKind::Morpho, ImageCount::AtMost(2), 5).unwrap();
            let images = cohort.images(0..4).unwrap();
            (cohort.samples().to_vec(), images)
        })
    };
    assert_eq!(on(1), on(2));
    let other = cohort(DigitKind::Morpho, ImageCount::AtMost(2), 6).unwrap();
    assert_ne!(other.samples(), on(1).0);
}
