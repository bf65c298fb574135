//! The tokenizer itself: text to ids and back, special tokens, the chat template.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ingrain_chat::Message;
use ingrain_gguf::GgufFile;
use tokenizers::{PostProcessorWrapper, Tokenizer};

use crate::template::ChatTemplate;
use crate::{RenderOptions, TokenStream, TokenizerError, TurnSpans, gguf, hf, turns};

/// The longest stretch, in bytes, that a pre-tokenizer may leave in one piece. The regular
/// expression engine gives up on stretches of about a million bytes, and silently.
const MAX_PIECE: usize = 200_000;

/// Tokens that end a turn, under the names that models give them.
const END_OF_TURN: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|eot|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|return|>",
    "</s>",
];

/// What a loader found out, before it is checked and put together.
pub(crate) struct Parts {
    pub(crate) path: PathBuf,
    pub(crate) tokenizer: Tokenizer,
    /// Source of the chat template, if there is one.
    pub(crate) template: Option<String>,
    pub(crate) bos: Option<String>,
    pub(crate) eos: Option<String>,
    pub(crate) pad: Option<String>,
    pub(crate) unk: Option<String>,
    /// End-of-sequence ids that the model's files name beside `eos`.
    pub(crate) eos_ids: Vec<u32>,
    /// Start and end tokens added to plain text; `None` leaves it to the post-processor.
    pub(crate) adds: Option<(bool, bool)>,
}

/// A tokenizer with the special tokens and the chat template of its model.
pub struct ChatTokenizer {
    path: PathBuf,
    pub(crate) tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    pub(crate) template_tokens: Vec<(&'static str, String)>,
    bos_id: Option<u32>,
    eos_id: Option<u32>,
    pad_id: u32,
    stop_ids: Vec<u32>,
    pub(crate) prefix: Vec<u32>,
    pub(crate) suffix: Vec<u32>,
    vocab_size: usize,
}

impl ChatTokenizer {
    /// Reads `tokenizer.json` (or, without one, `tokenizer.model`) and, where they are there, `tokenizer_config.json`,
    /// `special_tokens_map.json`, `chat_template.jinja` (or `.json`), `generation_config.json` and
    /// `config.json` of a directory in Hugging Face layout.
    ///
    /// # Errors
    /// There is no tokenizer, or a file cannot be read or holds something else than it should.
    pub fn from_hf_dir(path: impl AsRef<Path>) -> Result<Self, TokenizerError> {
        Self::assemble(hf::read(path.as_ref())?)
    }

    /// Builds the tokenizer that the metadata of a GGUF file describes.
    ///
    /// # Errors
    /// Keys are missing or do not fit together, or the file names a kind of tokenizer or
    /// pre-tokenizer that is not known here.
    pub fn from_gguf(file: &GgufFile) -> Result<Self, TokenizerError> {
        Self::assemble(gguf::read(file)?)
    }

    fn assemble(parts: Parts) -> Result<Self, TokenizerError> {
        let Parts { path, mut tokenizer, template, bos, eos, pad, unk, eos_ids, adds } = parts;
        let id_of = |field: &str, token: &Option<String>| match token {
            None => Ok(None),
            Some(token) => match tokenizer.token_to_id(token) {
                Some(id) => Ok(Some(id)),
                None => Err(TokenizerError::Invalid {
                    path: path.clone(),
                    field: field.to_owned(),
                    problem: format!("the token {token:?} is not in the vocabulary"),
                }),
            },
        };
        let (bos_id, eos_id) = (id_of("bos_token", &bos)?, id_of("eos_token", &eos)?);
        // transformers would add a padding token that is missing; any id serves to fill batches.
        let pad_id = pad.as_deref().and_then(|token| tokenizer.token_to_id(token));

        // What a file says of padding and cutting is for other batches, and would hide what is added.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| TokenizerError::Encode(error.to_string()))?;
        let (prefix, suffix) = match adds {
            Some((adds_bos, adds_eos)) => (
                bos_id.filter(|_| adds_bos).into_iter().collect(),
                eos_id.filter(|_| adds_eos).into_iter().collect(),
            ),
            None => added_by_post_processor(&path, &tokenizer)?,
        };
        // The post-processor would also shift the offsets of tokens that start with a blank.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);

        let mut stops = BTreeSet::new();
        stops.extend(eos_id);
        stops.extend(&eos_ids);
        if let Some(source) = &template {
            let named = END_OF_TURN.iter().filter(|name| source.contains(**name));
            stops.extend(named.filter_map(|name| tokenizer.token_to_id(name)));
        }
        let template = template.map(|source| ChatTemplate::new(&path, &source)).transpose()?;
        let template_tokens =
            [("bos_token", bos), ("eos_token", eos), ("pad_token", pad), ("unk_token", unk)]
                .into_iter()
                .filter_map(|(name, token)| token.map(|token| (name, token)))
                .collect();
        let vocab_size =
            tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        Ok(Self {
            path,
            tokenizer,
            template,
            template_tokens,
            bos_id,
            eos_id,
            pad_id: pad_id.or(eos_id).or(bos_id).unwrap_or(0),
            stop_ids: stops.into_iter().collect(),
            prefix,
            suffix,
            vocab_size,
        })
    }

