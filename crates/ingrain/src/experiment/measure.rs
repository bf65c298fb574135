//! Everything that is asked of one arm, and the suites that it belongs to.

use std::path::Path;

use ingrain_chat::{ChatError, ChatModel, Score, ScoreRequest, Scorer};
use ingrain_constitution::PreferenceStance;
use ingrain_eval::{
    Benchmark, Capabilities, DriftMatrix, DriftTarget, Inventory, Method, NEUTRAL_TEXT,
    NamedGrader, NamedJudge, PreferenceModel, Psychometrics, Recognition, RevealedPreferences,
    Scenario, Schedule, ScoredMethod, Subject, SuiteRun, TextMethod, TextRequest, TextScorer,
};
use ingrain_judge::OnConflict;
use ingrain_stats::{Bootstrap, BradleyTerry};

use super::cast::Arm;
use super::models::Made;
use super::{Experiment, Lab, Way};
use crate::PipelineError;

/// What can be asked of an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Robustness,
    Prefill,
    Capabilities,
    Drift,
    Psychometrics,
    Preferences,
}

impl Part {
    pub(super) const ALL: [Self; 6] = [
        Self::Robustness,
        Self::Prefill,
        Self::Capabilities,
        Self::Drift,
        Self::Psychometrics,
        Self::Preferences,
    ];

    /// Name of the suite, and of its folder.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Robustness => "robustness",
            Self::Prefill => "prefill",
            Self::Capabilities => "capabilities",
            Self::Drift => "drift",
            Self::Psychometrics => "psychometrics",
            Self::Preferences => "preferences",
        }
    }

    /// Whether graders say whose its replies are.
    pub(super) fn is_graded(self) -> bool {
        matches!(self, Self::Robustness | Self::Prefill)
    }

    pub(super) fn key(self, arm: &Arm) -> String {
        format!("{}/{}", self.name(), arm.key())
    }
}

