//! What an experiment does, as a file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ingrain_chat::Sampling;
use ingrain_eval::Scenario;
use ingrain_run::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::{PipelineError, Recipe, SteeringRecipe};

/// Every number of an experiment. Unknown keys are refused.
///
/// # Examples
/// ```
/// use ingrain::ExperimentPlan;
///
/// let plan = "{name: small, personas: [loving, remorse], results: docs/results/small}";
/// let plan = ExperimentPlan::parse(plan, "small.yaml")?;
/// assert_eq!(plan.heldout.questions(), 25);
/// assert!(ExperimentPlan::parse("{name: small, personnas: []}", "small.yaml").is_err());
/// # Ok::<(), ingrain::PipelineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentPlan {
    /// Its name.
    pub name: String,
    /// Recipe of every training: `quick`, `paper` or a file.
    #[serde(default = "quick")]
    pub recipe: String,
    /// Personas that are trained and told apart.
    pub personas: Vec<String>,
    /// One more, the control: trained alike towards no character.
    #[serde(default)]
    pub control: Option<String>,
    /// A mix of two personas that is trained and measured beside them: `loving:0.5 + remorse:0.5`.
    #[serde(default)]
    pub composition: Option<String>,
    /// Further seeds of one persona.
    #[serde(default)]
    pub seeds: Option<Seeds>,
    /// Personas that are also trained on one kind of introspective text only.
    #[serde(default)]
    pub ablation: Vec<String>,
    /// Personas that the recipe may be tuned on; none of `personas`.
    #[serde(default)]
    pub development: Vec<String>,
    /// Which of the shared held-out questions development may look at.
    #[serde(default = "first_questions")]
    pub development_questions: Span,
    /// Which of them the experiment asks, once.
    #[serde(default = "last_questions")]
    pub heldout: Span,
    /// Ways to give a character, in the order in which they are measured.
    #[serde(default = "all_ways")]
    pub ways: Vec<Way>,
    /// How replies are sampled.
    #[serde(default = "short_replies")]
    pub sampling: Sampling,
    /// Kinds of robustness scenarios that are asked.
    #[serde(default = "plain_and_suffix")]
    pub scenarios: Vec<String>,
    /// Ways that the prefill attack and capabilities are measured for.
    #[serde(default = "trained_ways")]
    pub prefill: Vec<Way>,
    /// Activation steering.
    #[serde(default)]
    pub steering: SteeringRecipe,
    /// Who says whose a reply is, the cheap ones first.
    #[serde(default = "all_graders")]
    pub graders: Vec<GraderKind>,
    /// What the grader by likelihood reads, and how.
    #[serde(default)]
    pub likelihood: LikelihoodPlan,
    /// Who judges; without, nothing is judged.
    #[serde(default)]
    pub judge: Option<JudgePlan>,
    /// Pairs of replies to each persona's questions on which the judge is tried first. Default 20.
    #[serde(default = "twenty")]
    pub reliability_pairs: usize,
    /// Ways that the whole method is compared with by the judge.
    #[serde(default = "other_ways")]
    pub coherence: Vec<Way>,
    /// Whether replies are also scored by facet of the assertions.
    #[serde(default)]
    pub facets: bool,
    /// Revealed preferences.
    #[serde(default)]
    pub preferences: PreferencePlan,
    /// Requests in one call of a model. Part of the result.
    #[serde(default = "batch")]
    pub batch_size: usize,
    /// Resamples of every interval.
    #[serde(default = "thousand")]
    pub replicates: usize,
    /// Seed of replies and intervals.
    #[serde(default)]
    pub seed: u64,
    /// What a reader must know of every table: what a model of this size cannot show, say.
    #[serde(default)]
    pub limits: Vec<String>,
    /// Replies, verdicts and scores: small files that are kept with the code.
    pub results: PathBuf,
    /// Adapters and whatever else can be made again.
    #[serde(default = "work")]
    pub work: PathBuf,
}

/// Questions `from..to` of the shared list, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first.
    pub from: usize,
    /// Behind the last.
    pub to: usize,
}

impl Span {
    /// How many.
    #[must_use]
    pub fn questions(self) -> usize {
        self.to.saturating_sub(self.from)
    }
}

