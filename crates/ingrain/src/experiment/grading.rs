//! Whose replies are these? Graders over everything that is on disk, arm by arm.

use std::collections::{BTreeSet, HashMap};

use ingrain_chat::ChatError;
use ingrain_classifier::{
    Applied, ClassifierError, Example, Learner, NgramBaseline, NgramConfig, OTHER,
};
use ingrain_eval::{
    GradedText, Grader, LikelihoodGrader, Method, NamedGrader, Recognition, Scenario, Subject,
    Suite,
};
use ingrain_lm::LocalModel;
use ingrain_run::{SuiteReport, sha256_hex, write_json_atomic};
use serde::{Deserialize, Serialize};

use super::cast::Arm;
use super::measure::{Part, plain, stored};
use super::models::nobody;
use super::plan::GraderKind;
use super::recorded::Known;
use super::{Experiment, Lab, Way};
use crate::grading::{Graded, likelihood_grader};
use crate::labelled::TEACHER;
use crate::{PipelineError, Teacher};

/// Parts whose replies are graded.
const PARTS: [Part; 2] = [Part::Robustness, Part::Prefill];

/// Training questions of each character that the model before training answers, as replies of nobody.
const QUESTIONS_OF_OTHER: usize = 15;

/// `graders/likelihood.json`
#[derive(Serialize, Deserialize)]
struct Offsets {
    labels: Vec<String>,
    offsets: Vec<f64>,
}

/// A grader that is opened where there is something to grade.
struct Reader<'g> {
    name: String,
    labels: Vec<String>,
    /// Names of the scenarios that it reads; empty for all.
    scenarios: Vec<String>,
    by: By<'g>,
}

enum By<'g> {
    Own(GraderKind),
    Given(&'g dyn Grader),
}

impl Reader<'_> {
    fn key(&self, part: Part, arm: &Arm) -> String {
        format!("grade/{}#{}/{}", self.name, labels_hash(&self.labels), part.key(arm))
    }

    /// Of the trial on recorded replies.
    fn trial_key(&self) -> String {
        format!("grade/{}#{}/recorded", self.name, labels_hash(&self.labels))
    }

    fn reads(&self, scenario: &Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario.name)
    }
}

/// Grades with other labels are other grades.
fn labels_hash(labels: &[String]) -> String {
    sha256_hex(labels.join("\n").as_bytes())[..6].to_owned()
}

/// What a learner said of every reply that there is.
struct Said {
    labels: Vec<String>,
    by_text: HashMap<String, Vec<f64>>,
}

