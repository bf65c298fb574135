//! Which tokens of a conversation belong to which turn.

mod locate;

use std::ops::Range;

use ingrain_chat::{Message, Role};

use crate::{ChatTokenizer, RenderOptions, TokenizerError};

/// Where one message lies among the tokens of its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnSpan {
    /// Who speaks.
    pub role: Role,
    /// The tokens of the content and of the end of the turn: for an assistant's turn, all that the
    /// model has to generate. Turns of other roles may have no end of their own (`[/INST]`).
    pub tokens: Range<usize>,
    /// The tokens of the content alone.
    pub content: Range<usize>,
}

/// The tokens of a conversation and where its messages lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnSpans {
    /// Token ids of the whole rendered conversation.
    pub ids: Vec<u32>,
    /// One span a message, in the order of the messages.
    pub turns: Vec<TurnSpan>,
}

impl TurnSpans {
    /// One flag a token: whether it belongs to a turn that `wanted` chooses by index and role.
    ///
    /// ```
    /// # use ingrain_chat::Role;
    /// # use ingrain_tokenizer::{TurnSpan, TurnSpans};
    /// # let span = |role, tokens: std::ops::Range<usize>| TurnSpan { role, content: tokens.clone(), tokens };
    /// # let spans = TurnSpans {
    /// #     ids: vec![1, 2, 3, 4, 5],
    /// #     turns: vec![span(Role::User, 0..1), span(Role::Assistant, 2..3), span(Role::Assistant, 4..5)],
    /// # };
    /// // Every assistant turn but the first one, a canned greeting.
    /// let mask = spans.completion_mask(|index, role| role == Role::Assistant && index != 1);
    /// assert_eq!(mask, [false, false, false, false, true]);
    /// ```
    #[must_use]
    pub fn completion_mask(&self, wanted: impl Fn(usize, Role) -> bool) -> Vec<bool> {
        let mut mask = vec![false; self.ids.len()];
        for (index, turn) in self.turns.iter().enumerate() {
            if wanted(index, turn.role) {
                mask[turn.tokens.clone()].fill(true);
            }
        }
        mask
    }

    /// [`completion_mask`](Self::completion_mask) of all turns of the assistant.
    #[must_use]
    pub fn assistant_mask(&self) -> Vec<bool> {
        self.completion_mask(|_, role| role == Role::Assistant)
    }

    /// [`completion_mask`](Self::completion_mask) of the assistant's last turn.
    #[must_use]
    pub fn last_assistant_mask(&self) -> Vec<bool> {
        let last = self.turns.iter().rposition(|turn| turn.role == Role::Assistant);
        self.completion_mask(|index, _| Some(index) == last)
    }
}

/// Renders, locates and tokenizes a conversation.
pub(crate) fn encode(
    tokenizer: &ChatTokenizer,
    messages: &[Message],
    options: &RenderOptions,
) -> Result<TurnSpans, TokenizerError> {
    let (tokens, spans) = locate(tokenizer, messages, options, |_| true)?;
    let turns = spans
        .iter()
        .map(|located| span(tokenizer, located, &spans, &tokens))
        .collect::<Result<_, _>>()?;
    Ok(TurnSpans { ids: tokens.ids, turns })
}

/// The tokens of the last message alone, end of turn included.
pub(crate) fn encode_last(
    tokenizer: &ChatTokenizer,
    messages: &[Message],
    options: &RenderOptions,
) -> Result<Vec<u32>, TokenizerError> {
    let last = messages.len().saturating_sub(1);
    let (tokens, spans) = locate(tokenizer, messages, options, |index| index == last)?;
    match spans.as_slice() {
        [located] => Ok(tokens.ids[span(tokenizer, located, &spans, &tokens)?.tokens].to_vec()),
        _ => Ok(Vec::new()),
    }
}

/// A message and the bytes of the text that its content takes.
struct Located {
    index: usize,
    role: Role,
    bytes: Range<usize>,
}

