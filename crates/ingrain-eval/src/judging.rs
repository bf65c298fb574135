//! One decision a case from one judge or several.

use ingrain_judge::{
    Case, Decision, InterJudge, Label, OnConflict, Panel, Reliability, ReliabilityConfig, Session,
    Standing, decide,
};
use ingrain_run::JsonlStore;
use ingrain_stats::Bootstrap;

use crate::{EvalError, NamedJudge, SuiteRun};

/// Who judges, and what is made of it.
pub(crate) struct Judging<'a> {
    pub(crate) judges: &'a [NamedJudge<'a>],
    /// How often each case is asked again, to see whether a judge agrees with itself.
    pub(crate) repeats: usize,
    pub(crate) on_conflict: OnConflict,
    /// What people said of the same cases.
    pub(crate) labels: &'a [Label],
    pub(crate) bootstrap: Bootstrap,
}

/// What judges came to.
pub(crate) struct Judged {
    /// The panel's decision on each case; the judge's, if there is one.
    pub(crate) decisions: Vec<Decision>,
    /// Each judge in numbers.
    pub(crate) judges: Vec<Reliability>,
    /// How far the judges agree; `None` of one.
    pub(crate) between: Option<InterJudge>,
}

impl Judging<'_> {
    /// Asks every judge about every case, in both orders, and lets them vote.
    pub(crate) fn run(&self, run: &SuiteRun<'_>, cases: &[Case]) -> Result<Judged, EvalError> {
        let Self { bootstrap, on_conflict, .. } = *self;
        let mut store = JsonlStore::open(run.dir.join("rulings.jsonl"))?;
        let config = ReliabilityConfig { bootstrap, on_conflict, ..ReliabilityConfig::default() };
        let (mut members, mut reports) = (Vec::new(), Vec::new());
        for NamedJudge { name, judge } in self.judges {
            let session = Session {
                name,
                judge: *judge,
                seed: run.seed,
                repeats: self.repeats,
                batch_size: run.batch_size,
                observer: run.observer,
                interrupt: run.interrupt,
            };
            let (rulings, _) = session.run(cases, &mut store)?;
            reports.push(config.assess(name, cases, &rulings, self.labels));
            members.push(decide(cases, &rulings, on_conflict));
        }
        let between = (self.judges.len() > 1).then(|| {
            let said = self.judges.iter().zip(&members).map(|(judge, decisions)| {
                let verdicts = decisions.iter().map(|decision| decision.verdict());
                (judge.name.to_owned(), verdicts.collect())
            });
            InterJudge::new(&bootstrap, cases, &said.collect::<Vec<_>>())
        });
        Ok(Judged { decisions: Panel::Vote.decide(&members)?, judges: reports, between })
    }
}

impl Judged {
    /// What a report must say of each judge that it may not call reliable.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = String> {
        let doubtful = self.judges.iter().filter(|judge| judge.standing != Standing::Reliable);
        doubtful.map(|judge| format!("judge {} is {}", judge.judge, judge.standing))
    }
}