    /// Token ids of `text`. Special tokens written out in it are recognised, as in transformers.
    ///
    /// With `add_special`, the tokens that the tokenizer adds to plain text by itself (for most
    /// models a start token, or none) stand around it.
    ///
    /// # Errors
    /// The text cannot be tokenized, or holds a stretch of 200,000 bytes that the pre-tokenizer
    /// cannot split (its regular expressions are not reliable there).
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, TokenizerError> {
        let (ids, _) = self.encode_with_offsets(text)?;
        if !add_special {
            return Ok(ids);
        }
        Ok([self.prefix.as_slice(), &ids, &self.suffix].concat())
    }

    /// As [`encode`](Self::encode) with what the tokenizer adds, cut to `max_tokens`: the text loses its
    /// end, what is added stays.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_truncated(
        &self,
        text: &str,
        max_tokens: usize,
    ) -> Result<Vec<u32>, TokenizerError> {
        let (mut ids, _) = self.encode_with_offsets(text)?;
        ids.truncate(max_tokens.saturating_sub(self.prefix.len() + self.suffix.len()));
        Ok([self.prefix.as_slice(), &ids, &self.suffix].concat())
    }

    /// Token ids of `text` and the bytes of it that each one covers; nothing is added.
    pub(crate) fn encode_with_offsets(
        &self,
        text: &str,
    ) -> Result<(Vec<u32>, Vec<Range<usize>>), TokenizerError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| TokenizerError::Encode(error.to_string()))?;
        if text.len() > MAX_PIECE && self.is_byte_level() {
            check_pieces(encoding.get_word_ids(), encoding.get_offsets())?;
        }
        let offsets = encoding.get_offsets().iter().map(|&(start, end)| start..end).collect();
        Ok((encoding.get_ids().to_vec(), offsets))
    }

    /// The text of `ids`; bytes that are not UTF-8 become replacement characters, and ids without a
    /// token (embedding tables are often padded) have no text, as in transformers.
    ///
    /// # Errors
    /// The decoder of the tokenizer fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        self.tokenizer
            .decode(ids, skip_special)
            .map_err(|error| TokenizerError::Decode(error.to_string()))
    }

    /// A decoder that takes one id at a time and gives text as soon as it is complete.
    #[must_use]
    pub fn stream(&self, skip_special: bool) -> TokenStream<'_> {
        TokenStream::new(self, skip_special)
    }

    /// Tokens that end a reply, in ascending order: end of sequence (of the tokenizer and of the
    /// generation configuration) and the end-of-turn tokens that the chat template writes.
    #[must_use]
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The token that fills batches: the padding token, else the end of sequence, else 0.
    #[must_use]
    pub fn pad_id(&self) -> u32 {
        self.pad_id
    }

    /// The start token.
    #[must_use]
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The end-of-sequence token.
    #[must_use]
    pub fn eos_id(&self) -> Option<u32> {
        self.eos_id
    }

    /// The largest id and one: the rows that an embedding table needs at least.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token with this id, as the vocabulary spells it.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The id of a token, as the vocabulary spells it.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Source of the chat template.
    #[must_use]
    pub fn chat_template(&self) -> Option<&str> {
        self.template.as_ref().map(ChatTemplate::source)
    }

    /// Where the tokenizer came from: a directory or a GGUF file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The conversation as text, exactly as the model's chat template writes it.
    ///
    /// Whatever the template adds on its own (a default system message, a date) is in it.
    ///
    /// # Errors
    /// There is no template, it fails or refuses these messages, it does more work than a template
    /// should, or the options contradict each other.
    pub fn render(
        &self,
        messages: &[Message],
        options: &RenderOptions,
    ) -> Result<String, TokenizerError> {
        let Some(template) = &self.template else {
            return Err(TokenizerError::NoTemplate { path: self.path.clone() });
        };
        template.render_with(messages, &self.template_tokens, options)
    }

    /// Token ids of the rendered conversation. Nothing is added: a template writes the start token
    /// itself if the model wants one.
    ///
    /// # Errors
    /// As [`render`](Self::render) and [`encode`](Self::encode).
    pub fn encode_chat(
        &self,
        messages: &[Message],
        options: &RenderOptions,
    ) -> Result<Vec<u32>, TokenizerError> {
        self.encode(&self.render(messages, options)?, false)
    }

    /// The ids of a prompt and those of the reply that the model has to generate after it: what it
    /// sees (the prompt with the header of its turn), and the content with the end of the turn.
    ///
    /// The two come from two renders, so that this also holds where a template writes a prompt
    /// differently once it is answered. Line breaks that a template writes behind the end-of-turn
    /// token are not part of the reply.
    ///
    /// # Errors
    /// As [`encode_turns_with`](Self::encode_turns_with).
    pub fn encode_reply(
        &self,
        prompt: &[Message],
        reply: &str,
        options: &RenderOptions,
    ) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
        let options = options.pinned();
        let header = RenderOptions { add_generation_prompt: true, ..options.clone() };
        let prompt_ids = self.encode_chat(prompt, &header)?;
        let finished = [prompt, &[Message::assistant(reply)]].concat();
        let reply_ids = turns::encode_last(self, &finished, &options)?;
        Ok((prompt_ids, reply_ids))
    }

    /// Token ids of a whole conversation and the tokens of each of its turns.
    ///
    /// # Errors
    /// As [`encode_turns_with`](Self::encode_turns_with).
    pub fn encode_turns(&self, messages: &[Message]) -> Result<TurnSpans, TokenizerError> {
        self.encode_turns_with(messages, &RenderOptions::default())
    }

    /// As [`encode_turns`](Self::encode_turns), with options for the template.
    ///
    /// The ids equal those of [`encode_chat`](Self::encode_chat) without a generation prompt. There
    /// is one exception: where a token would reach from the header of an assistant's turn into its
    /// content (content that starts with a line break, say), the text is split there, because a
    /// model that generates the turn sees the header by itself.
    ///
    /// A reasoning block that the template drops, or writes in another way than it stands in the
    /// message, is not part of the turn; one that it leaves as it is belongs to it.
    ///
    /// # Errors
    /// As `encode_chat`. [`TokenizerError::Turn`] if a message cannot be located in the rendered
    /// text (the template drops, repeats or rewrites it), or an assistant's turn is not followed by
    /// a stop token. Options with a generation prompt or a continuation are refused.
    pub fn encode_turns_with(
        &self,
        messages: &[Message],
        options: &RenderOptions,
    ) -> Result<TurnSpans, TokenizerError> {
        turns::encode(self, messages, options)
    }

    /// Whether tokens are sequences of bytes, so that text can be tokenized in parts.
    pub(crate) fn is_byte_level(&self) -> bool {
        matches!(self.tokenizer.get_decoder(), Some(tokenizers::DecoderWrapper::ByteLevel(_)))
    }
}

