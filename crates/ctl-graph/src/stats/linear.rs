//! Dense linear algebra: products, Cholesky factors, inverses.
//!
//! The inner loops are plain Rust over fixed-width lanes; `pulp` compiles them for the widest
//! vectors the processor has and picks the version at run time.

use super::Matrix;

/// Lanes of an accumulator: one AVX-512 register.
const LANES: usize = 8;
/// Columns of a product's tile: two registers.
const TILE_COLUMNS: usize = 2 * LANES;
/// Rows of a product's tile.
const TILE_ROWS: usize = 4;
/// A pivot smaller than this share of its diagonal entry means that the variables before it
/// determine the variable: correlations carry about fifteen digits.
const RELATIVE_PIVOT: f64 = 1e-12;

/// Runs a loop compiled for the widest vectors of this processor.
pub(crate) fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}

/// `sum_i a_i b_i`, in an order that depends on the length alone.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    vectorised(
        #[inline(always)]
        || dot_inline(a, b),
    )
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
pub(crate) fn dot_inline(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f64>() + rest
}

/// `a += scale * b`.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
pub(crate) fn add_scaled(a: &mut [f64], scale: f64, b: &[f64]) {
    for (x, y) in a.iter_mut().zip(b) {
        *x += scale * y;
    }
}

/// The matrix product `a b`.
pub(crate) fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut result = Matrix::zeros(a.rows(), b.columns());
    product_into(a, b, &mut result);
    result
}

/// Writes the matrix product `a b` over `result`, which has its shape.
pub(crate) fn product_into(a: &Matrix, b: &Matrix, result: &mut Matrix) {
    debug_assert_eq!(a.columns(), b.rows());
    let (rows, inner, columns) = (a.rows(), a.columns(), b.columns());
    let (a, b) = (a.values(), b.values());
    let out = result.values_mut();
    let whole = columns - columns % LANES;
    vectorised(
        #[inline(always)]
        || {
            for row in (0..rows - rows % TILE_ROWS).step_by(TILE_ROWS) {
                strip::<TILE_ROWS>((a, b), inner, (row, columns, whole), out);
            }
            for row in rows - rows % TILE_ROWS..rows {
                strip::<1>((a, b), inner, (row, columns, whole), out);
            }
        },
    );
}

