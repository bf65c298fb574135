//! A request as the body that goes to a server.

use serde_json::{Map, Value, json};

use super::config::{Api, Dialect, Inexpressible, OpenAiConfig, Prefill, Thinking, TokenLimit};
use super::render::RenderPrompt;
use crate::{ChatError, ChatRequest, Role, Sampling};

/// A route and what is posted to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Body {
    /// `/chat/completions` or `/completions`.
    pub(crate) route: &'static str,
    pub(crate) json: Map<String, Value>,
    /// What the rate limit books: prompt (four bytes a token) and the whole reply allowance.
    pub(crate) estimated_tokens: u64,
}

pub(crate) const CHAT: &str = "/chat/completions";
pub(crate) const COMPLETIONS: &str = "/completions";

impl Body {
    /// The body of `request` for `config`'s server.
    pub(crate) fn new(
        config: &OpenAiConfig,
        renderer: Option<&dyn RenderPrompt>,
        request: &ChatRequest,
    ) -> Result<Self, ChatError> {
        let continues = request.messages.last().is_some_and(|m| m.role == Role::Assistant);
        let rendered =
            config.api == Api::Completions || (continues && config.prefill == Prefill::Rendered);
        let mut json = Map::new();
        json.insert("model".into(), config.model.as_str().into());
        let route = if rendered {
            let prompt = renderer.ok_or_else(no_renderer)?.open(&request.messages)?;
            json.insert("prompt".into(), prompt.into());
            rendered_keys(config, &mut json);
            COMPLETIONS
        } else {
            json.insert("messages".into(), json!(request.messages));
            if continues {
                continue_keys(config.prefill, &mut json)?;
            }
            CHAT
        };
        sampling_keys(config, &request.sampling, &mut json)?;
        logprob_keys(config, rendered, &mut json);
        thinking_keys(config.thinking.as_ref(), &mut json);
        for (key, value) in &config.extra_body {
            merge(&mut json, key, value.clone());
        }
        json.retain(|key, _| !config.omit.contains(key));
        let bytes: usize = request.messages.iter().map(|m| m.content.len() + 16).sum();
        let estimated_tokens = (bytes / 4 + request.sampling.max_new_tokens) as u64;
        Ok(Self { route, json, estimated_tokens })
    }
}

pub(crate) fn no_renderer() -> ChatError {
    ChatError::Settings(
        "this request must be rendered here, but the client has no renderer; \
         name a model in `render_with` where a recipe describes the server, call `with_renderer` in code, \
         or choose another `api` or `prefill`"
            .to_owned(),
    )
}

/// A rendered prompt holds its own special tokens: the tokenizer must not add others.
fn rendered_keys(config: &OpenAiConfig, json: &mut Map<String, Value>) {
    if config.dialect == Dialect::Vllm {
        json.insert("add_special_tokens".into(), false.into());
    }
}

fn continue_keys(prefill: Prefill, json: &mut Map<String, Value>) -> Result<(), ChatError> {
    match prefill {
        Prefill::Refuse => Err(ChatError::InvalidRequest(
            "its last message is the assistant's, and the settings do not say how this server \
             continues one; set `prefill` to continue_final_message (vLLM), implicit (llama.cpp) \
             or rendered"
                .to_owned(),
        )),
        Prefill::ContinueFinalMessage => {
            json.insert("continue_final_message".into(), true.into());
            json.insert("add_generation_prompt".into(), false.into());
            Ok(())
        }
        Prefill::Implicit | Prefill::Rendered => Ok(()),
    }
}

