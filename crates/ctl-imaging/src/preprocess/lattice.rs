//! Cubic B-splines over a box of voxels, fitted to scattered values.
//!
//! Voxels lie on a grid, so that the product of weights of Lee, Wolberg & Shin separates into one
//! factor an axis: sums over 64 control points a voxel become three sums over 4.

/// Weights of a cubic B-spline reach over this many control points.
const SUPPORT: usize = 4;

/// The weights of the control points at places along one axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Control points of the axis: pieces + 3, or 1 where the axis has one voxel.
    controls: usize,
    /// First control point of each place.
    starts: Vec<usize>,
    weights: Vec<[f64; SUPPORT]>,
}

impl Axis {
    /// Weights at voxel indices along an axis of `voxels` that `pieces` pieces of a spline span.
    pub(crate) fn new(voxels: usize, pieces: usize, places: impl Iterator<Item = f64>) -> Self {
        if voxels == 1 {
            let count = places.count();
            return Self {
                controls: 1,
                starts: vec![0; count],
                weights: vec![[1.0, 0.0, 0.0, 0.0]; count],
            };
        }
        Self::spaced(pieces, (voxels - 1) as f64 / pieces as f64, places)
    }

    /// Weights at voxel indices along an axis whose pieces are `spacing` voxels long, the first
    /// starting at voxel 0.
    pub(crate) fn spaced(pieces: usize, spacing: f64, places: impl Iterator<Item = f64>) -> Self {
        let (starts, weights) = places
            .map(|place| {
                let at = (place / spacing).clamp(0.0, pieces as f64);
                let start = (at as usize).min(pieces - 1);
                (start, cubic(at - start as f64))
            })
            .unzip();
        Self {
            controls: pieces + SUPPORT - 1,
            starts,
            weights,
        }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    /// Each weight to a power.
    fn powered(&self, power: i32) -> Self {
        let weights = self
            .weights
            .iter()
            .map(|weights| weights.map(|w| w.powi(power)));
        Self {
            controls: self.controls,
            starts: self.starts.clone(),
            weights: weights.collect(),
        }
    }

    /// For each place the sum of its squared weights.
    fn squares(&self) -> Vec<f64> {
        let sums = self.weights.iter();
        sums.map(|weights| weights.iter().map(|w| w * w).sum())
            .collect()
    }

    /// Places to control points: sums of values times weights, along the axis of this stride.
    fn gather(&self, values: &[f64], stride: usize) -> Vec<f64> {
        let mut sums = vec![0.0; values.len() / self.len() * self.controls];
        let blocks = values.chunks_exact(stride * self.len());
        for (block, sums) in blocks.zip(sums.chunks_exact_mut(stride * self.controls)) {
            for (row, (&start, weights)) in block
                .chunks_exact(stride)
                .zip(self.starts.iter().zip(&self.weights))
            {
                let reach = self.reach(start);
                for (target, weight) in sums[start * stride..reach * stride]
                    .chunks_exact_mut(stride)
                    .zip(weights)
                {
                    for (sum, value) in target.iter_mut().zip(row) {
                        *sum += value * weight;
                    }
                }
            }
        }
        sums
    }

    /// Control points to places: the spline's values, along the axis of this stride.
    fn spread(&self, values: &[f64], stride: usize) -> Vec<f64> {
        let mut spread = vec![0.0; values.len() / self.controls * self.len()];
        let blocks = values.chunks_exact(stride * self.controls);
        for (block, spread) in blocks.zip(spread.chunks_exact_mut(stride * self.len())) {
            for (row, (&start, weights)) in spread
                .chunks_exact_mut(stride)
                .zip(self.starts.iter().zip(&self.weights))
            {
                let reach = self.reach(start);
                for (source, weight) in block[start * stride..reach * stride]
                    .chunks_exact(stride)
                    .zip(weights)
                {
                    for (sum, value) in row.iter_mut().zip(source) {
                        *sum += value * weight;
                    }
                }
            }
        }
        spread
    }

    fn reach(&self, start: usize) -> usize {
        (start + SUPPORT).min(self.controls)
    }
}

/// Weights of the four control points at a place within a piece, 0 to 1.
pub(crate) fn cubic(t: f64) -> [f64; SUPPORT] {
    let s = 1.0 - t;
    [
        s * s * s / 6.0,
        (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
        (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
        t * t * t / 6.0,
    ]
}

/// Control points along three axes, first axis fastest.
#[derive(Debug, Clone)]
pub(crate) struct Lattice {
    shape: [usize; 3],
    values: Vec<f64>,
}

/// What a fit needs that does not depend on the values.
pub(crate) struct Fit {
    cubes: [Axis; 3],
    /// For each place 1 over its sum of squared weights; 0 where it does not count.
    scale: Vec<f64>,
    /// For each control point the sum of squared weights of the places that count.
    squares: Vec<f64>,
}

impl Fit {
    /// # Arguments
    /// * `counts`: for each place whether its value counts.
    pub(crate) fn new(axes: &[Axis; 3], counts: &[bool]) -> Self {
        let weight: Vec<f64> = counts
            .iter()
            .map(|&counts| f64::from(u8::from(counts)))
            .collect();
        let squares = gathered(&axes.each_ref().map(|axis| axis.powered(2)), weight);
        let sums = axes.each_ref().map(Axis::squares);
        let mut scale = Vec::with_capacity(counts.len());
        let mut places = counts.iter();
        for z in &sums[2] {
            for y in &sums[1] {
                let row = sums[0].iter().zip(places.by_ref());
                scale.extend(row.map(|(x, &counts)| if counts { 1.0 / (x * y * z) } else { 0.0 }));
            }
        }
        Self {
            cubes: axes.each_ref().map(|axis| axis.powered(3)),
            scale,
            squares,
        }
    }

    /// The lattice whose every control point is the mean, weighted by squares, of what each place
    /// alone would want it to be (Lee, Wolberg & Shin 1997, eq. 5).
    pub(crate) fn apply(&self, values: &[f64]) -> Lattice {
        let scaled = values
            .iter()
            .zip(&self.scale)
            .map(|(value, scale)| value * scale);
        let mut fitted = gathered(&self.cubes, scaled.collect());
        for (value, squares) in fitted.iter_mut().zip(&self.squares) {
            *value = if *squares > 0.0 {
                *value / squares
            } else {
                0.0
            };
        }
        Lattice {
            shape: self.cubes.each_ref().map(|axis| axis.controls),
            values: fitted,
        }
    }
}

fn gathered(axes: &[Axis; 3], values: Vec<f64>) -> Vec<f64> {
    let mut values = values;
    let mut stride = 1;
    for axis in axes {
        values = axis.gather(&values, stride);
        stride *= axis.controls;
    }
    values
}

impl Lattice {
    /// Control points of 0.
    pub(crate) fn zero(axes: &[Axis; 3]) -> Self {
        Self::new(axes, |_| 0.0)
    }

    /// Control points whose values are made one after another.
    pub(crate) fn new(axes: &[Axis; 3], value: impl FnMut(usize) -> f64) -> Self {
        let shape = axes.each_ref().map(|axis| axis.controls);
        Self {
            shape,
            values: (0..shape.iter().product()).map(value).collect(),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (value, other) in self.values.iter_mut().zip(&other.values) {
            *value += other;
        }
    }

    /// The spline at all places.
    pub(crate) fn evaluate(&self, axes: &[Axis; 3]) -> Vec<f64> {
        let [columns, rows, _] = self.shape;
        let mut values = axes[2].spread(&self.values, columns * rows);
        values = axes[1].spread(&values, columns);
        axes[0].spread(&values, 1)
    }

    /// The same spline with every piece cut in two.
    pub(crate) fn refined(&self) -> Self {
        let mut shape = self.shape;
        let mut values = self.values.clone();
        for axis in 0..3 {
            if shape[axis] == 1 {
                continue;
            }
            let stride: usize = shape[..axis].iter().product();
            values = halved(&values, shape[axis], stride);
            shape[axis] = 2 * shape[axis] - SUPPORT + 1;
        }
        Self { shape, values }
    }
}

/// Dyadic refinement of uniform cubic B-splines along one axis: `(p + q) / 2` for points on what
/// were knots' sides and `(p + 6q + r) / 8` between (Lane & Riesenfeld 1980).
fn halved(values: &[f64], controls: usize, stride: usize) -> Vec<f64> {
    let mut refined = Vec::with_capacity(2 * values.len());
    for block in values.chunks_exact(controls * stride) {
        for number in 0..=2 * controls - SUPPORT {
            let first = number / 2 * stride;
            for at in first..first + stride {
                let (p, q) = (block[at], block[at + stride]);
                refined.push(if number.is_multiple_of(2) {
                    f64::midpoint(p, q)
                } else {
                    (p + 6.0 * q + block[at + 2 * stride]) / 8.0
                });
            }
        }
    }
    refined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(shape: [usize; 3], pieces: usize) -> [Axis; 3] {
        shape.map(|side| Axis::new(side, pieces, (0..side).map(|at| at as f64)))
    }

    fn wave(number: usize) -> f64 {
        (number as f64 * 1.7).sin()
    }

    #[test]
    fn weights_sum_to_one_and_are_symmetric() {
        for step in 0..=10 {
            let t = f64::from(step) / 10.0;
            let (there, back) = (cubic(t), cubic(1.0 - t));
            assert!((there.iter().sum::<f64>() - 1.0).abs() < 1e-15);
            for (a, b) in there.iter().zip(back.iter().rev()) {
                assert!((a - b).abs() < 1e-15);
            }
        }
        assert!((cubic(0.5)[1] - 23.0 / 48.0).abs() < 1e-15);
    }

    #[test]
    fn refining_does_not_change_the_spline() {
        for shape in [[9, 7, 5], [9, 7, 1]] {
            let lattice = Lattice::new(&axes(shape, 2), wave);
            let before = lattice.evaluate(&axes(shape, 2));
            let after = lattice.refined().evaluate(&axes(shape, 4));
            for (a, b) in before.iter().zip(after) {
                assert!((a - b).abs() < 1e-14);
            }
        }
    }

    /// Sums over all control points of every voxel, as the paper writes them.
    #[test]
    fn the_separated_fit_is_the_one_of_the_paper() {
        let shape = [6, 5, 4];
        let axes = axes(shape, 2);
        let counts: Vec<bool> = (0..120).map(|voxel| voxel % 7 != 0).collect();
        let values: Vec<f64> = (0..120).map(wave).collect();
        let fitted = Fit::new(&axes, &counts).apply(&values);
        let (mut above, mut below) = (vec![0.0; 125], vec![0.0; 125]);
        for voxel in (0..120).filter(|voxel| counts[*voxel]) {
            let at = [voxel % 6, voxel / 6 % 5, voxel / 30];
            let weight = |corner: [usize; 3]| -> f64 {
                (0..3).map(|a| axes[a].weights[at[a]][corner[a]]).product()
            };
            let corners: Vec<[usize; 3]> = (0..64).map(|c| [c % 4, c / 4 % 4, c / 16]).collect();
            let all: f64 = corners.iter().map(|&c| weight(c).powi(2)).sum();
            for corner in corners {
                let [x, y, z] = [0, 1, 2].map(|a| axes[a].starts[at[a]] + corner[a]);
                let w = weight(corner);
                above[x + 5 * (y + 5 * z)] += w * w * (w * values[voxel] / all);
                below[x + 5 * (y + 5 * z)] += w * w;
            }
        }
        for (found, (above, below)) in fitted.values.iter().zip(above.iter().zip(&below)) {
            let expected = if *below > 0.0 { above / below } else { 0.0 };
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn an_image_of_one_slice_is_fitted_in_two_axes() {
        let flat = axes([8, 8, 1], 1);
        let values: Vec<f64> = (0..64).map(|voxel| f64::from(voxel % 8)).collect();
        let fitted = Fit::new(&flat, &[true; 64]).apply(&values);
        assert_eq!(fitted.shape, [4, 4, 1]);
        let back = fitted.evaluate(&flat);
        assert!(back[7] > back[0] + 2.0);
        // Nothing changes along the second axis.
        assert!((back[3] - back[59]).abs() < 1e-9);
    }
}