impl std::fmt::Debug for ChatTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTokenizer")
            .field("path", &self.path)
            .field("vocab_size", &self.vocab_size)
            .field("stop_ids", &self.stop_ids)
            .finish_non_exhaustive()
    }
}

/// The ids that the post-processor puts before and behind plain text.
fn added_by_post_processor(
    path: &Path,
    tokenizer: &Tokenizer,
) -> Result<(Vec<u32>, Vec<u32>), TokenizerError> {
    let encode = |special| {
        let encoded = guarded(|| tokenizer.encode("a", special));
        let problem = match encoded {
            Some(Ok(encoding)) => return Ok(encoding.get_ids().to_vec()),
            Some(Err(error)) => error.to_string(),
            None => "it names a token that it does not define".to_owned(),
        };
        let (path, field) = (path.to_path_buf(), "post_processor".to_owned());
        Err(TokenizerError::Invalid { path, field, problem })
    };
    let (plain, with) = (encode(false)?, encode(true)?);
    let at = with.windows(plain.len().max(1)).position(|window| window == plain);
    match at {
        Some(at) => Ok((with[..at].to_vec(), with[at + plain.len()..].to_vec())),
        None => Ok((Vec::new(), Vec::new())),
    }
}

/// Runs `work`; `None` if it panics, as the `tokenizers` crate does on some broken files.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Refuses a text in which one piece of the pre-tokenizer is too long to be trusted.
fn check_pieces(words: &[Option<u32>], offsets: &[(usize, usize)]) -> Result<(), TokenizerError> {
    let mut start = 0;
    for i in 0..words.len() {
        if i == 0 || words[i] != words[i - 1] {
            start = offsets[i].0;
        }
        if offsets[i].1.saturating_sub(start) > MAX_PIECE {
            return Err(TokenizerError::Encode(format!(
                "the {MAX_PIECE} bytes from byte {start} on cannot be split into words; shorten \
                 the text, or break up its runs of blanks or letters"
            )));
        }
    }
    Ok(())
}
