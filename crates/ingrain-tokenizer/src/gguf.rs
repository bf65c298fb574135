//! Tokenizers out of the metadata of a GGUF file.
//!
//! # Source
//!
//! Keys: the GGUF specification, section "Tokenizer". Meaning of token types: `llama.h`.

use std::path::Path;

use ingrain_gguf::GgufFile;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::{AddedToken, Tokenizer};

use crate::sentencepiece::{BlankBefore, Kind, Model, Piece};
use crate::tokenizer::Parts;
use crate::{TokenizerError, pre_tokenizer};

/// Token types that matter here; 1 is normal, 2 unknown, 5 unused, 6 a byte.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// Reads whatever kind of tokenizer the file names.
pub(crate) fn read(file: &GgufFile) -> Result<Parts, TokenizerError> {
    let vocabulary = Vocabulary::read(file)?;
    let model: &str = file.require("tokenizer.ggml.model")?;
    let (tokenizer, adds_bos) = match model {
        "gpt2" => byte_level(file, &vocabulary)?,
        "llama" => (sentence_piece(file, &vocabulary)?, true),
        _ => {
            return Err(invalid(
                file.path(),
                "tokenizer.ggml.model",
                format!(
                    "tokenizers of kind {model:?} are not known here; expected \"gpt2\" (byte-level BPE) or \"llama\" (SentencePiece)"
                ),
            ));
        }
    };
    let adds_bos = file.get("tokenizer.ggml.add_bos_token")?.unwrap_or(adds_bos);
    let adds_eos = file.get("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    let token = |key: &str| vocabulary.special(file, key);
    let mut eos_ids = Vec::new();
    for key in ["tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"] {
        if vocabulary.special(file, key)?.is_some() {
            eos_ids.extend(file.get::<u32>(key)?);
        }
    }
    Ok(Parts {
        path: file.path().to_path_buf(),
        tokenizer,
        template: file.get::<&str>("tokenizer.chat_template")?.map(str::to_owned),
        bos: token("tokenizer.ggml.bos_token_id")?,
        eos: token("tokenizer.ggml.eos_token_id")?,
        pad: token("tokenizer.ggml.padding_token_id")?,
        unk: token("tokenizer.ggml.unknown_token_id")?,
        eos_ids,
        adds: Some((adds_bos, adds_eos)),
    })
}

fn invalid(path: &Path, field: &str, problem: String) -> TokenizerError {
    TokenizerError::Invalid { path: path.to_path_buf(), field: field.to_owned(), problem }
}

/// Tokens and their types.
struct Vocabulary<'a> {
    tokens: &'a [String],
    types: Vec<i64>,
}

impl<'a> Vocabulary<'a> {
    fn read(file: &'a GgufFile) -> Result<Self, TokenizerError> {
        let tokens: &[String] = file.require("tokenizer.ggml.tokens")?;
        let types: Vec<i64> =
            file.get("tokenizer.ggml.token_type")?.unwrap_or_else(|| vec![1; tokens.len()]);
        if types.len() != tokens.len() {
            return Err(invalid(
                file.path(),
                "tokenizer.ggml.token_type",
                format!("has {} entries for {} tokens", types.len(), tokens.len()),
            ));
        }
        Ok(Self { tokens, types })
    }

    /// The token whose id stands under `key`.
    fn special(&self, file: &GgufFile, key: &str) -> Result<Option<String>, TokenizerError> {
        let Some(id) = file.get::<usize>(key)? else { return Ok(None) };
        self.tokens.get(id).cloned().map(Some).ok_or_else(|| {
            let problem = format!("{id} is outside of the vocabulary of {}", self.tokens.len());
            invalid(file.path(), key, problem)
        })
    }

    /// Tokens that are found in text before anything else happens to it, and those among them that
    /// decoding leaves out.
    fn added(&self) -> (Vec<AddedToken>, Vec<AddedToken>) {
        let of_type = |kind| {
            let ids = (0..self.tokens.len()).filter(move |&id| self.types[id] == kind);
            ids.map(|id| {
                AddedToken::from(self.tokens[id].clone(), kind == CONTROL).normalized(false)
            })
            .collect()
        };
        (of_type(USER_DEFINED), of_type(CONTROL))
    }
}

