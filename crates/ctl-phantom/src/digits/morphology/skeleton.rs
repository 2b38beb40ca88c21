//! The medial axis: pixels are peeled from the edge inwards as long as nothing falls apart.

use std::sync::LazyLock;

use super::super::Plane;
use super::tie_order::permutation;

/// The eight neighbours of a pixel, as offsets in y and x.
const NEIGHBOURS: [(isize, isize); 8] = [
    (-1, -1),
    (-1, 0),
    (-1, 1),
    (0, -1),
    (0, 1),
    (1, -1),
    (1, 0),
    (1, 1),
];

/// For every set of neighbours, whether the pixel between them must stay: its removal would change
/// the number of 8-connected pieces, or it has at most one neighbour and so ends a line.
static STAYS: LazyLock<[bool; 256]> =
    LazyLock::new(|| std::array::from_fn(|set| set.count_ones() <= 1 || pieces(set) != 1));

/// Number of 8-connected pieces of a set of neighbours, without the pixel between them.
fn pieces(set: usize) -> usize {
    let mut left = set;
    let mut count = 0;
    while left != 0 {
        let mut piece = left & left.wrapping_neg();
        loop {
            let grown = (0..8)
                .filter(|&other| left >> other & 1 == 1)
                .filter(|&other| (0..8).any(|one| piece >> one & 1 == 1 && touch(one, other)))
                .fold(piece, |piece, other| piece | 1 << other);
            if grown == piece {
                break;
            }
            piece = grown;
        }
        left &= !piece;
        count += 1;
    }
    count
}

fn touch(one: usize, other: usize) -> bool {
    let ((y, x), (v, u)) = (NEIGHBOURS[one], NEIGHBOURS[other]);
    (y - v).abs() <= 1 && (x - u).abs() <= 1
}

/// The medial axis of a mask.
///
/// Pixels are visited by distance from the edge, then by the number of neighbours outside the mask,
/// then in a fixed arbitrary order; each is removed unless its removal would change the number of
/// pieces or it ends a line.
///
/// # Arguments
/// - `mask`: the strokes.
/// - `squared_distance`: of every pixel to the nearest one outside the mask.
///
/// # Complexity
/// `n log n` for `n` pixels in the mask.
pub(super) fn medial_axis(mask: &Plane<bool>, squared_distance: &Plane<isize>) -> Plane<bool> {
    let grid = Padded::new(mask);
    let inside: Vec<usize> = (0..mask.values().len())
        .filter(|&pixel| mask.values()[pixel])
        .collect();
    let mut order: Vec<(isize, u32, u32, usize)> = inside
        .iter()
        .zip(permutation(inside.len()))
        .map(|(&pixel, tie)| {
            let outside = 8 - grid.neighbours(pixel).count_ones();
            (squared_distance.values()[pixel], outside, tie, pixel)
        })
        .collect();
    order.sort_unstable();
    let mut grid = grid;
    for (.., pixel) in order {
        if !STAYS[grid.neighbours(pixel)] {
            grid.clear(pixel);
        }
    }
    grid.inner(mask)
}

/// A mask with a margin of one empty pixel, so that every pixel has eight neighbours.
struct Padded {
    width: usize,
    set: Vec<bool>,
}

impl Padded {
    fn new(mask: &Plane<bool>) -> Self {
        let [height, width] = mask.shape();
        let mut padded = Self {
            width,
            set: vec![false; (height + 2) * (width + 2)],
        };
        for (y, row) in mask.rows().enumerate() {
            let start = padded.place(y * width);
            padded.set[start..start + width].copy_from_slice(row);
        }
        padded
    }

    /// Where a pixel of the mask lies in the padded one.
    fn place(&self, pixel: usize) -> usize {
        (pixel / self.width + 1) * (self.width + 2) + pixel % self.width + 1
    }

    /// The neighbours in the mask, one bit for each of [`NEIGHBOURS`].
    fn neighbours(&self, pixel: usize) -> usize {
        let place = self.place(pixel);
        let stride = self.width + 2;
        let [above, here, below] = [place - stride, place, place + stride];
        let around = [
            above - 1,
            above,
            above + 1,
            here - 1,
            here + 1,
            below - 1,
            below,
            below + 1,
        ];
        let bits = around.into_iter().enumerate();
        bits.fold(0, |bits, (bit, at)| bits | usize::from(self.set[at]) << bit)
    }

