use std::rc::Rc;

use candle_core::{Device, Tensor};
use ctl_compute::random::stream;
use ctl_invariance::{Augmentation, Batch, TargetKind, WeightedTarget};
use rstest::rstest;

use super::*;
use crate::generators::{InpaintConfig, Smoothness};

const SIDE: usize = 16;
const SIZE: usize = SIDE * SIDE;
const SHAPE: [usize; 3] = [1, SIDE, SIDE];

/// The square of `side` pixels whose upper left corner is at `(y, x)`.
fn square((y, x): (usize, usize), side: usize) -> Vec<bool> {
    let inside = |index: usize| {
        let (row, column) = (index / SIDE, index % SIDE);
        (y..y + side).contains(&row) && (x..x + side).contains(&column)
    };
    (0..SIZE).map(inside).collect()
}

/// `0.3 + 0.002 (x y)`, harmonic on the grid, and above every share of its mean up to a half.
fn tissue() -> Vec<f64> {
    let value = |index: usize| 0.3 + 0.002 * ((index / SIDE) * (index % SIDE)) as f64;
    (0..SIZE).map(value).collect()
}

fn with_lesion(tissue: &[f64], lesion: &[bool], height: f64) -> Vec<f64> {
    let pixels = tissue.iter().zip(lesion);
    pixels
        .map(|(value, &inside)| value + if inside { height } else { 0.0 })
        .collect()
}

fn farthest(a: &[f64], b: &[f64]) -> f64 {
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    gaps.fold(0.0, f64::max)
}

fn lesion(height: f64, margin: usize) -> Lesion {
    let place = square((5, 6), 3);
    let image = with_lesion(&tissue(), &place, height);
    Lesion::of(&image, SHAPE, (&place, margin), &InpaintConfig::default()).unwrap()
}

/// A lesion of 0.25 on tissue that is harmonic adds 0.25 in its core and nothing in its margin.
#[test]
fn the_appearance_is_what_the_lesion_adds() {
    let lesion = lesion(0.25, 2);
    let appearance = lesion.appearance(0).unwrap();
    assert_eq!((appearance.len(), lesion.pixels().len()), (49, 49));
    for (pixel, found) in lesion.pixels().iter().zip(appearance) {
        let expected = if pixel.core { 0.25 } else { 0.0 };
        assert!((found - expected).abs() < 1e-8, "{pixel:?}: {found}");
        assert_eq!(pixel.source, (3 + pixel.y) * SIDE + 4 + pixel.x);
        let rim = pixel.y.min(pixel.x).min(6 - pixel.y).min(6 - pixel.x);
        assert_eq!(pixel.depth, 1 + rim);
    }
    assert!(lesion.appearance(1).is_none());
}

/// Where the tissue is what a filling finds, a removal undoes an insertion.
#[rstest]
#[case(Blend::Poisson)]
#[case(Blend::Feathered { width: 0 })]
#[case(Blend::Feathered { width: 3 })]
fn a_removal_undoes_an_insertion(#[case] blend: Blend) {
    let (lesion, healthy) = (lesion(0.25, 1), tissue());
    let mut image = healthy.clone();
    let config = InpaintConfig::default();
    let how = ([8, 9], blend, &[2.0][..]);
    let pixels = lesion.paste(&mut image, SHAPE, how, &config).unwrap();
    let core = square((9, 10), 3);
    let mut found = vec![false; SIZE];
    for &(place, source) in &pixels {
        found[place] = true;
        assert!(square((5, 6), 3)[source]);
    }
    assert_eq!(found, core);
    // The centre is three steps from outside the margin.
    let alpha = match blend {
        Blend::Feathered { width: 3 } => 0.75,
        _ => 1.0,
    };
    let centre = 10 * SIDE + 11;
    assert!((image[centre] - healthy[centre] - alpha * 0.5).abs() < 1e-8);
    let rng = &mut stream(0, "t", "removal");
    remove_lesion(&mut image, SHAPE, (&core, 1), (&config, rng)).unwrap();
    assert!(farthest(&image, &healthy) < 1e-8);
}

