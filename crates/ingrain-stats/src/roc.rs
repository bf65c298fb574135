//! How well a score separates two groups.

use crate::error::{StatsError, at_least, finite, same_length};
use crate::ranks::mean_ranks;

/// Area under the ROC curve: how often a `positive` scores higher than a `negative`, equal scores
/// counting half; 0.5 is chance.
///
/// # Errors
/// [`StatsError::TooFew`] if one side is empty, [`StatsError::NotFinite`].
///
/// # Source
/// Hanley and McNeil 1982: the Mann-Whitney statistic over the product of the counts.
///
/// # Examples
/// ```
/// assert_eq!(ingrain_stats::auroc(&[3.0, 2.0], &[1.0, 2.0])?, 0.875);
/// # Ok::<(), ingrain_stats::StatsError>(())
/// ```
pub fn auroc(positives: &[f64], negatives: &[f64]) -> Result<f64, StatsError> {
    let what = "an area under the curve";
    at_least(what, 1, positives.len().min(negatives.len()))?;
    finite(what, positives)?;
    finite(what, negatives)?;
    let ranks = mean_ranks(&[positives, negatives].concat());
    let (yes, no) = (positives.len() as f64, negatives.len() as f64);
    let sum: f64 = ranks[..positives.len()].iter().sum();
    Ok((sum - yes * (yes + 1.0) / 2.0) / (yes * no))
}

/// Mean of [`auroc`] over classes, each against all others by its own score; classes that all
/// observations belong to, or none, are left out.
///
/// # Errors
/// [`StatsError::Lengths`]; [`StatsError::NotFinite`]; [`StatsError::TooFew`] where no class is left;
/// [`StatsError::OutOfRange`] for a class without a score.
///
/// # Source
/// `roc_auc_score(multi_class="ovr", average="macro")` of scikit-learn.
pub fn macro_auroc<S: AsRef<[f64]>>(scores: &[S], truths: &[usize]) -> Result<f64, StatsError> {
    let what = "an area under the curve";
    same_length(what, scores.len(), truths.len())?;
    let classes = scores.iter().map(|row| row.as_ref().len()).min().unwrap_or(0);
    if let Some(&class) = truths.iter().find(|&&class| class >= classes) {
        let range = "0 to below the number of classes";
        return Err(StatsError::OutOfRange { name: "a class", value: class as f64, range });
    }
    let mut areas = Vec::with_capacity(classes);
    for class in 0..classes {
        let of = |wanted: bool| -> Vec<f64> {
            let rows = scores.iter().zip(truths).filter(|(_, truth)| (**truth == class) == wanted);
            rows.map(|(row, _)| row.as_ref()[class]).collect()
        };
        let (positives, negatives) = (of(true), of(false));
        if !positives.is_empty() && !negatives.is_empty() {
            areas.push(auroc(&positives, &negatives)?);
        }
    }
    if areas.is_empty() {
        return Err(StatsError::TooFew { what, unit: "classes", needed: 2, found: 1 });
    }
    Ok(areas.iter().sum::<f64>() / areas.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_counts_pairs_in_the_right_order_and_ties_half() {
        // Pairs: (0.9 > 0.1), (0.9 > 0.5), (0.5 > 0.1), (0.5 = 0.5).
        assert_eq!(auroc(&[0.9, 0.5], &[0.1, 0.5]), Ok(3.5 / 4.0));
        assert_eq!(auroc(&[1.0], &[0.0]), Ok(1.0));
        assert_eq!(auroc(&[0.0], &[1.0]), Ok(0.0));
        assert_eq!(auroc(&[1.0, 1.0], &[1.0]), Ok(0.5));
    }

    #[test]
    fn a_class_that_never_occurs_does_not_count() {
        let scores = [[0.8, 0.2, 0.5], [0.1, 0.9, 0.5]];
        assert_eq!(macro_auroc(&scores, &[0, 1]), Ok(1.0));
    }

    #[test]
    fn one_side_alone_has_no_area() {
        assert!(matches!(auroc(&[1.0], &[]), Err(StatsError::TooFew { .. })));
        assert!(matches!(auroc(&[f64::NAN], &[1.0]), Err(StatsError::NotFinite { .. })));
        let alone = macro_auroc(&[[1.0, 0.0]], &[0]);
        assert!(matches!(alone, Err(StatsError::TooFew { .. })));
        let unknown = macro_auroc(&[[1.0, 0.0]], &[2]);
        assert!(matches!(unknown, Err(StatsError::OutOfRange { .. })));
    }
}
