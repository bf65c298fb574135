//! Psychometrics: how a model describes itself, and how far that can be believed.
//!
//! A model is asked in several wordings, with the answers in both orders, how well self-descriptions fit;
//! the answer is the expectation over the log-probabilities of five letters. A profile without the
//! figures beside it says little: models agree with anything, and with whatever stands first.

mod inventory;

use ingrain_chat::ChatError;
use ingrain_judge::Measure;
use ingrain_run::{Cell, SuiteReport, Table};
use ingrain_stats::{Bootstrap, cronbach_alpha, pearson};

pub use inventory::{Inventory, InventoryItem};

use crate::estimates::Estimates;
use crate::numbers::{content_hash, numbers};
use crate::{EvalError, ScoredMethod, Suite, SuiteRun};
use inventory::{POINTS, Respondent};

/// Profiles of several models by one inventory.
#[derive(Clone)]
pub struct Psychometrics<'a> {
    /// Who is asked.
    pub methods: Vec<ScoredMethod<'a>>,
    /// What.
    pub inventory: Inventory,
    /// Of the intervals, over the items of a factor.
    pub bootstrap: Bootstrap,
}

/// Answers of one model, 1 to 5 as given: `answers[respondent][item]`.
type Answers = Vec<Vec<f64>>;

impl Psychometrics<'_> {
    /// All answers of a method, as far as they are not in `answers.jsonl`.
    fn answers(
        &self,
        run: &SuiteRun<'_>,
        method: &ScoredMethod<'_>,
    ) -> Result<Vec<Vec<Option<f64>>>, EvalError> {
        let system = method.system.as_deref();
        let of_respondent = |respondent: Respondent| {
            let ask = |item: &inventory::InventoryItem| respondent.requests(system, &item.text);
            let requests: Vec<_> = self.inventory.items.iter().map(ask).collect();
            let key = |(index, of): (usize, &Vec<_>)| {
                let name = respondent.name();
                format!("{}/{name}/{index}#{}", method.name, content_hash(of))
            };
            let keys: Vec<String> = requests.iter().enumerate().map(key).collect();
            let stage = format!("psychometrics/{}/{}", method.name, respondent.name());
            let found = numbers(run, "answers.jsonl", &stage, &keys, &|batch| {
                let flat: Vec<_> = batch.iter().flat_map(|&i| requests[i].clone()).collect();
                let mut scores = method.scorer.logprobs(&flat).into_iter();
                let totals = |_: &usize| {
                    let five: Vec<_> = scores.by_ref().take(POINTS).collect();
                    let five = five.into_iter().map(|score| score.map(|score| score.total()));
                    five.collect::<Result<Vec<f64>, ChatError>>()
                };
                batch.iter().map(totals).collect()
            })?;
            Ok(found.into_iter().map(|t| t.map(|totals| respondent.answer(&totals))).collect())
        };
        Respondent::all().into_iter().map(of_respondent).collect()
    }

    /// The answer turned round where agreement means less of the factor.
    fn keyed(&self, item: usize, answer: f64) -> f64 {
        if self.inventory.items[item].reversed { 6.0 - answer } else { answer }
    }

    /// Mean of a factor over respondents, with the interval over its items.
    fn factor(&self, answers: &Answers, factor: &str) -> Measure {
        let means: Vec<f64> = self
            .inventory
            .of_factor(factor)
            .map(|item| self.keyed(item, mean(answers.iter().map(|row| row[item]))))
            .collect();
        let of_draw = |draw: &[usize]| mean(draw.iter().map(|&i| means[i]));
        self.bootstrap.percentile(means.len(), of_draw).into()
    }

    /// Cronbach's alpha of a factor's items over the respondents.
    fn alpha(&self, answers: &Answers, factor: &str) -> Option<f64> {
        let row = |answers: &Vec<f64>| -> Vec<f64> {
            self.inventory.of_factor(factor).map(|item| self.keyed(item, answers[item])).collect()
        };
        cronbach_alpha(&answers.iter().map(row).collect::<Vec<_>>()).ok()
    }

    /// Agreement with anything: how far the mean of direct and reversed items, in equal parts, lies above
    /// the middle of the scale. 0 is none, 2 is agreeing with everything.
    fn acquiescence(&self, answers: &Answers) -> f64 {
        let of = |reversed: bool| {
            let items = (0..self.inventory.items.len())
                .filter(|&at| self.inventory.items[at].reversed == reversed);
            mean(items.map(|item| mean(answers.iter().map(|row| row[item]))))
        };
        (of(true) + of(false)) / 2.0 - 3.0
    }

    /// What turning the scale round changes: mean absolute difference in points, and the correlation of
    /// the items' answers in both orders.
    fn order(&self, answers: &Answers) -> (f64, Option<f64>) {
        let of = |falling: bool| -> Vec<f64> {
            let rows = Respondent::all().into_iter().zip(answers);
            let rows: Vec<&Vec<f64>> =
                rows.filter(|(r, _)| r.falling == falling).map(|(_, row)| row).collect();
            (0..self.inventory.items.len()).map(|at| mean(rows.iter().map(|row| row[at]))).collect()
        };
        let (rising, falling) = (of(false), of(true));
        let apart = rising.iter().zip(&falling).map(|(a, b)| (a - b).abs());
        (mean(apart), pearson(&rising, &falling).ok())
    }
}

