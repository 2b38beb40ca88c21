//! N4 against `SimpleITK`, and against fields that are known.
#![expect(clippy::print_stderr, reason = "a skipped test must say why")]

use super::{correlation, golden, image, numbers, one, refused, singles};
use ctl_imaging::preprocess::{Mask, N4, Region, Step};
use ctl_imaging::volume::Volume;

struct Case {
    volume: Volume,
    mask: Mask,
    /// Log fields within the mask.
    theirs: Vec<f64>,
    truth: Vec<f64>,
    settings: N4,
}

fn simulated_head() -> Case {
    let golden = golden(include_str!("../golden/n4.json"));
    let shape: Vec<usize> = numbers(&golden["shape"])
        .iter()
        .map(|&side| side as usize)
        .collect();
    let values = singles(&golden["image"]);
    let classes = values.iter().map(|&value| u8::from(value > 0.0)).collect();
    let steps = |key: &str| -> Vec<f64> {
        let steps = numbers(&golden[key]).into_iter();
        steps.map(|step| step / 2000.0).collect()
    };
    Case {
        mask: Mask::new([shape[0], shape[1], shape[2]], classes).unwrap(),
        volume: image(&shape, values),
        theirs: steps("log_field_steps"),
        truth: steps("true_field_steps"),
        settings: N4 {
            iterations: vec![50; golden["levels"].as_u64().unwrap() as usize],
            shrink: 1,
            region: Region::Mask,
            ..N4::default()
        },
    }
}

/// Logarithms of a field within a mask.
fn logs(bias: &Volume, mask: &Mask) -> Vec<f64> {
    let values = bias.to_f64().into_iter().zip(mask.classes());
    let inside = values.filter(|(_, class)| **class != 0);
    inside.map(|(value, _)| value.ln()).collect()
}

fn deviation(a: &[f64], b: &[f64]) -> f64 {
    let apart: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let mean = apart.iter().sum::<f64>() / apart.len() as f64;
    (apart.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / apart.len() as f64).sqrt()
}

#[test]
fn the_field_is_that_of_simple_itk() {
    let case = simulated_head();
    let found = case
        .settings
        .correct(&case.volume, Some(&case.mask))
        .unwrap();
    let ours = logs(&found.bias, &case.mask);
    let related = correlation(&ours, &case.theirs);
    // The field itself has a deviation of 0.2; the golden one was rounded to steps of 0.0005.
    let apart = deviation(&ours, &case.theirs);
    assert!(related > 0.999_99 && apart < 0.001, "{related} {apart}");
    assert!(correlation(&ours, &case.truth) > 0.995);
    let iterations = found.measured.get("iterations").unwrap();
    assert!(
        iterations
            .iter()
            .all(|&count| (1.0..=50.0).contains(&count))
    );
}

#[test]
fn image_is_corrected_times_field() {
    let case = simulated_head();
    let found = case
        .settings
        .correct(&case.volume, Some(&case.mask))
        .unwrap();
    let product = found
        .corrected
        .to_f64()
        .into_iter()
        .zip(found.bias.to_f64());
    for ((corrected, bias), value) in product.zip(case.volume.to_f64()) {
        assert!((corrected * bias - value).abs() <= 1e-5 * value.max(1.0));
    }
    let step = one(Step::N4(case.settings));
    let (stepped, told) = step.apply(&case.volume, Some(&case.mask), 0).unwrap();
    assert_eq!(stepped, found.corrected);
    assert_eq!(told.steps[0].measured, found.measured);
}

#[test]
fn a_field_from_every_second_voxel_is_evaluated_at_all() {
    let case = simulated_head();
    // 24 voxels would become 12, fewer than 16: only an image twice as long is shrunk.
    let settings = N4 {
        shrink: 2,
        ..case.settings.clone()
    };
    let found = settings.correct(&case.volume, Some(&case.mask)).unwrap();
    assert_eq!(found.measured.get("shrink"), Some(&[1.0; 3][..]));

    let [width, height, depth] = case.mask.shape();
    let (values, classes) = (case.volume.to_f32(), case.mask.classes());
    let twice = |at: usize| {
        let (i, j, k) = (
            at % (2 * width),
            at / (2 * width) % height,
            at / (2 * width * height),
        );
        i / 2 + width * (j + height * k)
    };
    let count = 2 * width * height * depth;
    let longer = image(
        &[2 * width, height, depth],
        (0..count).map(|at| values[twice(at)]).collect(),
    );
    let classes = (0..count).map(|at| classes[twice(at)]).collect();
    let mask = Mask::new([2 * width, height, depth], classes).unwrap();
    let found = settings.correct(&longer, Some(&mask)).unwrap();
    assert_eq!(found.measured.get("shrink"), Some(&[2.0, 1.0, 1.0][..]));
    let theirs: Vec<f64> = case.theirs.clone();
    let ours = logs(&found.bias, &mask);
    let mut at = 0;
    let mut expected = Vec::new();
    // Values of the mask lie row by row, each of them twice.
    for row in mask.classes().chunks(2 * width) {
        let inside = row.iter().filter(|class| **class != 0).count();
        expected.extend((0..inside).map(|i| theirs[at + i / 2]));
        at += inside / 2;
    }
    let related = correlation(&ours, &expected);
    assert!(related > 0.99, "{related}");
}

