//! Random steps: nothing at zero strength, laws at others.

use super::pipeline::every_step;
use super::{boxed_mask, farthest, golden, image, numbers, one, refused, singles, stepped, waves};
use ctl_imaging::preprocess::{
    Draw, NoiseKind, RandomAffine, RandomBias, RandomBlur, RandomElastic, RandomGamma,
    RandomGhosting, RandomMotion, RandomNoise, RandomResolution, Sometimes, Step,
};
use proptest::prelude::*;

/// Every random step at no strength at all.
fn still() -> Vec<Step> {
    vec![
        Step::RandomAffine(RandomAffine::default()),
        Step::RandomElastic(RandomElastic {
            displacement: 0.0,
            spacing: 5.0,
            fill: 9.0,
        }),
        Step::RandomGamma(RandomGamma {
            exponent: [1.0, 1.0],
        }),
        Step::RandomNoise(RandomNoise {
            kind: NoiseKind::Gaussian,
            sigma: [0.0, 0.0],
        }),
        Step::RandomNoise(RandomNoise {
            kind: NoiseKind::Rician,
            sigma: [0.0, 0.0],
        }),
        Step::RandomBias(RandomBias {
            order: 3,
            strength: 0.0,
        }),
        Step::RandomBlur(RandomBlur { sigma: [0.0, 0.0] }),
        Step::RandomResolution(RandomResolution {
            factor: [1.0, 1.0],
            axis: None,
        }),
        Step::RandomMotion(RandomMotion {
            translation: 0.0,
            moves: 3,
            axis: None,
        }),
        Step::RandomMotion(RandomMotion {
            translation: 3.0,
            moves: 0,
            axis: None,
        }),
        Step::RandomGhosting(RandomGhosting {
            phase: 0.0,
            period: 3,
            axis: None,
        }),
        Step::Sometimes(Sometimes {
            probability: 0.0,
            then: Box::new(Step::RandomBlur(RandomBlur { sigma: [1.0, 2.0] })),
        }),
    ]
}

#[test]
fn nothing_happens_at_zero_strength() {
    for shape in [[7, 6, 5], [7, 6, 1]] {
        let mask = boxed_mask(shape);
        // Values of either sign and of many sizes, which any rounding would change.
        let values = waves(shape).to_f32().into_iter().enumerate();
        let values = values.map(|(at, v)| (v - 2.0) * 10_f32.powi([-4, -2, 0, 1, 3][at % 5]));
        let volume = image(&shape, values.collect());
        for step in still() {
            let name = step.name();
            for index in 0..5 {
                let done = one(step.clone()).run(&volume, Some(&mask), Draw { seed: 1, index });
                let done = done.unwrap();
                assert_eq!(done.volume.samples(), volume.samples(), "{name}");
                assert_eq!(done.mask.as_ref(), Some(&mask), "{name}");
            }
        }
    }
}

#[test]
fn the_same_draw_gives_the_same_bytes_and_another_draw_others() {
    let shape = [12, 10, 4];
    let (volume, mask) = (waves(shape), boxed_mask(shape));
    let random = every_step().into_iter();
    for step in random.filter(|step| step.name().starts_with("random")) {
        let pipeline = one(step);
        let run = |seed, index| {
            let done = pipeline
                .run(&volume, Some(&mask), Draw { seed, index })
                .unwrap();
            done.volume
                .to_f32()
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        let name = pipeline.steps[0].name();
        assert_eq!(run(1, 0), run(1, 0), "{name}");
        assert!((1..9).any(|index| run(1, 0) != run(1, index)), "{name}");
        assert!((2..9).any(|seed| run(1, 0) != run(seed, 0)), "{name}");
        assert_ne!(
            run(1, 0),
            volume
                .to_f32()
                .iter()
                .map(|v| v.to_bits())
                .collect::<Vec<_>>()
        );
    }
}

fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
    (mean, squares.sum::<f64>() / count)
}

#[test]
fn noise_has_the_moments_of_its_distribution() {
    let noise = |kind, level: f32| {
        let step = RandomNoise {
            kind,
            sigma: [2.0, 2.0],
        };
        let volume = image(&[100, 100], vec![level; 10_000]);
        moments(&stepped(Step::RandomNoise(step), &volume, None))
    };
    let (mean, variance) = noise(NoiseKind::Gaussian, -3.0);
    assert!((mean + 3.0).abs() < 0.1 && (variance - 4.0).abs() < 0.3);
    // Without signal it is Rayleigh's: mean σ √(π/2), variance (2 − π/2) σ².
    let (mean, variance) = noise(NoiseKind::Rician, 0.0);
    let half = std::f64::consts::FRAC_PI_2;
    assert!((mean - 2.0 * half.sqrt()).abs() < 0.07, "{mean}");
    assert!((variance - 4.0 * (2.0 - half)).abs() < 0.15, "{variance}");
    // The second moment of Rice's distribution is A² + 2σ².
    let (mean, variance) = noise(NoiseKind::Rician, 5.0);
    assert!((mean * mean + variance - 33.0).abs() < 1.0);
}

