//! The text of a reply as its tokens arrive, up to the first stop text.

use ingrain_tokenizer::{ChatTokenizer, TokenStream, TokenizerError};

/// Text that grows token by token, and ends before the first of some stop texts.
///
/// Characters of several tokens come out whole, and what may become a stop text is held back until it
/// is clear that it does not.
pub struct ReplyText<'a> {
    /// `None` once the text has ended.
    stream: Option<TokenStream<'a>>,
    stop: Vec<String>,
    text: String,
    /// Bytes given out.
    given: usize,
}

impl<'a> ReplyText<'a> {
    /// An empty text.
    #[must_use]
    pub fn new(tokenizer: &'a ChatTokenizer, stop: &[String]) -> Self {
        let stop = stop.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stream: Some(tokenizer.stream(true)), stop, text: String::new(), given: 0 }
    }

    /// Takes a token; says whether the text has met a stop text.
    ///
    /// # Errors
    /// The decoder of the tokenizer fails.
    pub fn push(&mut self, id: u32) -> Result<bool, TokenizerError> {
        let Some(stream) = &mut self.stream else { return Ok(true) };
        if let Some(piece) = stream.push(id)? {
            self.add(&piece);
        }
        Ok(self.stream.is_none())
    }

    /// There are no more tokens: nothing is held back any longer.
    ///
    /// # Errors
    /// The decoder of the tokenizer fails.
    pub fn finish(&mut self) -> Result<(), TokenizerError> {
        if let Some(stream) = self.stream.take()
            && let Some(piece) = stream.finish()?
        {
            self.add(&piece);
            self.stream = None;
        }
        Ok(())
    }

    /// Text that is certain and has not been given out yet.
    pub fn take_new(&mut self) -> &str {
        let held = if self.stream.is_some() { self.held_back() } else { 0 };
        let end = (self.text.len() - held).max(self.given);
        let new = self.given..end;
        self.given = end;
        &self.text[new]
    }

    /// All text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn add(&mut self, piece: &str) {
        let longest = self.stop.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        self.text.push_str(piece);
        let met = self.stop.iter().filter_map(|stop| self.text[from..].find(stop.as_str())).min();
        if let Some(at) = met {
            self.text.truncate(from + at);
            self.stream = None;
        }
    }

    /// Bytes at the end that a stop text may begin with.
    fn held_back(&self) -> usize {
        let begins = |stop: &String| {
            let lengths = stop.char_indices().map(|(at, _)| at).skip(1);
            lengths.filter(|&len| self.text.ends_with(&stop[..len])).max().unwrap_or(0)
        };
        self.stop.iter().map(begins).max().unwrap_or(0)
    }
}
