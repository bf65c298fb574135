//! The same continuation under two prompts.

use std::ops::Range;

use ingrain_chat::Message;
use ingrain_lm::{BlockStates, CausalLm, LmError, LocalModel, Overlay};

use crate::SteeringError;

/// Tokens, padding included, of the texts that one pass reads.
const PASS_TOKENS: usize = 2048;

/// One continuation, to be read with and without the character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// Prompt that asks for the character.
    pub with: Vec<u32>,
    /// Prompt that does not.
    pub without: Vec<u32>,
    /// What both are continued by.
    pub continuation: Vec<u32>,
}

impl Contrast {
    /// `question` with and without `system`, both answered by `reply`.
    ///
    /// # Errors
    /// [`LmError::Tokenizer`] if the chat template refuses the conversation.
    pub fn new(
        model: &LocalModel,
        system: &str,
        question: &str,
        reply: &str,
    ) -> Result<Self, LmError> {
        let user = Message::user(question);
        Ok(Self {
            with: model.prompt_ids(&[Message::system(system), user.clone()])?,
            without: model.prompt_ids(&[user])?,
            continuation: model.tokenizer.encode(reply, false)?,
        })
    }

    /// One of the prompts with the continuation, and which of the tokens are the continuation's.
    #[must_use]
    pub fn text(&self, with: bool) -> (Vec<u32>, Range<usize>) {
        let prompt = if with { &self.with } else { &self.without };
        let ids = [prompt.as_slice(), &self.continuation].concat();
        let range = prompt.len()..ids.len();
        (ids, range)
    }
}

/// Differences of the residual stream with and without the character, behind each of `blocks`:
/// `[pairs, hidden]`, a pair for every `every`-th token of each continuation.
///
/// The state at a token is that of the continuation cut off there, so one pass over a continuation is a
/// pair for each of its truncations.
pub(crate) fn differences(
    model: &CausalLm,
    contrasts: &[Contrast],
    blocks: Range<usize>,
    every: usize,
    overlay: Overlay<'_>,
) -> Result<Vec<BlockStates>, SteeringError> {
    let width = model.config().hidden_size;
    let empty = |block| BlockStates { block, values: Vec::new() };
    let mut all: Vec<BlockStates> = blocks.clone().map(empty).collect();
    for group in groups(contrasts) {
        let read = |with: bool| -> Result<Vec<BlockStates>, LmError> {
            let texts: Vec<_> = group.iter().map(|contrast| contrast.text(with)).collect();
            let texts: Vec<(&[u32], Range<usize>)> =
                texts.iter().map(|(ids, range)| (ids.as_slice(), range.clone())).collect();
            model.states(&texts, blocks.clone(), overlay)
        };
        let (with, without) = (read(true)?, read(false)?);
        // Every `every`-th token of each continuation, the last one always among them.
        let mut taken = Vec::new();
        let mut first = 0;
        for contrast in group {
            let len = contrast.continuation.len();
            taken.extend((0..len).rev().step_by(every.max(1)).map(|at| first + at));
            first += len;
        }
        for ((all, with), without) in all.iter_mut().zip(&with).zip(&without) {
            for &at in &taken {
                let row = at * width..(at + 1) * width;
                let pair = with.values[row.clone()].iter().zip(&without.values[row]);
                all.values.extend(pair.map(|(with, without)| with - without));
            }
        }
    }
    Ok(all)
}

/// Runs of contrasts that fit one pass.
fn groups(contrasts: &[Contrast]) -> Vec<&[Contrast]> {
    let len = |c: &Contrast| c.with.len().max(c.without.len()) + c.continuation.len();
    let (mut groups, mut rest) = (Vec::new(), contrasts);
    while !rest.is_empty() {
        let (mut count, mut longest) = (0, 0);
        while let Some(next) = rest.get(count) {
            longest = longest.max(len(next));
            if count > 0 && (count + 1) * longest > PASS_TOKENS {
                break;
            }
            count += 1;
        }
        let (now, later) = rest.split_at(count);
        groups.push(now);
        rest = later;
    }
    groups
}