impl Suite for Psychometrics<'_> {
    fn run(&self, run: &SuiteRun<'_>) -> Result<SuiteReport, EvalError> {
        if self.methods.is_empty() || self.inventory.items.is_empty() {
            return Err(EvalError::Empty("psychometrics"));
        }
        let factors = self.inventory.factors();
        let (mut estimates, mut limitations) = (Estimates::default(), Vec::new());
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for method in &self.methods {
            let found = self.answers(run, method)?;
            let whole: Option<Answers> =
                found.into_iter().map(|row| row.into_iter().collect::<Option<_>>()).collect();
            let Some(answers) = whole else {
                limitations
                    .push(format!("{}: some items have no answer, so no profile", method.name));
                continue;
            };
            let (apart, correlation) = self.order(&answers);
            let mut row: Vec<Cell> = vec![
                method.name.into(),
                self.acquiescence(&answers).into(),
                apart.into(),
                correlation.into(),
            ];
            for factor in &factors {
                let label = format!("{factor}: {}", method.name);
                let measure = self.factor(&answers, factor);
                let n = self.inventory.of_factor(factor).count();
                estimates.push(&label, Some(method.name), &measure, n);
                row.push(self.alpha(&answers, factor).into());
            }
            rows.push(row);
        }
        let caption = "1 to 5; bars are 95 % bootstrap intervals over the items of a factor.";
        let head = ["profile", "Self-descriptions by factor", caption, "mean answer"];
        let (figure, undefined) = estimates.figure(head, Some(3.0));
        limitations.extend(undefined);
        let mut columns = vec![
            "method".to_owned(),
            "acquiescence, points".to_owned(),
            "change with the order, points".to_owned(),
            "correlation of the orders".to_owned(),
        ];
        columns.extend(factors.iter().map(|factor| format!("alpha of {factor}")));
        limitations.push(
            "What a model says of itself is no measurement of what it does; where acquiescence is large or \
             the correlation of the orders small, it is not even a consistent statement."
                .to_owned(),
        );
        Ok(SuiteReport {
            suite: "psychometrics".to_owned(),
            title: "Psychometrics".to_owned(),
            protocol: format!(
                "{} items ({}), each in {} wordings and both orders of five answers; the answer is the \
                 expectation over the log-probabilities of the letters.",
                self.inventory.items.len(),
                self.inventory.source,
                Respondent::all().len() / 2,
            ),
            figures: figure.into_iter().collect(),
            tables: vec![Table {
                id: "reliability".into(),
                title: "Whether the profile can be believed".into(),
                columns,
                rows,
            }],
            limitations,
            ..SuiteReport::default()
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    sum / count as f64
}
