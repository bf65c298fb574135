//! Whether the items of a scale measure one thing.

use crate::error::{StatsError, at_least, finite, same_length};

/// Cronbach's alpha of `rows`, one a respondent, one column an item: at most 1.
///
/// Reversed items must have been turned round before.
///
/// # Errors
/// [`StatsError::TooFew`] below two items or two respondents, [`StatsError::Lengths`] for rows of
/// different lengths, [`StatsError::NotFinite`], or [`StatsError::Undefined`] where the respondents'
/// totals do not vary.
///
/// # Examples
/// ```
/// use ingrain_stats::cronbach_alpha;
///
/// let rows = [vec![1.0, 2.0], vec![2.0, 3.0], vec![4.0, 5.0]];
/// assert!((cronbach_alpha(&rows)? - 1.0).abs() < 1e-12, "items that move together");
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
///
/// # Source
/// Cronbach 1951, eq. 2.
pub fn cronbach_alpha(rows: &[Vec<f64>]) -> Result<f64, StatsError> {
    let what = "Cronbach's alpha";
    at_least(what, 2, rows.len())?;
    let items = rows[0].len();
    at_least(what, 2, items)?;
    for row in rows {
        same_length(what, items, row.len())?;
        finite(what, row)?;
    }
    let of_items: f64 = (0..items).map(|item| variance(rows.iter().map(|row| row[item]))).sum();
    let of_totals = variance(rows.iter().map(|row| row.iter().sum()));
    if of_totals <= 0.0 {
        return Err(StatsError::Undefined { what, reason: "the respondents' totals do not vary" });
    }
    let k = items as f64;
    Ok(k / (k - 1.0) * (1.0 - of_items / of_totals))
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_that_of_the_formula_worked_out_by_hand() {
        // Item variances 1, 1/3 and 4/3; totals 6, 8, 11 with variance 19/3.
        let rows = [vec![1.0, 2.0, 3.0], vec![2.0, 3.0, 3.0], vec![3.0, 3.0, 5.0]];
        let items = 1.0 + 1.0 / 3.0 + 4.0 / 3.0;
        let expected = 1.5 * (1.0 - items / (19.0 / 3.0));
        assert!((cronbach_alpha(&rows).expect("defined") - expected).abs() < 1e-12);
    }

    #[test]
    fn items_that_cancel_out_are_named() {
        let rows = [vec![1.0, 3.0], vec![3.0, 1.0]];
        assert!(matches!(cronbach_alpha(&rows), Err(StatsError::Undefined { .. })));
        assert!(matches!(cronbach_alpha(&rows[..1]), Err(StatsError::TooFew { .. })));
    }
}
