//! `C += A B` for matrices that fit a core's caches, inside a task.
//!
//! The inner products of attention: rows of `B` are as wide as a head and lie in memory as the vectors
//! that the registers want, so nothing is packed. `A` is read one scalar at a time, through strides,
//! which makes its transpose free.

use pulp::Simd;

/// A matrix seen through strides.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a> Strided<'a> {
    /// Rows of `width` values.
    pub(crate) fn rows(values: &'a [f32], width: usize) -> Self {
        Self { values, row: width, column: 1 }
    }

    /// The transpose of rows of `width` values.
    pub(crate) fn columns(values: &'a [f32], width: usize) -> Self {
        Self::rows(values, width).transposed()
    }

    /// The same values with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self { values: self.values, row: self.column, column: self.row }
    }
}

/// Sizes of a product: `C [rows, width] += A [rows, depth] B [depth, width]`.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    pub(crate) depth: usize,
}

/// `C += A B`; row `i` of `B` starts at `i * b_row`, of `C` at `i * c_row`.
#[inline(always)]
pub(crate) fn accumulate<S: Simd>(
    simd: S,
    size: Size,
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
    (c, c_row): (&mut [f32], usize),
) {
    let lanes = S::F32_LANES;
    let mut column = 0;
    while size.width - column >= 4 * lanes {
        strip::<S, 4>(simd, size, a, (b, b_row), (c, c_row), column);
        column += 4 * lanes;
    }
    while size.width - column >= lanes {
        strip::<S, 1>(simd, size, a, (b, b_row), (c, c_row), column);
        column += lanes;
    }
    for column in column..size.width {
        for row in 0..size.rows {
            let mut sum = 0.0;
            for k in 0..size.depth {
                sum += a.values[row * a.row + k * a.column] * b[k * b_row + column];
            }
            c[row * c_row + column] += sum;
        }
    }
}

/// `V` vectors of columns from `column` on, all rows.
#[inline(always)]
fn strip<S: Simd, const V: usize>(
    simd: S,
    size: Size,
    a: Strided<'_>,
    b: (&[f32], usize),
    (c, c_row): (&mut [f32], usize),
    column: usize,
) {
    let mut row = 0;
    if S::REGISTER_COUNT >= 32 {
        while size.rows - row >= 4 {
            tile::<S, 4, V>(simd, size.depth, a, b, (c, c_row), (row, column));
            row += 4;
        }
    }
    while size.rows - row >= 2 {
        tile::<S, 2, V>(simd, size.depth, a, b, (c, c_row), (row, column));
        row += 2;
    }
    if row < size.rows {
        tile::<S, 1, V>(simd, size.depth, a, b, (c, c_row), (row, column));
    }
}

/// `R` rows by `V` vectors, held in registers over the whole depth.
#[inline(always)]
fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    depth: usize,
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
    (c, c_row): (&mut [f32], usize),
    (row, column): (usize, usize),
) {
    let width = V * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for k in 0..depth {
        let start = k * b_row + column;
        let b = S::as_simd_f32s(&b[start..start + width]).0;
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = simd.splat_f32s(a.values[(row + r) * a.row + k * a.column]);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add_f32s(a, *b, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let start = (row + r) * c_row + column;
        let c = S::as_mut_simd_f32s(&mut c[start..start + width]).0;
        for (c, sum) in c.iter_mut().zip(sums) {
            *c = simd.add_f32s(*c, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    use super::{Size, Strided, accumulate};
    use crate::kernels::simd::dispatch;

    struct Run<'a> {
        size: Size,
        a: Strided<'a>,
        b: (&'a [f32], usize),
        c: (&'a mut [f32], usize),
    }

    impl WithSimd for Run<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            accumulate(simd, self.size, self.a, self.b, self.c);
        }
    }

    #[test]
    fn products_of_small_integers_are_exact_for_ragged_shapes() {
        let integers = |len: usize, step: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * step) % 7) as f32 - 3.0).collect()
        };
        for (rows, width, depth) in [(1, 1, 1), (3, 5, 2), (7, 16, 9), (9, 66, 4), (32, 81, 33)] {
            let (b_row, c_row) = (width + 3, width + 1);
            let (a, b) = (integers(rows * depth, 5), integers(depth * b_row, 3));
            for a in [Strided::rows(&a, depth), Strided::columns(&a, rows)] {
                let mut c = integers(rows * c_row, 2);
                let mut expected = c.clone();
                for (i, c) in expected.iter_mut().enumerate().filter(|(i, _)| i % c_row < width) {
                    for k in 0..depth {
                        *c += a.values[i / c_row * a.row + k * a.column] * b[k * b_row + i % c_row];
                    }
                }
                let size = Size { rows, width, depth };
                dispatch(Run { size, a, b: (&b, b_row), c: (&mut c, c_row) });
                assert_eq!(c, expected, "{rows} x {depth} x {width}");
            }
        }
    }
}
