//! Who takes part: characters, the runs that train them, and the arms that are measured.

use std::path::PathBuf;

use ingrain_constitution::PromptSet;

use super::{ExperimentPlan, Way};
use crate::compare::Method;
use crate::{Persona, PipelineError, Recipe};

/// A persona with what a model is told to play it.
pub(super) struct Character {
    pub(super) name: String,
    pub(super) persona: Persona,
    /// The whole constitution as a system prompt.
    pub(super) system: String,
}

/// One training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TrainingRun {
    /// Index of the character.
    pub(super) character: usize,
    pub(super) recipe: Recipe,
    pub(super) dir: PathBuf,
    /// Name of the run in files: the character's, with the seed where it is another.
    pub(super) name: String,
}

/// How an arm's model comes about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Make {
    /// A way, by the adapters of a run where it needs some.
    Way(Way, usize),
    /// The whole method on some of its texts, of a run.
    Texts(Method, usize),
}

/// A model that is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    /// Which character its replies are meant to be of; `base` for none.
    pub(super) persona: String,
    /// Name of the method in tables.
    pub(super) method: String,
    pub(super) make: Make,
}

impl Arm {
    /// Unique among arms.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.persona, self.method)
    }

    /// The way, if it is one of the run that the tables compare.
    pub(super) fn way(&self) -> Option<Way> {
        match (&self.make, self.method.contains("seed")) {
            (Make::Way(way, _), false) => Some(*way),
            _ => None,
        }
    }

    /// Whether the weights differ from the base model's, or it is the base model itself.
    pub(super) fn has_weights(&self) -> bool {
        !matches!(self.make, Make::Way(Way::SystemPrompt | Way::Steering, _))
    }

    /// The run that it needs.
    pub(super) fn run(&self) -> usize {
        match self.make {
            Make::Way(_, run) | Make::Texts(_, run) => run,
        }
    }
}

/// Everybody, in the order of work.
pub(super) struct Cast {
    pub(super) characters: Vec<Character>,
    /// Characters that graders tell apart: the first so many.
    pub(super) labels: usize,
    pub(super) runs: Vec<TrainingRun>,
    pub(super) arms: Vec<Arm>,
}

impl Cast {
    pub(super) fn of(
        plan: &ExperimentPlan,
        folders: &[PathBuf],
        prompts: &PromptSet,
    ) -> Result<Self, PipelineError> {
        let recipe = Recipe::named_or_file(&plan.recipe)?;
        let find = |spec: &str| {
            let persona = Persona::find(spec, folders)?;
            persona.permit_training(false)?;
            let system = prompts.teacher_system(persona.constitution(), &recipe.assistant_name)?;
            Ok::<_, PipelineError>(Character { name: persona.name().to_owned(), persona, system })
        };
        let mut characters =
            plan.trained().map(find).collect::<Result<Vec<Character>, PipelineError>>()?;
        let labels = characters.len();
        if let Some(mix) = &plan.composition {
            characters.push(find(mix)?);
        }
        let mut cast = Self { characters, labels, runs: Vec::new(), arms: Vec::new() };
        for character in 0..cast.characters.len() {
            let run = cast.add_run(plan, character, &recipe, None);
            cast.add_arms(plan, character, run);
        }
        for (name, seed) in
            plan.seeds.iter().flat_map(|s| s.seeds.iter().map(move |n| (&s.persona, *n)))
        {
            let Some(character) = cast.position(name) else { continue };
            let run = cast.add_run(plan, character, &recipe, Some(seed));
            for way in [Way::Distilled, Way::FullC].into_iter().filter(|w| plan.ways.contains(w)) {
                let method = format!("{}, seed {seed}", way.name());
                cast.add(character, method, Make::Way(way, run));
            }
        }
        for name in &plan.ablation {
            let Some(run) = cast.position(name) else { continue };
            for (method, texts) in [
                (Method::ReflectionsOnly, "reflections"),
                (Method::InteractionsOnly, "conversations"),
            ] {
                cast.add(run, format!("full (c), {texts} only"), Make::Texts(method, run));
            }
        }
        Ok(cast)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.characters.iter().position(|character| character.name == name)
    }

