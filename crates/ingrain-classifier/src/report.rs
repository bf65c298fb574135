//! What a study found, in the form that a run's report shows.

use ingrain_run::{Cell, Chart, Estimate, Figure, Series, SuiteReport, Table};
use ingrain_stats::Interval;

use crate::study::{StudyReport, StudyRow};

impl StudyReport {
    /// The study as a section of `report.html`; its file is `eval/classifier.json`.
    ///
    /// Its figures are macro-F1 by contender and split, and of the first contender the confusion matrix and
    /// the reliability diagram; its tables hold all scores, and precision, recall and F1 of each class.
    #[must_use]
    pub fn suite_report(&self) -> SuiteReport {
        let first = self.rows.first();
        let mut figures = vec![self.scores_figure()];
        figures.extend(first.map(|row| self.confusion_figure(row)));
        figures.extend(first.map(reliability_figure));
        let mut tables = vec![self.scores_table()];
        tables.extend(first.map(|row| self.classes_table(row)));
        if !self.strangers.is_empty() {
            tables.push(self.strangers_table());
        }
        SuiteReport {
            suite: "classifier".into(),
            title: "Persona classifier".into(),
            protocol: self.protocol(),
            figures,
            tables,
            limitations: self.limitations(),
            details: serde_json::Value::Null,
        }
    }

    fn protocol(&self) -> String {
        let Some(row) = self.rows.first() else { return String::new() };
        let held_out = match &self.held_out {
            Some(label) => format!(" Replies of {label} were held out of everything."),
            None => String::new(),
        };
        format!(
            "{} labels ({}). Learnt from {} replies, temperature set on {}, asked about {} replies to {} \
             prompts that no other side has.{held_out}",
            self.labels.len(),
            self.labels.join(", "),
            row.learnt_from,
            row.calibrated_on,
            row.evaluation.examples,
            row.evaluation.prompts,
        )
    }

    fn scores_figure(&self) -> Figure {
        let estimate = |row: &StudyRow| {
            let Interval { estimate, low, high, .. } = row.evaluation.macro_f1;
            Estimate {
                label: label(row),
                group: Some(row.contender.clone()),
                value: estimate,
                low: Some(low),
                high: Some(high),
                n: Some(row.evaluation.examples as u64),
            }
        };
        let estimates = self.rows.iter().map(estimate).collect();
        Figure {
            id: "macro-f1".into(),
            title: "Macro-F1 on prompts that were not learnt from".into(),
            caption: format!(
                "Bars are {} % bootstrap intervals over prompts.",
                percent(self.config.evaluation.bootstrap.confidence)
            ),
            chart: Chart::Estimates { unit: "macro-F1".into(), reference: None, estimates },
        }
    }

    fn confusion_figure(&self, row: &StudyRow) -> Figure {
        let shares = |counts: &Vec<usize>| -> Vec<Option<f64>> {
            let total: usize = counts.iter().sum();
            let share = |&count: &usize| (total > 0).then(|| count as f64 / total as f64);
            counts.iter().map(share).collect()
        };
        Figure {
            id: "confusion".into(),
            title: format!("Which persona was taken for which ({})", row.contender),
            caption: "Share of the replies of each row that were given the label of the column."
                .into(),
            chart: Chart::Matrix {
                unit: "share of replies".into(),
                row_axis: "written by".into(),
                column_axis: "taken for".into(),
                rows: self.labels.clone(),
                columns: self.labels.clone(),
                values: row.evaluation.confusion.counts().iter().map(shares).collect(),
                diverging: false,
            },
        }
    }