fn sampling_keys(
    config: &OpenAiConfig,
    sampling: &Sampling,
    json: &mut Map<String, Value>,
) -> Result<(), ChatError> {
    let limit = match config.token_limit {
        TokenLimit::MaxTokens => "max_tokens",
        TokenLimit::MaxCompletionTokens => "max_completion_tokens",
    };
    json.insert(limit.into(), sampling.max_new_tokens.into());
    json.insert("temperature".into(), short(sampling.temperature));
    json.insert("top_p".into(), short(sampling.top_p));
    json.insert("seed".into(), wire_seed(sampling.seed).into());
    if !sampling.stop.is_empty() {
        json.insert("stop".into(), json!(sampling.stop));
    }
    let penalty = match config.dialect {
        Dialect::LlamaCpp => "repeat_penalty",
        Dialect::Vllm | Dialect::OpenAi => "repetition_penalty",
    };
    let extras = [
        ("top_k", sampling.top_k != 0, sampling.top_k.into()),
        ("min_p", sampling.min_p != 0.0, short(sampling.min_p)),
        (penalty, sampling.repetition_penalty != 1.0, short(sampling.repetition_penalty)),
    ];
    for (key, is_set, value) in extras.into_iter().filter(|&(_, is_set, _)| is_set) {
        debug_assert!(is_set);
        match (config.dialect, config.inexpressible) {
            (Dialect::OpenAi, Inexpressible::Drop) => {}
            (Dialect::OpenAi, Inexpressible::Refuse) => {
                return Err(ChatError::InvalidRequest(format!(
                    "{key} {value} cannot be said to a server of dialect open_ai; switch it off, \
                     set `dialect` to vllm or llama_cpp if the server is one, or set \
                     `inexpressible` to drop"
                )));
            }
            (Dialect::Vllm | Dialect::LlamaCpp, _) => {
                json.insert(key.into(), value);
            }
        }
    }
    // llama.cpp penalises and cuts by default: what is off must be said.
    if config.dialect == Dialect::LlamaCpp {
        for (key, off) in [("top_k", 0.0), ("min_p", 0.0), ("repeat_penalty", 1.0)] {
            json.entry(key).or_insert_with(|| short(off));
        }
    }
    Ok(())
}

fn logprob_keys(config: &OpenAiConfig, rendered: bool, json: &mut Map<String, Value>) {
    let Some(top) = config.top_logprobs else { return };
    if rendered {
        json.insert("logprobs".into(), top.into());
    } else {
        json.insert("logprobs".into(), true.into());
        json.insert("top_logprobs".into(), top.into());
    }
}

fn thinking_keys(thinking: Option<&Thinking>, json: &mut Map<String, Value>) {
    match thinking {
        None => {}
        Some(Thinking::ChatTemplate { key, on }) => {
            merge(json, "chat_template_kwargs", json!({ key: on }));
        }
        Some(Thinking::Effort { level }) => {
            json.insert("reasoning_effort".into(), level.as_str().into());
        }
        Some(Thinking::Typed { on }) => {
            let state = if *on { "enabled" } else { "disabled" };
            json.insert("thinking".into(), json!({ "type": state }));
        }
    }
}

/// Objects are merged, everything else is replaced.
fn merge(json: &mut Map<String, Value>, key: &str, value: Value) {
    match (json.get_mut(key), value) {
        (Some(Value::Object(there)), Value::Object(new)) => there.extend(new),
        (_, value) => {
            json.insert(key.to_owned(), value);
        }
    }
}

