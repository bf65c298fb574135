//! Chat templates: real Jinja, run the way transformers runs it, within bounds.
//!
//! Knows messages and variables. Does not know tokens.

mod clock;
mod confine;
mod literals;
mod methods;
mod python;

use std::io::Write;
use std::path::{Path, PathBuf};

use ingrain_chat::{Message, Role};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value};

use crate::TokenizerError;

/// The longest template source accepted, in bytes; the longest known one has 20 kB.
const MAX_SOURCE: usize = 1 << 17;
/// The most lines, and the longest one in bytes: the engine counts lines and columns in 16 bits, and
/// panics past them.
const MAX_LINES: usize = 60_000;
/// The longest tag accepted, in bytes: the engine's parser recurses over the terms of an expression.
const MAX_TAG: usize = 1 << 14;
/// Work allowed for any render, in units of the engine: an instruction, or 64 bytes of data.
const BASE_FUEL: u64 = 200_000;
/// More work for each message of the conversation.
const FUEL_PER_MESSAGE: u64 = 5_000;
/// Output allowed beyond eight times the input, in bytes.
const BASE_OUTPUT: usize = 1 << 20;
/// Calls within calls.
const MAX_RECURSION: usize = 100;
/// The most characters of a template's own message that are passed on.
const MAX_MESSAGE: usize = 500;
/// The template in its environment.
const NAME: &str = "chat";
/// How `raise_exception` marks its errors.
const RAISED: &str = "raise_exception: ";
/// Marks the end of a message that is to be continued; a private-use character of Unicode.
const CONTINUE_MARK: &str = "\u{F8F2}";

/// How a conversation is rendered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenderOptions {
    /// End with the header of an assistant turn, so that the model answers. Default false.
    pub add_generation_prompt: bool,
    /// End inside the last message, so that the model continues it. Default false.
    pub continue_final_message: bool,
    /// Further variables of the template (`enable_thinking`, `date_string`, `tools`, ...). They
    /// override what the tokenizer sets by itself (`bos_token`, ...). Default empty.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// The time that `strftime_now` tells, in seconds since 1970 (UTC). Default: the system's clock.
    pub unix_time_secs: Option<i64>,
}

impl RenderOptions {
    /// The prompt for an answer: everything so far and the header of the assistant's turn.
    #[must_use]
    pub fn generation() -> Self {
        Self { add_generation_prompt: true, ..Self::default() }
    }

    /// The prompt for the rest of the last message.
    #[must_use]
    pub fn continuation() -> Self {
        Self { continue_final_message: true, ..Self::default() }
    }

    /// The prompt for the assistant's next words: the rest of the last message if that is its own, else an
    /// answer.
    #[must_use]
    pub fn reply_to(messages: &[Message]) -> Self {
        match messages.last() {
            Some(last) if last.role == Role::Assistant => Self::continuation(),
            _ => Self::generation(),
        }
    }

    /// The same at a fixed time, for what has to come out alike in several renders.
    pub(crate) fn pinned(&self) -> Self {
        let now = self.unix_time_secs.unwrap_or_else(clock::now);
        Self { unix_time_secs: Some(now), ..self.clone() }
    }

    /// Sets a variable of the template.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }
}

/// A compiled chat template: [`ChatTokenizer::render`](crate::ChatTokenizer::render) without a
/// tokenizer.
///
/// ```
/// use ingrain_chat::Message;
/// use ingrain_tokenizer::{ChatTemplate, RenderOptions};
///
/// let source = "{% for m in messages %}{{ m.role }}: {{ m.content | trim }}\n{% endfor %}";
/// let template = ChatTemplate::new("example.jinja", source)?;
/// let text = template.render(&[Message::user(" Hello ")], &RenderOptions::default())?;
/// assert_eq!(text, "user: Hello\n");
/// # Ok::<(), ingrain_tokenizer::TokenizerError>(())
/// ```
pub struct ChatTemplate {
    path: PathBuf,
    source: String,
    env: Environment<'static>,
}

