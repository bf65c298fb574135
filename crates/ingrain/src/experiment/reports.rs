//! Suites over everything that is on disk so far, and their tables.

use std::fmt::Write as _;

use ingrain_classifier::{Example, OTHER};
use ingrain_eval::{Answered, ScoredMethod, Subject, Suite, TextMethod};
use ingrain_run::{Cell, Chart, SuiteReport, Table, write_atomic, write_json_atomic, write_jsonl};

use super::cast::Arm;
use super::measure::{Nobody, Part, stored};
use super::models::nobody;
use super::{Experiment, Lab, Way};
use crate::PipelineError;

impl Experiment<'_> {
    /// Arms whose part is on disk.
    pub(super) fn ready<'l>(&self, lab: &'l Lab, part: Part) -> Vec<&'l Arm> {
        let ready = |arm: &&Arm| self.parts(arm).contains(&part) && lab.ledger.has(&part.key(arm));
        lab.cast.arms.iter().filter(ready).collect()
    }

    pub(super) fn write_suite(&self, report: &SuiteReport) -> Result<(), PipelineError> {
        let dir = self.plan.results.join("suites");
        super::create(&dir)?;
        Ok(write_json_atomic(dir.join(format!("{}.json", report.suite)), report)?)
    }

    /// `examples.jsonl` in the work folder: the replies of the compared ways with their labels, for a
    /// persona classifier. Trained ways are one method: with one left out, the others would still teach its
    /// replies but for a few words.
    fn examples(&self, lab: &Lab) -> Result<(), PipelineError> {
        let known = |persona: &str| {
            let characters = &lab.cast.characters[..lab.cast.labels];
            persona == "base" || characters.iter().any(|character| character.name == persona)
        };
        let arms: Vec<&Arm> = self
            .ready(lab, Part::Robustness)
            .into_iter()
            .filter(|arm| arm.way().is_some() && known(&arm.persona))
            .collect();
        let nobody = nobody()?;
        let subjects: Vec<Subject<'_>> = arms.iter().map(|arm| stored(lab, arm, &nobody)).collect();
        let suite = self.recognition(lab, Part::Robustness, subjects, Vec::new());
        let dir = self.plan.results.join(Part::Robustness.name());
        let example = |answer: Answered| {
            let arm = arms[answer.subject];
            let label = if arm.persona == "base" { OTHER } else { arm.persona.as_str() };
            Some(Example {
                text: answer.reply?,
                label: label.to_owned(),
                prompt: lab.heldout[answer.question].clone(),
                method: match arm.way() {
                    Some(Way::Distilled | Way::FullC | Way::FullA | Way::FullB) => "trained".into(),
                    _ => arm.method.clone(),
                },
            })
        };
        let answers = suite.answers(&self.suite_run(&dir))?;
        let examples: Vec<Example> = answers.into_iter().filter_map(example).collect();
        let work = &self.plan.work;
        super::create(work)?;
        Ok(write_jsonl(work.join("examples.jsonl"), &examples)?)
    }

    /// `suites/*.json` and `TABLES.md` of everything that is on disk.
    pub(super) fn tables(&self, lab: &Lab) -> Result<(), PipelineError> {
        self.examples(lab)?;
        self.scored_suites(lab)?;
        self.graded_suites(lab)?;
        let dir = self.plan.results.join("suites");
        super::create(&dir)?;
        let mut files: Vec<_> = std::fs::read_dir(&dir)
            .map_err(|source| PipelineError::Io { path: dir.clone(), source })?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        let mut page =
            format!("# {}\n\nMade by the experiment from the files beside it.\n", self.plan.name);
        for path in files {
            let bytes = std::fs::read(&path)
                .map_err(|source| PipelineError::Io { path: path.clone(), source })?;
            let mut report: SuiteReport = serde_json::from_slice(&bytes)
                .map_err(|error| PipelineError::Io { path, source: error.into() })?;
            report.limitations.extend(self.limits(&report)?);
            page.push_str(&markdown(&report));
        }
        let rows =
            lab.ledger.hours()?.into_iter().map(|(part, hours)| vec![part.into(), hours.into()]);
        let hours = Table {
            id: "hours".into(),
            title: "Compute".into(),
            columns: vec!["part".into(), "hours".into()],
            rows: rows.collect(),
        };
        let _ = write!(page, "\n## Compute\n\n{}", table(&hours));
        Ok(write_atomic(self.plan.results.join("TABLES.md"), page.as_bytes())?)
    }

    /// What a reader of a table must know beside what the suite says itself: of judged tables, how often
    /// the judge was right where the answer is known; of all, the plan's own.
    fn limits(&self, report: &SuiteReport) -> Result<Vec<String>, PipelineError> {
        let mut limits = Vec::new();
        if report.suite.starts_with("coherence") || report.suite == "preferences" {
            limits.extend(self.judge_in_words()?);
        }
        limits.extend(self.plan.limits.iter().cloned());
        Ok(limits)
    }

    fn scored_suites(&self, lab: &Lab) -> Result<(), PipelineError> {
        let dir = |part: Part| self.plan.results.join(part.name());
        let keys =
            |part| -> Vec<String> { self.ready(lab, part).into_iter().map(Arm::key).collect() };
        let scored = |names: &[String]| -> Vec<(String, Nobody)> {
            names.iter().map(|name| (name.clone(), Nobody)).collect()
        };
        let names = keys(Part::Capabilities);
        if !names.is_empty() {
            let scorers = scored(&names);
            let methods =
                scorers.iter().map(|(name, scorer)| TextMethod { name, scorer }).collect();
            let report =
                self.capabilities(methods).run(&self.suite_run(&dir(Part::Capabilities)))?;
            self.write_suite(&report)?;
        }
        let names = keys(Part::Drift);
        if names.len() > 1 {
            let scorers = scored(&names);
            let methods = scorers
                .iter()
                .map(|(name, scorer)| ScoredMethod { name, scorer, system: None })
                .collect();
            let report = self.drift(lab, methods).run(&self.suite_run(&dir(Part::Drift)))?;
            self.write_suite(&report)?;
        }
        let names = keys(Part::Psychometrics);
        if !names.is_empty() {
            let scorers = scored(&names);
            let methods = scorers
                .iter()
                .map(|(name, scorer)| ScoredMethod { name, scorer, system: None })
                .collect();
            let report =
                self.psychometrics(methods).run(&self.suite_run(&dir(Part::Psychometrics)))?;
            self.write_suite(&report)?;
        }
        Ok(())
    }
}

