//! General matrix products, over `gemm`, the crate behind Flex's own.
//!
//! Burn's product always fills a new tensor. This one adds to what is there, so that residuals, the side
//! paths of an adapter and the terms of a gradient need no additions of their own.

use gemm::Parallelism;

/// A matrix seen through strides.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, as many as there are.
    ///
    /// # Panics
    /// If the values do not make whole rows.
    pub(crate) fn new(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len().checked_div(columns).unwrap_or(0);
        assert_eq!(values.len(), rows * columns, "the values make whole rows");
        Self { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `C += scale * A B`, `C` row-major.
///
/// # Panics
/// If the sizes do not agree.
pub(crate) fn add_product(c: &mut [f32], scale: f32, a: Matrix<'_>, b: Matrix<'_>) {
    product(c, scale, a, b, true);
}

/// `C = A B`, `C` row-major.
///
/// # Panics
/// If the sizes do not agree.
pub(crate) fn set_product(c: &mut [f32], a: Matrix<'_>, b: Matrix<'_>) {
    product(c, 1.0, a, b, false);
}

fn product(c: &mut [f32], scale: f32, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(depth, b.rows, "A's columns are B's rows");
    assert_eq!(c.len(), rows * columns, "C is [rows of A, columns of B]");
    if c.is_empty() {
        return;
    }
    let parallel = rows * depth * columns > 1 << 22;
    #[expect(unsafe_code, reason = "gemm takes pointers; the lengths behind them are checked")]
    // SAFETY: `Matrix::new` makes `values.len() == rows * columns` and `transposed` keeps the set of
    // addresses, so every `i * row_stride + j * column_stride` lies in `a.values` and `b.values`; `c`
    // holds `rows * columns` values, is row-major and, being `&mut`, overlaps neither.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            c.as_mut_ptr(),
            1,
            columns as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            if parallel { Parallelism::Rayon(0) } else { Parallelism::None },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, add_product, set_product};

    #[test]
    fn products_of_all_four_orientations() {
        // A = [1 2; 3 4; 5 6], B = [1 0 2; 0 1 3].
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 0.0, 1.0, 3.0];
        let expected = [1.0, 2.0, 8.0, 3.0, 4.0, 18.0, 5.0, 6.0, 28.0];
        let (at, bt) = ([1.0, 3.0, 5.0, 2.0, 4.0, 6.0], [1.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        for a in [Matrix::new(&a, 2), Matrix::new(&at, 3).transposed()] {
            for b in [Matrix::new(&b, 3), Matrix::new(&bt, 2).transposed()] {
                let mut c = [f32::NAN; 9];
                set_product(&mut c, a, b);
                assert_eq!(c, expected);
                add_product(&mut c, -0.5, a, b);
                assert_eq!(c, expected.map(|x| x / 2.0));
            }
        }
    }

    #[test]
    fn an_empty_depth_adds_nothing() {
        let mut c = [7.0; 4];
        let (a, b) = (Matrix::new(&[], 0), Matrix::new(&[], 2));
        assert_eq!((a.rows, b.rows), (0, 0));
        add_product(&mut c[..0], 1.0, a, b);
        assert_eq!(c, [7.0; 4]);
    }
}
