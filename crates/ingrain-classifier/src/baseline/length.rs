//! How much can be told from the length of a reply alone.

use ingrain_stats::{SoftmaxRegression, SparseRow};

use crate::{ClassifierError, Dataset, Learner, Task};

/// Softmax regression on the length of a reply: the logarithms of its characters, words and lines, and
/// their squares, each scaled to mean 0 and variance 1 over what is learnt from.
#[derive(Clone, Copy, Debug)]
pub struct LengthBaseline<'a> {
    /// The examples.
    pub dataset: &'a Dataset,
    /// The regression.
    pub regression: SoftmaxRegression,
}

impl Learner for LengthBaseline<'_> {
    fn learn(&self, task: &Task<'_>) -> Result<Vec<Vec<f64>>, ClassifierError> {
        let lengths =
            |examples| -> Vec<Vec<f64>> { self.dataset.texts(examples).map(lengths).collect() };
        let train = lengths(task.train);
        let columns = train.first().map_or(0, Vec::len);
        let scales: Vec<(f64, f64)> = (0..columns).map(|column| scale(&train, column)).collect();
        let row = |lengths: &Vec<f64>| -> SparseRow {
            let scaled =
                lengths.iter().zip(&scales).map(|(x, (mean, deviation))| (x - mean) / deviation);
            scaled.enumerate().collect()
        };
        let rows: Vec<SparseRow> = train.iter().map(row).collect();
        let fit = self.regression.fit(&rows, task.classes, task.labels.len(), columns)?;
        Ok(lengths(task.asked).iter().map(|lengths| fit.logits(&row(lengths))).collect())
    }
}

fn lengths(text: &str) -> Vec<f64> {
    let counts = [text.chars().count(), text.split_whitespace().count(), text.lines().count()];
    let logs = counts.map(|count| (1.0 + count as f64).ln());
    logs.into_iter().flat_map(|x| [x, x * x]).collect()
}

/// Mean and deviation of a column; a deviation of 1 where nothing varies.
fn scale(rows: &[Vec<f64>], column: usize) -> (f64, f64) {
    let n = rows.len().max(1) as f64;
    let mean = rows.iter().map(|row| row[column]).sum::<f64>() / n;
    let variance = rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}