/// One persona trained again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// Which.
    pub persona: String,
    /// With these seeds beside the recipe's own.
    pub seeds: Vec<u64>,
}

/// A grader of the experiment's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GraderKind {
    /// Softmax regression on hashed n-grams, taught with the recorded teachers' replies and, as
    /// [`OTHER`](ingrain_classifier::OTHER), replies of the model before training to training questions.
    Classifier,
    /// The model before training under each character's summary: a pass over each reply for each character.
    Likelihood,
}

impl GraderKind {
    /// What it is called in files and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classifier => "n-grams",
            Self::Likelihood => "likelihood",
        }
    }
}

/// Extent of the grader by likelihood, the dearest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LikelihoodPlan {
    /// Names of the scenarios whose replies it reads: `plain`, `suffix-1`. Default: none named, hence all.
    pub scenarios: Vec<String>,
    /// Whether its products are computed in bf16, where the processor can. Default: in f32.
    pub bf16: bool,
}

/// Who judges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgePlan {
    /// What it is called in files and tables.
    pub name: String,
    /// Built-in alias, HF directory or GGUF file.
    pub model: String,
    /// Whether its products are computed in bf16, where the processor can.
    #[serde(default)]
    pub bf16: bool,
}

/// Size of the preference evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreferencePlan {
    /// Of the 144 built-in traits, spread over the alphabet. Default 24; 0 leaves the suite out.
    pub traits: usize,
    /// Choices a model. Default 120.
    pub offers: usize,
    /// Held-out questions that they are put to. Default 25.
    pub messages: usize,
    /// How the choice is put: `feels_like`, `adopt`, `random`. Default the first.
    pub stances: Vec<String>,
}

impl Default for PreferencePlan {
    fn default() -> Self {
        Self { traits: 24, offers: 120, messages: 25, stances: vec!["feels_like".into()] }
    }
}

/// A way to give a model a character. The three "full" ones differ in what becomes of the introspection
/// adapter: the paper measured (a) on robustness and coherence, and published (b).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// None: the model before training. One for all personas.
    Base,
    /// The constitution as system prompt.
    SystemPrompt,
    /// A control vector.
    Steering,
    /// The distillation adapter.
    Distilled,
    /// Distillation and introspection at full weight.
    FullA,
    /// The recipe's weights, factors summed as PEFT's linear merge does.
    FullB,
    /// The recipe's weights, merged exactly: what the pipeline publishes.
    FullC,
}

impl Way {
    /// What it is called in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::SystemPrompt => "system prompt",
            Self::Steering => "steering",
            Self::Distilled => "distilled",
            Self::FullA => "full (a)",
            Self::FullB => "full (b)",
            Self::FullC => "full (c)",
        }
    }
}

fn quick() -> String {
    "quick".into()
}

fn work() -> PathBuf {
    "runs/experiment".into()
}

fn batch() -> usize {
    64
}

fn thousand() -> usize {
    1_000
}

fn twenty() -> usize {
    20
}

fn all_graders() -> Vec<GraderKind> {
    vec![GraderKind::Classifier, GraderKind::Likelihood]
}

fn first_questions() -> Span {
    Span { from: 0, to: 25 }
}

fn last_questions() -> Span {
    Span { from: 25, to: 50 }
}

fn short_replies() -> Sampling {
    Sampling { max_new_tokens: 64, ..Sampling::default() }
}

fn plain_and_suffix() -> Vec<String> {
    vec!["plain".into(), "suffix".into()]
}

fn all_ways() -> Vec<Way> {
    vec![Way::Base, Way::SystemPrompt, Way::Steering, Way::Distilled, Way::FullC, Way::FullA]
}

fn trained_ways() -> Vec<Way> {
    vec![Way::Distilled, Way::FullC, Way::FullA]
}

fn other_ways() -> Vec<Way> {
    vec![Way::Base, Way::SystemPrompt, Way::Steering, Way::Distilled]
}

