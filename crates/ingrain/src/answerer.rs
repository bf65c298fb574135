//! Who answers: a file of recorded replies, a model that runs here, a model behind servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingrain_chat::{Account, ChatModel, Prices, Recorded};
use ingrain_lm::{LocalModel, ModelSource};
use ingrain_run::{Interrupt, Observer};
use ingrain_tokenizer::ChatTokenizer;
use serde::{Deserialize, Serialize};

#[cfg(feature = "openai")]
use ingrain_chat::journal::JournalStats;
#[cfg(feature = "openai")]
use ingrain_chat::openai::{
    Api, BatchConfig, OpenAiBatch, OpenAiClient, OpenAiConfig, Prefill, RenderPrompt,
};
#[cfg(feature = "openai")]
use ingrain_chat::{Cached, ChatError, Message, Metered, Spent};
#[cfg(feature = "openai")]
use ingrain_tokenizer::RenderOptions;

use crate::{PipelineError, Teacher};

/// Where replies come from, as a recipe file says it.
///
/// # Examples
/// ```
/// use ingrain::{Recipe, ReplySource};
///
/// let recipe = Recipe::parse(
///     "data:
///   teacher_source:
///     endpoint: {model: glm, endpoints: [{base_url: 'http://127.0.0.1:8000/v1'}]}
/// ",
///     "mine.yaml",
/// )?;
/// assert!(matches!(recipe.data.teacher_source, Some(ReplySource::Endpoint(_))));
/// # Ok::<(), ingrain::PipelineError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplySource {
    /// A file of recorded replies.
    Recorded(PathBuf),
    /// A model that runs here: a built-in alias, an HF directory, a `.gguf` file, a hub id.
    Local(String),
    /// A model behind one or several OpenAI-compatible servers.
    #[cfg(feature = "openai")]
    Endpoint(Box<OpenAiConfig>),
    /// The same through the provider's Batch API. Set `data.batch_size` to as many requests as there are.
    #[cfg(feature = "openai")]
    Batch(Box<BatchSource>),
}

/// A model behind a provider's Batch API.
#[cfg(feature = "openai")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSource {
    /// Where, and which model.
    pub endpoint: OpenAiConfig,
    /// How batches are cut and watched.
    pub batch: BatchConfig,
}

/// What opening a source takes.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The run directory: replies that come over a network are kept in its folder `cache`.
    pub out: &'a Path,
    /// Where models run: `cpu`, `cuda:N`.
    pub device: &'a str,
    /// Prices by model.
    pub prices: &'a Prices,
    /// What the run spent and may spend. What its cache holds counts as spent.
    pub account: &'a Account,
    /// Told about downloads.
    pub observer: &'a dyn Observer,
    /// Raised to stop.
    pub interrupt: &'a Interrupt,
}

/// A source that is ready to answer.
pub struct Answerer {
    kind: Kind,
    name: String,
}

enum Kind {
    Recorded(Recorded),
    Local(Box<LocalModel>),
    #[cfg(feature = "openai")]
    Remote(Box<dyn ChatModel>),
}

impl ReplySource {
    /// What a command line names: a `.jsonl` file is recorded, everything else runs here.
    #[must_use]
    pub fn of_spec(spec: &str) -> Self {
        match spec.ends_with(".jsonl") {
            true => Self::Recorded(spec.into()),
            false => Self::Local(spec.to_owned()),
        }
    }

    /// Makes it ready. `role` names its cache: one source a role.
    ///
    /// # Errors
    /// [`PipelineError::Chat`] for a file or settings that cannot be used, [`PipelineError::Model`] for a
    /// model, [`PipelineError::Run`] for a cache.
    #[cfg_attr(
        not(feature = "openai"),
        expect(unused_variables, reason = "servers alone have caches")
    )]
    pub fn open(&self, role: &str, opening: &Opening<'_>) -> Result<Answerer, PipelineError> {
        match self {
            Self::Recorded(path) => {
                let kind = Kind::Recorded(Recorded::open(path)?);
                Ok(Answerer { kind, name: path.display().to_string() })
            }
            Self::Local(spec) => {
                let files = spec.parse::<ModelSource>()?.resolve(opening.observer)?;
                let device = ingrain_lm::device(opening.device)?;
                let mut model = LocalModel::load(&files, &device)?;
                model.interrupt = opening.interrupt.clone();
                Ok(Answerer::local(model))
            }
            #[cfg(feature = "openai")]
            Self::Endpoint(config) => {
                let client = openai_client(config, opening.observer)?;
                remote(client, &config.model, None, role, opening)
            }
            #[cfg(feature = "openai")]
            Self::Batch(source) => {
                let client = openai_client(&source.endpoint, opening.observer)?;
                remote(client, &source.endpoint.model, Some(&source.batch), role, opening)
            }
        }
    }
}

impl Answerer {
    /// A model that is loaded already.
    #[must_use]
    pub fn local(model: LocalModel) -> Self {
        let name = format!("{}@{}", model.identity.source, model.identity.sha256);
        Self { kind: Kind::Local(Box::new(model)), name }
    }