/// 0.7, not 0.699999988079071; whole numbers without a point.
fn short(value: f32) -> Value {
    let rounded = (f64::from(value) * 1e6).round() / 1e6;
    if rounded.fract() == 0.0 && rounded.abs() < 1e9 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

/// Servers take 31 bits for granted: small seeds go as they are, large ones folded.
fn wire_seed(seed: u64) -> u64 {
    let limit = i32::MAX as u64;
    if seed <= limit { seed } else { (seed ^ (seed >> 32)) & limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::openai::RenderFn;

    fn body(config: &OpenAiConfig, request: &ChatRequest) -> Result<Value, ChatError> {
        let open = |m: &[Message]| Ok(m.iter().map(|m| format!("<{}>", m.content)).collect());
        let renderer = RenderFn { open, closed: open };
        Body::new(config, Some(&renderer), request).map(|body| Value::Object(body.json))
    }

    fn config(dialect: Dialect) -> OpenAiConfig {
        OpenAiConfig { dialect, ..OpenAiConfig::new("http://x/v1", "m") }
    }

    fn request() -> ChatRequest {
        ChatRequest::new(vec![Message::user("Hi.")], Sampling { seed: 7, ..Sampling::default() })
    }

    #[test]
    fn a_vllm_request_says_everything() {
        let mut config = config(Dialect::Vllm);
        config.thinking = Some(Thinking::ChatTemplate { key: "enable_thinking".into(), on: false });
        config.top_logprobs = Some(5);
        let mut request = request();
        request.sampling =
            Sampling { top_k: 40, min_p: 0.05, stop: vec!["\n\n".into()], ..request.sampling };
        assert_eq!(
            body(&config, &request).unwrap(),
            json!({
                "model": "m",
                "messages": [{"role": "user", "content": "Hi."}],
                "max_tokens": 256, "temperature": 0.7, "top_p": 0.95, "seed": 7,
                "stop": ["\n\n"], "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1,
                "logprobs": true, "top_logprobs": 5,
                "chat_template_kwargs": {"enable_thinking": false},
            })
        );
    }

    #[test]
    fn what_openai_cannot_say_is_refused_by_name_or_dropped_by_consent() {
        let mut config = config(Dialect::OpenAi);
        let error = body(&config, &request()).unwrap_err().to_string();
        assert!(
            error.contains("repetition_penalty 1.1") && error.contains("inexpressible"),
            "{error}"
        );
        config.inexpressible = Inexpressible::Drop;
        assert_eq!(body(&config, &request()).unwrap().get("repetition_penalty"), None);
    }

    #[test]
    fn llama_cpp_has_its_own_name_for_the_penalty_and_hears_what_is_off() {
        let body = body(&config(Dialect::LlamaCpp), &request()).unwrap();
        assert_eq!(body["repeat_penalty"], json!(1.1));
        assert_eq!((&body["top_k"], &body["min_p"]), (&json!(0), &json!(0)));
    }

    #[test]
    fn reasoning_models_get_their_names_and_are_spared_what_they_refuse() {
        let mut config = config(Dialect::OpenAi);
        config.inexpressible = Inexpressible::Drop;
        config.token_limit = TokenLimit::MaxCompletionTokens;
        config.thinking = Some(Thinking::Effort { level: "low".into() });
        config.omit = vec!["temperature".into(), "top_p".into(), "seed".into()];
        assert_eq!(
            body(&config, &request()).unwrap(),
            json!({
                "model": "m", "messages": [{"role": "user", "content": "Hi."}],
                "max_completion_tokens": 256, "reasoning_effort": "low",
            })
        );
    }

    #[test]
    fn each_way_to_continue_an_assistant_message() {
        let mut request = request();
        request.messages.push(Message::assistant("<think>"));
        let mut config = config(Dialect::Vllm);
        let error = body(&config, &request).unwrap_err().to_string();
        assert!(error.contains("continue_final_message"), "{error}");
        config.prefill = Prefill::ContinueFinalMessage;
        let json = body(&config, &request).unwrap();
        assert_eq!(json["continue_final_message"], true);
        assert_eq!(json["add_generation_prompt"], false);
        config.prefill = Prefill::Implicit;
        assert_eq!(body(&config, &request).unwrap().get("add_generation_prompt"), None);
        config.prefill = Prefill::Rendered;
        let json = body(&config, &request).unwrap();
        assert_eq!(json["prompt"], "<Hi.><<think>>");
        assert_eq!((json.get("messages"), &json["add_special_tokens"]), (None, &json!(false)));
    }

    #[test]
    fn extra_keys_are_merged_into_objects_and_win_otherwise() {
        let mut config = config(Dialect::Vllm);
        config.thinking = Some(Thinking::ChatTemplate { key: "enable_thinking".into(), on: true });
        let extra = json!({"chat_template_kwargs": {"x": 1}, "temperature": 0.1});
        config.extra_body = extra.as_object().unwrap().clone();
        let json = body(&config, &request()).unwrap();
        assert_eq!(json["chat_template_kwargs"], json!({"enable_thinking": true, "x": 1}));
        assert_eq!(json["temperature"], 0.1);
    }

    #[test]
    fn seeds_fit_into_31_bits_and_small_ones_stay() {
        assert_eq!(wire_seed(123_456), 123_456);
        for seed in [u64::MAX, 1 << 63, (1 << 40) + 5] {
            assert!(wire_seed(seed) <= i32::MAX as u64);
        }
        assert_ne!(wire_seed(1 << 40), wire_seed(1 << 41));
    }
}