    fn clear(&mut self, pixel: usize) {
        let place = self.place(pixel);
        self.set[place] = false;
    }

    fn inner(&self, mask: &Plane<bool>) -> Plane<bool> {
        let mut inner = Plane::filled(mask.shape(), false);
        for y in 0..mask.shape()[0] {
            let start = self.place(y * self.width);
            inner
                .row_mut(y)
                .copy_from_slice(&self.set[start..start + self.width]);
        }
        inner
    }
}

#[cfg(test)]
mod tests {
    use super::super::distance::squared_distance;
    use super::*;
    use proptest::prelude::*;

    fn axis(mask: &Plane<bool>) -> Plane<bool> {
        medial_axis(mask, &squared_distance(mask))
    }

    fn drawn(rows: &[&str]) -> Plane<bool> {
        let values = rows.iter().flat_map(|row| row.chars().map(|c| c == '#'));
        Plane::new([rows.len(), rows[0].len()], values.collect()).unwrap()
    }

    /// The example in the documentation of scikit-image's `medial_axis`.
    #[test]
    fn a_block_keeps_its_middle_and_its_corners() {
        let block = drawn(&[
            ".......", "..###..", "..###..", "..###..", "..###..", "..###..", ".......",
        ]);
        let expected = drawn(&[
            ".......", "..#.#..", "...#...", "...#...", "...#...", "..#.#..", ".......",
        ]);
        assert_eq!(axis(&block), expected);
    }

    #[test]
    fn pieces_of_a_ring_are_counted() {
        let bits = |set: &[usize]| set.iter().fold(0, |bits, bit| bits | 1 << bit);
        assert_eq!(pieces(0), 0);
        assert_eq!(pieces(bits(&[0, 7])), 2);
        assert_eq!(pieces(bits(&[1, 4])), 1); // north and east touch at their corners
        assert_eq!(pieces(bits(&[0, 2, 5, 7])), 4);
        assert_eq!(pieces(255), 1);
    }

    /// Number of 8-connected pieces, and of 4-connected pieces of the rest of a padded plane.
    fn topology(mask: &Plane<bool>) -> (usize, usize) {
        let grid = Padded::new(mask);
        let height = grid.set.len() / (grid.width + 2);
        let plane = Plane::new([height, grid.width + 2], grid.set).unwrap();
        (count(&plane, true, 8), count(&plane, false, 4))
    }

    fn count(plane: &Plane<bool>, value: bool, connectivity: usize) -> usize {
        let [height, width] = plane.shape();
        let mut seen = plane.map(|found| found != value);
        let mut count = 0;
        for start in 0..height * width {
            let mut stack = vec![start];
            if seen.values()[start] {
                continue;
            }
            count += 1;
            while let Some(at) = stack.pop() {
                let (y, x) = ((at / width).cast_signed(), (at % width).cast_signed());
                if std::mem::replace(&mut seen.values_mut()[at], true) {
                    continue;
                }
                for (v, u) in NEIGHBOURS {
                    let (v, u) = (y + v, x + u);
                    let diagonal = v != y && u != x;
                    let within =
                        v >= 0 && u >= 0 && v < height.cast_signed() && u < width.cast_signed();
                    if within && (connectivity == 8 || !diagonal) {
                        stack.push(v as usize * width + u as usize);
                    }
                }
            }
        }
        count
    }

    proptest! {
        #[test]
        fn pieces_stay_pieces(bits in prop::collection::vec(prop::bool::weighted(0.7), 132)) {
            let mask = Plane::new([11, 12], bits).unwrap();
            let skeleton = axis(&mask);
            prop_assert_eq!(topology(&skeleton).0, topology(&mask).0);
            let within = skeleton.values().iter().zip(mask.values());
            prop_assert!(within.clone().all(|(&kept, &set)| set || !kept));
        }
    }

    #[test]
    fn a_hole_stays_a_hole() {
        let ring = drawn(&[
            "............",
            ".##########.",
            ".##########.",
            ".###....###.",
            ".###....###.",
            ".##########.",
            ".##########.",
            "............",
        ]);
        let skeleton = axis(&ring);
        assert_eq!(topology(&ring), (1, 2));
        assert_eq!(topology(&skeleton), (1, 2));
        let left = skeleton.values().iter().filter(|&&set| set).count();
        assert!(left < 30, "{left}");
    }
}
