//! From grades to figures and tables.

use ingrain_judge::Measure;
use ingrain_run::{Cell, Chart, Figure, SuiteReport, Table};
use ingrain_stats::{Clusters, ConfusionMatrix, Interval, StatsError, Stream};
use serde_json::{Value, json};

use super::{Recognition, Subject};
use crate::estimates::Estimates;
use crate::grading::NamedGrader;

/// Shuffles of the labels behind the control.
const SHUFFLES: u64 = 200;

/// Up to so many subjects, each has a figure of whom it resembles.
const FEW: usize = 3;

/// A graded reply.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) subject: usize,
    pub(super) scenario: usize,
    pub(super) question: usize,
    /// Index of the label that is right, where the grader has it.
    pub(super) truth: Option<usize>,
    pub(super) probabilities: Vec<f64>,
}

impl Seen {
    /// The likeliest label; the first of equals.
    fn predicted(&self) -> usize {
        let each = self.probabilities.iter().enumerate();
        each.fold((0, f64::NEG_INFINITY), |best, (at, &p)| if p > best.1 { (at, p) } else { best })
            .0
    }
}

/// What one grader saw.
pub(super) struct Tally<'t, 'a> {
    pub(super) suite: &'t Recognition<'a>,
    pub(super) grader: &'t NamedGrader<'a>,
    pub(super) seen: &'t [Seen],
}

impl Recognition<'_> {
    /// The report without figures.
    pub(super) fn frame(&self) -> SuiteReport {
        let graders: Vec<&str> = self.graders.iter().map(|grader| grader.name).collect();
        SuiteReport {
            suite: self.name.to_owned(),
            title: self.title.to_owned(),
            protocol: format!(
                "{} questions that nothing was trained on, in each of {} scenarios; replies of at most {} \
                 tokens at temperature {}. Who says whose a reply is: {}.",
                self.questions.len(),
                self.scenarios.len(),
                self.sampling.max_new_tokens,
                self.sampling.temperature,
                graders.join(", "),
            ),
            ..SuiteReport::default()
        }
    }

    /// Names without repetition, in order of appearance.
    fn methods(&self) -> Vec<&str> {
        unique(self.subjects.iter().map(|subject| subject.method.name))
    }

    fn kinds(&self) -> Vec<&str> {
        unique(self.scenarios.iter().map(|scenario| scenario.kind.as_str()))
    }
}

fn unique<'s>(names: impl Iterator<Item = &'s str>) -> Vec<&'s str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

impl Tally<'_, '_> {
    /// Adds what this grader saw; returns the numbers for programs.
    pub(super) fn add_to(&self, report: &mut SuiteReport) -> Value {
        let name = self.grader.name;
        let (mut shares, mut scores) = (Estimates::default(), Estimates::default());
        for method in self.suite.methods() {
            for (kind, seen) in self.by_kind(method) {
                let label = format!("{method}: {kind}");
                shares.push(&label, Some(method), &self.accuracy(&seen), seen.len());
                if classes(&seen) > 1 {
                    scores.push(&label, Some(method), &self.macro_f1(&seen), seen.len());
                }
            }
        }
        let caption =
            format!("Graded by {name}. Bars are 95 % bootstrap intervals over questions.");
        let chance = 1.0 / self.grader.grader.labels().len().max(1) as f64;
        for (rows, id, title, unit) in [
            (scores, "macro-f1", "Macro-F1", "macro-F1"),
            (shares, "recognised", "Recognised replies", "share"),
        ] {
            let id = format!("{id}-{name}");
            let (figure, undefined) = rows.figure([&id, title, &caption, unit], Some(chance));
            report.figures.extend(figure);
            report.limitations.extend(undefined);
        }
        if self.suite.subjects.len() <= FEW {
            for subject in 0..self.suite.subjects.len() {
                report.figures.extend(self.resemblance(subject));
                report.figures.extend(self.stability(subject));
            }
        }
        report.figures.extend(self.suite.methods().into_iter().filter_map(|m| self.confusion(m)));
        report.tables.push(self.by_persona());
        report.tables.push(self.by_scenario());
        let controls = self.controls();
        let details = json!({ "labels": self.grader.grader.labels(), "shuffled": controls.rows });
        report.tables.push(controls);
        details
    }

