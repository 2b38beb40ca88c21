//! Voxels move, their places do not.

use ctl_imaging::volume::{Affine, Orientation, Samples, Volume};

/// `[2, 3, 2]` voxels, numbered, with an affine that shears.
fn numbered() -> Volume {
    let affine = Affine::new([
        [1.5, 0.2, 0.0, -10.0],
        [0.1, -2.0, 0.3, 20.0],
        [0.0, 0.1, 4.0, 5.0],
    ])
    .unwrap();
    Volume::new(&[2, 3, 2], Samples::I16((0..12).collect()), affine).unwrap()
}

/// Values with their places, rounded to a micrometre, in the order of the places.
fn placed(volume: &Volume) -> Vec<([i64; 3], f64)> {
    let [width, height, depth] = volume.spatial_shape();
    let mut all = Vec::new();
    for k in 0..depth {
        for j in 0..height {
            for i in 0..width {
                let world = volume.affine().to_world([i as f64, j as f64, k as f64]);
                let value = volume.value(&[i, j, k]).unwrap();
                all.push((world.map(|at| (at * 1000.0).round() as i64), value));
            }
        }
    }
    all.sort_by_key(|(place, _)| *place);
    all
}

#[test]
fn every_value_keeps_its_place_in_all_orientations() {
    let volume = numbered();
    assert_eq!(volume.affine().axis_codes(), "RPS");
    for orientation in Orientation::all() {
        let turned = volume.reoriented(orientation).unwrap();
        assert_eq!(turned.affine().orientation(), orientation);
        assert_eq!(placed(&turned), placed(&volume), "{orientation}");
    }
}

#[test]
fn reversing_twice_gives_the_image_back() {
    let volume = numbered();
    for axis in 0..3 {
        let once = volume.flipped(axis).unwrap();
        assert_ne!(once.samples(), volume.samples());
        assert_eq!(once.flipped(axis).unwrap().samples(), volume.samples());
    }
    assert!(volume.flipped(3).is_err());
}

#[test]
fn axes_are_exchanged() {
    let volume = numbered();
    let exchanged = volume.permuted([2, 0, 1]).unwrap();
    assert_eq!(exchanged.shape(), [2, 2, 3]);
    // Its (k, i, j) is our (i, j, k): (1, 0, 2) is our (0, 2, 1), number 0 + 2·2 + 6.
    assert_eq!(exchanged.value(&[1, 0, 2]), Some(10.0));
    assert!(volume.permuted([0, 0, 1]).is_err());
}

#[test]
fn a_box_inside_cuts_and_a_box_outside_pads() {
    let volume = numbered();
    let cut = volume.boxed([1, 1, 1], [1, 2, 1], 0.0).unwrap();
    assert_eq!(cut.samples(), &Samples::I16(vec![9, 11]));
    let padded = volume.boxed([-1, 0, 1], [4, 1, 2], -7.0).unwrap();
    let expected = vec![-7, 6, 7, -7, -7, -7, -7, -7];
    assert_eq!(padded.samples(), &Samples::I16(expected));
    let away = volume.boxed([100, 0, 0], [1, 1, 1], 3.0).unwrap();
    assert_eq!(away.samples(), &Samples::I16(vec![3]));
    let common: Vec<_> = placed(&padded)
        .into_iter()
        .filter(|(_, value)| *value >= 0.0)
        .collect();
    assert!(common.iter().all(|one| placed(&volume).contains(one)));
}

#[test]
fn impossible_boxes_are_refused() {
    let volume = numbered();
    assert!(volume.boxed([0; 3], [0, 1, 1], 0.0).is_err());
    assert!(volume.boxed([0; 3], [usize::MAX, 2, 2], 0.0).is_err());
    assert!(volume.boxed([0; 3], [1, 1, 1], 40_000.0).is_err());
}

#[test]
fn frames_and_components_travel_along() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let samples = Samples::U8((0..16).collect());
    let volume = Volume::with_components(&[2, 1, 2, 2], 2, samples, affine).unwrap();
    let turned = volume
        .reoriented(Orientation::parse("SAL").unwrap())
        .unwrap();
    assert_eq!(turned.shape(), [2, 1, 2, 2]);
    // Its (k, j, 1 − i): components (2, 3) of our (1, 0, 0) come first, then (6, 7) of (1, 0, 1).
    let first = [2, 3, 6, 7, 0, 1, 4, 5];
    let second = first.iter().map(|value| value + 8);
    let expected = first.iter().copied().chain(second).collect();
    assert_eq!(turned.samples(), &Samples::U8(expected));
}

#[test]
fn a_flat_image_stays_flat_or_is_refused() {
    let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
    let flat = Volume::new(&[2, 3], Samples::U8((0..6).collect()), affine).unwrap();
    let turned = flat.reoriented(Orientation::parse("ARS").unwrap()).unwrap();
    assert_eq!(turned.shape(), [3, 2]);
    assert_eq!(turned.samples(), &Samples::U8(vec![0, 2, 4, 1, 3, 5]));
    assert!(flat.reoriented(Orientation::parse("SAR").unwrap()).is_err());
}
