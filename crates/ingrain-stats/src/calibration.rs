//! Whether probabilities mean what they say.

use serde::{Deserialize, Serialize};

use crate::error::{StatsError, at_least, finite, same_length};
use crate::ranks::constant;

/// Predictions of similar confidence, and how many of them were right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Predictions in the bin.
    pub count: usize,
    /// Their mean confidence, in 0..=1.
    pub confidence: f64,
    /// Share of them that was right.
    pub accuracy: f64,
}

/// Bins of equal width over confidences in 0..=1, from the lowest; empty bins are left out. A bin holds
/// what lies above its lower end, up to and with its upper end.
///
/// # Errors
/// [`StatsError::Lengths`]; [`StatsError::TooFew`] without predictions or bins; [`StatsError::OutOfRange`]
/// for a confidence outside 0..=1.
pub fn calibration_bins(
    confidences: &[f64],
    right: &[bool],
    bins: usize,
) -> Result<Vec<CalibrationBin>, StatsError> {
    let what = "a calibration";
    same_length(what, confidences.len(), right.len())?;
    at_least(what, 1, confidences.len())?;
    if bins == 0 {
        return Err(StatsError::TooFew { what, unit: "bins", needed: 1, found: 0 });
    }
    let mut sums = vec![(0_usize, 0.0, 0_usize); bins];
    for (&confidence, &right) in confidences.iter().zip(right) {
        probability("a confidence", confidence)?;
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += usize::from(right);
    }
    let bin = |(count, confidence, right): (usize, f64, usize)| CalibrationBin {
        count,
        confidence: confidence / count as f64,
        accuracy: right as f64 / count as f64,
    };
    Ok(sums.into_iter().filter(|(count, _, _)| *count > 0).map(bin).collect())
}

/// Expected calibration error: the mean distance between confidence and accuracy of the
/// [`calibration_bins`], weighted by their counts; 0 is perfect.
///
/// # Errors
/// As [`calibration_bins`].
///
/// # Source
/// Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017, arXiv:1706.04599, eq. 3.
pub fn expected_calibration_error(
    confidences: &[f64],
    right: &[bool],
    bins: usize,
) -> Result<f64, StatsError> {
    let bins = calibration_bins(confidences, right, bins)?;
    let distance = |bin: &CalibrationBin| bin.count as f64 * (bin.confidence - bin.accuracy).abs();
    Ok(bins.iter().map(distance).sum::<f64>() / confidences.len() as f64)
}

/// Brier score: the squared distance between probabilities and truth, summed over the classes and
/// averaged over observations; 0 is perfect, 2 is certain and wrong.
///
/// # Errors
/// [`StatsError::Lengths`]; [`StatsError::TooFew`] without observations; [`StatsError::OutOfRange`] for a
/// probability outside 0..=1 or a class without one.
///
/// # Source
/// Brier 1950, eq. 2 (the original form, over all classes).
pub fn brier_score<P: AsRef<[f64]>>(
    probabilities: &[P],
    truths: &[usize],
) -> Result<f64, StatsError> {
    let what = "a Brier score";
    same_length(what, probabilities.len(), truths.len())?;
    at_least(what, 1, truths.len())?;
    let mut sum = 0.0;
    for (row, &truth) in probabilities.iter().zip(truths) {
        let row = row.as_ref();
        class(truth, row.len())?;
        for (index, &p) in row.iter().enumerate() {
            probability("a probability", p)?;
            sum += (p - f64::from(u8::from(index == truth))).powi(2);
        }
    }
    Ok(sum / truths.len() as f64)
}

