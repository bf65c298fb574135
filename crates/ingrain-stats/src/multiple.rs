//! p-values adjusted for their number.

use crate::StatsError;

/// Holm's adjusted p-values: reject where at most `alpha` to keep the family-wise error rate.
///
/// # Errors
/// [`StatsError::OutOfRange`] for a p-value outside 0..=1.
///
/// # Source
/// Holm 1979.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut so_far = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        so_far = so_far.max(p_values[i] * (p_values.len() - rank) as f64);
        adjusted[i] = so_far.min(1.0);
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's adjusted p-values (q-values): reject where at most `q` to keep the
/// false discovery rate.
///
/// # Errors
/// [`StatsError::OutOfRange`] for a p-value outside 0..=1.
///
/// # Source
/// Benjamini and Hochberg 1995.
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, StatsError> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut so_far = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        so_far = so_far.min(p_values[i] * p_values.len() as f64 / (rank + 1) as f64);
        adjusted[i] = so_far;
    }
    Ok(adjusted)
}

fn ascending(p_values: &[f64]) -> Result<Vec<usize>, StatsError> {
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatsError::OutOfRange { name: "a p-value", value, range: "0 to 1" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(order)
}