impl ChatTemplate {
    /// Compiles `source`, which came from `path` (for messages only).
    ///
    /// # Errors
    /// The source is no Jinja template, or longer or more nested than the engine can bear.
    pub fn new(path: impl AsRef<Path>, source: &str) -> Result<Self, TokenizerError> {
        let path = path.as_ref();
        let fail = |problem: String| TokenizerError::Template { path: path.to_path_buf(), problem };
        if source.len() > MAX_SOURCE {
            return Err(fail(format!("{} bytes long, at most {MAX_SOURCE}", source.len())));
        }
        // Jinja reads every kind of line break as a line feed.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let longest = source.split('\n').map(str::len).max().unwrap_or(0);
        if longest > MAX_LINES || source.matches('\n').count() > MAX_LINES {
            return Err(fail(format!(
                "a line of {longest} bytes, or too many lines; at most {MAX_LINES} of either"
            )));
        }
        let compiled = without_generation_tags(&literals::as_in_python(&source)).map_err(&fail)?;
        let env = confine::run(move || compile(compiled))
            .map_err(|stopped| fail(stopped.to_string()))?
            .map_err(|error| fail(describe(&error)))?;
        Ok(Self { path: path.to_path_buf(), source, env })
    }

    /// The source; line breaks are line feeds.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a conversation, with no other variables than those of `options`.
    ///
    /// # Errors
    /// As [`ChatTokenizer::render`](crate::ChatTokenizer::render).
    pub fn render(
        &self,
        messages: &[Message],
        options: &RenderOptions,
    ) -> Result<String, TokenizerError> {
        self.render_with(messages, &[], options)
    }

