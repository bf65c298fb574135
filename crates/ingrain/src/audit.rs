//! The audit: who is this character, how strong, how stable, and what drifted? Nothing is trained.
//!
//! The same suites whatever is audited: an adapter that somebody published, an endpoint, a run of ours. What
//! an endpoint does not give (log-probabilities, say) is left out and said so.

use std::path::PathBuf;

use ingrain_chat::{ChatModel, Sampling, Scorer};
use ingrain_eval::{
    Benchmark, Capabilities, DriftMatrix, DriftTarget, Inventory, Method, NEUTRAL_TEXT,
    NamedGrader, Psychometrics, Recognition, Scenario, ScoredMethod, Subject, Suite, SuiteRun,
    TextMethod, TextScorer,
};
use ingrain_report::Report;
use ingrain_run::{Event, Interrupt, Manifest, Observer, RunDir, SuiteReport, write_json_atomic};
use ingrain_stats::Bootstrap;

use crate::PipelineError;

/// A model that is audited, or that it is compared with.
#[derive(Clone)]
pub struct Audited<'a> {
    /// What it is called in the report.
    pub name: &'a str,
    /// Who answers.
    pub chat: &'a dyn ChatModel,
    /// Log-probabilities of turns, where there are some.
    pub scorer: Option<&'a dyn Scorer>,
    /// Log-probabilities of raw text, where there are some.
    pub text: Option<&'a dyn TextScorer>,
    /// What it is told first.
    pub system: Option<String>,
}

/// An audit of one model.
pub struct Audit<'a> {
    /// Who is audited.
    pub subject: Audited<'a>,
    /// The model before it was given a character, where there is one: what drift is measured against.
    pub before: Option<Audited<'a>>,
    /// Which of the grader's labels it is meant to be; none if nobody knows.
    pub persona: Option<String>,
    /// Who says whose a reply is.
    pub grader: NamedGrader<'a>,
    /// Characters that it may have moved towards, by recorded replies.
    pub targets: Vec<DriftTarget>,
    /// User messages.
    pub questions: Vec<String>,
    /// Multiple choice.
    pub benchmarks: Vec<Benchmark>,
    /// How replies are sampled.
    pub sampling: Sampling,
    /// Seed of replies and intervals.
    pub seed: u64,
    /// What a reader must know of how the models are asked; stands beside every suite.
    pub limitations: Vec<String>,
    /// Facts for the head of the report: `persona`, `model` with its `source`.
    pub facts: Vec<(String, serde_json::Value)>,
    /// Where suites (`eval/`), replies (`audit/`) and the page go; a run directory of ours, or a new one.
    pub out: PathBuf,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Raised to stop at the next safe point.
    pub interrupt: Interrupt,
}

