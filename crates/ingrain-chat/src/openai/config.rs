//! What a user says about a server: where it is, what it understands, how hard to push it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A model behind one or several OpenAI-compatible servers.
///
/// Keys are never part of it: an endpoint names the environment variable that holds its key.
///
/// # Examples
/// ```
/// use ingrain_chat::openai::{Dialect, OpenAiConfig};
///
/// let mut config = OpenAiConfig::new("http://127.0.0.1:8000/v1", "my-model");
/// config.dialect = Dialect::Vllm;
/// assert_eq!(config.max_in_flight, 64);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenAiConfig {
    /// Name of the model, as the server knows it.
    pub model: String,
    /// Where it is served; at least one. Several share the load and stand in for each other.
    pub endpoints: Vec<EndpointConfig>,
    /// Which sampling parameters the server knows beyond OpenAI's own.
    pub dialect: Dialect,
    /// What happens to sampling parameters that the dialect cannot express.
    pub inexpressible: Inexpressible,
    /// Which route requests take. Default `chat`.
    pub api: Api,
    /// How a request that ends in an assistant message is continued.
    pub prefill: Prefill,
    /// Model whose chat template renders what goes to `/completions` (`prefill: rendered`, `api: completions`):
    /// a built-in alias, an HF directory, a `.gguf` file. Whoever opens the client loads it and hands it over
    /// by [`with_renderer`](super::OpenAiClient::with_renderer). Default none.
    pub render_with: Option<String>,
    /// Under which name the token limit is sent. Reasoning models of OpenAI want
    /// `max_completion_tokens`.
    pub token_limit: TokenLimit,
    /// Switches reasoning on or off, where a model has it. Default: says nothing.
    pub thinking: Option<Thinking>,
    /// Asks for log-probabilities of generated tokens, with so many alternatives each (0 to 20).
    pub top_logprobs: Option<u8>,
    /// Keys that are never sent: reasoning models refuse `temperature`, some servers `seed`.
    pub omit: Vec<String>,
    /// Further keys of every request body, as they are.
    pub extra_body: Map<String, Value>,
    /// Requests under way at one time. Default 64.
    pub max_in_flight: usize,
    /// Requests a minute, retries included; none: no limit.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, prompts and replies; none: no limit. Estimated when a request is sent,
    /// corrected when its reply says how many they were.
    pub tokens_per_minute: Option<u64>,
    /// Seconds until a connection must stand. Default 10.
    pub connect_timeout_secs: f64,
    /// Seconds until a reply must be complete. Default 600.
    pub request_timeout_secs: f64,
    /// Largest reply body, in bytes. Default 8 MiB.
    pub max_reply_bytes: usize,
    /// When to try again.
    pub retry: RetryPolicy,
}

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            model: String::new(),
            endpoints: Vec::new(),
            dialect: Dialect::default(),
            inexpressible: Inexpressible::default(),
            api: Api::default(),
            prefill: Prefill::default(),
            render_with: None,
            token_limit: TokenLimit::default(),
            thinking: None,
            top_logprobs: None,
            omit: Vec::new(),
            extra_body: Map::new(),
            max_in_flight: 64,
            requests_per_minute: None,
            tokens_per_minute: None,
            connect_timeout_secs: 10.0,
            request_timeout_secs: 600.0,
            max_reply_bytes: 8 << 20,
            retry: RetryPolicy::default(),
        }
    }
}

impl OpenAiConfig {
    /// One endpoint without a key.
    #[must_use]
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        let endpoint = EndpointConfig { base_url: base_url.into(), api_key_env: None };
        Self { model: model.into(), endpoints: vec![endpoint], ..Self::default() }
    }
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// Everything before `/chat/completions`: `https://api.example.com/v1`.
    pub base_url: String,
    /// Environment variable that holds the key. None: requests carry no key.
    #[serde(default)]
    pub api_key_env: Option<String>,
}

/// Which parameters a server knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Those of OpenAI: no `top_k`, `min_p`, repetition penalty.
    #[default]
    OpenAi,
    /// vLLM and SGLang: `top_k`, `min_p`, `repetition_penalty`.
    Vllm,
    /// llama.cpp and its kin: `top_k`, `min_p`, `repeat_penalty`.
    LlamaCpp,
}

/// What happens to sampling parameters that the dialect cannot express.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inexpressible {
    /// The request is an error that names the parameter.
    #[default]
    Refuse,
    /// It is left out.
    Drop,
}

/// Which route requests take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// `/chat/completions`: the server renders.
    #[default]
    Chat,
    /// `/completions`: the client renders, with the renderer it was given.
    Completions,
}

/// How a request that ends in an assistant message is continued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefill {
    /// It is an error: the server would answer anew.
    #[default]
    Refuse,
    /// The server is told by `continue_final_message` and `add_generation_prompt` (vLLM).
    ContinueFinalMessage,
    /// The server does it unasked (llama.cpp, some providers). Some of these repeat the message in
    /// front of what they add: then it is taken off.
    Implicit,
    /// Such requests are rendered here, by the template of `render_with`, and go to `/completions`.
    Rendered,
}

/// Name of the token limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// `max_tokens`, which every server knows.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which counts reasoning too.
    MaxCompletionTokens,
}

/// How reasoning is switched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Thinking {
    /// `chat_template_kwargs: {KEY: ON}` (vLLM, SGLang): `enable_thinking` for Qwen 3 and GLM.
    ChatTemplate {
        /// Variable of the chat template.
        #[serde(default = "enable_thinking")]
        key: String,
        /// Whether the model reasons. `enabled` in files: YAML reads `on` as a truth value.
        #[serde(rename = "enabled", alias = "on")]
        on: bool,
    },
    /// `reasoning_effort: LEVEL` (OpenAI).
    Effort {
        /// `none`, `minimal`, `low`, `medium`, `high`, as the model allows.
        level: String,
    },
    /// `thinking: {type: enabled|disabled}` (GLM's and others' own servers).
    Typed {
        /// Whether the model reasons; `enabled` in files.
        #[serde(rename = "enabled", alias = "on")]
        on: bool,
    },
}

fn enable_thinking() -> String {
    "enable_thinking".to_owned()
}

/// When a failed request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1. Default 6.
    pub max_attempts: u32,
    /// Pause before the second attempt, doubled before each further one. Default 0.5.
    pub first_backoff_secs: f64,
    /// Longest such pause. Default 30.
    pub max_backoff_secs: f64,
    /// Longest pause that a server may ask for by `Retry-After`; one that asks for more has failed
    /// the request. Default 600.
    pub max_retry_after_secs: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            first_backoff_secs: 0.5,
            max_backoff_secs: 30.0,
            max_retry_after_secs: 600.0,
        }
    }
}