impl Experiment<'_> {
    /// The parts of an arm, in the order of their worth.
    pub(super) fn parts(&self, arm: &Arm) -> Vec<Part> {
        let (way, base) = (arm.way(), arm.persona == "base");
        let published = way == Some(Way::FullC);
        let wanted = |part: &Part| match part {
            Part::Robustness => true,
            Part::Prefill => way.is_some_and(|way| self.plan.prefill.contains(&way)),
            Part::Capabilities => arm.has_weights(),
            Part::Drift | Part::Psychometrics => base || published,
            Part::Preferences => (base || published) && self.plan.preferences.traits > 0,
        };
        Part::ALL.into_iter().filter(wanted).collect()
    }

    pub(super) fn suite_run<'s>(&'s self, dir: &'s Path) -> SuiteRun<'s> {
        SuiteRun {
            dir,
            seed: self.plan.seed,
            batch_size: self.plan.batch_size,
            observer: self.observer,
            interrupt: &self.interrupt,
        }
    }

    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap { replicates: self.plan.replicates, ..Bootstrap::default() }
    }

    /// Asks one part of one arm; what was asked before is not asked again.
    pub(super) fn measure(
        &self,
        lab: &Lab,
        part: Part,
        arm: &Arm,
        made: &Made,
    ) -> Result<(), PipelineError> {
        let dir = self.plan.results.join(part.name());
        let run = self.suite_run(&dir);
        let name = arm.key();
        match part {
            Part::Robustness | Part::Prefill => {
                let subject = Subject { persona: arm.persona.clone(), method: made.method(arm) };
                let mut suite = self.recognition(lab, part, vec![subject], Vec::new());
                suite.untrained = Some(&lab.base);
                suite.answers(&run)?;
            }
            Part::Capabilities => {
                let methods = vec![TextMethod { name: &name, scorer: &made.model }];
                ingrain_eval::Suite::run(&self.capabilities(methods), &run)?;
            }
            Part::Drift => {
                let method =
                    ScoredMethod { name: &name, scorer: &made.model, system: made.system.clone() };
                self.drift(lab, vec![method]).measure(&run)?;
            }
            Part::Psychometrics => {
                let method =
                    ScoredMethod { name: &name, scorer: &made.model, system: made.system.clone() };
                ingrain_eval::Suite::run(&self.psychometrics(vec![method]), &run)?;
            }
            Part::Preferences => {
                let schedule = self.schedule(lab)?;
                let model = PreferenceModel { name: &name, model: &made.model };
                let suite = self.preferences(&schedule, model, Vec::new(), Vec::new());
                suite.answer(&run, arm.persona == "base")?;
            }
        }
        Ok(())
    }

    /// The scenarios that a part asks.
    pub(super) fn scenarios(&self, part: Part) -> Vec<Scenario> {
        match part {
            Part::Prefill => Scenario::prefill(),
            _ => {
                let wanted = |s: &Scenario| self.plan.scenarios.contains(&s.kind);
                Scenario::robustness().into_iter().filter(wanted).collect()
            }
        }
    }

    pub(super) fn recognition<'s>(
        &'s self,
        lab: &'s Lab,
        part: Part,
        subjects: Vec<Subject<'s>>,
        graders: Vec<NamedGrader<'s>>,
    ) -> Recognition<'s> {
        Recognition {
            name: part.name(),
            title: if part == Part::Prefill { "Prefill attack" } else { "Robustness" },
            subjects,
            untrained: None,
            questions: lab.heldout.clone(),
            scenarios: self.scenarios(part),
            sampling: self.plan.sampling.clone(),
            graders,
            bootstrap: self.bootstrap(),
        }
    }

    pub(super) fn capabilities<'s>(&'s self, methods: Vec<TextMethod<'s>>) -> Capabilities<'s> {
        let texts = NEUTRAL_TEXT.split("\n\n").map(|text| text.trim().to_owned()).collect();
        Capabilities {
            methods,
            benchmarks: vec![Benchmark::general()],
            texts,
            bootstrap: self.bootstrap(),
        }
    }

    pub(super) fn drift<'s>(
        &'s self,
        lab: &'s Lab,
        methods: Vec<ScoredMethod<'s>>,
    ) -> DriftMatrix<'s> {
        let target = |character: &super::cast::Character| {
            let pairs = character.persona.heldout_pairs().ok()?;
            Some(DriftTarget { name: character.name.clone(), pairs })
        };
        let targets = lab.cast.characters[..lab.cast.labels].iter().filter_map(target).collect();
        DriftMatrix { methods, targets, bootstrap: self.bootstrap() }
    }

    pub(super) fn psychometrics<'s>(&'s self, methods: Vec<ScoredMethod<'s>>) -> Psychometrics<'s> {
        Psychometrics { methods, inventory: Inventory::ipip50(), bootstrap: self.bootstrap() }
    }

    /// The choices, the same for every model.
    pub(super) fn schedule(&self, lab: &Lab) -> Result<Schedule, PipelineError> {
        let plan = &self.plan.preferences;
        let all = Schedule::default_traits();
        let every = (all.len() / plan.traits.max(1)).max(1);
        let traits = all.into_iter().step_by(every).take(plan.traits).collect();
        let messages = lab.heldout.iter().take(plan.messages).cloned().collect();
        Ok(Schedule::new(traits, messages, plan.offers, self.plan.seed)?)
    }

    pub(super) fn preferences<'s>(
        &'s self,
        schedule: &'s Schedule,
        before: PreferenceModel<'s>,
        after: Vec<PreferenceModel<'s>>,
        judges: Vec<NamedJudge<'s>>,
    ) -> RevealedPreferences<'s> {
        let stance = |name: &String| match name.as_str() {
            "adopt" => PreferenceStance::Adopt,
            "random" => PreferenceStance::Random,
            _ => PreferenceStance::FeelsLike,
        };
        RevealedPreferences {
            before,
            after,
            schedule,
            stances: self.plan.preferences.stances.iter().map(stance).collect(),
            prompts: &self.prompts,
            sampling: self.plan.sampling.clone(),
            judges,
            teacher: None,
            rating: BradleyTerry { prior: 0.5, ..BradleyTerry::default() },
            on_conflict: OnConflict::Likelier,
            bootstrap: self.bootstrap(),
        }
    }
}

/// The question alone.
pub(super) fn plain() -> Vec<Scenario> {
    Scenario::robustness().into_iter().filter(|scenario| scenario.name == "plain").collect()
}

/// Under the name of its arm, for suites that read what is on disk.
pub(super) fn stored<'s>(lab: &Lab, arm: &'s Arm, model: &'s dyn ChatModel) -> Subject<'s> {
    let prompted = arm.way() == Some(Way::SystemPrompt);
    let system = prompted.then(|| lab.cast.character(arm).system.clone());
    Subject { persona: arm.persona.clone(), method: Method { name: &arm.method, model, system } }
}

/// A scorer for figures that are all on disk.
pub(super) struct Nobody;

impl Scorer for Nobody {
    fn logprobs(&self, requests: &[ScoreRequest]) -> Vec<Result<Score, ChatError>> {
        absent(requests.len())
    }
}

impl TextScorer for Nobody {
    fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>> {
        absent(requests.len())
    }
}

fn absent(count: usize) -> Vec<Result<Score, ChatError>> {
    let error = || ChatError::Model("its scores are not on disk".to_owned());
    (0..count).map(|_| Err(error())).collect()
}
