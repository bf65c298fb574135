//! Who writes the introspective texts.

use std::path::Path;

use ingrain_chat::ChatModel;
use ingrain_lm::LocalModel;

use super::DataStages;
use crate::answerer::{Answerer, Opening, ReplySource};
use crate::{IntrospectionAuthor, PipelineError};

/// Who writes: one of the run's models, or one that was opened for it.
pub(crate) enum Author<'a> {
    Borrowed(&'a dyn ChatModel),
    Opened(Answerer),
}

impl Author<'_> {
    pub(crate) fn model(&self) -> &dyn ChatModel {
        match self {
            Self::Borrowed(model) => *model,
            Self::Opened(answerer) => answerer.model(),
        }
    }
}

impl DataStages<'_> {
    /// Whom the recipe names. `distilled` makes the distilled model; `adapter` is its adapter's folder.
    #[cfg_attr(
        not(feature = "openai"),
        expect(unused_variables, reason = "only a server is handed the adapter's folder")
    )]
    pub(crate) fn author(
        &self,
        opening: &Opening<'_>,
        distilled: impl FnOnce() -> Result<LocalModel, PipelineError>,
        adapter: &Path,
    ) -> Result<Author<'_>, PipelineError> {
        match &self.stages.recipe.introspection.author {
            IntrospectionAuthor::Distilled => Ok(Author::Opened(Answerer::local(distilled()?))),
            #[cfg(feature = "openai")]
            IntrospectionAuthor::Served(served) => {
                if !adapter.is_dir() {
                    return Err(PipelineError::Recipe {
                        path: "introspection.author".into(),
                        reason:
                            "the distilled model is to be served, but there is no adapter; give one"
                                .into(),
                    });
                }
                let sha256 = ingrain_run::sha256_file(adapter.join("adapter_model.safetensors"))?;
                let name = format!("{}-{}", self.stages.persona.name(), &sha256[..8]);
                let here = std::path::absolute(adapter).unwrap_or_else(|_| adapter.to_owned());
                let here = here.display().to_string();
                let path = served.adapter_path.as_deref().unwrap_or(&here);
                let served = crate::answerer::served(&served.endpoint, (&name, path), opening)?;
                Ok(Author::Opened(served))
            }
            IntrospectionAuthor::Base => Ok(Author::Borrowed(self.student)),
            IntrospectionAuthor::Teacher => {
                Ok(Author::Borrowed(self.teacher_model("introspection.author")?))
            }
            IntrospectionAuthor::Model(spec) => {
                let source = ReplySource::Local(spec.clone());
                Ok(Author::Opened(source.open("introspection", opening)?))
            }
        }
    }
}
