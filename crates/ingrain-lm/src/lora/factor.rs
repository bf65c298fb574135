//! Small dense factorisations in f64: thin QR and singular values, for adapters' factors.
//!
//! A matrix is a list of its columns. Sizes are ranks (tens to a few hundred) by widths of layers.

/// A matrix as a list of columns of equal length.
pub(super) type Columns = Vec<Vec<f64>>;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Replaces the columns by an orthonormal basis `Q` and returns the upper triangle `R` with
/// `columns = Q R`.
///
/// Modified Gram-Schmidt, each column twice. A column that depends on those before it becomes zero.
pub(super) fn qr(columns: &mut Columns) -> Columns {
    let count = columns.len();
    let mut r = vec![vec![0.0; count]; count];
    for at in 0..count {
        let mut column = std::mem::take(&mut columns[at]);
        let before = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for (earlier, entry) in columns[..at].iter().zip(&mut r[at]) {
                let along = dot(earlier, &column);
                *entry += along;
                column.iter_mut().zip(earlier).for_each(|(x, q)| *x -= along * q);
            }
        }
        let norm = dot(&column, &column).sqrt();
        if norm > before * 1e-12 {
            column.iter_mut().for_each(|x| *x /= norm);
            r[at][at] = norm;
        } else {
            column.fill(0.0);
        }
        columns[at] = column;
    }
    r
}

/// `left * right^T` for `left: [n, k]` and `right: [m, k]`, as columns.
pub(super) fn times_transposed(left: &Columns, right: &Columns) -> Columns {
    let rows = left.first().map_or(0, Vec::len);
    let width = right.first().map_or(0, Vec::len);
    let mut product = vec![vec![0.0; rows]; width];
    for (l, r) in left.iter().zip(right) {
        for (column, &factor) in product.iter_mut().zip(r) {
            column.iter_mut().zip(l).for_each(|(x, y)| *x += factor * y);
        }
    }
    product
}

/// `left * right`, as columns.
pub(super) fn times(left: &Columns, right: &Columns) -> Columns {
    let rows = left.first().map_or(0, Vec::len);
    right
        .iter()
        .map(|factors| {
            let mut column = vec![0.0; rows];
            for (l, &factor) in left.iter().zip(factors) {
                column.iter_mut().zip(l).for_each(|(x, y)| *x += factor * y);
            }
            column
        })
        .collect()
}

/// Singular values, largest first, with their left and right vectors.
pub(super) struct Svd {
    pub(super) left: Columns,
    pub(super) values: Vec<f64>,
    pub(super) right: Columns,
}

/// Of a square matrix, by one-sided Jacobi rotations.
///
/// Source: Demmel and Veselic 1992, "Jacobi's method is more accurate than QR".
pub(super) fn svd(mut matrix: Columns) -> Svd {
    let size = matrix.len();
    let mut right: Columns =
        (0..size).map(|at| (0..size).map(|row| f64::from(row == at)).collect()).collect();
    // Converges quadratically; ten sweeps are plenty, the bound is for what is no number.
    for _ in 0..40 {
        let mut turned = false;
        for one in 0..size {
            for other in one + 1..size {
                turned |= rotate(&mut matrix, &mut right, one, other);
            }
        }
        if !turned {
            break;
        }
    }
    let norm = |column: &Vec<f64>| dot(column, column).sqrt();
    let mut order: Vec<(usize, f64)> = matrix.iter().map(norm).enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let left = order.iter().map(|&(at, value)| {
        let scale = if value > 0.0 { value.recip() } else { 0.0 };
        matrix[at].iter().map(|x| x * scale).collect()
    });
    Svd {
        left: left.collect(),
        values: order.iter().map(|&(_, value)| value).collect(),
        right: order.iter().map(|&(at, _)| right[at].clone()).collect(),
    }
}

/// Makes two columns orthogonal; `false` if they are.
fn rotate(matrix: &mut Columns, right: &mut Columns, one: usize, other: usize) -> bool {
    let (a, b) = (dot(&matrix[one], &matrix[one]), dot(&matrix[other], &matrix[other]));
    let c = dot(&matrix[one], &matrix[other]);
    if c.abs() <= 1e-15 * (a * b).sqrt() || c == 0.0 {
        return false;
    }
    let zeta = (b - a) / (2.0 * c);
    let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let cosine = (1.0 + tangent * tangent).sqrt().recip();
    let sine = cosine * tangent;
    for columns in [matrix, right] {
        let (head, tail) = columns.split_at_mut(other);
        for (x, y) in head[one].iter_mut().zip(&mut tail[0]) {
            (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Columns, dot, qr, svd, times, times_transposed};

    /// A few columns with no pattern.
    fn columns(rows: usize, count: usize) -> Columns {
        let entry = |at: usize| ((at * 7919 + 13) % 101) as f64 / 50.0 - 1.0;
        (0..count).map(|c| (0..rows).map(|r| entry(c * rows + r)).collect()).collect()
    }

    fn difference(a: &Columns, b: &Columns) -> f64 {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn q_times_r_is_the_matrix_and_q_is_orthonormal_even_for_dependent_columns() {
        let mut matrix = columns(9, 5);
        matrix[3] = vec![0.0; 9];
        matrix[4] = matrix[0].iter().map(|x| 2.0 * x).collect();
        let mut q = matrix.clone();
        let r = qr(&mut q);
        assert!(difference(&times(&q, &r), &matrix) < 1e-12);
        for (i, a) in q.iter().enumerate() {
            for (j, b) in q.iter().enumerate() {
                let expected = f64::from(i == j && i < 3);
                assert!((dot(a, b) - expected).abs() < 1e-12, "{i}, {j}");
            }
        }
    }

    #[test]
    fn singular_vectors_and_values_give_the_matrix_back_in_order() {
        let matrix = columns(6, 6);
        let svd = svd(matrix.clone());
        assert!(svd.values.windows(2).all(|pair| pair[0] >= pair[1]));
        let scaled: Columns = svd
            .left
            .iter()
            .zip(&svd.values)
            .map(|(column, value)| column.iter().map(|x| x * value).collect())
            .collect();
        assert!(difference(&times_transposed(&scaled, &svd.right), &matrix) < 1e-12);
        // diag(3, -2): the values are the magnitudes.
        let diagonal = super::svd(vec![vec![-2.0, 0.0], vec![0.0, 3.0]]);
        assert_eq!(diagonal.values, [3.0, 2.0]);
    }
}
