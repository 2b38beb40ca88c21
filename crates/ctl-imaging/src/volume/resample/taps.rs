//! Which voxels of a line a fractional index reads, and how much of each.

/// Part of a voxel by which a point may lie outside the field of view and still belong to it, and
/// below a tie and still be rounded up: places that agree in theory differ by rounding.
const SNAP: f64 = 1e-6;

/// Part of a voxel below which a point lies on a centre, so that the neighbours are not asked:
/// they may be NaN, and what they would add is far below single precision.
const ON_CENTRE: f64 = 1e-9;

/// Voxels of a line and their weights, whose sum is 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taps<const K: usize> {
    pub(super) index: [usize; K],
    pub(super) weight: [f64; K],
}

/// Whether index `at` lies within the field of view of a line of `count` voxels.
pub(super) fn is_inside(at: f64, count: usize) -> bool {
    at >= -0.5 - SNAP && at <= count as f64 - 0.5 + SNAP
}

/// The voxel whose centre is closest; the upper one halfway between two.
pub(super) fn nearest(at: f64, count: usize) -> usize {
    floor((at + 0.5 + SNAP).max(0.0)).min(count - 1)
}

/// The floor of an index that is not negative.
///
/// Casting cuts towards zero; by way of a signed integer it is one instruction.
fn floor(at: f64) -> usize {
    at as isize as usize
}

/// Linear interpolation; beyond the outermost centres the outermost value continues.
pub(super) fn linear(at: f64, count: usize) -> Taps<2> {
    let at = at.clamp(0.0, (count - 1) as f64);
    let low = floor(at + ON_CENTRE);
    let part = at - low as f64;
    if part < ON_CENTRE {
        // Halves, as a weight of 0 makes a NaN of an infinite value.
        return Taps {
            index: [low, low],
            weight: [0.5, 0.5],
        };
    }
    Taps {
        index: [low, low + 1],
        weight: [1.0 - part, part],
    }
}

/// The two neighbours that linear interpolation reads along an axis, as [`linear`] tells them, by
/// their places in memory; worked out without a branch, for loops over all voxels of a grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbours {
    /// Place of the lower one.
    pub(super) low: usize,
    /// From there to the upper one; 0 on a centre.
    pub(super) step: usize,
    /// Weights of both.
    pub(super) weight: [f64; 2],
}

impl Neighbours {
    /// The neighbours of an index along an axis of `count` voxels that lie `stride` apart.
    pub(super) fn new(at: f64, count: usize, stride: usize) -> Self {
        let at = at.max(0.0).min((count - 1) as f64);
        let low = floor(at + ON_CENTRE);
        let part = at - low as f64;
        let on_centre = part < ON_CENTRE;
        Self {
            low: low * stride,
            step: if on_centre { 0 } else { stride },
            weight: if on_centre {
                [0.5, 0.5]
            } else {
                [1.0 - part, part]
            },
        }
    }
}

/// The cubic B-spline over coefficients that are mirrored at the outermost centres.
pub(super) fn cubic(at: f64, count: usize) -> Taps<4> {
    // Points lie at most half a voxel before the first centre, so that one more is not negative.
    let low = (at + 1.0).max(0.0) as isize - 1;
    let part = at - low as f64;
    let rest = 1.0 - part;
    let square = part * part;
    let cube = square * part;
    Taps {
        index: [-1, 0, 1, 2].map(|step| mirrored(low + step, count)),
        weight: [
            rest * rest * rest / 6.0,
            (4.0 - 6.0 * square + 3.0 * cube) / 6.0,
            (1.0 + 3.0 * part + 3.0 * square - 3.0 * cube) / 6.0,
            cube / 6.0,
        ],
    }
}

/// An index that is reflected at the centres of the first and the last voxel.
fn mirrored(index: isize, count: usize) -> usize {
    let index = index.unsigned_abs();
    if index < count {
        return index;
    }
    if count == 1 {
        return 0;
    }
    let period = 2 * (count - 1);
    let index = index % period;
    index.min(period - index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn indices_are_reflected_at_the_outermost_centres() {
        let reflected: Vec<usize> = (-3..8).map(|index| mirrored(index, 4)).collect();
        assert_eq!(reflected, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert!((-3..8).all(|index| mirrored(index, 1) == 0));
        let two: Vec<usize> = (-2..4).map(|index| mirrored(index, 2)).collect();
        assert_eq!(two, [0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn halfway_is_the_upper_voxel_despite_rounding() {
        assert_eq!(nearest(0.5, 3), 1);
        assert_eq!(nearest(0.5 - 1e-12, 3), 1);
        assert_eq!(nearest(0.49, 3), 0);
        assert_eq!(nearest(-0.5, 3), 0);
        assert_eq!(nearest(2.5, 3), 2);
    }

    #[test]
    fn a_centre_does_not_ask_its_neighbours() {
        for at in [2.0, 2.0 - 1e-13, 2.0 + 1e-13] {
            let taps = linear(at, 5);
            assert_eq!((taps.index, taps.weight), ([2, 2], [0.5, 0.5]));
        }
        assert_eq!(linear(4.4, 5).index, [4, 4]);
    }

    proptest! {
        #[test]
        fn neighbours_are_the_linear_taps(
            count in 1_usize..9,
            at in prop_oneof![-0.5_f64..8.5, (0_u8..9).prop_map(f64::from)],
        ) {
            let at = at.min(count as f64 - 0.5);
            let (near, taps) = (Neighbours::new(at, count, 3), linear(at, count));
            prop_assert_eq!([near.low, near.low + near.step], taps.index.map(|index| 3 * index));
            // The same numbers, not close ones.
            prop_assert_eq!(near.weight.map(f64::to_bits), taps.weight.map(f64::to_bits));
        }

        #[test]
        fn weights_sum_to_one(count in 1_usize..9, part in 0.0_f64..1.0) {
            let at = part * count as f64 - 0.5;
            prop_assert!(is_inside(at, count));
            let (two, four) = (linear(at, count), cubic(at, count));
            prop_assert!((two.weight.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!((four.weight.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(two.index.iter().chain(&four.index).all(|&index| index < count));
            prop_assert!(nearest(at, count) < count);
        }
    }
}
