//! From measures to the rows of a chart.

use ingrain_judge::Measure;
use ingrain_run::{Chart, Estimate, Figure};

/// Rows of one chart. What is undefined has no row; it becomes a sentence with the reason.
#[derive(Debug, Default)]
pub(crate) struct Estimates {
    rows: Vec<Estimate>,
    undefined: Vec<String>,
}

impl Estimates {
    /// Adds a measure of `n` observations.
    pub(crate) fn push(&mut self, label: &str, group: Option<&str>, measure: &Measure, n: usize) {
        match measure {
            Measure::Value(interval) => self.rows.push(Estimate {
                label: label.to_owned(),
                group: group.map(str::to_owned),
                value: interval.estimate,
                low: Some(interval.low),
                high: Some(interval.high),
                n: Some(n as u64),
            }),
            Measure::Undefined { undefined } => {
                self.undefined.push(format!("{label}: {undefined}"))
            }
        }
    }

    /// The chart, and what could not be drawn. No rows, no chart.
    pub(crate) fn figure(
        self,
        [id, title, caption, unit]: [&str; 4],
        reference: Option<f64>,
    ) -> (Option<Figure>, Vec<String>) {
        let figure = (!self.rows.is_empty()).then(|| Figure {
            id: id.to_owned(),
            title: title.to_owned(),
            caption: caption.to_owned(),
            chart: Chart::Estimates { unit: unit.to_owned(), reference, estimates: self.rows },
        });
        (figure, self.undefined)
    }
}