/// A suite as Markdown: protocol, estimates with intervals, tables, limits. Matrices stay in the page.
#[must_use]
pub fn markdown(report: &SuiteReport) -> String {
    let mut text = format!("\n## {}\n\n{}\n", report.title, report.protocol);
    for figure in &report.figures {
        let Chart::Estimates { unit, estimates, .. } = &figure.chart else { continue };
        let row = |estimate: &ingrain_run::Estimate| -> Vec<Cell> {
            let n = estimate.n.map(|n| n as f64);
            vec![
                estimate.label.as_str().into(),
                estimate.value.into(),
                estimate.low.into(),
                estimate.high.into(),
                n.into(),
            ]
        };
        let shown = Table {
            id: figure.id.clone(),
            title: figure.title.clone(),
            columns: ["", unit.as_str(), "low", "high", "n"].map(str::to_owned).to_vec(),
            rows: estimates.iter().map(row).collect(),
        };
        let _ = write!(text, "\n### {}\n\n{}\n\n{}", figure.title, figure.caption, table(&shown));
    }
    for each in &report.tables {
        let _ = write!(text, "\n### {}\n\n{}", each.title, table(each));
    }
    if !report.limitations.is_empty() {
        text.push_str("\nLimits:\n\n");
        for line in &report.limitations {
            let _ = writeln!(text, "- {line}");
        }
    }
    text
}

fn table(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(table.columns.clone());
    text.push_str(&format!("|{}\n", "---|".repeat(table.columns.len())));
    for row in &table.rows {
        text.push_str(&line(row.iter().map(cell).collect()));
    }
    text
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Number(value) if value.fract() == 0.0 => format!("{value:.0}"),
        Cell::Number(value) => format!("{value:.3}"),
        Cell::Text(text) => text.replace('|', "/").replace('\n', " "),
        Cell::Empty => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingrain_run::{Estimate, Figure};

    #[test]
    fn a_suite_becomes_tables_with_its_intervals_and_limits() {
        let estimate = Estimate {
            label: "distilled".into(),
            value: 0.5,
            low: Some(0.4),
            high: Some(0.6),
            n: Some(20),
            ..Estimate::default()
        };
        let chart =
            Chart::Estimates { unit: "share".into(), reference: None, estimates: vec![estimate] };
        let figure = Figure { id: "f".into(), title: "F".into(), caption: "C.".into(), chart };
        let report = SuiteReport {
            title: "T".into(),
            figures: vec![figure],
            limitations: vec!["Small.".into()],
            ..SuiteReport::default()
        };
        let text = markdown(&report);
        assert!(text.contains("| distilled | 0.500 | 0.400 | 0.600 | 20 |"), "{text}");
        assert!(text.ends_with("- Small.\n"));
    }
}