/// Poisson blending by its definition: under the lesion the Laplacian of the result is that of the
/// donor, whatever the receiving image is.
#[test]
fn poisson_blending_has_the_laplacian_of_the_donor() {
    let wild = |factor: f64| -> Vec<f64> {
        let value = |index: usize| (index as f64 * factor).sin();
        (0..SIZE).map(value).collect()
    };
    let (donor, mut image) = (wild(0.9), wild(1.7));
    let before = image.clone();
    let config = InpaintConfig::default();
    let lesion = Lesion::of(&donor, SHAPE, (&square((5, 6), 3), 1), &config).unwrap();
    let how = ([8, 2], Blend::Poisson, &[1.0][..]);
    lesion.paste(&mut image, SHAPE, how, &config).unwrap();
    let laplacian = |plane: &[f64], at: usize| {
        plane[at - 1] + plane[at + 1] + plane[at - SIDE] + plane[at + SIDE] - 4.0 * plane[at]
    };
    let support = square((8, 2), 5);
    for pixel in lesion.pixels() {
        let at = (8 + pixel.y) * SIDE + 2 + pixel.x;
        let gap = laplacian(&image, at) - laplacian(&donor, pixel.source);
        assert!(gap.abs() < 1e-7, "{pixel:?}: {gap}");
    }
    let outside = (0..SIZE).filter(|&index| !support[index]);
    assert!(
        outside
            .into_iter()
            .all(|i| image[i].to_bits() == before[i].to_bits())
    );
}

#[test]
fn places_by_hand() {
    let mut image = vec![0.5; 12];
    let mut corner = vec![false; 12];
    // Two pixels on a diagonal.
    (corner[0], corner[5]) = (true, true);
    image[0] = 0.9;
    let lesion = Lesion::of(&image, [1, 3, 4], (&corner, 0), &InpaintConfig::default()).unwrap();
    let mut free = vec![true; 12];
    assert_eq!(lesion.places(&free, [3, 4]).len(), 6);
    // Pixel (1, 1) is the lower right of the place (0, 0) and the upper left of (1, 1).
    free[5] = false;
    let found = lesion.places(&free, [3, 4]);
    assert_eq!(found, [[0, 1], [0, 2], [1, 0], [1, 2]]);
    assert!(lesion.places(&free, [1, 12]).is_empty());
    assert!(lesion.places(&free, [3, 3]).is_empty());
}

