//! What an evaluation found, in the form that reports show: `eval/<suite>.json`.
//!
//! Suites differ in what they measure and agree on what a reader needs: how it was measured, figures
//! with intervals, tables, and what the figures do not show. A report draws any [`SuiteReport`]
//! without knowing the suite. This module knows neither statistics nor drawing.

use serde::{Deserialize, Serialize};

/// The result of one evaluation suite.
///
/// # Examples
/// ```
/// use ingrain_run::{Chart, Estimate, Figure, SuiteReport};
///
/// let robustness = SuiteReport {
///     suite: "robustness".into(),
///     title: "Robustness".into(),
///     protocol: "500 messages, each with one of 8 requests to leave the character.".into(),
///     figures: vec![Figure {
///         id: "macro-f1".into(),
///         title: "Macro-F1 by method".into(),
///         caption: "Bars are 95 % bootstrap intervals over messages.".into(),
///         chart: Chart::Estimates {
///             unit: "macro-F1".into(),
///             reference: None,
///             estimates: vec![Estimate {
///                 label: "distilled".into(),
///                 group: None,
///                 value: 0.81,
///                 low: Some(0.78),
///                 high: Some(0.84),
///                 n: Some(500),
///             }],
///         },
///     }],
///     tables: vec![],
///     limitations: vec!["The classifier has seen no other method.".into()],
///     details: serde_json::Value::Null,
/// };
/// let json = serde_json::to_string(&robustness)?;
/// assert!(json.contains(r#""kind":"estimates""#));
/// assert_eq!(serde_json::from_str::<SuiteReport>(&json)?, robustness);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// Name of the suite, the same in every run: `robustness`, `judges`, `drift`.
    pub suite: String,
    /// The name that a reader sees.
    pub title: String,
    /// What was asked of whom, how often and by which settings, in a few sentences.
    #[serde(default)]
    pub protocol: String,
    /// What was found, drawn.
    #[serde(default)]
    pub figures: Vec<Figure>,
    /// What was found, in numbers that no figure shows.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// What the figures do not show, a sentence each.
    #[serde(default)]
    pub limitations: Vec<String>,
    /// Everything else that the suite found, for programs; no report draws it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub details: serde_json::Value,
}

/// A chart with the words around it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Unique within its suite; names files.
    pub id: String,
    /// What it shows, in a few words.
    pub title: String,
    /// How to read it.
    #[serde(default)]
    pub caption: String,
    /// The numbers.
    pub chart: Chart,
}

/// Numbers with the form in which they are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Chart {
    /// One number a row, with its interval: scores by method, agreement by judge.
    Estimates {
        /// What is measured, with its unit.
        unit: String,
        /// The value of no effect, or of chance.
        #[serde(default)]
        reference: Option<f64>,
        /// The rows, from above.
        estimates: Vec<Estimate>,
    },
    /// Before and after, a row a thing: trait ratings, margins by question.
    Shifts {
        /// What is measured, with its unit.
        unit: String,
        /// What the first number is of.
        before: String,
        /// What the second number is of.
        after: String,
        /// The rows, from above.
        shifts: Vec<Shift>,
    },
    /// A number for each pair: a confusion matrix, drift of persona by constitution.
    Matrix {
        /// What is measured, with its unit.
        unit: String,
        /// What the rows are.
        row_axis: String,
        /// What the columns are.
        column_axis: String,
        /// Names of the rows, from above.
        rows: Vec<String>,
        /// Names of the columns.
        columns: Vec<String>,
        /// `values[row][column]`; `None` where nothing was measured.
        values: Vec<Vec<Option<f64>>>,
        /// Whether 0 is the middle of the scale and not its end.
        #[serde(default)]
        diverging: bool,
    },
    /// Courses over a common axis: training curves.
    Lines {
        /// What the horizontal axis is.
        x: String,
        /// What the vertical axis is, with its unit.
        y: String,
        /// The courses.
        series: Vec<Series>,
    },
}

/// A number and how sure it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Of what.
    pub label: String,
    /// What it belongs with, drawn in one colour: the method, where labels are runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The number.
    pub value: f64,
    /// Lower end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Observations behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
}

/// One thing before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// Of what.
    pub label: String,
    /// Before.
    pub before: f64,
    /// After.
    pub after: f64,
    /// Lower end of the 95 % interval of `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of the 95 % interval of `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// A named course.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Of what.
    pub name: String,
    /// `[x, y]`, by rising `x`.
    pub points: Vec<[f64; 2]>,
}

/// Numbers and texts in rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Unique within its suite; names files.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Names of the columns, with units.
    pub columns: Vec<String>,
    /// The rows; one shorter than `columns` lacks its last cells.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a [`Table`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Nothing.
    Empty,
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Empty }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_plain_json() {
        let table = Table {
            id: "t".into(),
            title: "T".into(),
            columns: vec!["a".into(), "b".into(), "c".into()],
            rows: vec![vec![1.5.into(), "x".into(), Cell::Empty]],
        };
        let json = serde_json::to_value(&table).unwrap();
        assert_eq!(json["rows"], serde_json::json!([[1.5, "x", null]]));
        assert_eq!(serde_json::from_value::<Table>(json).unwrap(), table);
    }

    #[test]
    fn a_number_that_is_none_is_an_empty_cell() {
        assert_eq!(Cell::from(f64::NAN), Cell::Empty);
        assert_eq!(Cell::from(None::<f64>), Cell::Empty);
    }

    #[test]
    fn a_suite_needs_no_more_than_its_names() {
        let suite: SuiteReport = serde_json::from_str(r#"{"suite":"x","title":"X"}"#).unwrap();
        assert_eq!(suite.figures, []);
    }
}
