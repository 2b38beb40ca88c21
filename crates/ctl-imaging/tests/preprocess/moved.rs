//! Random movements: images and masks go where the reported draws say.

use super::{boxed_mask, image, one, refused, stepped, waves};
use ctl_imaging::preprocess::{Draw, Mask, RandomAffine, RandomElastic, Step};
use ctl_imaging::volume::Volume;

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

/// Where interpolation does not mix classes, the image of a mask stays the mask.
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

/// Coordinates carried along by a displacement at its bound: the volume of every voxel stays above 0.
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
            one(step.clone())
                .apply(&ramp(shape, slope), None, seed)
                .unwrap()
                .0
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
