//! The judge: tried first on pairs whose answer is known, then asked.

use ingrain_chat::{Recorded, RecordedReply, Sampling};
use ingrain_eval::{Coherence, FacetReplies, Facets, Method, NamedJudge, PreferenceModel, Suite};
use ingrain_judge::{
    Brief, Case, ChoiceJudge, Judge, Label, OnConflict, Reliability, ReliabilityConfig, Rubric,
    RubricFile, RubricTask, Ruling, Session, Task, Verdict,
};
use ingrain_lm::LocalModel;
use ingrain_run::{Cell, JsonlStore, SuiteReport, Table};

use super::cast::{Arm, Character};
use super::measure::Part;
use super::models::nobody;
use super::plan::JudgePlan;
use super::{Experiment, Lab, Way};
use crate::PipelineError;

/// Rater of the labels that hold by construction.
const CONSTRUCTION: &str = "construction";

/// Cases, and which verdict on each is right.
type Known = (Vec<Case>, Vec<Label>);

/// The same with what a judge said.
type Tried = (Vec<Case>, Vec<Ruling>, Vec<Label>);

impl Experiment<'_> {
    pub(super) fn load_judge(&self, plan: &JudgePlan) -> Result<LocalModel, PipelineError> {
        self.note(&format!("loading the judge {}", plan.name));
        let mut judge = self.base(&plan.model)?;
        if plan.bf16 {
            judge.model = judge.model.with_bf16_products()?;
        }
        Ok(judge)
    }

    /// Which of two replies is the character: its summary only, so that a verdict stays cheap.
    fn rubric(character: &Character) -> Rubric {
        let instructions = format!(
            "Two assistants answered the same message. Both were meant to be this character: {} Decide which \
             reply shows that character more fully and naturally; if both do alike, which one answers the \
             message better. Length and order do not count.",
            character.persona.constitution().summary
        );
        Rubric::from(RubricFile {
            name: format!("character-{}", character.name),
            task: RubricTask::Compare,
            instructions,
            ties: false,
            scale: [1, 5],
        })
    }

    /// A judge by the log-probability of its answers, with one of the rubrics.
    fn judge<'j>(model: &'j LocalModel, rubric: Rubric) -> impl Judge + 'j {
        Brief(ChoiceJudge::new(Shared(model), rubric))
    }

    /// How far the judge can be believed.
    pub(super) fn reliability(
        &self,
        lab: &Lab,
        name: &str,
        model: &LocalModel,
    ) -> Result<SuiteReport, PipelineError> {
        let dir = self.plan.results.join("judge");
        create(&dir)?;
        let mut store = JsonlStore::<Ruling>::open(dir.join("rulings.jsonl"))?;
        let characters = &lab.cast.characters[..lab.cast.labels];
        let mut groups: [Tried; 2] = Default::default();
        for (index, character) in characters.iter().enumerate() {
            let other = &characters[(index + 1) % characters.len()];
            let known = self.known_pairs(character, other)?;
            let judge = Self::judge(model, Self::rubric(character));
            for ((cases, labels), group) in known.into_iter().zip(&mut groups) {
                let session = self.session(name, &judge);
                let (rulings, _) =
                    session.run(&cases, &mut store).map_err(ingrain_eval::EvalError::from)?;
                group.0.extend(cases);
                group.1.extend(rulings);
                group.2.extend(labels);
            }
        }
        let config =
            ReliabilityConfig { bootstrap: self.bootstrap(), ..ReliabilityConfig::default() };
        let assess = |(cases, rulings, labels): &Tried| config.assess(name, cases, rulings, labels);
        Ok(reliability_report(name, &groups.each_ref().map(assess)))
    }

    fn session<'j>(&'j self, name: &'j str, judge: &'j dyn Judge) -> Session<'j> {
        Session {
            name,
            judge,
            seed: self.plan.seed,
            repeats: 0,
            batch_size: 8,
            observer: self.observer,
            interrupt: &self.interrupt,
        }
    }

    /// Pairs of replies to questions for development, one of which is the character by construction: the
    /// other is plain, or of another character.
    fn known_pairs(
        &self,
        character: &Character,
        other: &Character,
    ) -> Result<[Known; 2], PipelineError> {
        let (own, theirs) = (character.persona.heldout_pairs()?, other.persona.heldout_pairs()?);
        let mut groups: [Known; 2] = Default::default();
        for (index, pair) in own.iter().take(self.plan.reliability_pairs).enumerate() {
            let foreign = theirs.iter().find(|p| p.question() == pair.question());
            let wrong = [Some(pair.rejected_text()), foreign.map(|p| p.chosen_text())];
            for ((cases, labels), (wrong, kind)) in
                groups.iter_mut().zip(wrong.into_iter().zip(["plain", "other"]))
            {
                let Some(wrong) = wrong else { continue };
                let key = format!("{}/{kind}/{index}", character.name);
                let (right, wrong) = (pair.chosen_text().to_owned(), wrong.to_owned());
                let (task, verdict) = match index % 2 {
                    0 => (Task::Compare { first: right, second: wrong }, Verdict::First),
                    _ => (Task::Compare { first: wrong, second: right }, Verdict::Second),
                };
                labels.push(Label { case: key.clone(), rater: CONSTRUCTION.into(), verdict });
                cases.push(Case { key, message: pair.question().to_owned(), task });
            }
        }
        Ok(groups)
    }

    /// The whole method against the other ways, by the judge, for one character.
    pub(super) fn coherence(
        &self,
        lab: &Lab,
        character: &Character,
        judge: (&str, &LocalModel),
    ) -> Result<Option<SuiteReport>, PipelineError> {
        let Some(subject) = self.measured(lab, Way::FullC, character) else { return Ok(None) };
        let others =
            self.plan.coherence.iter().filter_map(|way| self.measured(lab, *way, character));
        let arms: Vec<&Arm> = std::iter::once(subject).chain(others).collect();
        if arms.len() < 2 {
            return Ok(None);
        }
        let replies: Vec<Recorded> =
            arms.iter().map(|arm| self.plain_replies(lab, arm)).collect::<Result<_, _>>()?;
        let methods: Vec<Method<'_>> = arms
            .iter()
            .zip(&replies)
            .map(|(arm, model)| Method { name: &arm.method, model, system: None })
            .collect();
        let (name, model) = judge;
        let by = Self::judge(model, Self::rubric(character));
        let suite = Coherence {
            subject: methods[0].clone(),
            others: methods[1..].to_vec(),
            questions: lab.heldout.clone(),
            sampling: Sampling::default(),
            judges: vec![NamedJudge { name, judge: &by }],
            repeats: 0,
            labels: Vec::new(),
            teacher: None,
            model: None,
            on_conflict: OnConflict::Tie,
            bootstrap: self.bootstrap(),
        };
        let dir = self.plan.results.join("coherence").join(&character.name);
        let mut report = suite.run(&self.judging_run(&dir))?;
        report.suite = format!("coherence-{}", character.name);
        report.title = format!("Coherence: {}", character.name);
        Ok(Some(report))
    }

    /// As other suites, with fewer requests in a call: a judge's prompts are long.
    fn judging_run<'s>(&'s self, dir: &'s std::path::Path) -> ingrain_eval::SuiteRun<'s> {
        ingrain_eval::SuiteRun { batch_size: 8, ..self.suite_run(dir) }
    }

    /// Questions and an arm's replies to them in one scenario, as they are on disk.
    fn replies(
        &self,
        lab: &Lab,
        arm: &Arm,
        scenario: &str,
    ) -> Result<Vec<(String, String)>, PipelineError> {
        let nobody = nobody()?;
        let subject = super::measure::stored(lab, arm, &nobody);
        let mut suite = self.recognition(lab, Part::Robustness, vec![subject], Vec::new());
        suite.scenarios.retain(|known| known.name == scenario);
        let dir = self.plan.results.join(Part::Robustness.name());
        let answers = suite.answers(&self.suite_run(&dir))?;
        let text = |answer: ingrain_eval::Answered| {
            Some((lab.heldout[answer.question].clone(), answer.reply?))
        };
        Ok(answers.into_iter().filter_map(text).collect())
    }

    /// The plain replies of an arm as a model.
    fn plain_replies(&self, lab: &Lab, arm: &Arm) -> Result<Recorded, PipelineError> {
        let texts = self.replies(lab, arm, "plain")?.into_iter();
        let line = |(question, reply)| RecordedReply { question, sample: 0, reply };
        Ok(Recorded::new(texts.map(line))?)
    }

    /// What transfers, by facet: plain replies of the whole method, and those under the first attack.
    pub(super) fn by_facet(&self, lab: &Lab) -> Result<(), PipelineError> {
        if !self.plan.facets {
            return Ok(());
        }
        let dir = self.plan.results.join("facets");
        for character in &lab.cast.characters[..lab.cast.labels] {
            self.check()?;
            let arms = [Way::Base, Way::FullC].map(|way| self.measured(lab, way, character));
            let [Some(base), Some(whole)] = arms else { continue };
            let replies = |arm: &Arm, scenario: &str| -> Result<FacetReplies, PipelineError> {
                let texts = self.replies(lab, arm, scenario)?;
                Ok(FacetReplies { name: format!("{}, {scenario}", arm.method), texts })
            };
            let suite = Facets {
                constitution: character.persona.constitution(),
                before: replies(base, "plain")?,
                after: vec![replies(whole, "plain")?, replies(whole, "suffix-1")?],
                scorer: &lab.base,
                bootstrap: self.bootstrap(),
            };
            self.write_suite(&suite.run(&self.judging_run(&dir))?)?;
        }
        Ok(())
    }

    /// The arm of a way for a character, if its replies are on disk.
    fn measured<'l>(&self, lab: &'l Lab, way: Way, character: &Character) -> Option<&'l Arm> {
        let of = |arm: &&Arm| {
            arm.way() == Some(way)
                && (way == Way::Base || arm.persona == character.name)
                && lab.ledger.has(&Part::Robustness.key(arm))
        };
        lab.cast.arms.iter().find(of)
    }

    /// Trait ratings before and after, of every persona whose replies are there.
    pub(super) fn judged_preferences(
        &self,
        lab: &Lab,
        judge: (&str, &LocalModel),
    ) -> Result<Option<SuiteReport>, PipelineError> {
        let ready = |arm: &&Arm| {
            self.parts(arm).contains(&Part::Preferences)
                && lab.ledger.has(&Part::Preferences.key(arm))
        };
        let arms: Vec<&Arm> = lab.cast.arms.iter().filter(ready).collect();
        let [base, others @ ..] = arms.as_slice() else { return Ok(None) };
        if base.persona != "base" || others.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = arms.iter().map(|arm| arm.key()).collect();
        let (nobody, schedule) = (nobody()?, self.schedule(lab)?);
        let models: Vec<PreferenceModel<'_>> =
            names.iter().map(|name| PreferenceModel { name, model: &nobody }).collect();
        let (name, model) = judge;
        let by = Self::judge(model, Rubric::preference(self.prompts.clone()));
        let judges = vec![NamedJudge { name, judge: &by }];
        let suite = self.preferences(&schedule, models[0], models[1..].to_vec(), judges);
        let dir = self.plan.results.join(Part::Preferences.name());
        match suite.run(&self.judging_run(&dir)) {
            // Too few or too equal choices have no ratings; the rest of the experiment does not mind.
            Err(ingrain_eval::EvalError::Statistic { what, source }) => Ok(Some(SuiteReport {
                suite: "preferences".into(),
                title: "Revealed preferences".into(),
                limitations: vec![format!("{what}: {source}")],
                ..SuiteReport::default()
            })),
            result => Ok(Some(result?)),
        }
    }
}

