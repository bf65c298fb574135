//! Who answers in a run of the data stages: opened if, and only if, somebody will ask.

use std::path::Path;
use std::sync::Arc;

use ingrain_chat::{ChatError, ChatModel, ChatReply, ChatRequest};
use ingrain_gguf::GgufFile;
use ingrain_lm::{LmError, LocalModel, ModelFiles, ModelFormat, ModelSource};
use ingrain_run::Event;
use ingrain_tokenizer::ChatTokenizer;
use serde_json::json;

use super::DataRun;
use crate::answerer::{Answerer, Opening, ReplySource};
use crate::pipeline::{OpenTeacher, Teacher};
use crate::recipe::{ChosenReplies, Critic, RejectedReplies};
use crate::{IntrospectionAuthor, PipelineError};

/// Who answers in a run.
pub(super) struct Cast<'a> {
    pub(super) teacher: OpenTeacher<'a>,
    pub(super) student: Option<Answerer>,
    pub(super) tokenizer: Option<Arc<ChatTokenizer>>,
    /// Which model is to be trained, as JSON.
    pub(super) model: String,
}

impl DataRun<'_> {
    /// Opens only who will be asked.
    pub(super) fn cast(&self, opening: &Opening<'_>) -> Result<Cast<'static>, PipelineError> {
        let teacher = match self.asks_teacher() {
            true => OpenTeacher::open(&Teacher::FromRecipe, &self.recipe, &self.persona, opening)?,
            false => OpenTeacher::Given(Teacher::FromRecipe),
        };
        let student = match &self.recipe.data.student_source {
            _ if !self.asks_student() => None,
            Some(source) => Some(source.open("student", opening)?),
            None => Some(ReplySource::Local(self.recipe.model.clone()).open("student", opening)?),
        };
        let files = self.base()?;
        let tokenizer = files.as_ref().map(tokenizer).transpose()?;
        if tokenizer.is_none() {
            let message = "the tokenizer of the model to be trained is not here: lengths are guessed at four \
                           bytes a token";
            let stage = "pairs".to_owned();
            self.observer.on_event(&Event::Note { stage, message: message.to_owned() });
        }
        let model = match &files {
            Some(files) => serde_json::to_string(&files.identity).unwrap_or_default(),
            None => json!(self.recipe.model).to_string(),
        };
        Ok(Cast { teacher, student, tokenizer, model })
    }

    /// The model to be trained, unless it would have to be fetched from a hub.
    pub(super) fn base(&self) -> Result<Option<ModelFiles>, PipelineError> {
        match self.recipe.model.parse() {
            Ok(ModelSource::Hub(_)) | Err(_) => Ok(None),
            Ok(source) => Ok(Some(source.resolve(self.observer)?)),
        }
    }

    fn asks_teacher(&self) -> bool {
        let (data, start) = (&self.recipe.data, &self.recipe.start_from);
        let shows = data.chosen == ChosenReplies::Teacher && start.distillation.is_none();
        let criticises =
            data.chosen == ChosenReplies::Revision && data.critique.by == Critic::Teacher;
        let opposes = data.rejected == RejectedReplies::Opposite;
        let writes =
            self.introspection && self.recipe.introspection.author == IntrospectionAuthor::Teacher;
        let pairs = shows || criticises || opposes || data.expansion.is_some();
        (pairs && start.pairs.is_none()) || writes
    }

    pub(super) fn asks_student(&self) -> bool {
        let (data, start) = (&self.recipe.data, &self.recipe.start_from);
        let answers = start.student_column.is_none()
            && (data.rejected == RejectedReplies::Student
                || data.chosen == ChosenReplies::Revision);
        let revises = data.chosen == ChosenReplies::Revision && data.critique.by == Critic::Student;
        let writes = self.introspection
            && matches!(
                self.recipe.introspection.author,
                IntrospectionAuthor::Base | IntrospectionAuthor::Distilled
            );
        ((answers || revises) && start.pairs.is_none()) || writes
    }
}

impl Cast<'_> {
    /// The student with the distilled adapter.
    pub(super) fn distilled(&self, adapter: &Path) -> Result<LocalModel, PipelineError> {
        match self.student.as_ref().and_then(Answerer::as_local) {
            Some(model) => Ok(model.adapted(adapter)?),
            None => Err(PipelineError::Recipe {
                path: "introspection.author".into(),
                reason: "the student does not run here; let its servers load the adapter \
                         (`introspection.author: {served: ...}`)"
                    .into(),
            }),
        }
    }
}

/// Tokenizer and chat template of a model, without its weights.
pub(crate) fn tokenizer(files: &ModelFiles) -> Result<Arc<ChatTokenizer>, LmError> {
    let tokenizer = match &files.format {
        ModelFormat::Directory(dir) => ChatTokenizer::from_hf_dir(dir)?,
        ModelFormat::Gguf(path) => ChatTokenizer::from_gguf(&GgufFile::open(path)?)?,
    };
    Ok(Arc::new(tokenizer))
}

pub(super) fn no_adapter() -> Result<LocalModel, PipelineError> {
    Err(PipelineError::Recipe {
        path: "introspection.author".into(),
        reason:
            "the distilled model is to write, but there is no adapter; give one, or let base or \
                 teacher write"
                .into(),
    })
}

/// Stands in where nobody will be asked.
pub(super) struct Nobody;

pub(super) const NOBODY: Nobody = Nobody;

impl ChatModel for Nobody {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let nobody = || Err(ChatError::Model("nobody was opened to answer".into()));
        (0..requests.len()).for_each(|i| on_reply(i, nobody()));
    }
}