#[test]
fn bias_is_the_exponential_of_the_reported_polynomial() {
    let step = RandomBias {
        order: 2,
        strength: 0.4,
    };
    let volume = image(&[5, 3, 3], vec![10.0; 45]);
    let (biased, told) = one(Step::RandomBias(step)).apply(&volume, None, 9).unwrap();
    let c = told.steps[0].measured.get("coefficients").unwrap();
    // z, z², y, yz, y², x, xz, xy, x².
    assert_eq!(c.len(), 9);
    assert!(c.iter().all(|c| c.abs() <= 0.4) && c.iter().any(|c| *c != 0.0));
    // Voxel (4, 0, 1): x = 1, y = −1, z = 0.
    let expected = 10.0 * (-c[2] + c[4] + c[5] - c[7] + c[8]).exp();
    assert!((biased.value(&[4, 0, 1]).unwrap() - expected).abs() < 1e-5);
    assert_eq!(biased.value(&[2, 1, 1]), Some(10.0));
}

#[test]
fn a_blur_is_that_of_scipy_in_millimetres() {
    let golden = &golden(include_str!("../golden/preprocess.json"))["blur"];
    let volume = image(&[9, 6, 4], singles(&golden["image"]));
    let step = Step::RandomBlur(RandomBlur { sigma: [1.5, 1.5] });
    assert!(farthest(&stepped(step, &volume, None), &numbers(&golden["blurred"])) < 1e-6);
    let wide = Step::RandomBlur(RandomBlur {
        sigma: [10.0, 10.0],
    });
    assert!(refused(wide, &volume, None).contains("at most the 9 mm of axis 0"));
}

#[test]
fn thick_slices_are_means_and_are_interpolated_back() {
    let volume = image(&[1, 1, 4], vec![1.0, 3.0, 5.0, 11.0]);
    let step = RandomResolution {
        factor: [2.0, 2.0],
        axis: Some(2),
    };
    // Means 2 and 8 at 0.5 and 2.5.
    let thick = stepped(Step::RandomResolution(step), &volume, None);
    assert_eq!(thick, [2.0, 3.5, 6.5, 8.0]);
    let whole = RandomResolution {
        factor: [100.0, 100.0],
        axis: None,
    };
    assert_eq!(
        stepped(Step::RandomResolution(whole), &volume, None),
        [5.0; 4]
    );
}

#[test]
fn some_images_are_changed_and_others_not() {
    let volume = waves([6, 5, 4]);
    let step = Step::Sometimes(Sometimes {
        probability: 0.3,
        then: Box::new(Step::RandomBlur(RandomBlur { sigma: [0.5, 1.5] })),
    });
    let mut changed = 0;
    for index in 0..200 {
        let done = one(step.clone())
            .run(&volume, None, Draw { seed: 4, index })
            .unwrap();
        let measured = &done.provenance.steps[0].measured;
        let applied = measured.number("applied") == Some(1.0);
        assert_eq!(applied, done.volume.samples() != volume.samples());
        assert_eq!(applied, measured.number("sigma").is_some());
        changed += usize::from(applied);
    }
    assert!((40..=80).contains(&changed), "{changed}");
}

proptest! {
    #[test]
    fn values_stay_within_their_range_when_voxels_move(
        values in prop::collection::vec(-3.0_f32..3.0, 60),
        seed in any::<u64>(),
    ) {
        let volume = image(&[5, 4, 3], values.clone());
        let low = values.iter().copied().fold(0.0, f32::min);
        let high = values.iter().copied().fold(0.0, f32::max);
        let affine = RandomAffine { rotation: [40.0; 3], scale: 0.5, shear: 0.3, translation: [2.0; 3], fill: 0.0 };
        let elastic = RandomElastic { displacement: 2.0, spacing: 5.0, fill: 0.0 };
        let thick = RandomResolution { factor: [1.0, 4.0], axis: None };
        let blur = RandomBlur { sigma: [0.0, 4.0] };
        for step in [
            Step::RandomAffine(affine),
            Step::RandomElastic(elastic),
            Step::RandomResolution(thick),
            Step::RandomBlur(blur),
        ] {
            let moved = one(step).apply(&volume, None, seed).unwrap().0.to_f32();
            prop_assert!(moved.iter().all(|v| (low - 1e-5..=high + 1e-5).contains(v)));
        }
    }
}
