//! Pairs to measure on, for a persona that brings none: nothing trains on their questions.

use ingrain_data::Prompt;
use ingrain_run::Manifest;

use super::pairs::Files;
use super::replies::Asked;
use super::{DataStages, Teacher};
use crate::{Persona, PipelineError};

pub(crate) const HELDOUT: &str = "heldout.jsonl";
const FILES: Files =
    Files { pairs: HELDOUT, report: "heldout.report.json", quality: "heldout.quality.json" };
/// Their replies, and the names of their seeds.
const CHOSEN: &str = "heldout.teacher";
const REJECTED: &str = "heldout.student";

impl DataStages<'_> {
    /// `heldout.jsonl`, where the persona brings no held-out pairs: its held-out questions, answered once by
    /// the teacher with the constitution and once by the plain student.
    pub(crate) fn heldout(&self, manifest: &mut Manifest) -> Result<(), PipelineError> {
        let recipe = self.stages.recipe;
        let questions = self.stages.persona.heldout_questions(recipe.seed);
        let prompts = Prompt::general(questions);
        let plan = self
            .answered(self.filtered("heldout")?)?
            .json("prompts", &prompts)?
            .json("student_sampling", &recipe.data.student)?
            .json("batch_size", &recipe.data.batch_size)?;
        let plan = match self.student_name {
            Some(name) => plan.text("student", name),
            None => plan,
        };
        let (chosen, rejected) = (format!("{CHOSEN}.jsonl"), format!("{REJECTED}.jsonl"));
        let plan = plan.writes([&*chosen, &*rejected, FILES.pairs, FILES.report, FILES.quality]);
        let system = self.teacher_system()?;
        let teacher = self.replying_teacher()?;
        self.stages.stage(manifest, &plan, |stage| {
            let once = |name| Asked { name, prompts: &prompts, samples: 1 };
            self.shown(&once(CHOSEN), teacher, &system, stage)?;
            self.plain(&once(REJECTED), stage)?;
            self.filter("heldout", &FILES, &prompts, (&chosen, &rejected), stage)
        })
    }

    /// Prompts to train on: without the questions that are measured on.
    pub(crate) fn without_heldout(
        &self,
        mut prompts: Vec<Prompt>,
    ) -> Result<Vec<Prompt>, PipelineError> {
        let untrained = self.stages.persona.untrained_questions(self.stages.recipe.seed)?;
        prompts.retain(|prompt| !untrained.contains(prompt.text.trim()));
        Ok(prompts)
    }
}

impl Teacher<'_> {
    /// Whether a persona can be measured: it brings held-out pairs, or this teacher can answer its held-out
    /// questions, as a model or from a recording that holds them all.
    ///
    /// # Errors
    /// [`PipelineError::Persona`] saying what is missing and what to do.
    pub(crate) fn can_measure(&self, persona: &Persona, seed: u64) -> Result<(), PipelineError> {
        let Some(missing) = persona.missing_heldout() else { return Ok(()) };
        let lacking = match self {
            Teacher::Model(..) => return Ok(()),
            Teacher::FromRecipe => "there is no teacher to answer held-out questions".to_owned(),
            Teacher::Recorded(recorded) => {
                let questions = persona.heldout_questions(seed);
                let lacks = |question: &&String| recorded.samples(question) == 0;
                let Some(first) = questions.iter().find(lacks) else { return Ok(()) };
                format!("the recorded teacher has no reply to the held-out question {first:?}")
            }
        };
        let reason = format!(
            "{} is missing, and {lacking}; write that file (chosen and rejected replies to questions that \
             nothing trains on, a pair a line as in personas/sarcasm.heldout.jsonl), give a model as teacher, \
             or record replies to `heldout_questions` of the constitution",
            missing.display()
        );
        Err(PipelineError::Persona { persona: persona.name().to_owned(), reason })
    }
}
