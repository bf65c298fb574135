//! What both kinds of request share.

use ingrain_chat::{FinishReason, Sampling};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Limits;
use crate::http::Failure;

/// Most log-probability alternatives a token.
const MAX_ALTERNATIVES: usize = 20;

/// Most stop texts.
const MAX_STOPS: usize = 16;

/// Sampling settings under OpenAI's names; the last few are extensions that other servers have too.
#[derive(Debug, Deserialize)]
pub(crate) struct Fields {
    pub(crate) model: String,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    stop: Option<Stop>,
    seed: Option<i64>,
    pub(crate) n: Option<usize>,
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
    presence_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    logit_bias: Option<Value>,
    tools: Option<Value>,
    response_format: Option<Value>,
    suffix: Option<Value>,
    top_k: Option<i64>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    /// Ours: 0 is the plain model, 1 the adapter as trained.
    adapter_strength: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

impl Fields {
    /// The sampling asked for; `default_tokens` where the request names no bound.
    pub(crate) fn sampling(
        &self,
        default_tokens: usize,
        fresh_seed: u64,
    ) -> Result<Sampling, Failure> {
        self.check_unsupported()?;
        let within = |name: &'static str, value: Option<f32>, default, low: f32, high: f32| {
            let value = value.unwrap_or(default);
            if (low..=high).contains(&value) {
                return Ok(value);
            }
            Err(Failure::invalid(Some(name), format!("{name} must be between {low} and {high}")))
        };
        let stop = match &self.stop {
            None => Vec::new(),
            Some(Stop::One(stop)) => vec![stop.clone()],
            Some(Stop::Many(stops)) => stops.clone(),
        };
        if stop.len() > MAX_STOPS {
            let message = format!("stop may hold {MAX_STOPS} texts at most");
            return Err(Failure::invalid(Some("stop"), message));
        }
        Ok(Sampling {
            max_new_tokens: self
                .max_completion_tokens
                .or(self.max_tokens)
                .unwrap_or(default_tokens),
            temperature: within("temperature", self.temperature, 1.0, 0.0, 10.0)?,
            top_p: within("top_p", self.top_p, 1.0, 0.0, 1.0)?,
            top_k: usize::try_from(self.top_k.unwrap_or(0)).unwrap_or(0),
            min_p: within("min_p", self.min_p, 0.0, 0.0, 1.0)?,
            repetition_penalty: within(
                "repetition_penalty",
                self.repetition_penalty,
                1.0,
                0.01,
                10.0,
            )?,
            stop,
            seed: self.seed.map_or(fresh_seed, |seed| seed as u64),
        })
    }

    pub(crate) fn strength(&self) -> Result<f64, Failure> {
        let strength = self.adapter_strength.unwrap_or(1.0);
        if (-4.0..=4.0).contains(&strength) {
            return Ok(strength);
        }
        let message =
            "adapter_strength must be between -4 and 4; 0 is the plain model, 1 the adapter";
        Err(Failure::invalid(Some("adapter_strength"), message))
    }

    /// Choices for each of `prompts`.
    pub(crate) fn choices(&self, prompts: usize, limits: &Limits) -> Result<usize, Failure> {
        let n = self.n.unwrap_or(1);
        let most = limits.max_jobs_per_request;
        if n == 0 || n.checked_mul(prompts).is_none_or(|jobs| jobs > most) {
            let message = format!("prompts times n must be between 1 and {most}");
            return Err(Failure::invalid(Some("n"), message));
        }
        Ok(n)
    }

    /// What would change the reply and is not done here is refused, never passed over.
    fn check_unsupported(&self) -> Result<(), Failure> {
        let set = |value: &Option<Value>| {
            value.as_ref().is_some_and(|v| {
                !v.is_null()
                    && v.as_array().is_none_or(|a| !a.is_empty())
                    && v.as_object().is_none_or(|o| !o.is_empty())
            })
        };
        let penalty = |value: Option<f32>| value.is_some_and(|v| v != 0.0);
        let plain_text = json!({ "type": "text" });
        let format = self.response_format.as_ref().is_none_or(|format| *format == plain_text);
        let unsupported = [
            ("presence_penalty", penalty(self.presence_penalty)),
            ("frequency_penalty", penalty(self.frequency_penalty)),
            ("logit_bias", set(&self.logit_bias)),
            ("tools", set(&self.tools)),
            ("suffix", set(&self.suffix)),
            ("response_format", set(&self.response_format) && !format),
        ];
        match unsupported.iter().find(|(_, used)| *used) {
            Some((name, _)) => {
                let message = format!("{name} is not supported by this server; leave it out");
                Err(Failure::invalid(Some(name), message))
            }
            None => Ok(()),
        }
    }
}

/// Checks a number of alternatives.
pub(crate) fn alternatives(name: &'static str, count: usize) -> Result<usize, Failure> {
    if count <= MAX_ALTERNATIVES {
        return Ok(count);
    }
    Err(Failure::invalid(Some(name), format!("{name} may be {MAX_ALTERNATIVES} at most")))
}

pub(crate) fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

/// Tokens read and written by all choices of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) prompt: usize,
    pub(crate) completion: usize,
}

impl Usage {
    pub(crate) fn to_json(self) -> Value {
        let Self { prompt, completion } = self;
        json!({
            "prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion,
        })
    }
}
