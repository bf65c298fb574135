//! The drift matrix: every model measured on every character.
//!
//! A training that is meant to change one character may change others along with it. Recorded replies in
//! character and plain ones to the same questions say without a judge how far each model leans towards
//! each character.

use ingrain_chat::{ChatError, Message, ScoreRequest};
use ingrain_data::PreferencePair;
use ingrain_judge::Measure;
use ingrain_run::{Cell, Chart, Figure, SuiteReport, Table};
use ingrain_stats::Bootstrap;

use crate::estimates::Estimates;
use crate::numbers::{content_hash, numbers};
use crate::{EvalError, ScoredMethod, Suite, SuiteRun};

/// A character, as recorded replies show it.
#[derive(Clone, Debug)]
pub struct DriftTarget {
    /// Its name.
    pub name: String,
    /// Questions that nothing was trained on, with a reply in character (chosen) and a plain one.
    pub pairs: Vec<PreferencePair>,
}

/// How far each model moved towards each character.
///
/// The figure is the change of the margin, `log pi(chosen)/|chosen| - log pi(rejected)/|rejected|`, against
/// the first model's, in nats a token. On the diagonal it should be large, elsewhere small.
#[derive(Clone)]
pub struct DriftMatrix<'a> {
    /// The model before training, then the others.
    pub methods: Vec<ScoredMethod<'a>>,
    /// The characters.
    pub targets: Vec<DriftTarget>,
    /// Of the intervals, over questions.
    pub bootstrap: Bootstrap,
}

impl DriftMatrix<'_> {
    /// Makes the figures of every method that are not there yet, and reports nothing: for models that are
    /// there one after the other.
    ///
    /// # Errors
    /// Whatever the scorers or the disk report.
    pub fn measure(&self, run: &SuiteRun<'_>) -> Result<(), EvalError> {
        self.methods.iter().try_for_each(|method| self.margins(run, method).map(|_| ()))
    }

    /// Margins by target, by pair, as far as they are not in `margins.jsonl`.
    fn margins(
        &self,
        run: &SuiteRun<'_>,
        method: &ScoredMethod<'_>,
    ) -> Result<Vec<Vec<Option<f64>>>, EvalError> {
        let of_target = |target: &DriftTarget| {
            let requests: Vec<[ScoreRequest; 2]> =
                target.pairs.iter().map(|pair| sides(method, pair)).collect();
            let key = |(index, sides): (usize, &[ScoreRequest; 2])| {
                format!("{}/{}/{index}#{}", method.name, target.name, content_hash(sides))
            };
            let keys: Vec<String> = requests.iter().enumerate().map(key).collect();
            let stage = format!("drift/{}/{}", method.name, target.name);
            let found = numbers(run, "margins.jsonl", &stage, &keys, &|batch| {
                let requests: Vec<ScoreRequest> =
                    batch.iter().flat_map(|&i| requests[i].clone()).collect();
                let mut means = method.scorer.logprobs(&requests).into_iter();
                let mut next = || match means.next() {
                    Some(score) => score.map(|score| score.mean()),
                    None => Err(ChatError::Model("it did not score every text".to_owned())),
                };
                batch.iter().map(|_| Ok(vec![next()?, next()?])).collect()
            })?;
            Ok(found.into_iter().map(|values| values.map(|v| v[0] - v[1])).collect())
        };
        self.targets.iter().map(of_target).collect()
    }

    /// The change of the mean margin, over the pairs that both models could score.
    fn change(&self, of: &[Option<f64>], base: &[Option<f64>]) -> (Measure, usize) {
        let both = of.iter().zip(base).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
        let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
        (self.bootstrap.paired_difference(&a, &b).into(), a.len())
    }
}

/// A pair's two replies behind its prompt.
fn sides(method: &ScoredMethod<'_>, pair: &PreferencePair) -> [ScoreRequest; 2] {
    [pair.chosen_text(), pair.rejected_text()].map(|reply| ScoreRequest {
        messages: method
            .system
            .iter()
            .map(Message::system)
            .chain(pair.prompt.iter().cloned())
            .collect(),
        continuation: reply.to_owned(),
    })
}

impl Suite for DriftMatrix<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        let [first, others @ ..] = self.methods.as_slice() else {
            return Err(EvalError::Empty("drift"));
        };
        if others.is_empty() || self.targets.is_empty() {
            return Err(EvalError::Empty("drift"));
        }
        let base = self.margins(run, first)?;
        let (mut rows, mut values, mut limitations) = (Vec::new(), Vec::new(), Vec::new());
        let mut estimates = Estimates::default();
        for method in others {
            let margins = self.margins(run, method)?;
            let mut row = Vec::new();
            for ((target, of), base) in self.targets.iter().zip(&margins).zip(&base) {
                let (measure, n) = self.change(of, base);
                if n < target.pairs.len() {
                    let missing = target.pairs.len() - n;
                    limitations.push(format!(
                        "{} on {}: {missing} pairs unscored",
                        method.name, target.name
                    ));
                }
                estimates.push(
                    &format!("{} on {}", method.name, target.name),
                    Some(method.name),
                    &measure,
                    n,
                );
                row.push(measure.estimate());
                rows.push(cells(method.name, &target.name, &measure, n));
            }
            values.push(row);
        }
        let matrix = Chart::Matrix {
            unit: "nats a token".into(),
            row_axis: "model".into(),
            column_axis: "character".into(),
            rows: others.iter().map(|method| method.name.to_owned()).collect(),
            columns: self.targets.iter().map(|target| target.name.clone()).collect(),
            values,
            diverging: true,
        };
        let caption = "Bars are 95 % bootstrap intervals over questions.";
        let head = ["drift-intervals", "Drift with intervals", caption, "nats a token"];
        let (intervals, undefined) = estimates.figure(head, Some(0.0));
        limitations.extend(undefined);
        let figure = Figure {
            id: "drift".into(),
            title: "Change of the margin on each character".into(),
            caption: format!("Against {}.", first.name),
            chart: matrix,
        };
        let columns = ["model", "character", "change, nats a token", "low", "high", "questions"];
        Ok(SuiteReport {
            suite: "drift".to_owned(),
            title: "Drift".to_owned(),
            protocol: format!(
                "{} characters by recorded replies: how much likelier a token the reply in character became \
                 against the plain one, compared with {}.",
                self.targets.len(),
                first.name
            ),
            figures: std::iter::once(figure).chain(intervals).collect(),
            tables: vec![Table {
                id: "drift-table".into(),
                title: "Drift".into(),
                columns: columns.map(str::to_owned).to_vec(),
                rows,
            }],
            limitations,
            ..SuiteReport::default()
        })
    }
}

fn cells(method: &str, target: &str, measure: &Measure, n: usize) -> Vec<Cell> {
    let (estimate, low, high) = match measure {
        Measure::Value(interval) => {
            (Some(interval.estimate), Some(interval.low), Some(interval.high))
        }
        Measure::Undefined { .. } => (None, None, None),
    };
    vec![method.into(), target.into(), estimate.into(), low.into(), high.into(), (n as f64).into()]
}
