//! Symmetric positive definite systems.

/// The factor `L` of `A = L L^T`, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky {
    n: usize,
    rows: Vec<f64>,
}

impl Cholesky {
    /// Factors the `n` by `n` matrix `a` (row-major, lower half read); `None` unless it is positive
    /// definite.
    pub(crate) fn new(mut a: Vec<f64>, n: usize) -> Option<Self> {
        for i in 0..n {
            let (done, rest) = a.split_at_mut(i * n);
            let row = &mut rest[..n];
            for j in 0..i {
                let above = &done[j * n..j * n + j + 1];
                row[j] = (row[j] - dot(&row[..j], &above[..j])) / above[j];
            }
            // What is left of a diagonal entry that follows from the others is its own rounding.
            let rounding = row[i].abs() * 1e-13;
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= rounding {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(Self { n, rows: a })
    }

    /// The `x` with `A x = b`, in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let n = self.n;
        for i in 0..n {
            let row = &self.rows[i * n..i * n + n];
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
        for i in (0..n).rev() {
            let row = &self.rows[i * n..i * n + n];
            b[i] /= row[i];
            let x = b[i];
            for (b, l) in b[..i].iter_mut().zip(row) {
                *b -= x * l;
            }
        }
    }
}

/// The inner product, in eight running sums: the compiler may not reorder a single one.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factored_matrix_solves() {
        // [[4, 2], [2, 3]] x = [2, 5]  =>  x = [-0.5, 2]
        let factor = Cholesky::new(vec![4.0, 2.0, 2.0, 3.0], 2).expect("positive definite");
        let mut x = [2.0, 5.0];
        factor.solve(&mut x);
        assert!((x[0] + 0.5).abs() < 1e-14 && (x[1] - 2.0).abs() < 1e-14);
    }

    #[test]
    fn a_singular_matrix_has_no_factor() {
        assert!(Cholesky::new(vec![1.0, 1.0, 1.0, 1.0], 2).is_none());
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
        assert!(Cholesky::new(vec![0.0], 1).is_none());
    }

    #[test]
    fn columns_in_very_different_units_have_a_factor() {
        // diag(1e20, 1) with a little between.
        let factor = Cholesky::new(vec![1e20, 1e9, 1e9, 1.0], 2).expect("positive definite");
        let mut x = [1e20, 2e9];
        factor.solve(&mut x);
        // By hand: (1 - 1e18/1e20) b = 2e9 - 1e9.
        assert!((x[1] * 0.99 / 1e9 - 1.0).abs() < 1e-12, "{x:?}");
    }
}