impl Audit<'_> {
    /// Runs every suite for which there is what it needs, and writes them with `report.html`.
    ///
    /// # Errors
    /// That of the suite that failed, or of the disk; what is finished stays.
    pub fn run(&self) -> Result<Vec<SuiteReport>, PipelineError> {
        let dir = RunDir::open(&self.out)?;
        let mut manifest = Manifest::open(dir.path())?;
        for (name, value) in &self.facts {
            if !manifest.facts().contains_key(name) {
                manifest.set_fact(name, value.clone())?;
            }
        }
        let eval = dir.file("eval");
        std::fs::create_dir_all(&eval)
            .map_err(|source| PipelineError::Io { path: eval.clone(), source })?;
        let mut reports = Vec::new();
        for (name, suite) in self.suites() {
            self.note(name);
            let raw = dir.file("audit").join(name);
            let run = SuiteRun {
                dir: &raw,
                seed: self.seed,
                batch_size: 64,
                observer: self.observer,
                interrupt: &self.interrupt,
            };
            let mut report = suite.run(&run)?;
            report.limitations.extend(self.limits(name));
            write_json_atomic(eval.join(format!("{}.json", report.suite)), &report)?;
            reports.push(report);
        }
        Report::open(&[dir.path()])?.write(dir.path())?;
        Ok(reports)
    }

    fn suites(&self) -> Vec<(&'static str, Box<dyn Suite + '_>)> {
        let mut suites: Vec<(&'static str, Box<dyn Suite + '_>)> = vec![
            ("robustness", Box::new(self.recognition("robustness", "Robustness"))),
            ("out-of-chat", Box::new(self.recognition("out-of-chat", "Away from chat"))),
        ];
        let both = |of: &Audited<'_>| (of.scorer.is_some(), of.text.is_some());
        let (scores, texts) = both(&self.subject);
        if let Some(before) = &self.before {
            suites.push(("prefill", Box::new(self.recognition("prefill", "Prefill attack"))));
            if scores && both(before).0 && !self.targets.is_empty() {
                let methods = [before, &self.subject].into_iter().filter_map(scored).collect();
                let (targets, bootstrap) = (self.targets.clone(), self.bootstrap());
                suites.push(("drift", Box::new(DriftMatrix { methods, targets, bootstrap })));
            }
        }
        let all = || self.before.iter().chain([&self.subject]);
        if scores {
            let methods = all().filter_map(scored).collect();
            let (inventory, bootstrap) = (Inventory::ipip50(), self.bootstrap());
            let suite = Psychometrics { methods, inventory, bootstrap };
            suites.push(("psychometrics", Box::new(suite)));
        }
        if texts {
            let methods = all()
                .filter_map(|of| Some(TextMethod { name: of.name, scorer: of.text? }))
                .collect();
            suites.push((
                "capabilities",
                Box::new(Capabilities {
                    methods,
                    benchmarks: self.benchmarks.clone(),
                    texts: NEUTRAL_TEXT.split("\n\n").map(|t| t.trim().to_owned()).collect(),
                    bootstrap: self.bootstrap(),
                }),
            ));
        }
        suites
    }

    fn recognition(&self, name: &'static str, title: &'static str) -> Recognition<'_> {
        let Audited { name: method, chat, system, .. } = &self.subject;
        let method = Method { name: method, model: *chat, system: system.clone() };
        let persona = self.persona.clone().unwrap_or_else(|| "unknown".to_owned());
        Recognition {
            name,
            title,
            subjects: vec![Subject { persona, method }],
            untrained: self.before.as_ref().map(|before| before.chat),
            questions: self.questions.clone(),
            scenarios: match name {
                "prefill" => Scenario::prefill(),
                "out-of-chat" => Scenario::out_of_chat(),
                _ => Scenario::robustness(),
            },
            sampling: self.sampling.clone(),
            graders: vec![self.grader],
            bootstrap: self.bootstrap(),
        }
    }

    fn bootstrap(&self) -> Bootstrap {
        Bootstrap { seed: self.seed, ..Bootstrap::default() }
    }

    /// What a reader must know of this audit beside what the suite says itself.
    fn limits(&self, suite: &str) -> Vec<String> {
        let mut limits = self.limitations.clone();
        if self.persona.is_none() && suite != "drift" && suite != "capabilities" {
            limits.push(
                "Nobody said who this is meant to be; the figures say whom it resembles most, not whether \
                 it succeeds."
                    .to_owned(),
            );
        }
        if self.before.is_none() {
            limits.push("There is no model before training to compare with.".to_owned());
        }
        if suite == "robustness" && self.subject.scorer.is_none() {
            limits.push(
                "The model gives no log-probabilities, so drift, psychometrics and capabilities are not \
                 measured."
                    .to_owned(),
            );
        }
        limits
    }

    fn note(&self, suite: &str) {
        let (stage, message) = ("audit".to_owned(), suite.to_owned());
        self.observer.on_event(&Event::Note { stage, message });
    }
}

fn scored<'a>(of: &Audited<'a>) -> Option<ScoredMethod<'a>> {
    Some(ScoredMethod { name: of.name, scorer: of.scorer?, system: of.system.clone() })
}