    /// As a chat model.
    #[must_use]
    pub fn model(&self) -> &dyn ChatModel {
        match &self.kind {
            Kind::Recorded(recorded) => recorded,
            Kind::Local(model) => &**model,
            #[cfg(feature = "openai")]
            Kind::Remote(model) => &**model,
        }
    }

    /// What tells it apart from others that answer differently.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model, where it runs here.
    #[must_use]
    pub fn as_local(&self) -> Option<&LocalModel> {
        match &self.kind {
            Kind::Local(model) => Some(model),
            _ => None,
        }
    }

    /// Its tokenizer, where it runs here.
    #[must_use]
    pub fn tokenizer(&self) -> Option<&Arc<ChatTokenizer>> {
        self.as_local().map(|model| &model.tokenizer)
    }

    /// As the teacher of a run.
    #[must_use]
    pub fn teacher(&self) -> Teacher<'_> {
        match &self.kind {
            Kind::Recorded(recorded) => Teacher::Recorded(recorded.clone()),
            _ => Teacher::Model(self.model(), self.name.clone()),
        }
    }
}

/// The distilled model behind servers that load its adapter now.
#[cfg(feature = "openai")]
pub(crate) fn served(
    config: &OpenAiConfig,
    adapter: (&str, &str),
    opening: &Opening<'_>,
) -> Result<Answerer, PipelineError> {
    let (name, path) = adapter;
    let client = openai_client(config, opening.observer)?.load_adapter(name, path)?;
    remote(client, &config.model, None, "introspection", opening)
}

/// A client that renders by the template of the model that its settings name.
///
/// # Errors
/// [`PipelineError::Chat`] for settings that cannot be used; [`PipelineError::Recipe`] if they need a template
/// and name no model; that of the model if it cannot be resolved.
#[cfg(feature = "openai")]
pub fn openai_client(
    config: &OpenAiConfig,
    observer: &dyn Observer,
) -> Result<OpenAiClient, PipelineError> {
    let client = OpenAiClient::new(config.clone())?;
    let Some(spec) = &config.render_with else {
        if config.api == Api::Completions || config.prefill == Prefill::Rendered {
            let reason = "prompts for this server are rendered here, but no model is named whose chat template \
                          does it; name one (a built-in alias, an HF directory, a .gguf file)";
            return Err(PipelineError::Recipe {
                path: "render_with".into(),
                reason: reason.into(),
            });
        }
        return Ok(client);
    };
    let files = spec.parse::<ModelSource>()?.resolve(observer)?;
    Ok(client.with_renderer(Template(crate::data_run::tokenizer(&files)?)))
}

/// A model's chat template as the client wants it.
#[cfg(feature = "openai")]
struct Template(Arc<ChatTokenizer>);

#[cfg(feature = "openai")]
impl Template {
    fn render(&self, messages: &[Message], options: &RenderOptions) -> Result<String, ChatError> {
        let refused =
            |e: ingrain_tokenizer::TokenizerError| ChatError::InvalidRequest(e.to_string());
        self.0.render(messages, options).map_err(refused)
    }
}

#[cfg(feature = "openai")]
impl RenderPrompt for Template {
    fn open(&self, messages: &[Message]) -> Result<String, ChatError> {
        self.render(messages, &RenderOptions::reply_to(messages))
    }

    fn closed(&self, messages: &[Message]) -> Result<String, ChatError> {
        self.render(messages, &RenderOptions::default())
    }
}

/// Cache in front, then the count of tokens and money, then the servers.
#[cfg(feature = "openai")]
fn remote(
    client: OpenAiClient,
    priced_as: &str,
    batch: Option<&BatchConfig>,
    role: &str,
    opening: &Opening<'_>,
) -> Result<Answerer, PipelineError> {
    let client = client.with_interrupt(opening.interrupt.clone());
    let name = client.cache_name();
    let folder = opening.out.join("cache");
    std::fs::create_dir_all(&folder)
        .map_err(|source| PipelineError::Io { path: folder.clone(), source })?;
    let journal = folder.join(format!("{role}.jsonl"));
    let price = opening.prices.of(priced_as);
    if journal.is_file() {
        opening.account.add(spent_before(&journal, price)?);
    }
    let account = opening.account.clone();
    let model: Box<dyn ChatModel> = match batch {
        None => {
            let metered = Metered::on_account(client, price, account);
            Box::new(Cached::open(metered, name.clone(), journal)?)
        }
        Some(config) => {
            let batches = folder.join(format!("{role}.batches"));
            let batch = OpenAiBatch::new(client, config.clone(), batches)?;
            let metered = Metered::on_account(batch, price, account);
            Box::new(Cached::open(metered, name.clone(), journal)?)
        }
    };
    Ok(Answerer { kind: Kind::Remote(model), name })
}

/// What the replies in a journal cost when they came.
#[cfg(feature = "openai")]
fn spent_before(
    journal: &Path,
    price: Option<ingrain_chat::Price>,
) -> Result<Spent, PipelineError> {
    let mut spent = Spent::default();
    for model in JournalStats::read(journal)?.models.values() {
        let (prompt, completion) = (model.prompt_tokens, model.completion_tokens);
        let replies = model.replies;
        spent.add(Spent { replies, ..Spent::of_reply(prompt, completion, price) });
    }
    Ok(spent)
}