    fn scores_table(&self) -> Table {
        let cell = |interval: Interval| Cell::from(interval_text(interval));
        let scores = |row: &StudyRow| {
            let found = &row.evaluation;
            vec![
                label(row).into(),
                (found.examples as f64).into(),
                cell(found.accuracy),
                cell(found.macro_f1),
                cell(found.auroc),
                cell(found.calibration_error),
                found.calibration_error_before.into(),
                cell(found.brier),
                found.temperature.into(),
            ]
        };
        let columns = [
            "classifier",
            "replies",
            "accuracy",
            "macro-F1",
            "AUROC",
            "calibration error",
            "without temperature",
            "Brier score (0 to 2)",
            "temperature",
        ];
        Table {
            id: "scores".into(),
            title: "Scores with intervals over prompts".into(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: self.rows.iter().map(scores).collect(),
        }
    }

    fn classes_table(&self, row: &StudyRow) -> Table {
        let found = &row.evaluation;
        let class = |(class, name): (usize, &String)| {
            let scores = found.per_class[class];
            vec![
                name.as_str().into(),
                (scores.support as f64).into(),
                scores.precision.into(),
                scores.recall.into(),
                found.f1[class].map(interval_text).into(),
            ]
        };
        Table {
            id: "classes".into(),
            title: format!("Scores of each label ({})", row.contender),
            columns: ["label", "replies", "precision", "recall", "F1"].map(str::to_owned).to_vec(),
            rows: self.labels.iter().enumerate().map(class).collect(),
        }
    }

    fn strangers_table(&self) -> Table {
        let row = |row: &crate::study::StrangerRow| {
            let score = row.score.name();
            let strangers = row.strangers as f64;
            vec![
                row.contender.as_str().into(),
                score.into(),
                strangers.into(),
                interval_text(row.auroc).into(),
            ]
        };
        let held_out = self.held_out.as_deref().unwrap_or("the held-out label");
        Table {
            id: "strangers".into(),
            title: format!("How well replies of {held_out} are found to be strange"),
            columns: ["classifier", "score", "replies", "AUROC"].map(str::to_owned).to_vec(),
            rows: self.strangers.iter().map(row).collect(),
        }
    }

    fn limitations(&self) -> Vec<String> {
        let mut limits = Vec::new();
        if self.rows.iter().all(|row| row.without_method.is_none()) {
            limits.push(
                "All personas' replies were made by one method, or no method could be left out: how far \
                 the classifier reads the persona and not the method is not known."
                    .to_owned(),
            );
        }
        if let (1.., Some(row)) = (self.prompts_of_one_label, self.rows.first()) {
            limits.push(format!(
                "{} of {} prompts of the test have replies of one label only: there the topic of a reply \
                 may give it away.",
                self.prompts_of_one_label, row.evaluation.prompts
            ));
        }
        for method in &self.methods_skipped {
            limits.push(format!(
                "Without replies by {method} fewer than two labels were left to learn, so it was not left \
                 out."
            ));
        }
        for row in self.rows.iter().filter(|row| !row.labels_skipped.is_empty()) {
            let (labels, method) = (row.labels_skipped.join(", "), label(row));
            limits.push(format!("{method}: {labels} had no other method and was not asked about."));
        }
        limits.push(
            "The classifier says how well personas are told apart, not how good they are; a caricature is \
             told apart best."
                .to_owned(),
        );
        limits.dedup();
        limits
    }
}

/// How to read a row: `MiniLM`, or `MiniLM, not taught by prompting`.
fn label(row: &StudyRow) -> String {
    match &row.without_method {
        Some(method) => format!("{}, without {method}", row.contender),
        None => row.contender.clone(),
    }
}

fn reliability_figure(row: &StudyRow) -> Figure {
    let points = |of: &dyn Fn(&ingrain_stats::CalibrationBin) -> f64| {
        row.evaluation.bins.iter().map(|bin| [bin.confidence, of(bin)]).collect()
    };
    Figure {
        id: "reliability".into(),
        title: format!("Does it know what it knows? ({})", row.contender),
        caption: "Predictions by how sure they were, after temperature scaling; on the line of equals, of \
                  those that claim 80 % four in five are right."
            .into(),
        chart: Chart::Lines {
            x: "claimed probability".into(),
            y: "share that was right".into(),
            series: vec![
                Series { name: "found".into(), points: points(&|bin| bin.accuracy) },
                Series { name: "line of equals".into(), points: points(&|bin| bin.confidence) },
            ],
        },
    }
}

/// `0.81 [0.78, 0.84]`.
fn interval_text(interval: Interval) -> String {
    format!("{:.3} [{:.3}, {:.3}]", interval.estimate, interval.low, interval.high)
}

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}