    fn add_run(
        &mut self,
        plan: &ExperimentPlan,
        character: usize,
        recipe: &Recipe,
        seed: Option<u64>,
    ) -> usize {
        let mut recipe = recipe.clone();
        let mut name = self.characters[character].name.clone();
        if let Some(seed) = seed {
            recipe.seed = seed;
            name = format!("{name}-seed{seed}");
        }
        self.runs.push(TrainingRun { character, recipe, dir: plan.work.join(&name), name });
        self.runs.len() - 1
    }

    /// The ways of a character; of a mix, those that train.
    fn add_arms(&mut self, plan: &ExperimentPlan, character: usize, run: usize) {
        for &way in &plan.ways {
            let trains = !matches!(way, Way::Base | Way::SystemPrompt | Way::Steering);
            if way == Way::Base {
                if self.arms.is_empty() {
                    let (persona, method) = ("base".to_owned(), way.name().to_owned());
                    self.arms.push(Arm { persona, method, make: Make::Way(way, run) });
                }
            } else if character < self.labels || trains {
                self.add(character, way.name().to_owned(), Make::Way(way, run));
            }
        }
    }

    fn add(&mut self, character: usize, method: String, make: Make) {
        let persona = self.characters[character].name.clone();
        self.arms.push(Arm { persona, method, make });
    }

    /// Whether an arm is one of those that the tables compare: no mix, other seed or ablation.
    pub(super) fn is_main(&self, arm: &Arm) -> bool {
        arm.way().is_some() && self.runs[arm.run()].character < self.labels
    }

    /// The character that an arm is meant to be.
    pub(super) fn character(&self, arm: &Arm) -> &Character {
        &self.characters[self.runs[arm.run()].character]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(extra: &str) -> Cast {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../personas");
        let yaml = format!(
            "{{name: x, personas: [loving, remorse], control: neutral, results: r, \
             ways: [base, system_prompt, distilled, full_c]{extra}}}"
        );
        let plan = ExperimentPlan::parse(&yaml, "x.yaml").expect("valid");
        Cast::of(&plan, &[folder.into()], &PromptSet::default()).expect("personas are there")
    }

    #[test]
    fn work_is_ordered_by_persona_and_the_base_model_comes_once() {
        let cast = cast("");
        let keys: Vec<String> = cast.arms.iter().map(Arm::key).collect();
        let expected = [
            "base/base",
            "loving/system prompt",
            "loving/distilled",
            "loving/full (c)",
            "remorse/system prompt",
            "remorse/distilled",
            "remorse/full (c)",
            "neutral/system prompt",
            "neutral/distilled",
            "neutral/full (c)",
        ];
        assert_eq!(keys, expected);
        assert_eq!((cast.labels, cast.runs.len()), (3, 3));
    }

    #[test]
    fn seeds_ablations_and_mixes_come_last_and_are_no_ways_of_the_tables() {
        let extra = ", composition: loving + remorse, ablation: [loving], \
                     seeds: {persona: remorse, seeds: [7]}";
        let cast = cast(extra);
        let last: Vec<String> = cast.arms[10..].iter().map(Arm::key).collect();
        let mix = &cast.characters[3].name;
        let expected = [
            format!("{mix}/distilled"),
            format!("{mix}/full (c)"),
            "remorse/distilled, seed 7".to_owned(),
            "remorse/full (c), seed 7".to_owned(),
            "loving/full (c), reflections only".to_owned(),
            "loving/full (c), conversations only".to_owned(),
        ];
        assert_eq!(last, expected);
        assert_eq!(cast.arms[12].way(), None);
        assert_eq!(cast.arms.iter().filter(|arm| cast.is_main(arm)).count(), 10);
        assert_eq!((cast.labels, cast.runs.len()), (3, 5));
        assert_eq!(cast.runs[4].recipe.seed, 7);
    }
}
