//! What predictions are worth, with intervals over prompts.

use ingrain_stats::{
    Bootstrap, CalibrationBin, ClassScores, Clusters, ConfusionMatrix, Interval, StatsError,
    brier_score, calibration_bins, expected_calibration_error, macro_auroc, softmax,
};
use serde::{Deserialize, Serialize};

use crate::ClassifierError;
use crate::classifier::likeliest;

/// How predictions are judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Intervals, by resampling prompts.
    pub bootstrap: Bootstrap,
    /// Bins of the calibration error, from 1. Default 10.
    pub bins: usize,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self { bootstrap: Bootstrap::default(), bins: 10 }
    }
}

/// Predictions beside the truth, one entry an example.
#[derive(Clone, Copy, Debug)]
pub struct Predicted<'a> {
    /// Number of classes.
    pub classes: usize,
    /// The true class of each.
    pub truths: &'a [usize],
    /// The prompt of each: what intervals are resampled over.
    pub prompts: &'a [&'a str],
    /// The logits of each.
    pub logits: &'a [Vec<f64>],
    /// What logits are divided by.
    pub temperature: f64,
}

/// What predictions are worth. Intervals are percentile bootstrap intervals over prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Examples asked about.
    pub examples: usize,
    /// Their prompts.
    pub prompts: usize,
    /// Share of examples whose class was named.
    pub accuracy: Interval,
    /// Mean F1 over the classes that occur.
    pub macro_f1: Interval,
    /// Mean area under the ROC curve, each class against all others by its probability.
    pub auroc: Interval,
    /// Expected calibration error of the largest probability.
    pub calibration_error: Interval,
    /// The same without temperature scaling.
    pub calibration_error_before: f64,
    /// Brier score over all classes, 0 to 2.
    pub brier: Interval,
    /// The same without temperature scaling.
    pub brier_before: f64,
    /// What logits are divided by.
    pub temperature: f64,
    /// Precision, recall and F1, one entry a class.
    pub per_class: Vec<ClassScores>,
    /// F1 of each class with its interval; `None` for classes that do not occur.
    pub f1: Vec<Option<Interval>>,
    /// How often each class was taken for each.
    pub confusion: ConfusionMatrix,
    /// Predictions by confidence.
    pub bins: Vec<CalibrationBin>,
}

/// Judges predictions.
///
/// # Errors
/// [`ClassifierError::Stats`] without predictions, or where only one class occurs.
pub fn evaluate(
    predicted: &Predicted<'_>,
    config: &EvaluationConfig,
) -> Result<Evaluation, ClassifierError> {
    let judged = Judged::new(predicted);
    let clusters = Clusters::new(predicted.prompts);
    let bins = config.bins;
    let interval = |statistic: &(dyn Fn(&[usize]) -> Result<f64, StatsError> + Sync)| {
        // A resample in which a statistic does not exist is left out.
        let of = |draw: &[usize]| statistic(&clusters.expand(draw)).unwrap_or(f64::NAN);
        config.bootstrap.percentile(clusters.len(), of)
    };
    let all: Vec<usize> = (0..predicted.truths.len()).collect();
    let confusion = judged.confusion(&all)?;
    let f1 = |class: usize| {
        // A class that does not occur has none; a resample that lacks one says nothing about it.
        confusion.scores(class).f1?;
        let of = |draw: &[usize]| {
            judged.confusion(draw).map(|found| found.scores(class).f1.unwrap_or(f64::NAN))
        };
        interval(&of).ok()
    };
    let cold = Predicted { temperature: 1.0, ..*predicted };
    let unscaled = Judged::new(&cold);
    Ok(Evaluation {
        examples: predicted.truths.len(),
        prompts: clusters.len(),
        accuracy: interval(&|draw: &[usize]| judged.confusion(draw)?.accuracy())?,
        macro_f1: interval(&|draw: &[usize]| judged.confusion(draw)?.macro_f1())?,
        auroc: interval(&|draw: &[usize]| judged.auroc(draw))?,
        calibration_error: interval(&|draw: &[usize]| judged.calibration_error(draw, bins))?,
        calibration_error_before: unscaled.calibration_error(&all, bins)?,
        brier: interval(&|draw: &[usize]| judged.brier(draw))?,
        brier_before: unscaled.brier(&all)?,
        temperature: predicted.temperature,
        per_class: (0..predicted.classes).map(|class| confusion.scores(class)).collect(),
        f1: (0..predicted.classes).map(f1).collect(),
        bins: calibration_bins(&judged.confidences, &judged.right, bins)?,
        confusion,
    })
}