fn locate(
    tokenizer: &ChatTokenizer,
    messages: &[Message],
    options: &RenderOptions,
    wanted: impl Fn(usize) -> bool,
) -> Result<(Tokens, Vec<Located>), TokenizerError> {
    if options.add_generation_prompt || options.continue_final_message {
        return Err(TokenizerError::InvalidOptions(
            "the turns of a conversation are those of finished messages: neither a generation \
             prompt nor a continuation goes with them"
                .to_owned(),
        ));
    }
    let options = options.pinned();
    let located = locate::locate(|marked| tokenizer.render(marked, &options), messages, wanted)?;
    let spans: Vec<Located> = located
        .spans
        .into_iter()
        .enumerate()
        .filter_map(|(index, bytes)| {
            Some(Located { index, role: messages[index].role, bytes: bytes? })
        })
        .collect();
    Ok((Tokens::of(tokenizer, &located.text, &spans)?, spans))
}

/// Token ids and the bytes of the text that they cover.
struct Tokens {
    ids: Vec<u32>,
    offsets: Vec<Range<usize>>,
    text_len: usize,
}

impl Tokens {
    /// Tokenizes the text, in one piece if no token reaches into an assistant's turn from before.
    fn of(
        tokenizer: &ChatTokenizer,
        text: &str,
        spans: &[Located],
    ) -> Result<Self, TokenizerError> {
        let (ids, offsets) = tokenizer.encode_with_offsets(text)?;
        let mut cuts = Vec::new();
        for &Located { index, role, ref bytes } in spans {
            let reaches_in = |o: &Range<usize>| o.start < bytes.start && bytes.start < o.end;
            if role != Role::Assistant || !offsets.iter().any(reaches_in) {
                continue;
            }
            if !tokenizer.is_byte_level() {
                let problem = "a token reaches from the header of the turn into its content; let \
                               the content start with a visible character"
                    .to_owned();
                return Err(TokenizerError::Turn { index, role, problem });
            }
            cuts.push(bytes.start);
        }
        if cuts.is_empty() {
            return Ok(Self { ids, offsets, text_len: text.len() });
        }
        cuts.sort_unstable();
        let mut pieces = Self { ids: Vec::new(), offsets: Vec::new(), text_len: text.len() };
        let mut start = 0;
        for end in cuts.into_iter().chain([text.len()]) {
            let (ids, offsets) = tokenizer.encode_with_offsets(&text[start..end])?;
            pieces.ids.extend(ids);
            pieces.offsets.extend(offsets.iter().map(|o| o.start + start..o.end + start));
            start = end;
        }
        Ok(pieces)
    }

    /// The first token from `from` on for which `found` holds, or the number of tokens.
    fn first(&self, from: usize, found: impl Fn(&Range<usize>) -> bool) -> usize {
        let hit = self.offsets[from..].iter().position(found);
        hit.map_or(self.ids.len(), |at| from + at)
    }
}

/// The tokens of a message among those of its conversation.
fn span(
    tokenizer: &ChatTokenizer,
    located: &Located,
    all: &[Located],
    tokens: &Tokens,
) -> Result<TurnSpan, TokenizerError> {
    let &Located { index, role, bytes: Range { start, end } } = located;
    let first = tokens.first(0, |o| o.end > start);
    let behind = tokens.first(first, |o| o.start >= end);
    // The end of the turn stands before whatever message comes next in the text.
    let others = all.iter().filter(|other| other.index != index);
    let next = others.map(|other| other.bytes.start).filter(|&other| other >= end).min();
    let limit = next.unwrap_or(tokens.text_len);
    let stop = (behind..tokens.ids.len())
        .take_while(|&at| tokens.offsets[at].start < limit)
        .find(|&at| tokenizer.stop_ids().contains(&tokens.ids[at]));
    let tokens = match (stop, role) {
        (Some(stop), _) => first..stop + 1,
        (None, Role::User | Role::System) => first..behind,
        (None, Role::Assistant) => {
            let names: Vec<String> =
                tokenizer.stop_ids().iter().filter_map(|&id| tokenizer.token(id)).collect();
            let problem = format!(
                "the template ends the turn with none of the stop tokens ({})",
                names.join(", ")
            );
            return Err(TokenizerError::Turn { index, role, problem });
        }
    };
    Ok(TurnSpan { role, tokens, content: first..behind })
}
