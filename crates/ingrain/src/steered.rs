//! Activation steering for a persona: the yardstick that needs no training.

use ingrain_chat::{Message, Sampling};
use ingrain_eval::{NEUTRAL_TEXT, perplexity};
use ingrain_lm::{LmError, LocalModel, Prompt, Steering};
use ingrain_run::derive_seed;
use ingrain_steering::{
    Contrast, ControlVector, Method, SteeringConfig, SteeringError, StrengthSearch, Tuned,
    largest_strength,
};
use serde::{Deserialize, Serialize};

use crate::PipelineError;

/// How a control vector for a character is found, and how far it pushes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SteeringRecipe {
    /// Questions of the constitution that continuations are made for. Default 24.
    pub questions: usize,
    /// Tokens of a continuation. Default 40.
    pub continuation_tokens: usize,
    /// How the direction is found. Default the paper's.
    pub method: Method,
    /// Perplexity of neutral text may become so many times the unsteered model's. Default 1.2.
    pub max_perplexity_ratio: f64,
    /// Seed of the continuations.
    pub seed: u64,
}

impl Default for SteeringRecipe {
    fn default() -> Self {
        Self {
            questions: 24,
            continuation_tokens: 40,
            method: Method::default(),
            max_perplexity_ratio: 1.2,
            seed: 0,
        }
    }
}

/// A control vector and the strength that was found for it.
#[derive(Clone, Debug)]
pub struct Steered {
    /// The directions.
    pub vector: ControlVector,
    /// How far they may push.
    pub tuned: Tuned,
}

impl Steered {
    /// What a pass takes.
    ///
    /// # Errors
    /// As [`ControlVector::steering`].
    pub fn steering(&self, model: &LocalModel) -> Result<Steering, PipelineError> {
        Ok(self.vector.steering(&model.model, self.tuned.strength)?)
    }
}

impl SteeringRecipe {
    /// Finds the vector in which `system` differs from no system prompt, over the first of `questions`,
    /// and the largest strength within the bound.
    ///
    /// Every question is continued by the prompted and by the plain model, so that neither side is the one
    /// whose words the contrasts know.
    ///
    /// # Errors
    /// [`PipelineError::Steering`] or [`PipelineError::Model`].
    pub fn find(
        &self,
        model: &LocalModel,
        system: &str,
        questions: &[String],
    ) -> Result<Steered, PipelineError> {
        let questions = &questions[..self.questions.min(questions.len())];
        let mut contrasts = Vec::new();
        for prompted in [Some(system), None] {
            let replies = self.continuations(model, prompted, questions)?;
            for (question, reply) in questions.iter().zip(replies) {
                contrasts.push(Contrast::new(model, system, question, &reply)?);
            }
        }
        let config = SteeringConfig { method: self.method, ..SteeringConfig::default() };
        let overlay = model.adapter.as_ref();
        let vector = ControlVector::find(&model.model, &contrasts, &config, overlay)?;
        let search =
            StrengthSearch { max_ratio: self.max_perplexity_ratio, ..StrengthSearch::default() };
        let tuned = largest_strength(&search, |strength| {
            let steering = vector.steering(&model.model, strength)?;
            perplexity(&model.with_steering(Some(steering)), NEUTRAL_TEXT)
                .map_err(|error| SteeringError::Strength(error.to_string()))
        })?;
        Ok(Steered { vector, tuned })
    }

    fn continuations(
        &self,
        model: &LocalModel,
        system: Option<&str>,
        questions: &[String],
    ) -> Result<Vec<String>, LmError> {
        let prompt = |(index, question): (usize, &String)| {
            let system = system.map(Message::system);
            let messages: Vec<Message> =
                system.into_iter().chain([Message::user(question)]).collect();
            let seed = derive_seed(self.seed, "steering", index as u64);
            let sampling =
                Sampling { max_new_tokens: self.continuation_tokens, seed, ..Sampling::default() };
            Ok(Prompt::new(model.prompt_ids(&messages)?, sampling))
        };
        let prompts: Vec<Prompt> =
            questions.iter().enumerate().map(prompt).collect::<Result<_, LmError>>()?;
        let mut done = Vec::new();
        model.generate(&prompts, &mut |index, reply| done.push((index, reply)))?;
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, reply)| model.text(&reply, &[])).collect()
    }
}