/// A local model as a scorer by reference.
struct Shared<'m>(&'m LocalModel);

impl ingrain_chat::Scorer for Shared<'_> {
    fn logprobs(
        &self,
        requests: &[ingrain_chat::ScoreRequest],
    ) -> Vec<Result<ingrain_chat::Score, ingrain_chat::ChatError>> {
        self.0.logprobs(requests)
    }
}

fn create(dir: &std::path::Path) -> Result<(), PipelineError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| PipelineError::Io { path: dir.to_owned(), source })
}

/// What the judge made of pairs whose answer is known.
fn reliability_report(name: &str, found: &[Reliability; 2]) -> SuiteReport {
    let against = ["a plain reply", "a reply of another character"];
    let columns = [
        "against",
        "cases",
        "right",
        "same in both orders",
        "for what is shown first",
        "p of no position bias",
        "unreadable",
    ];
    let row = |(against, found): (&str, &Reliability)| -> Vec<Cell> {
        let position = found.position.as_ref();
        vec![
            against.into(),
            (found.cases as f64).into(),
            found.labels.as_ref().map(|labels| labels.observed.to_string()).into(),
            position.map(|position| position.consistency.to_string()).into(),
            position.map(|position| position.shown_first.to_string()).into(),
            position.and_then(|position| position.bias_p_value).into(),
            found.unreadable_rate.to_string().into(),
        ]
    };
    SuiteReport {
        suite: "judge".into(),
        title: "The judge".into(),
        protocol: format!(
            "{name} compares a recorded reply in character with another reply to the same question, in both \
             orders; which one is the character is known by construction. A case on which the orders \
             disagree counts as a tie, and a tie as not right."
        ),
        tables: vec![Table {
            id: "judge".into(),
            title: format!("{name} on pairs whose answer is known"),
            columns: columns.map(str::to_owned).to_vec(),
            rows: against.into_iter().zip(found).map(row).collect(),
        }],
        limitations: vec![
            "The replies in character are the teacher's, which are plainer to tell apart than what a small \
             model makes of them."
                .into(),
        ],
        details: serde_json::json!(found),
        ..SuiteReport::default()
    }
}