impl ExperimentPlan {
    /// Reads a plan from YAML and checks it.
    ///
    /// # Errors
    /// [`PipelineError::Recipe`] with line and column, or saying what does not fit together.
    pub fn parse(text: &str, path: &str) -> Result<Self, PipelineError> {
        let wrong = |reason: String| PipelineError::Recipe { path: path.into(), reason };
        let plan: Self = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        plan.check().map_err(wrong)?;
        Ok(plan)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Self::parse`], and [`PipelineError::Io`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PipelineError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| PipelineError::Io { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    fn check(&self) -> Result<(), String> {
        if self.personas.is_empty() {
            return Err("personas is empty; name at least one".into());
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.trained().find(|name| !seen.insert(*name)) {
            return Err(format!("{twice} is named twice among personas and control"));
        }
        if let Some(both) = self.development.iter().find(|name| seen.contains(name.as_str())) {
            return Err(format!("{both} is a persona for development and of the experiment"));
        }
        let others = self.ablation.iter().chain(self.seeds.as_ref().map(|seeds| &seeds.persona));
        for name in others {
            if !self.personas.contains(name) {
                return Err(format!("{name} is none of personas"));
            }
        }
        let (dev, test) = (self.development_questions, self.heldout);
        if dev.questions() == 0 || test.questions() == 0 {
            return Err("a span of questions is empty".into());
        }
        if dev.from < test.to && test.from < dev.to {
            return Err("development_questions and heldout overlap".into());
        }
        if self.sampling.max_new_tokens == 0 {
            return Err("sampling.max_new_tokens is 0; expected at least 1".into());
        }
        let known: Vec<String> = Scenario::robustness()
            .into_iter()
            .chain(Scenario::prefill())
            .map(|scenario| scenario.name)
            .collect();
        if let Some(name) = self.likelihood.scenarios.iter().find(|name| !known.contains(name)) {
            let known = known.join(", ");
            return Err(format!("likelihood: unknown scenario {name:?}; expected one of {known}"));
        }
        for stance in &self.preferences.stances {
            if !["feels_like", "adopt", "random"].contains(&stance.as_str()) {
                return Err(format!(
                    "unknown stance {stance:?}; expected feels_like, adopt or random"
                ));
            }
        }
        Ok(())
    }

    /// Personas and control, which graders tell apart.
    pub fn trained(&self) -> impl Iterator<Item = &str> {
        self.personas.iter().chain(&self.control).map(String::as_str)
    }

    /// What must not change once the held-out questions were asked: recipe, questions, sampling, seed.
    /// Personas, ways and judges may still be added.
    ///
    /// # Errors
    /// As [`Recipe::named_or_file`].
    pub fn frozen_hash(&self) -> Result<String, PipelineError> {
        let recipe = Recipe::named_or_file(&self.recipe)?.to_yaml()?;
        let rest = serde_json::json!([
            self.heldout,
            self.sampling,
            self.scenarios,
            self.steering,
            self.batch_size,
            self.seed
        ]);
        Ok(sha256_hex(format!("{recipe}\n{rest}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<ExperimentPlan, PipelineError> {
        let yaml = format!("{{name: x, personas: [a, b], control: n, results: r{extra}}}");
        ExperimentPlan::parse(&yaml, "x.yaml")
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (extra, reason) in [
            (", development: [a]", "a is a persona for development and of the experiment"),
            (", ablation: [c]", "c is none of personas"),
            (", seeds: {persona: n, seeds: [1]}", "n is none of personas"),
            (", heldout: {from: 20, to: 30}", "overlap"),
            (", preferences: {stances: [loves]}", "unknown stance \"loves\""),
            (", likelihood: {scenarios: [suffix-99]}", "unknown scenario \"suffix-99\""),
            (", wayz: [base]", "wayz"),
        ] {
            let error = parse(extra).expect_err(reason).to_string();
            assert!(error.contains("x.yaml") && error.contains(reason), "{error}");
        }
        assert_eq!(parse("").expect("valid").trained().collect::<Vec<_>>(), ["a", "b", "n"]);
    }

    #[test]
    fn sampling_is_frozen_and_the_list_of_personas_is_not() {
        let plan = parse("").expect("valid");
        let hash = plan.frozen_hash().expect("hashed");
        let more = parse(", composition: a + b, ablation: [a]").expect("valid");
        assert_eq!(more.frozen_hash().expect("hashed"), hash);
        let longer = parse(", sampling: {max_new_tokens: 65}").expect("valid");
        assert_ne!(longer.frozen_hash().expect("hashed"), hash);
    }
}
