//! Random steps: nothing at zero strength, laws at others.

use super::pipeline::every_step;
use super::{boxed_mask, farthest, golden, image, numbers, one, refused, singles, stepped, waves};
use ctl_imaging::preprocess::{
    Draw, Mask, NoiseKind, RandomAffine, RandomBias, RandomBlur, RandomElastic, RandomGamma,
    RandomGhosting, RandomMotion, RandomNoise, RandomResolution, Sometimes, Step,
};
use ctl_imaging::volume::Volume;
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
        let values = values.map(|(at, v)| (v - 2.0) * 10_f32.powi(at as i32 % 9 - 4));
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

/// A ramp `a·x + b·y + c·z` in mm about the centre.
fn ramp(shape: [usize; 3], slope: [f64; 3]) -> Volume {
    let spacing = [1.0, 1.5, 3.0];
    let [width, height, depth] = shape;
    let values = (0..width * height * depth).map(|at| {
        let at = [at % width, at / width % height, at / (width * height)];
        let parts = (0..3).map(|axis| {
            let centre = (shape[axis] - 1) as f64 / 2.0;
            slope[axis] * (at[axis] as f64 - centre) * spacing[axis]
        });
        parts.sum::<f64>() as f32
    });
    image(&shape, values.collect())
}

/// Linear interpolation moves a ramp exactly: its new slope and its new centre tell the map.
#[test]
fn a_ramp_is_turned_and_moved_as_reported() {
    let step = RandomAffine {
        rotation: [0.0, 0.0, 30.0],
        translation: [2.0, 1.0, 0.0],
        fill: f32::MAX,
        ..RandomAffine::default()
    };
    let shape = [31, 21, 3];
    for seed in 0..4 {
        let volume = ramp(shape, [0.5, -0.25, 0.0]);
        let (moved, told) = one(Step::RandomAffine(step))
            .apply(&volume, None, seed)
            .unwrap();
        let drawn = &told.steps[0].measured;
        let angle = drawn.get("rotation").unwrap()[2].to_radians();
        let shift = drawn.get("translation").unwrap().to_vec();
        let (sin, cos) = angle.sin_cos();
        // The gradient turns along; the value at a place is that of the place moved back.
        let slope = [cos * 0.5 + sin * 0.25, sin * 0.5 - cos * 0.25];
        for (i, j) in [(15, 10), (18, 12), (12, 7)] {
            let (x, y) = (
                (i as f64 - 15.0) - shift[0],
                (j as f64 - 10.0) * 1.5 - shift[1],
            );
            let expected = slope[0] * x + slope[1] * y;
            let found = moved.value(&[i, j, 1]).unwrap();
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
    }
}

#[test]
fn scales_and_shears_are_as_reported() {
    let step = RandomAffine {
        scale: 0.3,
        shear: 0.2,
        ..RandomAffine::default()
    };
    let volume = ramp([21, 21, 9], [1.0, 0.0, 0.0]);
    let (moved, told) = one(Step::RandomAffine(step))
        .apply(&volume, None, 3)
        .unwrap();
    let scale = told.steps[0].measured.get("scale").unwrap().to_vec();
    let shear = told.steps[0].measured.get("shear").unwrap().to_vec();
    assert!(scale.iter().all(|s| (1.0 / 1.3..=1.3).contains(s)));
    // Back from p: x = (p₀ − h₀₁ p₁ − (h₀₂ − h₀₁ h₁₂) p₂) / s₀.
    let (p, q, r) = (2.0, 1.5, 3.0);
    let expected = (p - shear[0] * q - (shear[1] - shear[0] * shear[2]) * r) / scale[0];
    let found = moved.value(&[12, 11, 5]).unwrap();
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

/// By a half turn voxels fall upon voxels, classes as well as values.
#[test]
fn a_mask_moves_with_its_image() {
    let shape = [16, 14, 5];
    let mask = boxed_mask(shape);
    let values = mask
        .classes()
        .iter()
        .map(|&class| f32::from(class))
        .collect();
    let volume = image(&shape, values);
    let step = Step::RandomAffine(RandomAffine {
        rotation: [10.0, 5.0, 60.0],
        translation: [3.0; 3],
        scale: 0.2,
        ..RandomAffine::default()
    });
    let elastic = Step::RandomElastic(RandomElastic {
        displacement: 3.0,
        spacing: 8.0,
        fill: 0.0,
    });
    for step in [step, elastic] {
        let done = one(step)
            .run(&volume, Some(&mask), Draw { seed: 8, index: 0 })
            .unwrap();
        let moved = done.mask.unwrap();
        assert_ne!(moved, mask);
        // Where the image is within a class by more than half a voxel it has its value.
        let pairs = done.volume.to_f32().into_iter().zip(moved.classes());
        let (mut same, mut all) = (0, 0);
        for (value, class) in pairs {
            if value == value.round() {
                all += 1;
                same += usize::from(value as u8 == *class);
            }
        }
        assert!(all > 500 && same * 100 >= all * 99, "{same} of {all}");
        assert!(moved.classes().iter().all(|class| *class <= 2));
    }
}

#[test]
fn what_comes_from_outside_is_filled() {
    let volume = image(&[4, 3], vec![1.0; 12]);
    let mask = Mask::new([4, 3, 1], vec![1; 12]).unwrap();
    let step = Step::RandomAffine(RandomAffine {
        translation: [100.0, 0.0, 0.0],
        fill: -7.0,
        ..RandomAffine::default()
    });
    let done = one(step)
        .run(&volume, Some(&mask), Draw { seed: 2, index: 0 })
        .unwrap();
    let drawn = done.provenance.steps[0]
        .measured
        .get("translation")
        .unwrap()[0];
    assert!(drawn.abs() > 4.0);
    assert_eq!(done.volume.to_f32(), [-7.0; 12]);
    assert_eq!(done.mask.unwrap().foreground(), 0);
}

/// Coordinates carried along by a displacement at its bound, in double steps of a voxel.
#[test]
fn a_displacement_at_its_bound_does_not_fold() {
    let shape = [24, 20, 9];
    let step = Step::RandomElastic(RandomElastic {
        displacement: 2.4,
        spacing: 6.0,
        fill: f32::MAX,
    });
    for seed in 0..6 {
        let carried = [0, 1, 2].map(|axis| {
            let mut slope = [0.0; 3];
            slope[axis] = 1.0;
            let moved = one(step.clone())
                .apply(&ramp(shape, slope), None, seed)
                .unwrap()
                .0;
            moved
        });
        let at = |i, j, k| carried.each_ref().map(|v| v.value(&[i, j, k]).unwrap());
        let mut least = f64::INFINITY;
        for (i, j, k) in
            (5..18).flat_map(|i| (4..15).flat_map(move |j| (2..6).map(move |k| (i, j, k))))
        {
            let here = at(i, j, k);
            let minus = |there: [f64; 3]| [0, 1, 2].map(|axis| there[axis] - here[axis]);
            let [a, b, c] = [
                minus(at(i + 1, j, k)),
                minus(at(i, j + 1, k)),
                minus(at(i, j, k + 1)),
            ];
            let cross = [
                b[1] * c[2] - b[2] * c[1],
                b[2] * c[0] - b[0] * c[2],
                b[0] * c[1] - b[1] * c[0],
            ];
            let volume = a[0] * cross[0] + a[1] * cross[1] + a[2] * cross[2];
            if volume.is_finite() && volume.abs() < 1e6 {
                least = least.min(volume / 4.5);
            }
        }
        assert!(least > 0.0 && least < 0.9, "{least}");
    }
}

#[test]
fn control_points_closer_than_voxels_are_refused() {
    let step = Step::RandomElastic(RandomElastic {
        displacement: 0.1,
        spacing: 2.0,
        fill: 0.0,
    });
    assert!(refused(step.clone(), &waves([6, 6, 4]), None).contains("3.0"));
    // Of a picture the third axis does not count.
    assert_eq!(stepped(step, &waves([6, 6, 1]), None).len(), 36);
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