/// Predictions with what follows from each by itself.
struct Judged<'a> {
    predicted: &'a Predicted<'a>,
    probabilities: Vec<Vec<f64>>,
    best: Vec<usize>,
    confidences: Vec<f64>,
    right: Vec<bool>,
}

impl<'a> Judged<'a> {
    fn new(predicted: &'a Predicted<'a>) -> Self {
        let scaled = |row: &Vec<f64>| softmax(row, predicted.temperature);
        let probabilities: Vec<Vec<f64>> = predicted.logits.iter().map(scaled).collect();
        let best: Vec<usize> = probabilities.iter().map(|row| likeliest(row)).collect();
        let confidences = probabilities.iter().zip(&best).map(|(row, &best)| row[best]).collect();
        let right = best.iter().zip(predicted.truths).map(|(best, truth)| best == truth).collect();
        Self { predicted, probabilities, best, confidences, right }
    }

    fn confusion(&self, draw: &[usize]) -> Result<ConfusionMatrix, StatsError> {
        let pairs = draw.iter().map(|&i| (self.predicted.truths[i], self.best[i]));
        ConfusionMatrix::count(self.predicted.classes, pairs)
    }

    fn drawn(&self, draw: &[usize]) -> (Vec<&[f64]>, Vec<usize>) {
        draw.iter().map(|&i| (self.probabilities[i].as_slice(), self.predicted.truths[i])).unzip()
    }

    fn auroc(&self, draw: &[usize]) -> Result<f64, StatsError> {
        let (probabilities, truths) = self.drawn(draw);
        macro_auroc(&probabilities, &truths)
    }

    fn brier(&self, draw: &[usize]) -> Result<f64, StatsError> {
        let (probabilities, truths) = self.drawn(draw);
        brier_score(&probabilities, &truths)
    }

    fn calibration_error(&self, draw: &[usize], bins: usize) -> Result<f64, StatsError> {
        let (confidences, right): (Vec<f64>, Vec<bool>) =
            draw.iter().map(|&i| (self.confidences[i], self.right[i])).unzip();
        expected_calibration_error(&confidences, &right, bins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_come_from_prompts_and_not_from_replies() {
        // Two prompts, one all right and one all wrong, ten replies each: by prompts nothing is known.
        let truths: Vec<usize> = (0..20).map(|i| i % 2).collect();
        let prompts: Vec<&str> = (0..20).map(|i| if i < 10 { "easy" } else { "hard" }).collect();
        let logits: Vec<Vec<f64>> = (0..20)
            .map(|i| {
                let right = (i % 2 == 0) == (i < 10);
                if right { vec![2.0, 0.0] } else { vec![0.0, 2.0] }
            })
            .collect();
        let predicted = Predicted {
            classes: 2,
            truths: &truths,
            prompts: &prompts,
            logits: &logits,
            temperature: 1.0,
        };
        let found = evaluate(&predicted, &EvaluationConfig::default()).expect("defined");
        assert_eq!((found.examples, found.prompts), (20, 2));
        assert_eq!(found.accuracy.estimate, 0.5);
        assert_eq!((found.accuracy.low, found.accuracy.high), (0.0, 1.0));
        assert_eq!(found.confusion.counts(), [vec![5, 5], vec![5, 5]]);
        let p = 1.0 / (1.0 + (-2_f64).exp());
        assert!((found.calibration_error.estimate - (p - 0.5)).abs() < 1e-12);
    }

    #[test]
    fn a_temperature_changes_confidence_and_nothing_else() {
        let (truths, prompts) = ([0, 1, 1, 0], ["a", "b", "c", "d"]);
        let logits = [[3.0, 0.0], [0.0, 3.0], [3.0, 0.0], [3.0, 0.0]].map(|row| row.to_vec());
        let of = |temperature| {
            let predicted = Predicted {
                classes: 2,
                truths: &truths,
                prompts: &prompts,
                logits: &logits,
                temperature,
            };
            evaluate(&predicted, &EvaluationConfig::default()).expect("defined")
        };
        let (sharp, soft) = (of(1.0), of(3.0 / 3_f64.ln()));
        assert_eq!(sharp.accuracy, soft.accuracy);
        assert_eq!(sharp.confusion, soft.confusion);
        assert!(soft.calibration_error.estimate < 1e-9, "{:?}", soft.calibration_error);
        assert_eq!(soft.calibration_error_before, sharp.calibration_error.estimate);
    }
}
