//! A tokenizer as the files of an HF directory.

use std::path::Path;

use serde_json::{Map, json};
use tokenizers::processors::template::{Template, TemplateProcessing};

use crate::{ChatTokenizer, TokenizerError};

/// The files that describe a tokenizer in an HF directory.
const FILES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.model",
    "vocab.json",
];

impl ChatTokenizer {
    /// Writes `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` into `dir`.
    ///
    /// A tokenizer that came from an HF directory is copied file by file; one that came from a GGUF
    /// file is written out so that transformers reads the same tokens.
    ///
    /// # Errors
    /// [`TokenizerError::Io`] if a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), TokenizerError> {
        let dir = dir.as_ref();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| TokenizerError::Io { path, source }
        };
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        if self.path().is_dir() {
            for name in FILES {
                let from = self.path().join(name);
                if from.is_file() {
                    std::fs::copy(&from, dir.join(name)).map_err(io(&from))?;
                }
            }
            return Ok(());
        }
        let path = dir.join("tokenizer.json");
        std::fs::write(&path, self.to_json()?).map_err(io(&path))?;
        if let Some(template) = self.chat_template() {
            let path = dir.join("chat_template.jinja");
            std::fs::write(&path, template).map_err(io(&path))?;
        }
        let path = dir.join("tokenizer_config.json");
        std::fs::write(&path, format!("{:#}\n", self.config())).map_err(io(&path))
    }

    fn config(&self) -> serde_json::Value {
        let mut config = Map::new();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        for (name, token) in &self.template_tokens {
            config.insert((*name).to_owned(), json!(token));
        }
        if let Some(template) = self.chat_template() {
            config.insert("chat_template".into(), json!(template));
        }
        config.into()
    }

    /// `tokenizer.json`, with the tokens that stand around plain text as a post-processor.
    fn to_json(&self) -> Result<String, TokenizerError> {
        let fail = |problem: String| TokenizerError::Invalid {
            path: self.path().to_owned(),
            field: "tokenizer".into(),
            problem,
        };
        let mut tokenizer = self.tokenizer.clone();
        if !(self.prefix.is_empty() && self.suffix.is_empty()) {
            let name = |id: &u32| self.token(*id).unwrap_or_default();
            let around: Vec<String> = self.prefix.iter().map(name).collect();
            let after: Vec<String> = self.suffix.iter().map(name).collect();
            let pieces = [around.clone(), vec!["$A".into()], after.clone()].concat();
            let special: Vec<(String, u32)> = around
                .into_iter()
                .chain(after)
                .zip(self.prefix.iter().chain(&self.suffix).copied())
                .collect();
            let single = Template::try_from(pieces).map_err(|e| fail(e.to_string()))?;
            let processor = TemplateProcessing::builder()
                .single(single)
                .special_tokens(special)
                .build()
                .map_err(|e| fail(e.to_string()))?;
            tokenizer.with_post_processor(Some(processor));
        }
        tokenizer.to_string(false).map_err(|e| fail(e.to_string()))
    }
}
