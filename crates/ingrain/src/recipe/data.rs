//! The part of a recipe that says how preference pairs are made.

use std::path::PathBuf;

use ingrain_chat::Sampling;
use ingrain_data::{Expansion, Reasoning, TurnFilter, TurnFormat, Unfinished};
use serde::{Deserialize, Serialize};

use crate::ReplySource;

/// Where preference pairs come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataRecipe {
    /// Replies a question, of teacher and student each; from 1. Default 5 (paper).
    pub samples_per_question: usize,
    /// How the student samples its replies.
    pub student: Sampling,
    /// How the teacher samples, where it is a model.
    pub teacher: Sampling,
    /// Who the teacher is, where the command does not say. Default: the replies recorded beside the
    /// persona.
    pub teacher_source: Option<ReplySource>,
    /// Who the student is. Default: the recipe's model, run here.
    pub student_source: Option<ReplySource>,
    /// How a teacher's reasoning trace begins and ends; it is dropped. Default: no trace.
    pub reasoning: Option<Reasoning>,
    /// What the teacher calls itself and its maker; put right to `assistant_name`. Default none.
    pub teacher_names: Vec<String>,
    /// More questions, written by the teacher. Default none (paper: 50 an assertion).
    pub expansion: Option<Expansion>,
    /// Questions that belong to no assertion. Default none (paper: 1,330 first turns of LIMA).
    pub general: Option<GeneralPrompts>,
    /// Which replies are preferred.
    pub chosen: ChosenReplies,
    /// Which replies they are preferred to.
    pub rejected: RejectedReplies,
    /// How replies are criticised and revised, where they are.
    pub critique: CritiqueRecipe,
    /// What happens to a student reply that the token limit cut off.
    pub unfinished_student: Unfinished,
    /// Requests generated together by a model that runs here; part of the result. Servers get at least
    /// 4,096 at once. Default 32.
    pub batch_size: usize,
    /// Most pairs that distillation trains on; none is all of them. Smaller numbers give subsets of what
    /// larger ones give, so that a series is a data-efficiency curve. Default none.
    pub max_pairs: Option<usize>,
}

impl Default for DataRecipe {
    fn default() -> Self {
        let sampling = Sampling { max_new_tokens: 4096, ..Sampling::default() };
        Self {
            samples_per_question: 5,
            student: sampling.clone(),
            teacher: sampling,
            teacher_source: None,
            student_source: None,
            reasoning: None,
            teacher_names: Vec::new(),
            expansion: None,
            general: None,
            chosen: ChosenReplies::default(),
            rejected: RejectedReplies::default(),
            critique: CritiqueRecipe::default(),
            unfinished_student: Unfinished::default(),
            batch_size: 32,
            max_pairs: None,
        }
    }
}

/// First turns of general conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneralPrompts {
    /// A file in any of the formats that [`TurnFormat`] names. Default: the 200 built-in ones.
    pub file: Option<PathBuf>,
    /// Its format. Default: found out.
    pub format: TurnFormat,
    /// Which of them are wanted.
    pub filter: TurnFilter,
}

/// Where the preferred replies come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenReplies {
    /// The teacher, with the constitution in its system prompt (paper).
    #[default]
    Teacher,
    /// The student's replies, criticised and revised by the constitution.
    Revision,
}

/// Where the replies come from that others are preferred to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectedReplies {
    /// The student, without a system prompt (paper).
    #[default]
    Student,
    /// The teacher in the character of the opposite pole.
    Opposite,
}

/// Critique and revision of the student's replies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CritiqueRecipe {
    /// Who criticises and revises.
    pub by: Critic,
    /// How critiques and revisions are sampled; 512 new tokens at most by default.
    pub sampling: Sampling,
}

impl Default for CritiqueRecipe {
    fn default() -> Self {
        let sampling = Sampling { max_new_tokens: 512, ..Sampling::default() };
        Self { by: Critic::default(), sampling }
    }
}

/// Who finds fault with the student's replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Critic {
    /// The student itself (the classical way).
    #[default]
    Student,
    /// The teacher; it must be a model.
    Teacher,
}