#[test]
fn a_slice_is_corrected_in_its_plane() {
    let shape = [40, 36];
    let field = |i: usize, j: usize| 0.3 * i as f64 / 39.0 - 0.4 * (j as f64 / 35.0).powi(2);
    let at = |voxel: usize| (voxel % 40, voxel / 40);
    let values = (0..40 * 36).map(|voxel| {
        let (i, j) = at(voxel);
        let tissue = if (i / 4 + j / 3) % 2 == 0 {
            100.0
        } else {
            160.0
        };
        (tissue * field(i, j).exp()) as f32
    });
    let volume = image(&shape, values.collect());
    let found = N4::default().correct(&volume, None).unwrap();
    let ours: Vec<f64> = found.bias.to_f64().into_iter().map(f64::ln).collect();
    let truth: Vec<f64> = (0..40 * 36).map(|v| field(at(v).0, at(v).1)).collect();
    let related = correlation(&ours, &truth);
    assert!(related > 0.99, "{related}");
}

#[test]
fn an_image_without_bias_hardly_changes() {
    let case = simulated_head();
    let flat: Vec<f32> = case
        .volume
        .to_f32()
        .iter()
        .map(|&value| {
            if value > 0.0 {
                100.0 + 80.0 * f32::from(u8::from(value > 600.0))
            } else {
                0.0
            }
        })
        .collect();
    let mask = &case.mask;
    let volume = image(&[24, 24, 16], flat);
    let found = N4 {
        region: Region::Mask,
        ..N4::default()
    }
    .correct(&volume, Some(mask))
    .unwrap();
    assert!(deviation(&logs(&found.bias, mask), &vec![0.0; mask.foreground()]) < 0.06);
}

#[test]
fn regions_without_contrast_are_refused() {
    let step = || Step::N4(N4::default());
    assert!(refused(step(), &image(&[4, 4], vec![5.0; 16]), None).contains("found one"));
    assert!(refused(step(), &image(&[4, 4], vec![-5.0; 16]), None).contains("found none"));
}

/// Real anatomy with a simulated field, where it lies beside the workspace; the reference is the
/// field itself.
#[test]
fn a_real_slice_with_a_known_field() {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/brain_templates/t1_coronal_slice.npy");
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return;
    }
    let slice = ctl_imaging::npy::read_npy(&path).unwrap();
    let (height, width) = (slice.shape[0], slice.shape[1]);
    let values: Vec<f32> = slice
        .to_f64()
        .into_iter()
        .map(|value| value as f32)
        .collect();
    let highest = values.iter().copied().fold(0.0, f32::max);
    let inside = |value: f32| value > 0.15 * highest;
    let field = |at: usize| {
        let (x, y) = (
            (at % width) as f64 / width as f64,
            (at / width) as f64 / height as f64,
        );
        0.4 * x - 0.5 * y * y + 0.2 * x * y
    };
    let biased = values.iter().enumerate();
    let biased = biased
        .map(|(at, value)| (f64::from(*value) * field(at).exp()) as f32)
        .collect();
    let classes: Vec<u8> = values
        .iter()
        .map(|&value| u8::from(inside(value)))
        .collect();
    let mask = Mask::new([width, height, 1], classes).unwrap();
    let settings = N4 {
        region: Region::Mask,
        shrink: 2,
        ..N4::default()
    };
    let plain = settings
        .correct(&image(&[width, height], values), Some(&mask))
        .unwrap();
    let found = settings
        .correct(&image(&[width, height], biased), Some(&mask))
        .unwrap();
    // What is found with the field, less what is found without: the slice has a bias of its own.
    let more: Vec<f64> = logs(&found.bias, &mask)
        .into_iter()
        .zip(logs(&plain.bias, &mask))
        .map(|(with, without)| with - without)
        .collect();
    let inside = mask
        .classes()
        .iter()
        .enumerate()
        .filter(|(_, class)| **class != 0);
    let truth: Vec<f64> = inside.map(|(at, _)| field(at)).collect();
    let related = correlation(&more, &truth);
    assert!(related > 0.95, "{related}");
}
