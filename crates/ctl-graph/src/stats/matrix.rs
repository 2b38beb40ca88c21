//! A small dense matrix.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// A dense matrix of `f64`, row by row.
///
/// # Examples
///
/// ```
/// use ctl_graph::stats::Matrix;
/// let mut weights = Matrix::zeros(2, 3);
/// weights[(1, 2)] = 0.5;
/// assert_eq!(weights.row(1), [0.0, 0.0, 0.5]);
/// assert_eq!(weights.transposed()[(2, 1)], 0.5);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    /// The identity.
    pub fn identity(size: usize) -> Self {
        Self::from_fn(size, size, |row, column| f64::from(u8::from(row == column)))
    }

    /// The matrix of `entry(row, column)`.
    pub fn from_fn(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self {
            rows,
            columns,
            values: cells.map(|(row, column)| entry(row, column)).collect(),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All entries, row by row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// The transposed matrix.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self::from_fn(self.columns, self.rows, |row, column| self[(column, row)])
    }

    /// The square matrix of some rows and the same columns.
    pub(crate) fn principal(&self, positions: &[usize]) -> Self {
        let size = positions.len();
        Self::from_fn(size, size, |row, column| {
            self[(positions[row], positions[column])]
        })
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (row, column): (usize, usize)) -> &f64 {
        &self.values[row * self.columns + column]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, column): (usize, usize)) -> &mut f64 {
        &mut self.values[row * self.columns + column]
    }
}
