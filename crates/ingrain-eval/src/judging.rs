//! One decision a case from one judge or several.

use ingrain_judge::{
    Case, Decision, OnConflict, Panel, Reliability, ReliabilityConfig, Session, decide,
};
use ingrain_run::JsonlStore;
use ingrain_stats::Bootstrap;

use crate::{EvalError, NamedJudge, SuiteRun};

/// What judges came to.
pub(crate) struct Judged {
    /// The panel's decision on each case; the judge's, if there is one.
    pub(crate) decisions: Vec<Decision>,
    /// Each judge in numbers.
    pub(crate) judges: Vec<Reliability>,
}

/// Asks every judge about every case, in both orders, and lets them vote.
pub(crate) fn judge_all(
    run: &SuiteRun<'_>,
    judges: &[NamedJudge<'_>],
    cases: &[Case],
    on_conflict: OnConflict,
    bootstrap: &Bootstrap,
) -> Result<Judged, EvalError> {
    let mut store = JsonlStore::open(run.dir.join("rulings.jsonl"))?;
    let (mut members, mut reports) = (Vec::new(), Vec::new());
    for NamedJudge { name, judge } in judges {
        let session = Session {
            name,
            judge: *judge,
            seed: run.seed,
            repeats: 0,
            batch_size: run.batch_size,
            observer: run.observer,
            interrupt: run.interrupt,
        };
        let (rulings, _) = session.run(cases, &mut store)?;
        let config = ReliabilityConfig {
            bootstrap: *bootstrap,
            on_conflict,
            ..ReliabilityConfig::default()
        };
        reports.push(config.assess(name, cases, &rulings, &[]));
        members.push(decide(cases, &rulings, on_conflict));
    }
    Ok(Judged { decisions: Panel::Vote.decide(&members)?, judges: reports })
}
