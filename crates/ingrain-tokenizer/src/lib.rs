//! Tokenizers and chat templates with token-exact spans of turns.
//!
//! A [`ChatTokenizer`] comes from a Hugging Face directory or from the metadata of a GGUF file. It
//! turns text into tokens and back, renders conversations with the model's own chat template (real
//! Jinja, never a copy written by hand), and says which tokens of a conversation belong to which
//! turn, so that a trainer can put exactly the tokens that the model has to generate into its loss.
//!
//! # How turns are located
//!
//! Comparing the render of the first `n` messages with that of the first `n + 1` fails on templates
//! that change what came before (they strip earlier reasoning, treat the last turn in another way,
//! or close the conversation). Instead the whole conversation is rendered twice: as it is, and with
//! marks (private-use characters) at both ends of every message. If the second render without its
//! marks equals the first one, the marks did not disturb the template and say where each message
//! lies in the text; the tokenizer's offsets turn that into tokens. Where a template trims or cuts
//! the text, the marks are set further inside. If no marks are undisturbed, there is an error and
//! no mask: see [`ChatTokenizer::encode_turns`].
//!
//! # What it does not know
//!
//! Models, weights, and how tokens are generated.
//!
//! # Example
//!
//! ```no_run
//! use ingrain_chat::Message;
//! use ingrain_tokenizer::{ChatTokenizer, RenderOptions};
//!
//! let tokenizer = ChatTokenizer::from_hf_dir("SmolLM2-135M-Instruct")?;
//! let messages = [Message::user("Say hello."), Message::assistant("Hello!")];
//! let prompt = tokenizer.encode_chat(&messages[..1], &RenderOptions::generation())?;
//! let conversation = tokenizer.encode_turns(&messages)?;
//! let mask = conversation.completion_mask(|turn, _| turn == 1);
//! assert_eq!(mask.len(), conversation.ids.len());
//! assert_eq!(&conversation.ids[..prompt.len()], &prompt);
//! # Ok::<(), ingrain_tokenizer::TokenizerError>(())
//! ```

mod error;
mod gguf;
mod hf;
mod pre_tokenizer;
mod save;
mod sentencepiece;
mod stream;
mod template;
mod tokenizer;
mod turns;

pub use error::TokenizerError;
pub use stream::TokenStream;
pub use template::{ChatTemplate, RenderOptions};
pub use tokenizer::ChatTokenizer;
pub use turns::{TurnSpan, TurnSpans};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