impl Grader for Said {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn grade(&self, texts: &[GradedText<'_>]) -> Vec<Result<Vec<f64>, ChatError>> {
        let unasked = || ChatError::Model("the learner was not asked about it".to_owned());
        let of = |text: &GradedText<'_>| self.by_text.get(text.reply).cloned().ok_or_else(unasked);
        texts.iter().map(of).collect()
    }
}

impl Experiment<'_> {
    fn readers(&self, lab: &Lab) -> Vec<Reader<'_>> {
        let names: Vec<String> =
            lab.cast.characters[..lab.cast.labels].iter().map(|c| c.name.clone()).collect();
        let own = |&kind: &GraderKind| {
            let (mut labels, mut scenarios) = (names.clone(), Vec::new());
            match kind {
                GraderKind::Classifier => {
                    labels.sort();
                    labels.push(OTHER.to_owned());
                }
                GraderKind::Likelihood => scenarios.clone_from(&self.plan.likelihood.scenarios),
            }
            Reader { name: kind.name().to_owned(), labels, scenarios, by: By::Own(kind) }
        };
        let given = self.graders.iter().map(|given| Reader {
            name: given.name.to_owned(),
            labels: given.grader.labels().to_vec(),
            scenarios: Vec::new(),
            by: By::Given(given.grader),
        });
        given.chain(self.plan.graders.iter().map(own)).collect()
    }

    /// Grades every reply that has no grade yet, recorded ones first; whether there were any.
    pub(super) fn graded(&self, lab: &mut Lab) -> Result<bool, PipelineError> {
        let mut any = false;
        let known = Known::of(lab)?;
        for reader in self.readers(lab) {
            let open = self.ungraded(lab, &reader);
            let untried = !known.questions.is_empty() && !lab.ledger.has(&reader.trial_key());
            if open.is_empty() && !untried {
                continue;
            }
            any = true;
            let built: Box<dyn Grader>;
            let grader: &dyn Grader = match reader.by {
                By::Given(given) => given,
                By::Own(GraderKind::Classifier) => {
                    let key = teaching(&open);
                    built = self.timed(lab, &key, |lab| self.classifier(lab, &reader.labels))?;
                    &*built
                }
                By::Own(GraderKind::Likelihood) => {
                    built = Box::new(self.likelihood(lab)?);
                    &*built
                }
            };
            if untried {
                self.timed(lab, &reader.trial_key(), |lab| {
                    let named = NamedGrader { name: &reader.name, grader };
                    let suite = self.known(lab, &known, named);
                    Ok(suite.grade(&self.judging_run(&self.plan.results.join(suite.name)))?)
                })?;
            }
            for (part, arm) in &open {
                self.check()?;
                self.timed(lab, &reader.key(*part, arm), |lab| {
                    let nobody = nobody()?;
                    let subjects = vec![stored(lab, arm, &nobody)];
                    let suite = self.read_by(lab, *part, &reader, subjects, grader);
                    let suite = Recognition { untrained: Some(&nobody), ..suite };
                    Ok(suite.grade(&self.judging_run(&self.plan.results.join(part.name())))?)
                })?;
            }
        }
        Ok(any)
    }

    /// Arms with replies that a reader has not read.
    fn ungraded(&self, lab: &Lab, reader: &Reader<'_>) -> Vec<(Part, Arm)> {
        let mut open = Vec::new();
        for part in PARTS {
            if !self.scenarios(part).iter().any(|scenario| reader.reads(scenario)) {
                continue;
            }
            let ready = self.ready(lab, part).into_iter();
            let unread = ready.filter(|arm| !lab.ledger.has(&reader.key(part, arm)));
            open.extend(unread.map(|arm| (part, arm.clone())));
        }
        open
    }

    fn read_by<'s>(
        &'s self,
        lab: &'s Lab,
        part: Part,
        reader: &'s Reader<'_>,
        subjects: Vec<Subject<'s>>,
        grader: &'s dyn Grader,
    ) -> Recognition<'s> {
        let named = NamedGrader { name: &reader.name, grader };
        let mut suite = self.recognition(lab, part, subjects, vec![named]);
        suite.scenarios.retain(|scenario| reader.reads(scenario));
        suite
    }

    /// Recognition by each grader, of the arms that it has read.
    pub(super) fn graded_suites(&self, lab: &Lab) -> Result<(), PipelineError> {
        let (nobody, known) = (nobody()?, Known::of(lab)?);
        for reader in self.readers(lab) {
            let grader = Graded(reader.labels.clone());
            if lab.ledger.has(&reader.trial_key()) {
                let named = NamedGrader { name: &reader.name, grader: &grader };
                let mut report = self.known_report(&self.known(lab, &known, named))?;
                name_by(&mut report, &reader.name);
                self.write_suite(&report)?;
            }
            for part in PARTS {
                let read = |arm: &&Arm| lab.ledger.has(&reader.key(part, arm));
                let arms: Vec<&Arm> = self.ready(lab, part).into_iter().filter(read).collect();
                if !arms.iter().any(|arm| reader.labels.contains(&arm.persona)) {
                    continue;
                }
                let subjects = arms.into_iter().map(|arm| stored(lab, arm, &nobody)).collect();
                let suite = self.read_by(lab, part, &reader, subjects, &grader);
                let suite = Recognition { untrained: Some(&nobody), ..suite };
                let mut report =
                    suite.run(&self.suite_run(&self.plan.results.join(part.name())))?;
                name_by(&mut report, &reader.name);
                self.write_suite(&report)?;
            }
        }
        Ok(())
    }

    /// The base model under each character's summary, calibrated on recorded replies to questions for
    /// development.
    fn likelihood(&self, lab: &Lab) -> Result<LikelihoodGrader<LocalModel>, PipelineError> {
        let characters = &lab.cast.characters[..lab.cast.labels];
        let mut model = lab.base.clone();
        if self.plan.likelihood.bf16 {
            model.model = model.model.with_bf16_products()?;
        }
        let described = characters.iter().map(|character| {
            (character.name.clone(), character.persona.constitution().summary.clone())
        });
        let grader = likelihood_grader(model, described);
        let dir = self.plan.results.join("graders");
        let path = dir.join("likelihood.json");
        let labels: Vec<String> = characters.iter().map(|c| c.name.clone()).collect();
        if let Ok(bytes) = std::fs::read(&path)
            && let Ok(found) = serde_json::from_slice::<Offsets>(&bytes)
            && found.labels == labels
        {
            return Ok(grader.with_offsets(&found.offsets));
        }
        self.note("calibrating the grader by likelihood");
        let mut pairs = Vec::new();
        for character in characters {
            pairs.push(character.persona.heldout_pairs()?);
        }
        let same = pairs.iter().map(Vec::len).min().unwrap_or(0);
        let texts: Vec<GradedText<'_>> = pairs
            .iter()
            .flat_map(|pairs| &pairs[..same])
            .map(|pair| GradedText { message: pair.question(), reply: pair.chosen_text() })
            .collect();
        let grader = grader.calibrated(&texts);
        self.check()?;
        super::create(&dir)?;
        write_json_atomic(&path, &Offsets { labels, offsets: grader.offsets().to_vec() })?;
        Ok(grader)
    }

    /// Regression on n-grams, taught with recorded replies of the characters and with replies of the base
    /// model to training questions, and asked about every reply that there is. Its temperature is that of
    /// recorded replies to questions for development.
    fn classifier(&self, lab: &Lab, labels: &[String]) -> Result<Box<dyn Grader>, PipelineError> {
        let (mut taught, mut calibration) = (self.nobodys(lab)?, Vec::new());
        for character in &lab.cast.characters[..lab.cast.labels] {
            if let Teacher::Recorded(recorded) = character.persona.recorded_teacher()? {
                taught.extend(
                    recorded
                        .lines()
                        .into_iter()
                        .map(|line| example(line.reply, &character.name, line.question, TEACHER)),
                );
            }
            for pair in character.persona.heldout_pairs()? {
                for (text, label) in
                    [(pair.chosen_text(), character.name.as_str()), (pair.rejected_text(), OTHER)]
                {
                    let (text, question) = (text.to_owned(), pair.question().to_owned());
                    calibration.push(example(text, label, question, TEACHER));
                }
            }
        }
        let mut replies = self.all_replies(lab)?;
        replies.extend(calibration.iter().map(|example| example.text.clone()));
        let texts: Vec<&str> = replies.iter().map(String::as_str).collect();
        let said = Applied::new(taught, calibration, &texts, &|dataset, task| {
            NgramBaseline::new(dataset, NgramConfig::default())?.learn(task)
        })?;
        if said.labels != labels {
            let (found, expected) = (said.labels.join(", "), labels.join(", "));
            let reason =
                format!("there are examples of {found}; expected some of each of {expected}");
            return Err(ClassifierError::Examples(reason).into());
        }
        let by_text = texts.into_iter().map(str::to_owned).zip(said.probabilities).collect();
        Ok(Box::new(Said { labels: said.labels, by_text }))
    }

    /// Replies of the base model to training questions of every character: examples of [`OTHER`].
    fn nobodys(&self, lab: &Lab) -> Result<Vec<Example>, PipelineError> {
        let characters = &lab.cast.characters[..lab.cast.labels];
        let mut questions: Vec<String> = Vec::new();
        for character in characters {
            let own = character.persona.constitution().questions().take(QUESTIONS_OF_OTHER);
            for question in own {
                if !questions.iter().any(|known| known == question) {
                    questions.push(question.to_owned());
                }
            }
        }
        let method = Method { name: Way::Base.name(), model: &lab.base, system: None };
        let subject = Subject { persona: OTHER.to_owned(), method };
        let suite = Recognition {
            name: "classifier",
            scenarios: plain(),
            questions,
            ..self.recognition(lab, Part::Robustness, vec![subject], Vec::new())
        };
        // Other characters have other questions.
        let names: Vec<String> = characters.iter().map(|c| c.name.clone()).collect();
        let dir = self.plan.results.join("classifier").join(labels_hash(&names));
        let answers = suite.answers(&self.suite_run(&dir))?;
        let of = |answer: ingrain_eval::Answered| {
            let question = suite.questions[answer.question].clone();
            Some(example(answer.reply?, OTHER, question, Way::Base.name()))
        };
        Ok(answers.into_iter().filter_map(of).collect())
    }

    /// Every reply that is graded, once.
    fn all_replies(&self, lab: &Lab) -> Result<BTreeSet<String>, PipelineError> {
        let nobody = nobody()?;
        let mut replies = BTreeSet::new();
        for part in PARTS {
            let ready = self.ready(lab, part).into_iter();
            let subjects = ready.map(|arm| stored(lab, arm, &nobody)).collect();
            let suite = self.recognition(lab, part, subjects, Vec::new());
            let suite = Recognition { untrained: Some(&nobody), ..suite };
            let answers = suite.answers(&self.suite_run(&self.plan.results.join(part.name())))?;
            replies.extend(answers.into_iter().filter_map(|answer| answer.reply));
        }
        Ok(replies)
    }
}

/// What the teaching of the classifier before these arms are graded is called.
fn teaching(open: &[(Part, Arm)]) -> String {
    let last = open.last().map_or("recorded".to_owned(), |(part, arm)| part.key(arm));
    format!("grade/teaching n-grams up to {last}")
}

/// One grader's report of several on one suite.
fn name_by(report: &mut SuiteReport, grader: &str) {
    report.suite = format!("{}-{grader}", report.suite);
    report.title = format!("{}, graded by {grader}", report.title);
}

fn example(text: String, label: &str, prompt: String, method: &str) -> Example {
    Example { text, label: label.to_owned(), prompt, method: method.to_owned() }
}