    /// Renders a conversation; `tokens` are the variables that the tokenizer sets (`bos_token`, ...).
    pub(crate) fn render_with(
        &self,
        messages: &[Message],
        tokens: &[(&'static str, String)],
        options: &RenderOptions,
    ) -> Result<String, TokenizerError> {
        if !options.continue_final_message {
            return self.run(messages, tokens, options);
        }
        if options.add_generation_prompt {
            return Err(TokenizerError::InvalidOptions(
                "a generation prompt and the continuation of the last message exclude each other"
                    .to_owned(),
            ));
        }
        let Some((last, before)) = messages.split_last() else {
            return Err(TokenizerError::InvalidOptions("there is no message to continue".into()));
        };
        let mut marked = before.to_vec();
        // The blank behind the mark tells whether the template trims the end of messages.
        let content = format!("{}{CONTINUE_MARK} ", last.content);
        marked.push(Message { role: last.role, content });
        let rendered = self.run(&marked, tokens, options)?;
        let Some(at) = rendered.rfind(CONTINUE_MARK) else {
            return Err(TokenizerError::InvalidOptions(format!(
                "the template of {} leaves the last message out, so it cannot be continued",
                self.path.display()
            )));
        };
        let keeps_blanks = rendered[at + CONTINUE_MARK.len()..].starts_with(' ');
        let head = &rendered[..at];
        Ok(if keeps_blanks { head } else { python::trim_end(head) }.to_owned())
    }

    fn run(
        &self,
        messages: &[Message],
        tokens: &[(&'static str, String)],
        options: &RenderOptions,
    ) -> Result<String, TokenizerError> {
        let input: usize = messages.iter().map(|m| m.content.len() + 16).sum();
        let variables_len = options.variables.values().map(json_size).sum::<usize>();
        let mut env = self.env.clone();
        let fuel = BASE_FUEL
            + FUEL_PER_MESSAGE * messages.len() as u64
            + (input + variables_len + self.source.len()) as u64;
        env.set_fuel(Some(fuel));
        let now = options.unix_time_secs;
        env.add_function("strftime_now", move |format: &str| clock::strftime(now, format));

        let limit = BASE_OUTPUT + 8 * input;
        let context = context(messages, tokens, options);
        let finished = confine::run(move || {
            let mut output = Bounded { bytes: Vec::new(), limit, hit: false };
            let result = env
                .get_template(NAME)
                .and_then(|template| template.render_captured_to(context, &mut output).map(drop));
            (result, output)
        });
        let (result, output) = match finished {
            Ok(finished) => finished,
            Err(stopped) => {
                let problem = stopped.to_string();
                return Err(TokenizerError::TemplateLimit { path: self.path.clone(), problem });
            }
        };
        match result {
            Ok(()) => String::from_utf8(output.bytes).map_err(|_| TokenizerError::Template {
                path: self.path.clone(),
                problem: "wrote text that is not UTF-8".to_owned(),
            }),
            Err(error) => Err(self.failed(&error, output.hit.then_some(limit), fuel)),
        }
    }

    fn failed(&self, error: &Error, output_limit: Option<usize>, fuel: u64) -> TokenizerError {
        let path = self.path.clone();
        if let Some(limit) = output_limit {
            let problem = format!("it writes more than {limit} bytes");
            return TokenizerError::TemplateLimit { path, problem };
        }
        if error.kind() == ErrorKind::OutOfFuel {
            let problem = format!("it takes more than {fuel} steps");
            return TokenizerError::TemplateLimit { path, problem };
        }
        match error.detail().and_then(|detail| detail.strip_prefix(RAISED)) {
            Some(message) => {
                let message = message.chars().take(MAX_MESSAGE).collect();
                TokenizerError::TemplateRefused { path, message }
            }
            None => TokenizerError::Template { path, problem: describe(error) },
        }
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An environment as transformers sets it up, with the template `source`.
fn compile(source: String) -> Result<Environment<'static>, Error> {
    let mut env = Environment::new();
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.set_recursion_limit(MAX_RECURSION);
    add_builtins(&mut env);
    // Its work on a value that shares its parts is bounded by nothing, and no template needs it.
    env.remove_filter("pprint");
    env.add_template_owned(NAME, source)?;
    Ok(env)
}

/// What transformers gives a template: its filters, functions and Python's methods.
fn add_builtins(env: &mut Environment<'static>) {
    env.set_unknown_method_callback(methods::call);
    env.set_formatter(python::format);
    env.add_filter("tojson", python::to_json);
    env.add_filter("string", python::to_string);
    env.add_filter("trim", methods::trim);
    env.add_filter("e", python::escape);
    env.add_filter("escape", python::escape);
    env.add_test("iterable", python::is_iterable);
    env.add_test("sequence", python::is_sequence);
    env.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, format!("{RAISED}{message}")))
    });
}

/// Everything a template can see.
fn context(
    messages: &[Message],
    tokens: &[(&'static str, String)],
    options: &RenderOptions,
) -> Value {
    let mut variables: Vec<(String, Value)> = vec![
        ("messages".to_owned(), Value::from(Serde(messages))),
        ("tools".to_owned(), Value::from(())),
        ("documents".to_owned(), Value::from(())),
        ("add_generation_prompt".to_owned(), Value::from(options.add_generation_prompt)),
    ];
    for (name, token) in tokens {
        variables.push(((*name).to_owned(), Value::from(token.as_str())));
    }
    for (name, value) in &options.variables {
        variables.retain(|(known, _)| known != name);
        variables.push((name.clone(), Value::from(Serde(value))));
    }
    Value::from_pairs(variables)
}

/// `{% generation %}` marks text for a feature of transformers; here it is a block of its own.
/// Refuses tags that are too long.
fn without_generation_tags(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%").into_iter().chain(rest.find("{{")).min() {
        let close = if rest[start..].starts_with("{%") { "%}" } else { "}}" };
        let Some(len) = rest[start + 2..].find(close).map(|at| at + 2) else { break };
        if len > MAX_TAG {
            let line = 1 + out.matches('\n').count() + rest[..start].matches('\n').count();
            return Err(format!("line {line}: a tag of {len} bytes, at most {MAX_TAG}"));
        }
        let tag = &rest[start..start + len];
        let word = tag[2..].trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+');
        out.push_str(&rest[..start]);
        match word {
            "generation" => out.push_str(&tag.replacen(word, "with", 1)),
            "endgeneration" => out.push_str(&tag.replacen(word, "endwith", 1)),
            _ => out.push_str(tag),
        }
        rest = &rest[start + len..];
    }
    if rest.len() > MAX_TAG && (rest.contains("{%") || rest.contains("{{")) {
        return Err(format!("a tag that does not end within {MAX_TAG} bytes"));
    }
    out.push_str(rest);
    Ok(out)
}

/// The engine's message, with the line of the template.
fn describe(error: &Error) -> String {
    let mut text = error.kind().to_string();
    if let Some(detail) = error.detail() {
        text = format!("{text}: {detail}");
    }
    if let Some(line) = error.line() {
        text = format!("line {line}: {text}");
    }
    text
}

fn json_size(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len() + 8,
        serde_json::Value::Array(items) => items.iter().map(json_size).sum::<usize>() + 8,
        serde_json::Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + json_size(value)).sum::<usize>() + 8
        }
        _ => 8,
    }
}

/// Collects output up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    hit: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.hit = true;
            return Err(std::io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
