//! From pairs of states to a direction.

use serde::{Deserialize, Serialize};

/// How a direction is found in the differences `d = h(with) - h(without)` of paired states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// First principal component of the states, each centred on the mean of its pair: what `repeng`
    /// calls `pca_center`, and the paper's method. Centred so, a pair is `d/2` and `-d/2`, and the
    /// component is the axis along which `sum d d^T` is largest. (A principal component of the
    /// *differences after subtracting their mean* would remove the very direction that is looked for.)
    #[default]
    PcaCenter,
    /// The mean of the differences.
    MeanDifference,
}

/// Rounds of power iteration at most. Nearly parallel leading axes converge slowly, and either serves.
const MAX_ROUNDS: usize = 500;

/// Rounds end when the direction turns by less than this, as one less its cosine.
const CONVERGED: f64 = 1e-12;

/// The unit direction in `differences: [pairs, width]`, pointing the way most pairs do; `None` if there
/// is no difference at all.
pub(crate) fn direction(differences: &[f32], width: usize, method: Method) -> Option<Vec<f32>> {
    let mean = unit(mean(differences, width));
    let found = match method {
        Method::MeanDifference => mean?,
        Method::PcaCenter => {
            let longest = || {
                let norm = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
                let rows = differences.chunks_exact(width);
                let row = rows.max_by(|a, b| norm(a).total_cmp(&norm(b)))?;
                unit(row.iter().map(|&v| f64::from(v)).collect())
            };
            let axis = principal_axis(differences, width, mean.or_else(longest)?)?;
            oriented(axis, differences, width)
        }
    };
    Some(found.into_iter().map(|v| v as f32).collect())
}

/// Power iteration on `D^T D`, which is never formed.
fn principal_axis(differences: &[f32], width: usize, start: Vec<f64>) -> Option<Vec<f64>> {
    let mut axis = start;
    for _ in 0..MAX_ROUNDS {
        let mut next = vec![0.0; width];
        for row in differences.chunks_exact(width) {
            let along = dot(row, &axis);
            next.iter_mut().zip(row).for_each(|(sum, &v)| *sum += along * f64::from(v));
        }
        let next = unit(next)?;
        let cosine: f64 = next.iter().zip(&axis).map(|(a, b)| a * b).sum();
        axis = next;
        if 1.0 - cosine.abs() < CONVERGED {
            break;
        }
    }
    Some(axis)
}

/// The axis in the sense in which more pairs point.
fn oriented(mut axis: Vec<f64>, differences: &[f32], width: usize) -> Vec<f64> {
    let (mut along, mut against) = (0usize, 0usize);
    for row in differences.chunks_exact(width) {
        match dot(row, &axis) {
            d if d > 0.0 => along += 1,
            d if d < 0.0 => against += 1,
            _ => {}
        }
    }
    if against > along {
        axis.iter_mut().for_each(|v| *v = -*v);
    }
    axis
}

fn mean(rows: &[f32], width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
    }
    let count = (rows.len() / width).max(1) as f64;
    sum.iter_mut().for_each(|v| *v /= count);
    sum
}

pub(crate) fn dot(row: &[f32], axis: &[f64]) -> f64 {
    row.iter().zip(axis).map(|(&v, a)| f64::from(v) * a).sum()
}

/// `None` for a vector of no length.
fn unit(mut vector: Vec<f64>) -> Option<Vec<f64>> {
    let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
    if norm == 0.0 || !norm.is_finite() {
        return None;
    }
    vector.iter_mut().for_each(|v| *v /= norm);
    Some(vector)
}

#[cfg(test)]
mod tests {
    use super::{Method, direction};

    fn assert_direction(differences: &[f32], method: Method, expected: [f32; 2]) {
        let found = direction(differences, 2, method).expect("there is one");
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{found:?}, not {expected:?}");
        }
    }

    #[test]
    fn the_mean_difference_is_the_unit_mean() {
        assert_direction(&[3.0, 0.0, 3.0, 8.0], Method::MeanDifference, [0.6, 0.8]);
    }

    #[test]
    fn the_principal_axis_is_that_of_the_largest_sum_of_squares() {
        // sum d d^T = [[4+4, 2-2], [2-2, 1+1]]: the first axis, though the mean is (0, 1).
        let differences = [2.0, 1.0, -2.0, 1.0];
        let found = direction(&differences, 2, Method::PcaCenter).expect("there is one");
        // Starting from the mean, an eigenvector itself, the iteration stays: with exact symmetry no
        // axis is preferred. A touch more on one side decides.
        assert!(found[1].abs() > 0.99 || found[0].abs() > 0.99);
        let differences = [2.0, 1.0, -2.0, 1.0, 2.1, 1.0];
        // sum d d^T = [[12.41, 2.1], [2.1, 3]]: leading eigenvector (0.97805, 0.20836).
        assert_direction(&differences, Method::PcaCenter, [0.97805, 0.20836]);
    }

    #[test]
    fn it_points_the_way_most_pairs_do() {
        assert_direction(&[5.0, 0.0, -1.0, 0.0, -1.0, 0.0], Method::PcaCenter, [-1.0, 0.0]);
    }

    #[test]
    fn a_mean_of_zero_still_has_an_axis_and_no_difference_has_none() {
        assert_eq!(direction(&[1.0, 0.0, -1.0, 0.0], 2, Method::MeanDifference), None);
        let axis = direction(&[1.0, 0.0, -1.0, 0.0], 2, Method::PcaCenter).expect("an axis");
        assert!((axis[0].abs() - 1.0).abs() < 1e-6);
        for method in [Method::PcaCenter, Method::MeanDifference] {
            assert_eq!(direction(&[0.0; 6], 2, method), None);
            assert_eq!(direction(&[], 2, method), None);
        }
    }
}
