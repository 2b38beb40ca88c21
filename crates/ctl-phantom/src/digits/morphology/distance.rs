//! Exact squared Euclidean distances.

use super::super::Plane;

/// Squared distance of every pixel to the nearest pixel outside the mask, 0 outside.
///
/// What lies beyond the picture counts as neither. Without a pixel outside the mask every distance
/// is that of a pixel farther away than the picture's own diagonal.
///
/// # Complexity
/// Proportional to the number of pixels.
///
/// # References
/// Meijster, Roerdink & Hesselink (2000), "A general algorithm for computing distance transforms
/// in linear time".
pub(super) fn squared_distance(mask: &Plane<bool>) -> Plane<isize> {
    let along = column_distance(mask);
    let mut squared = Plane::filled(mask.shape(), 0);
    let mut envelope = Envelope::default();
    for y in 0..mask.shape()[0] {
        envelope.build(along.row(y));
        envelope.write(along.row(y), squared.row_mut(y));
    }
    squared
}

/// Distance to the nearest pixel outside the mask in the same column.
fn column_distance(mask: &Plane<bool>) -> Plane<isize> {
    let [height, width] = mask.shape();
    let far = (height + width).cast_signed();
    let mut distance = Plane::filled(mask.shape(), 0);
    let mut running = vec![far; width];
    let mut sweep = |rows: &mut dyn Iterator<Item = usize>, running: &mut [isize], first: bool| {
        for y in rows {
            let row = distance.row_mut(y).iter_mut().zip(mask.row(y));
            for ((value, &inside), run) in row.zip(running.iter_mut()) {
                *run = if inside { (*run + 1).min(far) } else { 0 };
                *value = if first { *run } else { (*value).min(*run) };
            }
        }
    };
    sweep(&mut (0..height), &mut running, true);
    running.fill(far);
    sweep(&mut (0..height).rev(), &mut running, false);
    distance
}

/// The lower envelope of the parabolas `(x - site)² + distance(site)²`.
#[derive(Default)]
struct Envelope {
    /// Vertex of each parabola that is somewhere the lowest, and where it begins to be.
    pieces: Vec<(isize, isize)>,
}

impl Envelope {
    fn build(&mut self, along: &[isize]) {
        let square = |site: isize| along[site as usize].pow(2);
        self.pieces.clear();
        for site in 0..along.len().cast_signed() {
            let at = |vertex: isize, x: isize| (x - vertex).pow(2) + square(vertex);
            while let Some(&(vertex, start)) = self.pieces.last() {
                if at(vertex, start) <= at(site, start) {
                    break;
                }
                self.pieces.pop();
            }
            let start = self.pieces.last().map_or(0, |&(vertex, _)| {
                let rise = site.pow(2) - vertex.pow(2) + square(site) - square(vertex);
                1 + rise.div_euclid(2 * (site - vertex))
            });
            if start < along.len().cast_signed() {
                self.pieces.push((site, start));
            }
        }
    }

    fn write(&self, along: &[isize], squared: &mut [isize]) {
        let mut piece = self.pieces.len();
        for (x, value) in squared.iter_mut().enumerate().rev() {
            let x = x.cast_signed();
            while piece > 1 && self.pieces[piece - 1].1 > x {
                piece -= 1;
            }
            let vertex = self.pieces[piece - 1].0;
            *value = (x - vertex).pow(2) + along[vertex as usize].pow(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_search(mask: &Plane<bool>) -> Vec<isize> {
        let [height, width] = mask.shape();
        let points = || (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)));
        let nearest = |(y, x): (usize, usize)| {
            let outside = points().filter(|&(v, u)| !mask.row(v)[u]);
            let square = |(v, u): (usize, usize)| {
                (y.abs_diff(v).pow(2) + x.abs_diff(u).pow(2)).cast_signed()
            };
            outside.map(square).min().unwrap_or(isize::MAX)
        };
        points().map(nearest).collect()
    }

    proptest! {
        #[test]
        fn distances_are_those_of_a_search(
            width in 1_usize..13,
            bits in prop::collection::vec(prop::bool::weighted(0.85), 1..150),
            hole in any::<prop::sample::Index>(),
        ) {
            let height = bits.len().div_ceil(width);
            let mut values = bits;
            values.resize(height * width, true);
            let hole = hole.index(values.len());
            values[hole] = false;
            let mask = Plane::new([height, width], values).unwrap();
            let found = squared_distance(&mask);
            let expected = by_search(&mask);
            prop_assert_eq!(found.values(), expected.as_slice());
        }
    }
}