/// `exp(z / temperature)`, scaled to a sum of 1.
///
/// # Examples
/// ```
/// let probabilities = ingrain_stats::softmax(&[0.0, 2.0_f64.ln()], 1.0);
/// assert!((probabilities[1] - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[must_use]
pub fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|z| ((z - largest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The temperature under which `truths` are most likely: the `T` that minimises the mean of
/// `-ln softmax(z / T)[truth]`, within 0.01 to 100.
///
/// In `1 / T` the mean is convex, so its slope is brought to 0 by bisection. Where every observation is
/// classified rightly the best temperature is 0, and where the logits say nothing it is infinite; the
/// ends of the range are returned then. A `smoothing` above 0 counts that share of each observation as
/// spread evenly over the other classes, so that few observations without an error do not claim
/// certainty; `1 / (n + 2)` is Platt's.
///
/// # Errors
/// [`StatsError::Lengths`]; [`StatsError::TooFew`] without observations; [`StatsError::NotFinite`];
/// [`StatsError::OutOfRange`] for a class without a logit, or a smoothing that is not in 0..1.
///
/// # Source
/// Guo et al. 2017, arXiv:1706.04599, section 4.2; Platt 1999, section 2.1 (smoothing).
pub fn best_temperature<L: AsRef<[f64]>>(
    logits: &[L],
    truths: &[usize],
    smoothing: f64,
) -> Result<f64, StatsError> {
    let what = "a temperature";
    same_length(what, logits.len(), truths.len())?;
    at_least(what, 1, truths.len())?;
    for (row, &truth) in logits.iter().zip(truths) {
        finite(what, row.as_ref())?;
        class(truth, row.as_ref().len())?;
    }
    if !(0.0..1.0).contains(&smoothing) {
        let range = "0 to below 1";
        return Err(StatsError::OutOfRange { name: "smoothing", value: smoothing, range });
    }
    // Derivative of the mean loss by b = 1 / T: by how much the expected logit exceeds that of the truth,
    // taken logit by logit, since near certainty both are equal to the last digit.
    let slope = |b: f64| -> f64 {
        let one = |(row, &truth): (&L, &usize)| {
            let row = row.as_ref();
            let above = |z: &f64| z - row[truth];
            let expected: f64 =
                softmax(row, 1.0 / b).iter().zip(row).map(|(p, z)| p * above(z)).sum();
            let others = row.iter().map(above).sum::<f64>() / (row.len() - 1).max(1) as f64;
            expected - smoothing * others
        };
        logits.iter().zip(truths).map(one).sum()
    };
    // Where logits differ, a slope of 0 is one too small to write down.
    let informative = logits.iter().any(|row| !constant(row.as_ref()));
    let limit = 100_f64.ln();
    let (mut low, mut high) = (-limit, limit);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let slope = slope(middle.exp());
        if slope < 0.0 || (slope == 0.0 && informative) { low = middle } else { high = middle }
    }
    Ok((-(low + high) / 2.0).exp())
}

fn probability(name: &'static str, value: f64) -> Result<(), StatsError> {
    // Sums of exponentials exceed 1 by rounding.
    if (0.0..=1.0 + 1e-9).contains(&value) {
        return Ok(());
    }
    Err(StatsError::OutOfRange { name, value, range: "0 to 1" })
}

fn class(class: usize, classes: usize) -> Result<(), StatsError> {
    if class < classes {
        return Ok(());
    }
    let range = "0 to below the number of classes";
    Err(StatsError::OutOfRange { name: "a class", value: class as f64, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calibration_error_is_the_weighted_distance_of_the_bins() {
        // Bins of 0.5: (0.4 wrong), (0.6 right, 0.8 right, 1.0 wrong).
        let (confidences, right) = ([0.4, 0.6, 0.8, 1.0], [false, true, true, false]);
        let bins = calibration_bins(&confidences, &right, 2).expect("defined");
        assert_eq!(bins[0], CalibrationBin { count: 1, confidence: 0.4, accuracy: 0.0 });
        assert!((bins[1].confidence - 0.8).abs() < 1e-12);
        assert!((bins[1].accuracy - 2.0 / 3.0).abs() < 1e-12);
        let error = expected_calibration_error(&confidences, &right, 2).expect("defined");
        assert!((error - (0.4 + 3.0 * (0.8 - 2.0 / 3.0)) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn an_upper_end_belongs_to_its_bin_and_so_do_both_ends_of_the_scale() {
        let bins = calibration_bins(&[0.0, 0.5, 0.500_001, 1.0], &[true; 4], 2).expect("defined");
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn brier_scores_run_from_certain_and_right_to_certain_and_wrong() {
        let score = |p: [f64; 2], truth| brier_score(&[p], &[truth]).expect("defined");
        assert_eq!(score([1.0, 0.0], 0), 0.0);
        assert_eq!(score([1.0, 0.0], 1), 2.0);
        assert_eq!(score([0.5, 0.5], 1), 0.5);
    }

    #[test]
    fn temperatures_undo_what_made_logits_too_sharp() {
        // Right three times of four at odds that claim e^3: calibrated are odds of 3, so T = 3 / ln 3.
        let logits = [[3.0, 0.0]; 4];
        let found = best_temperature(&logits, &[0, 0, 0, 1], 0.0).expect("defined");
        assert!((found - 3.0 / 3_f64.ln()).abs() < 1e-9, "{found}");
    }

    #[test]
    fn without_errors_or_without_information_the_ends_of_the_range_are_returned() {
        let of = |truths: [usize; 2], smoothing| {
            best_temperature(&[[1.0, 0.0], [0.0, 1.0]], &truths, smoothing).expect("defined")
        };
        let sure = of([0, 1], 0.0);
        assert!((sure - 0.01).abs() < 1e-9, "{sure}");
        let far = best_temperature(&[[90.0, 0.0], [0.0, 90.0]], &[0, 1], 0.0).expect("defined");
        assert!((far - 0.01).abs() < 1e-9, "{far}");
        let nothing = best_temperature(&[[3.0, 3.0]], &[0], 0.0).expect("defined");
        assert!((nothing - 100.0).abs() < 1e-6, "{nothing}");
        let backwards = of([1, 0], 0.0);
        assert!((backwards - 100.0).abs() < 1e-6, "{backwards}");
        // A quarter of each counts as wrong: odds of 3, so T = 1 / ln 3.
        let smoothed = of([0, 1], 0.25);
        assert!((smoothed - 1.0 / 3_f64.ln()).abs() < 1e-9, "{smoothed}");
    }

    #[test]
    fn impossible_inputs_are_named() {
        let outside = calibration_bins(&[1.5], &[true], 10);
        assert!(matches!(outside, Err(StatsError::OutOfRange { .. })));
        assert!(matches!(calibration_bins(&[], &[], 10), Err(StatsError::TooFew { .. })));
        assert!(matches!(calibration_bins(&[0.5], &[true], 0), Err(StatsError::TooFew { .. })));
        assert!(matches!(brier_score(&[[1.0]], &[1]), Err(StatsError::OutOfRange { .. })));
        let infinite = best_temperature(&[[f64::INFINITY, 0.0]], &[0], 0.0);
        assert!(matches!(infinite, Err(StatsError::NotFinite { .. })));
    }
}