/// Byte-level BPE: the tokenizer, and whether it adds a start token by default.
fn byte_level(
    file: &GgufFile,
    vocabulary: &Vocabulary<'_>,
) -> Result<(Tokenizer, bool), TokenizerError> {
    const PRE: &str = "tokenizer.ggml.pre";
    const MERGES: &str = "tokenizer.ggml.merges";
    let path = file.path();
    let name = file.get::<&str>(PRE)?.unwrap_or("default");
    let Some(named) = pre_tokenizer::named(name) else {
        return Err(invalid(
            path,
            PRE,
            format!("unknown pre-tokenizer {name:?}; expected one of {}", pre_tokenizer::KNOWN),
        ));
    };
    let mut vocab = Vocab::default();
    for (id, token) in (0_u32..).zip(vocabulary.tokens) {
        let is_text = !matches!(vocabulary.types[id as usize], CONTROL | USER_DEFINED);
        let token = if is_text { byte_spelling(token) } else { token.clone() };
        if let Some(other) = vocab.insert(token, id) {
            let problem = format!("tokens {other} and {id} are the same");
            return Err(invalid(path, "tokenizer.ggml.tokens", problem));
        }
    }
    let mut merges = Vec::new();
    for (i, merge) in file.require::<&[String]>(MERGES)?.iter().enumerate() {
        // A merge may hold blanks inside only where its parts do, which byte-level ones do not.
        let Some((left, right)) = merge.split_once(' ') else {
            return Err(invalid(path, MERGES, format!("entry {i}, {merge:?}, is no pair")));
        };
        merges.push((left.to_owned(), right.to_owned()));
    }
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(named.ignore_merges)
        .build()
        .map_err(|error| invalid(path, MERGES, error.to_string()))?;
    let refused = |error: tokenizers::Error| invalid(path, "tokenizer.ggml", error.to_string());
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(named.split.build().map_err(refused)?));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    if named.composes {
        tokenizer.with_normalizer(Some(NFC)).map_err(refused)?;
    }
    let (user_defined, control) = vocabulary.added();
    tokenizer.add_tokens(user_defined).map_err(refused)?;
    tokenizer.add_special_tokens(control).map_err(refused)?;
    Ok((tokenizer, named.adds_bos))
}

/// SentencePiece BPE.
fn sentence_piece(
    file: &GgufFile,
    vocabulary: &Vocabulary<'_>,
) -> Result<Tokenizer, TokenizerError> {
    const SCORES: &str = "tokenizer.ggml.scores";
    let path = file.path();
    let scores: &[f32] = file.require(SCORES)?;
    if scores.len() != vocabulary.tokens.len() {
        let problem =
            format!("has {} entries for {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(invalid(path, SCORES, problem));
    }
    let mut pieces = Vec::with_capacity(scores.len());
    for (id, (text, &score)) in vocabulary.tokens.iter().zip(scores).enumerate() {
        let number = vocabulary.types[id];
        let Some(kind) = Kind::from_number(number) else {
            let problem = format!("token {id} has the unknown type {number}");
            return Err(invalid(path, "tokenizer.ggml.token_type", problem));
        };
        pieces.push(Piece { text: text.clone(), score, kind });
    }
    let blank = file.get("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let blank_before = if blank { BlankBefore::EveryText } else { BlankBefore::Nothing };
    Model { pieces, blank_before }.tokenizer(path, "tokenizer.ggml.tokens")
}

/// A token in GPT-2's spelling of bytes; some converters leave a few tokens as plain text.
fn byte_spelling(token: &str) -> String {
    if token.chars().all(|c| matches!(c, '!'..='~' | '¡'..='¬' | '®'..='ÿ' | 'Ā'..='Ń')) {
        return token.to_owned();
    }
    token.bytes().map(byte_char).collect()
}

/// The character that GPT-2 writes for a byte: itself if it is visible, else one from U+0100 on.
fn byte_char(byte: u8) -> char {
    let shift = match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => return char::from(byte),
        0..=0x20 => u32::from(byte),
        0x7F..=0xA0 => 0x21 + u32::from(byte) - 0x7F,
        0xAD => 0x43,
    };
    char::from_u32(0x100 + shift).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::{byte_char, byte_spelling};

    #[test]
    fn bytes_are_spelled_as_gpt2_does() {
        assert_eq!(byte_char(b' '), 'Ġ');
        assert_eq!(byte_char(b'\n'), 'Ċ');
        assert_eq!(byte_char(0x7F), 'ġ');
        assert_eq!(byte_char(0xA0), 'ł');
        assert_eq!(byte_char(0xAD), 'Ń');
        assert_eq!(byte_char(b'a'), 'a');
        let all: std::collections::BTreeSet<char> = (0..=255).map(byte_char).collect();
        assert_eq!(all.len(), 256);
    }

    #[test]
    fn only_tokens_outside_of_the_alphabet_are_respelled() {
        assert_eq!(byte_spelling("Ġhello"), "Ġhello");
        assert_eq!(byte_spelling("\u{FFFD}"), "ï¿½");
    }
}