    fn of_method(&self, method: &str) -> impl Iterator<Item = &Seen> {
        let named = move |seen: &&Seen| self.suite.subjects[seen.subject].method.name == method;
        self.seen.iter().filter(named)
    }

    /// Graded replies with a known truth by kind, then of all kinds but the first.
    fn by_kind(&self, method: &str) -> Vec<(String, Vec<&Seen>)> {
        let kind = |seen: &Seen| self.suite.scenarios[seen.scenario].kind.as_str();
        let known: Vec<&Seen> =
            self.of_method(method).filter(|seen| seen.truth.is_some()).collect();
        let kinds = self.suite.kinds();
        let mut groups: Vec<(String, Vec<&Seen>)> = kinds
            .iter()
            .map(|&of| (of.to_owned(), known.iter().copied().filter(|s| kind(s) == of).collect()))
            .collect();
        if kinds.len() > 2 {
            let others = known.iter().copied().filter(|s| kind(s) != kinds[0]).collect();
            groups.push((format!("all but {}", kinds[0]), others));
        }
        groups.retain(|(_, seen)| !seen.is_empty());
        groups
    }

    fn macro_f1(&self, seen: &[&Seen]) -> Measure {
        self.measure(seen, |confusion| confusion.macro_f1_of_occurring())
    }

    fn accuracy(&self, seen: &[&Seen]) -> Measure {
        let right = seen.iter().filter(|s| s.truth == Some(s.predicted())).count();
        if right == 0 || right == seen.len() {
            // Where all agree, resampling sees no uncertainty; Wilson's interval does.
            let confidence = self.suite.bootstrap.confidence;
            return Interval::wilson(right, seen.len(), confidence).into();
        }
        self.measure(seen, |confusion| confusion.accuracy())
    }

    /// A statistic of truths and predictions, with the interval over questions.
    fn measure(
        &self,
        seen: &[&Seen],
        statistic: impl Fn(&ConfusionMatrix) -> Result<f64, StatsError> + Sync,
    ) -> Measure {
        let questions: Vec<usize> = seen.iter().map(|s| s.question).collect();
        let clusters = Clusters::new(&questions);
        let pairs: Vec<(usize, usize)> =
            seen.iter().filter_map(|s| Some((s.truth?, s.predicted()))).collect();
        let labels = self.grader.grader.labels().len();
        let of_draw = |draw: &[usize]| {
            let drawn = clusters.expand(draw).into_iter().map(|i| pairs[i]);
            ConfusionMatrix::count(labels, drawn).and_then(|m| statistic(&m)).unwrap_or(f64::NAN)
        };
        self.suite.bootstrap.percentile(clusters.len(), of_draw).into()
    }

    /// Which characters are taken for which; only where there are several.
    fn confusion(&self, method: &str) -> Option<Figure> {
        let known: Vec<&Seen> = self.of_method(method).filter(|s| s.truth.is_some()).collect();
        if classes(&known) < 2 {
            return None;
        }
        let labels = self.grader.grader.labels();
        let pairs = known.iter().filter_map(|s| Some((s.truth?, s.predicted())));
        let matrix = ConfusionMatrix::count(labels.len(), pairs).ok()?;
        let support = |truth: usize| matrix.scores(truth).support;
        let truths: Vec<usize> = (0..labels.len()).filter(|&at| support(at) > 0).collect();
        let share = |truth: usize, predicted: usize| {
            Some(matrix.counts()[truth][predicted] as f64 / support(truth) as f64)
        };
        let row = |&truth: &usize| (0..labels.len()).map(|at| share(truth, at)).collect();
        Some(Figure {
            id: format!("confusion-{}-{method}", self.grader.name),
            title: format!("What replies of {method} were taken for"),
            caption: format!("Graded by {}; all scenarios together.", self.grader.name),
            chart: Chart::Matrix {
                unit: "share of the row".into(),
                row_axis: "meant".into(),
                column_axis: "taken for".into(),
                rows: truths.iter().map(|&at| labels[at].clone()).collect(),
                columns: labels.to_vec(),
                values: truths.iter().map(row).collect(),
                diverging: false,
            },
        })
    }

