//! Interpolation of label maps, which never makes a label that was not there.

use super::general::mapped;
use super::route::Route;
use super::taps::{Taps, linear};
use crate::volume::Value;

/// Share by which a label must lead another to come before it whatever their order: shares that
/// are equal in theory differ by rounding.
const LEAD: f64 = 1e-9;

/// Voxels that linear interpolation reads.
const CORNERS: usize = 8;

/// For every voxel of the grid wanted the label that has the largest share of it.
pub(super) fn largest_share<T: Value + PartialEq>(source: &[T], route: &Route, fill: T) -> Vec<T> {
    let [width, height, _] = route.from;
    mapped(route, fill, |at| {
        let [columns, rows, planes] = [0, 1, 2].map(|axis| linear(at[axis], route.from[axis]));
        let mut shares = Shares::new();
        for (k, plane) in pairs(&planes) {
            for (j, row) in pairs(&rows) {
                for (i, column) in pairs(&columns) {
                    shares.add(source[(k * height + j) * width + i], plane * row * column);
                }
            }
        }
        shares.largest().unwrap_or(fill)
    })
}

fn pairs(taps: &Taps<2>) -> impl Iterator<Item = (usize, f64)> {
    taps.index.into_iter().zip(taps.weight)
}

/// How much of a voxel each label has.
struct Shares<T> {
    labels: [Option<(T, f64)>; CORNERS],
}

impl<T: Value + PartialEq> Shares<T> {
    fn new() -> Self {
        Self {
            labels: [None; CORNERS],
        }
    }

    fn add(&mut self, label: T, share: f64) {
        for slot in &mut self.labels {
            match slot {
                Some((known, sum)) if *known == label => {
                    *sum += share;
                    return;
                }
                Some(_) => {}
                None => {
                    *slot = Some((label, share));
                    return;
                }
            }
        }
    }

    /// The label of the largest share; of equal shares the smallest label.
    fn largest(&self) -> Option<T> {
        let shares = self.labels.iter().flatten();
        let most = shares.clone().map(|(_, share)| *share).fold(0.0, f64::max);
        shares
            .filter(|(_, share)| *share >= most - LEAD)
            .map(|(label, _)| *label)
            .reduce(|low, label| {
                if label.to_f64() < low.to_f64() {
                    label
                } else {
                    low
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_give_the_smallest_label_in_any_order() {
        for labels in [[7_u8, 3], [3, 7]] {
            let mut shares = Shares::new();
            shares.add(labels[0], 0.5);
            shares.add(labels[1], 0.5 + 1e-15);
            assert_eq!(shares.largest(), Some(3));
        }
    }

    #[test]
    fn shares_of_one_label_add_up() {
        let mut shares = Shares::new();
        for (label, share) in [(1_i16, 0.4), (2, 0.25), (2, 0.25), (-5, 0.1)] {
            shares.add(label, share);
        }
        assert_eq!(shares.largest(), Some(2));
    }
}