/// Images of one environment with masks; `None` for the healthy.
fn batch(environment: usize, rows: &[(f64, Option<(usize, usize)>)]) -> Batch {
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for &(gain, place) in rows {
        let place = place.map_or_else(|| vec![false; SIZE], |place| square(place, 3));
        let image = with_lesion(&tissue(), &place, 0.25);
        images.extend(image.iter().map(|v| (v * gain) as f32));
        // Class 2 is the lesion, class 1 the tissue in the upper half.
        masks.extend(place.iter().enumerate().map(|(index, &inside)| {
            let tissue = u32::from(index < SIZE / 2);
            if inside { 2 } else { tissue }
        }));
    }
    let count = rows.len();
    let images = Tensor::from_vec(images, (count, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    Batch {
        centre: 0.1,
        scale: 0.9,
        classes: Some(rows.iter().map(|row| u32::from(row.1.is_some())).collect()),
        targets: vec![WeightedTarget {
            weight: 1.0,
            target: Tensor::from_vec(masks, (count, SIDE, SIDE), &Device::Cpu).unwrap(),
        }],
        ..Batch::new(
            environment,
            images.affine(1.0 / 0.9, -0.1 / 0.9).unwrap(),
            TargetKind::Masks,
        )
    }
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn mask(batch: &Batch, row: usize) -> Vec<u32> {
    let target = batch.targets[0].target.get(row).unwrap();
    target.flatten_all().unwrap().to_vec1().unwrap()
}

/// Pixel values of one image.
fn pixels(batch: &Batch, row: usize) -> Vec<f64> {
    let values = flat(&batch.images.get(row).unwrap());
    let pixel = |v: f32| f64::from(v) * batch.scale + batch.centre;
    values.into_iter().map(pixel).collect()
}

fn removal() -> LesionRemovalConfig {
    LesionRemovalConfig {
        probability: 1.0,
        classes: vec![2],
        label: Some(0),
        ..LesionRemovalConfig::default()
    }
}

fn insertion() -> LesionInsertionConfig {
    LesionInsertionConfig {
        probability: 1.0,
        classes: vec![2],
        label: Some(1),
        match_contrast: false,
        ..LesionInsertionConfig::default()
    }
}

#[test]
fn removal_heals_image_mask_and_label() {
    let before = batch(0, &[(1.0, None), (1.0, Some((5, 6)))]);
    let unlabelled = Batch {
        targets: Vec::new(),
        ..batch(1, &[(1.0, Some((5, 6)))])
    };
    let rng = &mut stream(0, "t", "removal");
    let method = LesionRemoval::new(removal()).unwrap();
    let after = method
        .apply(vec![before.clone(), unlabelled.clone()], rng)
        .unwrap();
    assert!(farthest(&pixels(&after[0], 1), &tissue()) < 1e-6);
    // Away from the margin every stored value has its bits.
    let hole = crate::generators::region::dilated(&square((5, 6), 3), [SIDE; 2], 1);
    let values = |batch: &Batch, row| flat(&batch.images.get(row).unwrap());
    let (old, new) = (values(&before, 1), values(&after[0], 1));
    for index in (0..SIZE).filter(|&index| !hole[index]) {
        assert_eq!(old[index].to_bits(), new[index].to_bits());
    }
    assert_eq!(values(&before, 0), values(&after[0], 0));
    // What was tissue has its class, what was lesion that of the background.
    for (old, new) in mask(&before, 1).into_iter().zip(mask(&after[0], 1)) {
        assert_eq!(new, if old == 2 { 0 } else { old });
    }
    assert_eq!(after[0].classes, Some(vec![0, 0]));
    assert_eq!(flat(&after[1].images), flat(&unlabelled.images));
    let never = LesionRemovalConfig {
        probability: 0.0,
        ..removal()
    };
    let still = LesionRemoval::new(never)
        .unwrap()
        .apply(vec![before.clone()], rng)
        .unwrap();
    assert_eq!(mask(&still[0], 1), mask(&before, 1));
    assert_eq!(still[0].classes, before.classes);
}

/// A second observer sees another lesion: both are filled, and both masks lose theirs.
#[test]
fn what_any_observer_marks_is_removed() {
    let mut before = batch(0, &[(1.0, Some((5, 6)))]);
    let second = batch(0, &[(1.0, Some((10, 2)))]);
    before.targets.extend(second.targets.clone());
    let marked = with_lesion(&pixels(&before, 0), &square((10, 2), 3), 0.2);
    let marked: Vec<f32> = marked.iter().map(|v| ((v - 0.1) / 0.9) as f32).collect();
    before.images = Tensor::from_vec(marked, (1, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    let rng = &mut stream(0, "t", "removal");
    let after = LesionRemoval::new(removal())
        .unwrap()
        .apply(vec![before], rng)
        .unwrap();
    assert!(farthest(&pixels(&after[0], 0), &tissue()) < 1e-6);
    for part in &after[0].targets {
        let classes = part.target.flatten_all().unwrap().to_vec1::<u32>().unwrap();
        assert!(!classes.contains(&2));
    }
}

/// The healthy image of a site gets the lesion of the other, on its body, and the donor keeps its
/// own where nothing of another site has one.
#[test]
fn insertion_moves_a_lesion_between_sites() {
    let before = vec![
        batch(0, &[(1.0, None)]),
        batch(1, &[(1.0, Some((5, 6))), (1.0, None)]),
    ];
    let config = LesionInsertionConfig {
        donors: Donors::Other,
        ..insertion()
    };
    let method = LesionInsertion::new(config).unwrap();
    let rng = &mut stream(0, "t", "insertion");
    let after = method.apply(before.clone(), rng).unwrap();
    let lesion: Vec<usize> = (0..SIZE).filter(|&i| mask(&after[0], 0)[i] == 2).collect();
    assert_eq!(lesion.len(), 9);
    let place = (lesion[0] / SIDE, lesion[0] % SIDE);
    let expected = with_lesion(&tissue(), &square(place, 3), 0.25);
    assert!(farthest(&pixels(&after[0], 0), &expected) < 1e-6);
    assert_eq!(after[0].classes, Some(vec![1]));
    // No other site has a lesion for these.
    assert_eq!(flat(&after[1].images), flat(&before[1].images));
    assert_eq!(after[1].classes, Some(vec![1, 0]));
    let same = LesionInsertionConfig {
        donors: Donors::Same,
        ..insertion()
    };
    let after = LesionInsertion::new(same)
        .unwrap()
        .apply(before.clone(), rng)
        .unwrap();
    assert_eq!(flat(&after[0].images), flat(&before[0].images));
    assert_eq!(after[1].classes, Some(vec![1, 1]));
    // A lesion is not its own image's donor.
    assert_eq!(mask(&after[1], 0), mask(&before[1], 0));
}

/// Places are drawn evenly among those that are free: not on the dark rows, not on another lesion,
/// not on the wrong tissue.
#[test]
fn places_are_on_free_body() {
    let mut receiver = batch(0, &[(1.0, Some((2, 2)))]);
    let dark: Vec<f32> = flat(&receiver.images)
        .iter()
        .enumerate()
        .map(|(index, &value)| if index % SIDE > 11 { -0.11 } else { value })
        .collect();
    receiver.images = Tensor::from_vec(dark, (1, 1, SIDE, SIDE), &Device::Cpu).unwrap();
    let donor = batch(1, &[(1.0, Some((5, 6)))]);
    let config = LesionInsertionConfig {
        onto: vec![1],
        ..insertion()
    };
    let method = LesionInsertion::new(config).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let rng = &mut stream(1, "t", "insertion");
    let draws = 600;
    for _ in 0..draws {
        let after = method
            .apply(vec![receiver.clone(), donor.clone()], rng)
            .unwrap();
        let (old, new) = (mask(&receiver, 0), mask(&after[0], 0));
        let first = (0..SIZE).find(|&i| new[i] == 2 && old[i] != 2).unwrap();
        *counts.entry((first / SIDE, first % SIDE)).or_insert(0) += 1;
    }
    // Lesion and margin, 5 × 5, lie on rows 0 to 7 and columns 0 to 11, off rows 1 to 5 and columns
    // 1 to 5: columns 6 and 7 are left for their first column, with four first rows.
    let columns: Vec<usize> = counts.keys().map(|place| place.1).collect();
    assert_eq!(counts.len(), 8, "{counts:?}");
    assert!(columns.iter().all(|column| (7..=8).contains(column)));
    // Binomial with mean 75 and deviation 8.1.
    assert!(
        counts
            .values()
            .all(|&count: &i32| (43..=107).contains(&count)),
        "{counts:?}"
    );
}

/// A receiving image of half the contrast gets half the lesion.
#[test]
fn contrast_is_matched() {
    let before = vec![batch(0, &[(0.5, None)]), batch(1, &[(1.0, Some((5, 6)))])];
    let config = LesionInsertionConfig {
        match_contrast: true,
        body: 0.0,
        ..insertion()
    };
    let rng = &mut stream(0, "t", "insertion");
    let after = LesionInsertion::new(config)
        .unwrap()
        .apply(before, rng)
        .unwrap();
    let lesion: Vec<bool> = mask(&after[0], 0).iter().map(|&class| class == 2).collect();
    let spread = |image: &[f64]| {
        let mean = image.iter().sum::<f64>() / SIZE as f64;
        image.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt()
    };
    let half: Vec<f64> = tissue().iter().map(|v| v / 2.0).collect();
    let donor = with_lesion(&tissue(), &square((5, 6), 3), 0.25);
    let expected = with_lesion(&half, &lesion, 0.25 * spread(&half) / spread(&donor));
    assert!(farthest(&pixels(&after[0], 0), &expected) < 1e-6);
}

#[test]
fn classes_need_a_finder_and_a_label() {
    let masks = batch(0, &[(1.0, Some((5, 6))), (1.0, None)]);
    let found = masks.targets[0].target.clone();
    let before = Batch {
        kind: TargetKind::Classes,
        targets: vec![WeightedTarget {
            weight: 1.0,
            target: Tensor::new(&[[1f32], [0.0]], &Device::Cpu).unwrap(),
        }],
        ..masks
    };
    let finder: LesionFinder = Rc::new(move |_| Ok(found.clone()));
    let rng = &mut stream(0, "t", "classes");
    let healed = LesionRemoval::new(removal())
        .unwrap()
        .with_finder(finder.clone());
    let after = healed.apply(vec![before.clone()], rng).unwrap();
    assert_eq!(flat(&after[0].targets[0].target), [0.0, 0.0]);
    assert_eq!(after[0].classes, Some(vec![0, 0]));
    assert!(farthest(&pixels(&after[0], 0), &tissue()) < 1e-6);
    let ill = LesionInsertion::new(insertion())
        .unwrap()
        .with_finder(finder.clone());
    let after = ill.apply(vec![before.clone()], rng).unwrap();
    assert_eq!(flat(&after[0].targets[0].target), [1.0, 1.0]);

    let message = |result: Result<Vec<Batch>>| result.err().unwrap().to_string();
    let alone = LesionRemoval::new(removal())
        .unwrap()
        .apply(vec![before.clone()], rng);
    assert!(message(alone).contains("Classes alone"));
    let silent = LesionRemovalConfig {
        label: None,
        ..removal()
    };
    let silent = LesionRemoval::new(silent).unwrap().with_finder(finder);
    assert!(message(silent.apply(vec![before.clone()], rng)).contains("label"));
    let wide: LesionFinder = Rc::new(|batch| Ok(batch.images.clone()));
    let wide = LesionRemoval::new(removal()).unwrap().with_finder(wide);
    assert!(message(wide.apply(vec![before], rng)).contains("expected masks [2, 16, 16]"));
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let before = vec![
        batch(0, &[(1.0, Some((9, 9))), (0.8, None)]),
        batch(1, &[(1.0, Some((5, 6))), (0.9, None)]),
    ];
    let config = LesionInsertionConfig {
        probability: 0.8,
        ..insertion()
    };
    let textured = LesionRemovalConfig {
        inpaint: InpaintConfig {
            texture: crate::generators::Texture::Spectrum,
            smoothness: Smoothness::Biharmonic,
            ..InpaintConfig::default()
        },
        ..removal()
    };
    let methods: [Box<dyn Augmentation>; 2] = [
        Box::new(LesionInsertion::new(config).unwrap()),
        Box::new(LesionRemoval::new(textured).unwrap()),
    ];
    for method in methods {
        let draw = |seed| {
            let rng = &mut stream(seed, "t", "bytes");
            let after = method.apply(before.clone(), rng).unwrap();
            let bits = |batch: &Batch| -> Vec<u32> {
                flat(&batch.images).iter().map(|v| v.to_bits()).collect()
            };
            [bits(&after[0]), bits(&after[1])]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}

#[test]
fn ill_inputs_are_errors() {
    let config = InpaintConfig::default();
    let rng = &mut stream(0, "t", "ill");
    let mut image = tissue();
    let whole = remove_lesion(&mut image, SHAPE, (&[true; SIZE], 0), (&config, rng));
    assert!(whole.unwrap_err().to_string().contains("all 256 pixels"));
    // A margin over the whole image is no better.
    let wide = remove_lesion(&mut image, SHAPE, (&square((5, 6), 3), 16), (&config, rng));
    assert!(wide.is_err());
    assert!(
        remove_lesion(
            &mut image,
            [2, SIDE, SIDE],
            (&[true; SIZE], 0),
            (&config, rng)
        )
        .is_err()
    );
    assert_eq!(image, tissue());
    let none = Lesion::of(&image, SHAPE, (&[false; SIZE], 1), &config);
    assert!(none.unwrap_err().to_string().contains("at least one pixel"));
    let lesion = lesion(0.2, 1);
    for (place, gains) in [([12, 0], &[1.0][..]), ([0, 0], &[1.0, 1.0][..])] {
        let how = (place, Blend::Poisson, gains);
        assert!(lesion.paste(&mut image, SHAPE, how, &config).is_err());
    }
    let entire = |_: &Batch| {
        let ones = vec![2u32; SIZE];
        Ok(Tensor::from_vec(ones, (1, SIDE, SIDE), &Device::Cpu)?)
    };
    let before = Batch {
        kind: TargetKind::Classes,
        ..batch(0, &[(1.0, None)])
    };
    let method = LesionRemoval::new(removal())
        .unwrap()
        .with_finder(Rc::new(entire));
    let message = method.apply(vec![before], rng).err().unwrap().to_string();
    assert!(message.contains("all 256 pixels"), "{message}");
}

#[test]
fn ill_settings_are_named() {
    for (ill, key) in [
        (
            LesionRemovalConfig {
                probability: 1.5,
                ..removal()
            },
            "probability",
        ),
        (
            LesionRemovalConfig {
                background: 2,
                ..removal()
            },
            "background",
        ),
        (
            LesionRemovalConfig {
                margin: 33,
                ..removal()
            },
            "margin",
        ),
    ] {
        let message = LesionRemoval::new(ill).err().unwrap().to_string();
        assert!(message.contains(key), "{message}");
    }
    for (ill, key) in [
        (
            LesionInsertionConfig {
                body: f64::NAN,
                ..insertion()
            },
            "body",
        ),
        (
            LesionInsertionConfig {
                margin: 33,
                ..insertion()
            },
            "margin",
        ),
        (
            LesionInsertionConfig {
                background: 2,
                ..insertion()
            },
            "background",
        ),
    ] {
        let message = LesionInsertion::new(ill).err().unwrap().to_string();
        assert!(message.contains(key), "{message}");
    }
    let text = r#"{"blend": {"feathered": {"width": 2}}, "donors": "other"}"#;
    let config: LesionInsertionConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.blend, Blend::Feathered { width: 2 });
    assert_eq!(config.donors, Donors::Other);
    let unknown = serde_json::from_str::<LesionRemovalConfig>(r#"{"margins": 2}"#);
    assert!(unknown.is_err());
}
