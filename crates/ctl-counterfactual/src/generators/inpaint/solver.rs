//! The equations of a hole, solved by conjugate gradients.

use super::super::region::neighbours;
use super::{InpaintConfig, Smoothness};
use crate::{CounterfactualError, Result};

/// No unknown.
const NONE: usize = usize::MAX;

/// `−Δu` at one pixel: `degree · own − Σ neighbours + constant`, by the numbers of the unknowns.
struct Row {
    own: usize,
    degree: f64,
    neighbours: Vec<usize>,
    constant: f64,
}

/// `−Δu = R v + c` at some pixels, for the unknown values `v` of the hole.
struct Laplacian {
    rows: Vec<Row>,
    unknowns: usize,
}

impl Laplacian {
    fn new(plane: &[f64], hole: &[bool], size: [usize; 2], smoothness: Smoothness) -> Self {
        let mut numbers = vec![NONE; hole.len()];
        let mut unknowns = 0;
        for (number, _) in numbers.iter_mut().zip(hole).filter(|(_, inside)| **inside) {
            *number = unknowns;
            unknowns += 1;
        }
        let around = |index: usize| neighbours(index, size);
        // A harmonic filling has an equation at each of its pixels; the bending energy also counts
        // the known pixels whose Laplacian depends on the hole.
        let counts = |index: usize| {
            hole[index]
                || smoothness == Smoothness::Biharmonic && around(index).iter().any(|&q| hole[q])
        };
        let row = |index: usize| {
            let around = around(index);
            let degree = around.len() as f64;
            let known: f64 = around
                .iter()
                .filter(|&&q| !hole[q])
                .map(|&q| plane[q])
                .sum();
            let own = if hole[index] {
                0.0
            } else {
                degree * plane[index]
            };
            Row {
                own: numbers[index],
                degree,
                neighbours: around
                    .iter()
                    .map(|&q| numbers[q])
                    .filter(|&number| number != NONE)
                    .collect(),
                constant: own - known,
            }
        };
        let rows = (0..hole.len()).filter(|&index| counts(index)).map(row);
        Self {
            rows: rows.collect(),
            unknowns,
        }
    }

    /// `R v`
    fn at(&self, v: &[f64]) -> Vec<f64> {
        let value = |row: &Row| {
            let own = if row.own == NONE { 0.0 } else { v[row.own] };
            row.degree * own - row.neighbours.iter().map(|&q| v[q]).sum::<f64>()
        };
        self.rows.iter().map(value).collect()
    }

    /// `Rᵀ y`
    fn transposed(&self, y: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.unknowns];
        for (row, value) in self.rows.iter().zip(y) {
            if row.own != NONE {
                sums[row.own] += row.degree * value;
            }
            for &q in &row.neighbours {
                sums[q] -= value;
            }
        }
        sums
    }
}

/// The mean of what is known beside the hole, once for each of its neighbours there.
fn mean_beside(plane: &[f64], hole: &[bool], size: [usize; 2]) -> f64 {
    let beside = (0..hole.len())
        .filter(|&index| hole[index])
        .flat_map(|index| neighbours(index, size))
        .filter(|&index| !hole[index]);
    let (sum, count) = beside.fold((0.0, 0usize), |(sum, count), index| {
        (sum + plane[index], count + 1)
    });
    sum / count.max(1) as f64
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves for the hole in place.
///
/// Both systems are symmetric and positive definite: a field that vanishes outside the hole and has
/// no Laplacian is constant on the grid, hence 0, because some pixel is known.
pub(super) fn fill(
    plane: &mut [f64],
    hole: &[bool],
    size: [usize; 2],
    config: &InpaintConfig,
) -> Result<()> {
    let laplacian = Laplacian::new(plane, hole, size, config.smoothness);
    let constants: Vec<f64> = laplacian.rows.iter().map(|row| -row.constant).collect();
    let start = vec![mean_beside(plane, hole, size); laplacian.unknowns];
    let values = match config.smoothness {
        Smoothness::Harmonic => {
            conjugate_gradients(|v| laplacian.at(v), &constants, start, config)?
        }
        Smoothness::Biharmonic => {
            let right = laplacian.transposed(&constants);
            let normal = |v: &[f64]| laplacian.transposed(&laplacian.at(v));
            conjugate_gradients(normal, &right, start, config)?
        }
    };
    let unknown = plane.iter_mut().zip(hole).filter(|(_, inside)| **inside);
    for ((pixel, _), value) in unknown.zip(values) {
        *pixel = value;
    }
    Ok(())
}

/// `A x = b` until `‖b − A x‖ ≤ tolerance ‖b‖`.
fn conjugate_gradients(
    matrix: impl Fn(&[f64]) -> Vec<f64>,
    right: &[f64],
    start: Vec<f64>,
    config: &InpaintConfig,
) -> Result<Vec<f64>> {
    let mut x = start;
    let mut left: Vec<f64> = right.iter().zip(matrix(&x)).map(|(b, ax)| b - ax).collect();
    let mut direction = left.clone();
    let mut square = dot(&left, &left);
    let enough = config.tolerance.powi(2) * dot(right, right);
    for _ in 0..config.max_iterations {
        if square <= enough {
            return Ok(x);
        }
        let image = matrix(&direction);
        let step = square / dot(&direction, &image);
        for index in 0..x.len() {
            x[index] += step * direction[index];
            left[index] -= step * image[index];
        }
        let next = dot(&left, &left);
        let share = next / square;
        square = next;
        for (along, left) in direction.iter_mut().zip(&left) {
            *along = left + share * *along;
        }
    }
    if square <= enough {
        return Ok(x);
    }
    Err(CounterfactualError::Value {
        subject: "filling of a hole".into(),
        expected: format!(
            "a relative residual of {:e} within {} iterations",
            config.tolerance, config.max_iterations
        ),
        found: format!("{:e}", (square / dot(right, right)).sqrt()),
    })
}
