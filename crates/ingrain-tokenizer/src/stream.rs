//! Text out of tokens that arrive one by one.

use crate::{ChatTokenizer, TokenizerError};

/// Decodes a growing sequence of ids; characters of several tokens come out whole.
///
/// Made by [`ChatTokenizer::stream`].
pub struct TokenStream<'a> {
    tokenizer: &'a ChatTokenizer,
    skip_special: bool,
    /// Ids since the last piece of text, and a few before it: decoders treat the first token of a
    /// sequence in a way of its own.
    ids: Vec<u32>,
    /// How many of `ids` have been given out.
    given: usize,
    /// Text of the ids that have been given out.
    text: String,
}

impl<'a> TokenStream<'a> {
    pub(crate) fn new(tokenizer: &'a ChatTokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, ids: Vec::new(), given: 0, text: String::new() }
    }

    /// Takes one id; gives the text that is complete now, if any is.
    ///
    /// # Errors
    /// The decoder of the tokenizer fails.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TokenizerError> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids, self.skip_special)?;
        // A character whose bytes are not all there yet decodes to a replacement character.
        if text.len() <= self.text.len() || text.ends_with('\u{FFFD}') {
            return Ok(None);
        }
        self.give(text)
    }

    /// Gives what is left: the text of bytes that never became a character.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self) -> Result<Option<String>, TokenizerError> {
        let text = self.tokenizer.decode(&self.ids, self.skip_special)?;
        if text.len() <= self.text.len() { Ok(None) } else { self.give(text) }
    }

    fn give(&mut self, text: String) -> Result<Option<String>, TokenizerError> {
        let Some(new) = text.strip_prefix(self.text.as_str()) else {
            // The decoder rewrote text that is out already; only what is behind it can be given.
            let new = text.get(self.text.len()..).unwrap_or_default().to_owned();
            self.text = text;
            return Ok(Some(new));
        };
        let new = new.to_owned();
        // The tokens given out last stay as context for the next ones.
        self.ids.drain(..self.given);
        self.given = self.ids.len();
        self.text = self.tokenizer.decode(&self.ids, self.skip_special)?;
        Ok(Some(new))
    }
}
