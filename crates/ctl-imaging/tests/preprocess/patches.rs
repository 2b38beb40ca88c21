//! Patches, the images that they came from, and stacks of slices.

use super::{boxed_mask, image, waves};
use ctl_imaging::preprocess::{
    Aggregator, Border, Draw, Mask, PatchGrid, PatchSampler, SliceStack, Weighting,
};
use proptest::prelude::*;
use rstest::rstest;

fn sampler(size: [usize; 3], foreground: f64, border: Border) -> PatchSampler {
    PatchSampler {
        size,
        count: 40,
        foreground,
        border,
    }
}

const DRAW: Draw = Draw { seed: 11, index: 4 };

#[rstest]
#[case::space([9, 8, 7], [4, 3, 2])]
#[case::plane([9, 8, 1], [4, 3, 1])]
#[case::larger_than_the_image([3, 8, 2], [6, 3, 5])]
fn the_wanted_share_lies_on_the_foreground(#[case] shape: [usize; 3], #[case] size: [usize; 3]) {
    let mask = boxed_mask(shape);
    for border in [Border::Pad, Border::Shift] {
        let places = sampler(size, 0.33, border)
            .draw(shape, Some(&mask), DRAW)
            .unwrap();
        let on = places.iter().filter(|place| place.foreground).count();
        assert_eq!((places.len(), on), (40, 14));
        let volume = mask.to_volume(*image(&[1, 1], vec![0.0]).affine()).unwrap();
        for place in places {
            let patch = volume.boxed(place.start, size, 0.0).unwrap();
            if place.foreground {
                assert!(patch.to_f32().iter().any(|class| *class > 0.0));
            }
            if place.foreground && border == Border::Pad {
                assert!(patch.value(&size.map(|side| side / 2)).unwrap() > 0.0);
            }
            if border == Border::Shift || !place.foreground {
                for axis in 0..3 {
                    let (start, room) = (place.start[axis], shape[axis].cast_signed());
                    let patch = size[axis].cast_signed();
                    assert!(patch > room || (start >= 0 && start + patch <= room));
                    assert!(patch <= room || (start <= 0 && start + patch >= room));
                }
            }
        }
    }
}

#[test]
fn places_follow_seed_and_index() {
    let mask = boxed_mask([20, 20, 20]);
    let draw = |seed, index| {
        let sampler = sampler([4; 3], 0.5, Border::Shift);
        sampler
            .draw([20; 3], Some(&mask), Draw { seed, index })
            .unwrap()
    };
    assert_eq!(draw(1, 1), draw(1, 1));
    assert_ne!(draw(1, 1), draw(1, 2));
    assert_ne!(draw(1, 1), draw(2, 1));
}

#[test]
fn places_reach_every_corner() {
    let sampler = PatchSampler {
        count: 400,
        ..sampler([2, 2, 1], 0.0, Border::Shift)
    };
    let places = sampler.draw([4, 3, 1], None, DRAW).unwrap();
    let different: std::collections::BTreeSet<_> = places.iter().map(|place| place.start).collect();
    assert_eq!(different.len(), 3 * 2);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let shape = [4, 4, 1];
    let told = |sampler: PatchSampler, mask: Option<&Mask>| {
        sampler.draw(shape, mask, DRAW).unwrap_err().to_string()
    };
    let half = sampler([2, 2, 1], 0.5, Border::Pad);
    assert!(told(half, None).contains("no mask"));
    let empty = Mask::new(shape, vec![0; 16]).unwrap();
    assert!(told(half, Some(&empty)).contains("background alone"));
    let other = Mask::new([16, 1, 1], vec![1; 16]).unwrap();
    assert!(told(half, Some(&other)).contains("[16, 1, 1]"));
    assert!(told(sampler([2, 2, 1], 1.5, Border::Pad), None).contains("share"));
    assert!(told(sampler([2, 0, 1], 0.0, Border::Pad), None).contains("patch size"));
    assert!(told(sampler([usize::MAX, 2, 1], 0.0, Border::Pad), None).contains("patch size"));
}

/// Every patch of an image, put back.
fn stitched(
    volume: &ctl_imaging::volume::Volume,
    grid: PatchGrid,
    weighting: Weighting,
) -> Vec<f32> {
    let shape = volume.spatial_shape();
    let mut whole = Aggregator::new(shape, grid.size, 2, weighting).unwrap();
    for start in grid.starts(shape).unwrap() {
        let patch = volume.boxed(start, grid.size, 0.0).unwrap().to_f32();
        let negative = patch.iter().map(|value| -value);
        let both: Vec<f32> = patch.iter().copied().chain(negative).collect();
        whole.add(start, &both).unwrap();
    }
    whole.finish().unwrap()
}

