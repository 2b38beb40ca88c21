//! Matrix products on slices, on the calling thread only.
#![expect(
    unsafe_code,
    reason = "the gemm crate takes raw pointers; the bounds are checked here"
)]

/// A float type that the kernels are compiled for.
pub(crate) trait Real: candle_core::WithDType {
    /// Additive identity.
    const ZERO: Self;
    /// Multiplicative identity.
    const ONE: Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

/// A matrix inside a slice: element `(i, j)` lies at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct MatrixView<'a, T> {
    /// Backing storage.
    pub(crate) data: &'a [T],
    /// Distance between rows.
    pub(crate) row_stride: usize,
    /// Distance between columns.
    pub(crate) column_stride: usize,
}

impl<'a, T> MatrixView<'a, T> {
    /// A row-major matrix with `columns` columns.
    pub(crate) fn row_major(data: &'a [T], columns: usize) -> Self {
        Self {
            data,
            row_stride: columns,
            column_stride: 1,
        }
    }

    /// The transpose of this matrix, without moving data.
    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `out = lhs · rhs` (or `out += lhs · rhs` when `accumulate`), `out` row-major `[m, n]`.
///
/// # Panics
/// When a view is smaller than `m`, `n`, `k` say: a bug of the calling kernel, which computes
/// these numbers from the same shapes that it allocates by.
pub(crate) fn matmul<T: Real>(
    [m, n, k]: [usize; 3],
    lhs: MatrixView<'_, T>,
    rhs: MatrixView<'_, T>,
    out: &mut [T],
    accumulate: bool,
) {
    assert!(
        lhs.covers(m, k) && rhs.covers(k, n) && out.len() >= m * n,
        "matmul views too small"
    );
    // SAFETY: the assertion above shows that every element the product reads (m×k of lhs, k×n of
    // rhs) and writes (m×n of out) lies inside its slice; out is borrowed mutably, so it overlaps
    // neither input.
    unsafe {
        ::gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n.cast_signed(),
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride.cast_signed(),
            lhs.row_stride.cast_signed(),
            rhs.data.as_ptr(),
            rhs.column_stride.cast_signed(),
            rhs.row_stride.cast_signed(),
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            ::gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_by_hand_and_its_transpose() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0f64];
        let b = [7.0, 8.0, 9.0, 10.0, 11.0, 12.0f64];
        let mut out = vec![0.0; 4];
        let (av, bv) = (MatrixView::row_major(&a, 3), MatrixView::row_major(&b, 2));
        matmul([2, 2, 3], av, bv, &mut out, false);
        assert_eq!(out, [58.0, 64.0, 139.0, 154.0]);
        matmul([2, 2, 3], bv.transposed(), av.transposed(), &mut out, true);
        assert_eq!(
            out,
            [58.0 + 58.0, 64.0 + 139.0, 139.0 + 64.0, 154.0 + 154.0]
        );
    }
}
