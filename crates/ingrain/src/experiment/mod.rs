//! The experiment: the paper's tables at a small scale, over several sittings.
//!
//! Everything that is asked is a unit of work that is written down when it is done; a process that was
//! killed loses the batch that it was in. Order of work: for each persona training, replies of every method,
//! grades of them, tables; then its other scores, tables again. Then the judge, tried on pairs whose answer is
//! known before it is asked anything else, and facets; then what is beside the main tables (mix, seeds,
//! ablation) and preferences. What a process that was stopped has done is in the tables already.
//!
//! The recipe may be tuned on the personas and questions for development only. Their results are listed in
//! `attempts.jsonl`; then the plan is frozen, and held-out questions are asked under that plan alone.

mod cast;
mod development;
mod grading;
mod judging;
mod ledger;
mod measure;
mod models;
mod plan;
mod recorded;
mod reliability;
mod reports;

use std::path::{Path, PathBuf};

use ingrain_constitution::{HeldoutQuestions, PromptSet};
use ingrain_eval::NamedGrader;
use ingrain_lm::LocalModel;
use ingrain_run::{Event, Interrupt, Observer, RunDir, StageTimer, write_atomic};

pub use plan::{
    ExperimentPlan, GraderKind, JudgePlan, LikelihoodPlan, PreferencePlan, Seeds, Span, Way,
};
pub use reports::markdown;

use crate::PipelineError;
use cast::{Arm, Cast};
use ledger::Ledger;
use measure::Part;

/// An experiment, ready to run or to go on.
pub struct Experiment<'a> {
    /// What to do.
    pub plan: ExperimentPlan,
    /// Where personas are looked for; the shared held-out questions lie in the first that has them.
    pub folders: Vec<PathBuf>,
    /// What the models read.
    pub prompts: PromptSet,
    /// `cpu`, `ndarray`, `cuda`, `cuda:N`.
    pub device: String,
    /// Graders beside those of the plan: trained classifiers, say. Their labels are names of personas.
    pub graders: Vec<NamedGrader<'a>>,
    /// Told what happens.
    pub observer: &'a dyn Observer,
    /// Raised to stop at the next safe point.
    pub interrupt: Interrupt,
}

/// What an experiment amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Trainings, development included.
    pub trainings: usize,
    /// Models that are measured.
    pub models: usize,
    /// Replies to be generated, at most.
    pub replies: usize,
    /// Verdicts of the judge, both orders counted.
    pub verdicts: usize,
    /// Pieces of work that are done and that there are, measurements of single models only.
    pub done: (usize, usize),
}

/// What the parts share while they run.
pub(crate) struct Lab {
    cast: Cast,
    ledger: Ledger,
    base: LocalModel,
    heldout: Vec<String>,
}

