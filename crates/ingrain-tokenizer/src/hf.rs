//! Tokenizers out of a directory in Hugging Face layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokenizers::Tokenizer;

use crate::TokenizerError;
use crate::sentencepiece::Model;
use crate::tokenizer::{Parts, guarded};

/// The largest `tokenizer.json` accepted, in bytes; the largest known one has about 35 MB.
const MAX_TOKENIZER: u64 = 512 << 20;
/// The largest other file accepted, in bytes.
const MAX_CONFIG: u64 = 64 << 20;

/// A token in a configuration: its text, or an object that holds it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Object { content: String },
}

impl Token {
    fn text(self) -> String {
        match self {
            Self::Text(text) | Self::Object { content: text } => text,
        }
    }
}

/// One template, or several under names.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Template {
    One(String),
    Named(Vec<NamedTemplate>),
    Map(BTreeMap<String, String>),
}

#[derive(Debug, Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

impl Template {
    /// The only one, or the one named "default".
    fn default_source(self) -> Option<String> {
        match self {
            Self::One(source) => Some(source),
            Self::Named(all) => {
                all.into_iter().find(|one| one.name == "default").map(|one| one.template)
            }
            Self::Map(mut all) => all.remove("default"),
        }
    }
}

/// `tokenizer_config.json`, and `special_tokens_map.json`, which has the same tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenizerConfig {
    bos_token: Option<Token>,
    eos_token: Option<Token>,
    pad_token: Option<Token>,
    unk_token: Option<Token>,
    add_bos_token: Option<bool>,
    add_eos_token: Option<bool>,
    legacy: Option<bool>,
    chat_template: Option<Template>,
}

/// `chat_template.json`.
#[derive(Debug, Deserialize)]
struct TemplateFile {
    chat_template: Template,
}

/// One id or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

/// `generation_config.json`, and `config.json`, which may have the same key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GenerationConfig {
    eos_token_id: Option<Ids>,
}

/// Reads the files of `dir`.
pub(crate) fn read(dir: &Path) -> Result<Parts, TokenizerError> {
    let config: TokenizerConfig = optional(&dir.join("tokenizer_config.json"))?.unwrap_or_default();
    let from_pieces = !dir.join("tokenizer.json").exists() && dir.join("tokenizer.model").exists();
    let tokenizer = tokenizer(dir, config.legacy.unwrap_or(false), from_pieces)?;
    let map: TokenizerConfig = optional(&dir.join("special_tokens_map.json"))?.unwrap_or_default();
    // A SentencePiece model says nothing of these; its own names are always the same.
    let usual = |name: &str| {
        (from_pieces && tokenizer.token_to_id(name).is_some()).then(|| name.to_owned())
    };
    let pick = |first: Option<Token>, second: Option<Token>, name: &str| {
        first.or(second).map(Token::text).or_else(|| usual(name))
    };
    let adds = match (config.add_bos_token, config.add_eos_token) {
        (None, None) => from_pieces.then_some((true, false)),
        (bos, eos) => Some((bos.unwrap_or(false), eos.unwrap_or(false))),
    };
    let bos = pick(config.bos_token, map.bos_token, "<s>");
    let eos = pick(config.eos_token, map.eos_token, "</s>");
    let pad = pick(config.pad_token, map.pad_token, "<pad>");
    let unk = pick(config.unk_token, map.unk_token, "<unk>");
    Ok(Parts {
        path: dir.to_path_buf(),
        template: template(dir, config.chat_template)?,
        eos_ids: eos_ids(dir)?,
        tokenizer,
        bos,
        eos,
        pad,
        unk,
        adds,
    })
}

/// `tokenizer.json`, or else the SentencePiece model that older directories have alone.
fn tokenizer(dir: &Path, legacy: bool, from_pieces: bool) -> Result<Tokenizer, TokenizerError> {
    let invalid = |path: PathBuf, field: &str, problem: String| TokenizerError::Invalid {
        path,
        field: field.to_owned(),
        problem,
    };
    if from_pieces {
        let pieces = dir.join("tokenizer.model");
        let bytes = read_bounded(&pieces, MAX_CONFIG)?;
        return Model::parse(&bytes, legacy)
            .map_err(|problem| invalid(pieces.clone(), "SentencePiece model", problem))?
            .tokenizer(&pieces, "pieces");
    }
    let path = dir.join("tokenizer.json");
    let bytes = read_bounded(&path, MAX_TOKENIZER)?;
    let problem = match guarded(|| Tokenizer::from_bytes(&bytes)) {
        Some(Ok(tokenizer)) => return Ok(tokenizer),
        Some(Err(error)) => error.to_string(),
        None => "its parts do not fit together".to_owned(),
    };
    Err(invalid(path, "tokenizer", problem))
}

/// `chat_template.jinja` comes first, then `chat_template.json`, then the configuration.
fn template(dir: &Path, config: Option<Template>) -> Result<Option<String>, TokenizerError> {
    let path = dir.join("chat_template.jinja");
    if path.exists() {
        let bytes = read_bounded(&path, MAX_CONFIG)?;
        return String::from_utf8(bytes).map(Some).map_err(|error| TokenizerError::Invalid {
            path,
            field: "text".to_owned(),
            problem: error.to_string(),
        });
    }
    let file: Option<TemplateFile> = optional(&dir.join("chat_template.json"))?;
    Ok(file.map(|file| file.chat_template).or(config).and_then(Template::default_source))
}

fn eos_ids(dir: &Path) -> Result<Vec<u32>, TokenizerError> {
    for name in ["generation_config.json", "config.json"] {
        let config: Option<GenerationConfig> = optional(&dir.join(name))?;
        match config.and_then(|config| config.eos_token_id) {
            Some(Ids::One(id)) => return Ok(vec![id]),
            Some(Ids::Many(ids)) => return Ok(ids),
            None => {}
        }
    }
    Ok(Vec::new())
}

/// Parses a JSON file if it is there.
fn optional<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, TokenizerError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read_bounded(path, MAX_CONFIG)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| TokenizerError::Invalid {
        path: path.to_path_buf(),
        field: "JSON".to_owned(),
        problem: error.to_string(),
    })
}

fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, TokenizerError> {
    let io = |source| TokenizerError::Io { path: PathBuf::from(path), source };
    let len = std::fs::metadata(path).map_err(io)?.len();
    if len > max {
        return Err(TokenizerError::Invalid {
            path: path.to_path_buf(),
            field: "size".to_owned(),
            problem: format!("{len} bytes, at most {max} are read"),
        });
    }
    std::fs::read(path).map_err(io)
}