    /// The mean probability of each label over a subject's replies of the first kind.
    fn resemblance(&self, subject: usize) -> Option<Figure> {
        let kind = self.suite.kinds().first().copied()?;
        let seen = self.of_kind(subject, kind);
        let mut rows = Estimates::default();
        for (at, label) in self.grader.grader.labels().iter().enumerate() {
            rows.push(label, None, &self.mean_probability(&seen, at), seen.len());
        }
        let title = "Whom {} of {} resembles";
        self.of_subject(rows, subject, "who", title, "Mean probability")
    }

    /// How probable a subject's own character is in each kind of scenario; where nobody said who it is, the
    /// character that it resembles most in the first kind.
    fn stability(&self, subject: usize) -> Option<Figure> {
        let kinds = self.suite.kinds();
        let labels = self.grader.grader.labels();
        let plain = self.of_kind(subject, kinds.first()?);
        let likeness = |at: usize| plain.iter().map(|seen| seen.probabilities[at]).sum::<f64>();
        let likeliest = || (0..labels.len()).max_by(|&a, &b| likeness(a).total_cmp(&likeness(b)));
        let truth = plain.first()?.truth.or_else(likeliest)?;
        let mut rows = Estimates::default();
        for kind in kinds.iter().filter(|_| kinds.len() > 1) {
            let seen = self.of_kind(subject, kind);
            rows.push(kind, None, &self.mean_probability(&seen, truth), seen.len());
        }
        let what = format!("Mean probability of {}", labels[truth]);
        self.of_subject(rows, subject, "stable", "How stable {} of {} is", &what)
    }

    /// Replies of a subject in scenarios of a kind.
    fn of_kind(&self, subject: usize, kind: &str) -> Vec<&Seen> {
        let of = |s: &&Seen| s.subject == subject && self.suite.scenarios[s.scenario].kind == kind;
        self.seen.iter().filter(of).collect()
    }

    fn mean_probability(&self, seen: &[&Seen], label: usize) -> Measure {
        let questions: Vec<usize> = seen.iter().map(|s| s.question).collect();
        let clusters = Clusters::new(&questions);
        let of_draw = |draw: &[usize]| {
            let drawn = clusters.expand(draw);
            mean(drawn.into_iter().map(|i| seen[i].probabilities[label])).unwrap_or(f64::NAN)
        };
        self.suite.bootstrap.percentile(clusters.len(), of_draw).into()
    }

    /// A figure about one subject; the title has a place for its method and one for its character.
    fn of_subject(
        &self,
        rows: Estimates,
        subject: usize,
        id: &str,
        title: &str,
        what: &str,
    ) -> Option<Figure> {
        let grader = self.grader.name;
        let Subject { persona, method } = &self.suite.subjects[subject];
        let id = format!("{id}-{grader}-{persona}-{}", method.name);
        let title = title.replacen("{}", method.name, 1).replacen("{}", persona, 1);
        let caption = format!("{what} by {grader}; 95 % bootstrap intervals over questions.");
        rows.figure([&id, &title, &caption, "probability"], None).0
    }