impl Experiment<'_> {
    /// Does what is not done yet, and writes suites and tables.
    ///
    /// # Errors
    /// [`PipelineError::Interrupted`] after a request to stop; [`PipelineError::Recipe`] if the plan is not
    /// the one that was frozen; otherwise that of the piece of work that failed. What is finished stays.
    pub fn run(&self) -> Result<(), PipelineError> {
        let result = self.work();
        if self.interrupt.is_requested() && result.is_err() {
            return Err(PipelineError::Interrupted);
        }
        result
    }

    fn work(&self) -> Result<(), PipelineError> {
        let run = RunDir::open(&self.plan.results)?;
        let cast = Cast::of(&self.plan, &self.folders, &self.prompts)?;
        let yaml = serde_yaml::to_string(&self.plan).map_err(|error| PipelineError::Recipe {
            path: "experiment.yaml".into(),
            reason: error.to_string(),
        })?;
        write_atomic(run.file("experiment.yaml"), yaml.as_bytes())?;
        let ledger = Ledger::open(run.path())?;
        let base = self.base(&cast.runs[0].recipe.model)?;
        let heldout = self.questions(self.plan.heldout)?;
        let mut lab = Lab { cast, ledger, base, heldout };
        self.develop(&mut lab)?;
        self.freeze()?;
        self.arms(&mut lab, true)?;
        self.coherent(&mut lab)?;
        self.by_facet(&mut lab)?;
        self.arms(&mut lab, false)?;
        self.preferring(&mut lab)?;
        self.tables(&lab)
    }

    /// Replies, grades and scores of every arm that is (or is not) one of the tables' main ones, persona by
    /// persona: first what every method replies and whose it is, then everything else.
    fn arms(&self, lab: &mut Lab, main: bool) -> Result<(), PipelineError> {
        let arms = lab.cast.arms.iter().filter(|arm| lab.cast.is_main(arm) == main);
        let arms: Vec<Arm> = arms.cloned().collect();
        for of_persona in arms.chunk_by(|a, b| a.persona == b.persona) {
            let replied = self.parts_of(lab, of_persona, Part::is_graded)?;
            if self.graded(lab)? || replied {
                self.tables(lab)?;
            }
            if self.parts_of(lab, of_persona, |part| !part.is_graded())? {
                self.tables(lab)?;
            }
        }
        Ok(())
    }

    /// Does the wanted parts of some arms that are not done; whether there were any.
    fn parts_of(
        &self,
        lab: &mut Lab,
        arms: &[Arm],
        wanted: impl Fn(Part) -> bool,
    ) -> Result<bool, PipelineError> {
        let mut any = false;
        for arm in arms {
            let parts = self.parts(arm).into_iter().filter(|part| wanted(*part));
            let open: Vec<Part> = parts.filter(|part| !lab.ledger.has(&part.key(arm))).collect();
            if open.is_empty() {
                continue;
            }
            any = true;
            self.note(&arm.key());
            let made = self.make(lab, arm)?;
            for part in open {
                self.check()?;
                self.timed(lab, &part.key(arm), |lab| self.measure(lab, part, arm, &made))?;
            }
        }
        Ok(any)
    }

    /// Does a piece of work and writes down what it took, also where it was stopped in the middle.
    fn timed<T>(
        &self,
        lab: &mut Lab,
        key: &str,
        work: impl FnOnce(&Lab) -> Result<T, PipelineError>,
    ) -> Result<T, PipelineError> {
        let timer = StageTimer::start();
        let result = work(lab);
        match &result {
            Ok(_) => lab.ledger.unit_of(key, timer.seconds())?,
            Err(_) => lab.ledger.stopped(key, timer.seconds())?,
        }
        result
    }

    /// What there is to do and what is done of it. Loads no model.
    ///
    /// # Errors
    /// As [`Experiment::run`] for a plan that cannot be used.
    pub fn amount(&self) -> Result<Amount, PipelineError> {
        let cast = Cast::of(&self.plan, &self.folders, &self.prompts)?;
        let done = self.plan.results.join("done.jsonl");
        let ledger = done.is_file().then(|| Ledger::open(&self.plan.results)).transpose()?;
        let plan = &self.plan;
        let questions = plan.heldout.questions();
        let scenarios = ingrain_eval::Scenario::robustness();
        let asked = scenarios.iter().filter(|s| plan.scenarios.contains(&s.kind)).count();
        let mut amount = Amount {
            trainings: cast.runs.len() + plan.development.len(),
            models: cast.arms.len(),
            replies: 0,
            verdicts: 0,
            done: (0, 0),
        };
        for arm in &cast.arms {
            for part in self.parts(arm) {
                amount.done.1 += 1;
                amount.done.0 +=
                    usize::from(ledger.as_ref().is_some_and(|l| l.has(&part.key(arm))));
                amount.replies += match part {
                    Part::Robustness => asked * questions,
                    Part::Prefill => 2 * questions,
                    Part::Preferences => {
                        let times = if arm.persona == "base" { 2 } else { 1 };
                        let choices =
                            times * plan.preferences.offers * plan.preferences.stances.len();
                        amount.verdicts += 2 * choices;
                        choices
                    }
                    _ => 0,
                };
            }
        }
        if plan.judge.is_some() {
            let pairs = 2 * plan.reliability_pairs * cast.labels;
            let compared = plan.personas.len() * plan.coherence.len() * questions;
            amount.verdicts += 2 * (pairs + compared);
        } else {
            amount.verdicts = 0;
        }
        Ok(amount)
    }

    /// Some of the questions that no persona trains on.
    fn questions(&self, span: Span) -> Result<Vec<String>, PipelineError> {
        let files = self.folders.iter().map(|folder| folder.join("heldout.yaml"));
        let path =
            files.into_iter().find(|path| path.is_file()).ok_or_else(|| PipelineError::Recipe {
                path: "heldout.yaml".into(),
                reason: "is in none of the folders of personas".into(),
            })?;
        let all = HeldoutQuestions::from_path(&path)?.questions;
        all.get(span.from..span.to).map(<[String]>::to_vec).ok_or_else(|| PipelineError::Recipe {
            path,
            reason: format!("has {} questions, not {} to {}", all.len(), span.from, span.to),
        })
    }

    fn note(&self, message: &str) {
        let (stage, message) = ("experiment".to_owned(), message.to_owned());
        self.observer.on_event(&Event::Note { stage, message });
    }

    fn check(&self) -> Result<(), PipelineError> {
        if self.interrupt.is_requested() { Err(PipelineError::Interrupted) } else { Ok(()) }
    }
}

/// Seconds since 1970: tells one sitting from another.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn create(dir: &Path) -> Result<(), PipelineError> {
    std::fs::create_dir_all(dir)
        .map_err(|source| PipelineError::Io { path: dir.to_owned(), source })
}
