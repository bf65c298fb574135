//! The pre-tokenizers that GGUF files name, as the ones of `tokenizer.json` that they stand for.
//!
//! # Source
//!
//! Names: `llama-vocab.cpp` of llama.cpp. Regular expressions: the `tokenizer.json` of the models.

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How a byte-level BPE model splits text before it merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreTokenizer {
    /// GPT-2's expression.
    Gpt2,
    /// Every digit by itself, then GPT-2's expression.
    DigitsGpt2,
    /// An expression of its own.
    Regex(&'static str),
}

/// What goes with a name in `tokenizer.ggml.pre`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) split: PreTokenizer,
    /// A piece that is a token is taken whole, whatever its merges say.
    pub(crate) ignore_merges: bool,
    /// Whether a start token is added unless the file says otherwise.
    pub(crate) adds_bos: bool,
    /// Text is brought to Unicode's composed form first (the GGUF format has no key for it).
    pub(crate) composes: bool,
}

/// Families and their names, for the error of an unknown one.
pub(crate) const KNOWN: &str = "default, gpt-2, smollm, starcoder, refact, command-r, codeshell, \
    exaone, mpt, olmo, llama-bpe, smaug-bpe, dbrx, qwen2, qwen35, stablelm2, tekken, gpt-4o, llama4";

/// Looks up a name of `tokenizer.ggml.pre`.
pub(crate) fn named(name: &str) -> Option<Named> {
    let plain = |split| Named { split, ignore_merges: false, adds_bos: false, composes: false };
    Some(match name {
        "default" | "gpt-2" | "phi-2" | "gigachat" | "a.x-4.0" | "mellum" | "mpt" | "olmo"
        | "jais" | "exaone4" | "trillion" => plain(PreTokenizer::Gpt2),
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
            plain(PreTokenizer::DigitsGpt2)
        }
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
        | "lfm2" => {
            Named { ignore_merges: true, adds_bos: true, ..plain(PreTokenizer::Regex(LLAMA3)) }
        }
        // SmolLM3 comes under this name: the expression of Llama 3 without its start token.
        "smaug-bpe" | "dbrx" | "glm4" | "chatglm-bpe" => plain(PreTokenizer::Regex(LLAMA3)),
        "qwen2" | "deepseek-r1-qwen" | "megrez" => {
            Named { composes: true, ..plain(PreTokenizer::Regex(QWEN2)) }
        }
        "stablelm2" | "hunyuan" | "kormo" => plain(PreTokenizer::Regex(QWEN2)),
        "qwen35" => Named { composes: true, ..plain(PreTokenizer::Regex(QWEN35)) },
        "tekken" => {
            Named { ignore_merges: true, adds_bos: true, ..plain(PreTokenizer::Regex(TEKKEN)) }
        }
        "gpt-4o" | "llama4" => plain(PreTokenizer::Regex(GPT4O)),
        _ => return None,
    })
}

impl PreTokenizer {
    /// As the `tokenizers` crate wants it; the error is that of a broken expression.
    pub(crate) fn build(self) -> Result<PreTokenizerWrapper, tokenizers::Error> {
        let bytes = |use_regex| ByteLevel::new(false, true, use_regex).into();
        let parts: Vec<PreTokenizerWrapper> = match self {
            Self::Gpt2 => return Ok(bytes(true)),
            Self::DigitsGpt2 => vec![Digits::new(true).into(), bytes(true)],
            Self::Regex(expression) => {
                let pattern = SplitPattern::Regex(expression.to_owned());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
                vec![split.into(), bytes(false)]
            }
        };
        Ok(Sequence::new(parts).into())
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, named};

    #[test]
    fn every_name_offered_in_messages_is_known_and_builds() {
        for name in KNOWN.split(", ") {
            let named = named(name.trim()).unwrap_or_else(|| panic!("{name:?}"));
            assert!(named.split.build().is_ok(), "{name}");
        }
        assert!(named("kimi-k2").is_none());
    }
}