/// Some rows of a product: tiles of two registers, of one, and single columns.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
fn strip<const HEIGHT: usize>(
    factors: (&[f64], &[f64]),
    inner: usize,
    (row, columns, whole): (usize, usize, usize),
    out: &mut [f64],
) {
    let mut column = 0;
    while column + TILE_COLUMNS <= whole {
        tile::<HEIGHT, TILE_COLUMNS>(factors, inner, columns, (row, column), out);
        column += TILE_COLUMNS;
    }
    if column < whole {
        tile::<HEIGHT, LANES>(factors, inner, columns, (row, column), out);
    }
    for column in whole..columns {
        tile::<HEIGHT, 1>(factors, inner, columns, (row, column), out);
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
fn tile<const HEIGHT: usize, const WIDTH: usize>(
    (a, b): (&[f64], &[f64]),
    inner: usize,
    columns: usize,
    (row, column): (usize, usize),
    out: &mut [f64],
) {
    let mut sums = [[0.0; WIDTH]; HEIGHT];
    for k in 0..inner {
        let source = &b[k * columns + column..][..WIDTH];
        for (offset, sum) in sums.iter_mut().enumerate() {
            add_scaled(sum, a[(row + offset) * inner + k], source);
        }
    }
    for (offset, sum) in sums.iter().enumerate() {
        out[(row + offset) * columns + column..][..WIDTH].copy_from_slice(sum);
    }
}

/// The lower Cholesky factor of a symmetric positive definite matrix, `None` for any other.
pub(crate) fn cholesky(matrix: &Matrix) -> Option<Matrix> {
    let size = matrix.rows();
    let mut lower = matrix.clone();
    for row in 0..size {
        for column in 0..=row {
            let (above, below) = lower.values().split_at(row * size);
            let own = &below[..column];
            let other = if column == row {
                own
            } else {
                &above[column * size..][..column]
            };
            let rest = matrix[(row, column)] - dot(own, other);
            lower[(row, column)] = if column < row {
                rest / lower[(column, column)]
            } else if rest > RELATIVE_PIVOT * matrix[(row, row)] {
                rest.sqrt()
            } else {
                return None;
            };
        }
        for column in row + 1..size {
            lower[(row, column)] = 0.0;
        }
    }
    Some(lower)
}

/// Solves `L Lᵀ x = right` in place.
pub(crate) fn solve_factored(lower: &Matrix, right: &mut [f64]) {
    let size = lower.rows();
    for row in 0..size {
        let known = dot(&lower.row(row)[..row], &right[..row]);
        right[row] = (right[row] - known) / lower[(row, row)];
    }
    for row in (0..size).rev() {
        right[row] /= lower[(row, row)];
        let value = right[row];
        for (earlier, factor) in right[..row].iter_mut().zip(lower.row(row)) {
            *earlier -= value * factor;
        }
    }
}

/// Solves `matrix x = right` for a symmetric positive definite matrix, `None` for any other.
pub(crate) fn solve(matrix: &Matrix, right: &[f64]) -> Option<Vec<f64>> {
    let mut solution = right.to_vec();
    solve_factored(&cholesky(matrix)?, &mut solution);
    Some(solution)
}

/// Inverts in place by Gauss-Jordan elimination without exchanges.
///
/// # Returns
/// The logarithm of the determinant; `None`, with the matrix spoilt, when a pivot is not positive.
/// Every pivot of a symmetric positive definite matrix and of a nonsingular M-matrix is positive.
pub(crate) fn invert(matrix: &mut Matrix) -> Option<f64> {
    let size = matrix.rows();
    let values = matrix.values_mut();
    vectorised(
        #[inline(always)]
        || invert_inline(values, size),
    )
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "must be compiled within the dispatched closure"
)]
fn invert_inline(values: &mut [f64], size: usize) -> Option<f64> {
    let mut log_determinant = 0.0;
    for pivot in 0..size {
        let value = values[pivot * size + pivot];
        if value.is_nan() || value <= f64::MIN_POSITIVE {
            return None;
        }
        log_determinant += value.ln();
        let (before, rest) = values.split_at_mut(pivot * size);
        let (own, after) = rest.split_at_mut(size);
        own[pivot] = 1.0;
        for entry in own.iter_mut() {
            *entry /= value;
        }
        let others = before
            .chunks_exact_mut(size)
            .chain(after.chunks_exact_mut(size));
        for row in others {
            let factor = std::mem::replace(&mut row[pivot], 0.0);
            add_scaled(row, -factor, own);
        }
    }
    Some(log_determinant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(size: usize) -> Matrix {
        let factor = Matrix::from_fn(size, size, |i, j| {
            ((i * 7 + j * 3) % 11) as f64 / 11.0 + if i == j { 2.0 } else { 0.0 }
        });
        product(&factor, &factor.transposed())
    }

    fn assert_near(found: &Matrix, expected: &Matrix) {
        for (a, b) in found.values().iter().zip(expected.values()) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn products_of_every_tile_shape_agree_with_the_definition() {
        for (rows, inner, columns) in [(1, 1, 1), (4, 3, 16), (5, 7, 19), (9, 2, 33)] {
            let a = Matrix::from_fn(rows, inner, |i, j| (i * 5 + j) as f64 % 7.0 - 3.0);
            let b = Matrix::from_fn(inner, columns, |i, j| (i + j * 3) as f64 % 5.0 - 2.0);
            let expected = Matrix::from_fn(rows, columns, |i, j| {
                (0..inner).map(|k| a[(i, k)] * b[(k, j)]).sum()
            });
            assert_near(&product(&a, &b), &expected);
        }
    }

    #[test]
    fn inverses_and_factors_multiply_back() {
        for size in [1, 3, 17] {
            let matrix = positive(size);
            let lower = cholesky(&matrix).unwrap();
            assert_near(&product(&lower, &lower.transposed()), &matrix);
            let mut inverse = matrix.clone();
            let log_determinant = invert(&mut inverse).unwrap();
            assert_near(&product(&matrix, &inverse), &Matrix::identity(size));
            let from_factor: f64 = (0..size).map(|i| 2.0 * lower[(i, i)].ln()).sum();
            assert!((log_determinant - from_factor).abs() < 1e-9);
            let solution = solve(&matrix, matrix.row(0)).unwrap();
            assert!((solution[0] - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn singular_matrices_have_no_factor() {
        let ones = Matrix::from_fn(2, 2, |_, _| 1.0);
        assert!(cholesky(&ones).is_none() && invert(&mut ones.clone()).is_none());
    }
}