proptest! {
    #[test]
    fn patches_put_back_are_the_image_to_the_last_bit(
        shape in prop::array::uniform3(1_usize..9),
        size in prop::array::uniform3(1_usize..6),
        shared in prop::array::uniform3(0_usize..5),
        gaussian in any::<bool>(),
    ) {
        let volume = waves(shape);
        let overlap = [0, 1, 2].map(|axis| shared[axis].min(size[axis] - 1));
        let weighting = if gaussian { Weighting::Gaussian } else { Weighting::Uniform };
        let back = stitched(&volume, PatchGrid { size, overlap }, weighting);
        let (first, second) = back.split_at(volume.voxels());
        prop_assert_eq!(first, &volume.to_f32());
        prop_assert!(second.iter().zip(first).all(|(a, b)| *a == -b));
    }

    #[test]
    fn neighbours_share_what_they_should(side in 1_usize..60, patch in 1_usize..20, shared in 0_usize..20) {
        let grid = PatchGrid { size: [patch, 1, 1], overlap: [shared.min(patch - 1), 0, 0] };
        let starts = grid.starts([side, 1, 1]).unwrap();
        for pair in starts.windows(2) {
            let common = pair[0][0] + patch.cast_signed() - pair[1][0];
            prop_assert!(common >= grid.overlap[0].cast_signed() && pair[1][0] > pair[0][0]);
        }
        let last = starts[starts.len() - 1][0];
        prop_assert!(starts[0][0] <= 0 && last + patch.cast_signed() >= side.cast_signed());
    }
}

#[test]
fn weights_fall_towards_the_border() {
    let blend = |weighting| {
        let mut whole = Aggregator::new([5, 1, 1], [4, 1, 1], 1, weighting).unwrap();
        whole.add([0, 0, 0], &[0.0; 4]).unwrap();
        whole.add([1, 0, 0], &[1.0; 4]).unwrap();
        whole.finish().unwrap()
    };
    assert_eq!(blend(Weighting::Uniform), [0.0, 0.5, 0.5, 0.5, 1.0]);
    // Standard deviation ½ voxel: weights exp(−2 · 1.5²) at the border, exp(−2 · 0.5²) within.
    let (border, within) = ((-4.5_f32).exp(), (-0.5_f32).exp());
    let found = blend(Weighting::Gaussian);
    assert!((found[1] - border / (border + within)).abs() < 1e-6);
    assert!((found[2] - 0.5).abs() < 1e-6);
}

#[test]
fn what_does_not_cover_is_refused() {
    let mut whole = Aggregator::new([3, 1, 1], [2, 1, 1], 1, Weighting::Uniform).unwrap();
    assert!(whole.add([0, 0, 0], &[1.0; 3]).is_err());
    whole.add([isize::MAX, 0, 0], &[1.0; 2]).unwrap();
    whole.add([-1, 0, 0], &[1.0; 2]).unwrap();
    let error = whole.finish().unwrap_err().to_string();
    assert!(error.contains("2 of 3 voxels in none"), "{error}");
    assert!(Aggregator::new([3, 1, 1], [0, 1, 1], 1, Weighting::Uniform).is_err());
    assert!(Aggregator::new([3, 1, 1], [1, 1, 1], 0, Weighting::Uniform).is_err());
    let grid = PatchGrid {
        size: [2, 1, 1],
        overlap: [2, 0, 0],
    };
    assert!(grid.starts([4, 1, 1]).is_err());
}

#[test]
fn a_slice_stands_between_its_neighbours() {
    let volume = image(&[2, 3, 4], (0..24).map(|value| value as f32).collect());
    let stack = SliceStack {
        axis: 0,
        neighbours: 1,
    };
    let cut = stack.cut(&volume, 1).unwrap();
    // Across the first axis the second runs along rows.
    assert_eq!(cut.shape(), [3, 4, 3]);
    assert_eq!(cut.channel(0).unwrap()[..4], [0.0, 2.0, 4.0, 6.0]);
    assert_eq!(cut.channel(1).unwrap()[..4], [1.0, 3.0, 5.0, 7.0]);
    assert_eq!(cut.channel(2), cut.channel(1));
    let across = SliceStack {
        axis: 1,
        neighbours: 0,
    };
    assert_eq!(
        across.cut(&volume, 2).unwrap().samples(),
        [4.0, 5.0, 10.0, 11.0, 16.0, 17.0, 22.0, 23.0]
    );
    assert!(across.cut(&volume, 3).is_err());
    let none = SliceStack {
        axis: 3,
        neighbours: 0,
    };
    assert!(none.cut(&volume, 0).is_err());
}