    fn by_persona(&self) -> Table {
        let kinds = self.suite.kinds();
        let labels = self.grader.grader.labels();
        let mut columns = vec!["persona".to_owned(), "method".to_owned(), "replies".to_owned()];
        columns.extend(kinds.iter().map(|kind| format!("recognised, {kind}")));
        columns.extend(labels.iter().map(|label| format!("mean probability of {label}")));
        let mut rows = Vec::new();
        for (index, subject) in self.suite.subjects.iter().enumerate() {
            let seen: Vec<&Seen> = self.seen.iter().filter(|s| s.subject == index).collect();
            let mut row: Vec<Cell> = vec![
                subject.persona.as_str().into(),
                subject.method.name.into(),
                (seen.len() as f64).into(),
            ];
            row.extend(kinds.iter().map(|kind| -> Cell {
                let of_kind =
                    seen.iter().filter(|s| self.suite.scenarios[s.scenario].kind == **kind);
                mean(of_kind.filter_map(|s| Some(f64::from(s.truth? == s.predicted())))).into()
            }));
            row.extend(
                (0..labels.len())
                    .map(|at| -> Cell { mean(seen.iter().map(|s| s.probabilities[at])).into() }),
            );
            rows.push(row);
        }
        let id = format!("by-persona-{}", self.grader.name);
        Table { id, title: format!("By persona, graded by {}", self.grader.name), columns, rows }
    }

    fn by_scenario(&self) -> Table {
        let columns = ["method", "scenario", "kind", "replies", "recognised", "mean probability"];
        let mut rows = Vec::new();
        for method in self.suite.methods() {
            for (index, scenario) in self.suite.scenarios.iter().enumerate() {
                let seen: Vec<&Seen> = self
                    .of_method(method)
                    .filter(|s| s.scenario == index && s.truth.is_some())
                    .collect();
                let right = |s: &&Seen| Some(f64::from(s.truth? == s.predicted()));
                rows.push(vec![
                    method.into(),
                    scenario.name.as_str().into(),
                    scenario.kind.as_str().into(),
                    (seen.len() as f64).into(),
                    mean(seen.iter().filter_map(right)).into(),
                    mean(seen.iter().filter_map(|s| Some(s.probabilities[s.truth?]))).into(),
                ]);
            }
        }
        Table {
            id: format!("by-scenario-{}", self.grader.name),
            title: format!("By scenario, graded by {}", self.grader.name),
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        }
    }

    /// What the same predictions are worth against shuffled labels.
    fn controls(&self) -> Table {
        let columns =
            ["method", "macro-F1", "macro-F1 with shuffled labels", "largest of 200 shuffles"];
        let labels = self.grader.grader.labels().len();
        let mut rows = Vec::new();
        for method in self.suite.methods() {
            let pairs: Vec<(usize, usize)> =
                self.of_method(method).filter_map(|s| Some((s.truth?, s.predicted()))).collect();
            let f1 = |pairs: &[(usize, usize)]| {
                let matrix = ConfusionMatrix::count(labels, pairs.iter().copied()).ok()?;
                matrix.macro_f1_of_occurring().ok()
            };
            let shuffled: Vec<f64> = (0..SHUFFLES)
                .filter_map(|index| {
                    let mut truths: Vec<usize> = pairs.iter().map(|(truth, _)| *truth).collect();
                    Stream::new(self.suite.bootstrap.seed, index).shuffle(&mut truths);
                    let predictions = pairs.iter().map(|(_, predicted)| *predicted);
                    f1(&truths.into_iter().zip(predictions).collect::<Vec<_>>())
                })
                .collect();
            rows.push(vec![
                method.into(),
                f1(&pairs).into(),
                mean(shuffled.iter().copied()).into(),
                shuffled.iter().copied().reduce(f64::max).into(),
            ]);
        }
        Table {
            id: format!("controls-{}", self.grader.name),
            title: format!("Shuffled labels, graded by {}", self.grader.name),
            columns: columns.map(str::to_owned).to_vec(),
            rows,
        }
    }
}

/// Different truths.
fn classes(seen: &[&Seen]) -> usize {
    let mut truths: Vec<usize> = seen.iter().filter_map(|s| s.truth).collect();
    truths.sort_unstable();
    truths.dedup();
    truths.len()
}

/// `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / count as f64)
}
