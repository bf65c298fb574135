//! The judge: tried on pairs whose answer is known before it is asked anything else.

use ingrain_judge::{
    Case, Judge, Label, OnConflict, Reliability, ReliabilityConfig, Ruling, Session, Task, Verdict,
};
use ingrain_lm::LocalModel;
use ingrain_run::{Cell, JsonlStore, SuiteReport, Table};

use super::cast::Character;
use super::plan::JudgePlan;
use super::{Experiment, Lab};
use crate::PipelineError;

/// Rater of the labels that hold by construction.
const CONSTRUCTION: &str = "construction";

/// Cases, and which verdict on each is right.
type Known = (Vec<Case>, Vec<Label>);

/// The same with what a judge said.
type Tried = (Vec<Case>, Vec<Ruling>, Vec<Label>);

impl Experiment<'_> {
    /// The judge, loaded when it is first needed, and tried on pairs whose answer is known before it is asked
    /// anything else.
    pub(super) fn tried<'j>(
        &self,
        lab: &mut Lab,
        judge: &'j mut Option<LocalModel>,
        plan: &JudgePlan,
    ) -> Result<&'j LocalModel, PipelineError> {
        let model = match judge.take() {
            Some(model) => model,
            None => self.load_judge(plan)?,
        };
        let model = &*judge.insert(model);
        let key = format!("judge/reliability of {}", plan.name);
        if !lab.ledger.has(&key) {
            self.timed(lab, &key, |lab| {
                self.write_suite(&self.reliability(lab, &plan.name, model)?)
            })?;
        }
        Ok(model)
    }

    /// What the judge was worth on pairs whose answer is known, as a line beside its tables.
    pub(super) fn judge_in_words(&self) -> Result<Option<String>, PipelineError> {
        let path = self.plan.results.join("suites/judge.json");
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path)
            .map_err(|source| PipelineError::Io { path: path.clone(), source })?;
        let report: SuiteReport = serde_json::from_slice(&bytes)
            .map_err(|error| PipelineError::Io { path, source: error.into() })?;
        let rows = report.tables.iter().flat_map(|table| &table.rows);
        let words = rows.filter_map(|row| match &row[..] {
            [Cell::Text(against), _, Cell::Text(right), ..] => {
                Some(format!("{right} against {against}"))
            }
            _ => None,
        });
        let words: Vec<String> = words.collect();
        Ok((!words.is_empty()).then(|| {
            format!("The judge is right on pairs whose answer is known: {}.", words.join(", "))
        }))
    }

    fn load_judge(&self, plan: &JudgePlan) -> Result<LocalModel, PipelineError> {
        self.note(&format!("loading the judge {}", plan.name));
        let mut judge = self.base(&plan.model)?;
        if plan.bf16 {
            judge.model = judge.model.with_bf16_products()?;
        }
        Ok(judge)
    }

    /// How far the judge can be believed.
    fn reliability(
        &self,
        lab: &Lab,
        name: &str,
        model: &LocalModel,
    ) -> Result<SuiteReport, PipelineError> {
        let dir = self.plan.results.join("judge");
        super::create(&dir)?;
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
        let config = ReliabilityConfig {
            bootstrap: self.bootstrap(),
            on_conflict: OnConflict::Likelier,
            ..ReliabilityConfig::default()
        };
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
             orders, by the log-probability of a bare A or B; which one is the character is known by \
             construction. Where the orders disagree, the surer one decides, so that a liking for one place \
             cancels out."
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
