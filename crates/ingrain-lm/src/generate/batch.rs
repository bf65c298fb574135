//! Continuous batching: rows join and leave between steps.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::row::Row;
use super::slots::{Slots, WORTH_SHARING, common};
use super::{Generation, Prompt, Token};
use crate::{CausalLm, LmError, Variant};

/// Tokens, padding included, that one pass over prompts reads.
const READ_TOKENS: usize = 1024;

/// Sees each new token of a row, with all of the row's new tokens; `Break` ends the reply there.
pub type OnToken<'a> = dyn FnMut(u64, &Token, &[u32]) -> ControlFlow<()> + 'a;

/// Rows that are decoded together, and those that wait for a slot.
///
/// A slot that becomes free is given to the next row at once. Prompts that begin alike are read once:
/// whatever a slot holds, of a row at work or of one that has left, is copied to the next row that
/// begins with it under the same [`Variant`].
///
/// Rows of several variants share cache and slots; a step runs one pass over the weights for each
/// variant present, so that two adapters at once cost two passes a token.
#[derive(Debug)]
pub struct Batch {
    model: CausalLm,
    /// For prompts that name none.
    variant: Arc<Variant>,
    stop_ids: Vec<u32>,
    slots: Slots,
    rows: Vec<Row>,
    waiting: VecDeque<Row>,
}

impl Batch {
    /// An empty batch of at most `max_rows` rows, with room for `columns` tokens in each; it grows where
    /// that is not enough.
    #[must_use]
    pub fn new(
        model: &CausalLm,
        variant: Arc<Variant>,
        stop_ids: &[u32],
        max_rows: usize,
        columns: usize,
    ) -> Self {
        Self {
            model: model.clone(),
            variant,
            stop_ids: stop_ids.to_vec(),
            slots: Slots::new(model, max_rows.max(1), columns),
            rows: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Rows that may still join without waiting for others to leave.
    #[must_use]
    pub fn room(&self) -> usize {
        self.slots.len().saturating_sub(self.rows.len() + self.waiting.len())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.waiting.is_empty()
    }

    /// Puts a prompt in line. `id` is the caller's name for it.
    ///
    /// A reply ends where the context does, with [`ingrain_chat::FinishReason::Length`].
    ///
    /// # Errors
    /// [`LmError::Tokens`] if the prompt is empty or holds a token that the model does not have,
    /// [`LmError::TooLong`] if it fills the whole context.
    pub fn admit(&mut self, id: u64, prompt: Prompt) -> Result<(), LmError> {
        let config = self.model.config();
        self.model.check_tokens("the prompt", &prompt.ids)?;
        self.model.check_length("the prompt with one new token", prompt.ids.len() + 1)?;
        let room = config.max_position - prompt.ids.len();
        self.waiting.push_back(Row::new(id, prompt, &self.variant, config.vocab_size, room));
        Ok(())
    }

    /// Drops a row, waiting or at work; nothing is reported of it any more.
    pub fn cancel(&mut self, id: u64) {
        self.waiting.retain(|row| row.id != id);
        for row in self.rows.extract_if(.., |row| row.id == id) {
            self.slots.release(row.slot);
        }
    }

    /// Reads the prompts that there are slots for, then gives every row one more token.
    pub fn step(&mut self, on_token: &mut OnToken<'_>, on_done: &mut dyn FnMut(u64, Generation)) {
        let mut deferred = std::mem::take(&mut self.waiting);
        while let Some(row) = deferred.pop_front() {
            match row.finish {
                Some(_) => on_done(row.id, row.into_generation()),
                None => self.waiting.push_back(row),
            }
        }
        let mut going = std::mem::take(&mut self.rows);
        while self.slots.has_free() && !self.waiting.is_empty() {
            for rows in self.join() {
                let rows = self.advance(rows, on_token);
                self.settle(rows, on_done);
            }
        }
        while !going.is_empty() {
            let variant = going[0].variant.clone();
            let alike = |row: &mut Row| Arc::ptr_eq(&row.variant, &variant);
            let group = going.extract_if(.., alike).collect();
            let rows = self.advance(group, on_token);
            self.settle(rows, on_done);
        }
    }

    /// Gives slots to waiting rows, and groups them for passes over what their slots do not hold yet.
    ///
    /// A row that begins like one that joins in this round waits for the next, when it can share it.
    fn join(&mut self) -> Vec<Vec<Row>> {
        let mut joined: Vec<Row> = Vec::new();
        let mut later = VecDeque::new();
        while let Some(mut row) = self.waiting.pop_front() {
            let held = self.slots.longest_beginning(&row.tokens, &row.variant).map_or(0, |b| b.1);
            let soon = joined
                .iter()
                .filter(|other| Arc::ptr_eq(&other.variant, &row.variant))
                .map(|other| common(&other.tokens, &row.tokens[..row.tokens.len() - 1]));
            let worth = soon.max().is_some_and(|soon| soon >= held + WORTH_SHARING);
            match if worth { None } else { self.slots.assign(&row.tokens, &row.variant) } {
                Some(slot) => {
                    row.slot = slot;
                    joined.push(row);
                }
                None => later.push_back(row),
            }
        }
        self.waiting = later;
        self.group(joined)
    }

    /// Rows that go into one pass: of one variant, all or none of them new to their slots, of similar
    /// length.
    fn group(&self, mut rows: Vec<Row>) -> Vec<Vec<Row>> {
        let unread = |row: &Row| row.tokens.len() - self.slots.held(row.slot);
        let kind = |row: &Row| (Arc::as_ptr(&row.variant), self.slots.held(row.slot) == 0);
        let mut groups: Vec<Vec<Row>> = Vec::new();
        rows.sort_by_key(unread);
        for row in rows {
            // Rows come in order of length, so the newest is the longest of its group.
            let fits = |group: &&mut Vec<Row>| {
                kind(&group[0]) == kind(&row) && (group.len() + 1) * unread(&row) <= READ_TOKENS
            };
            match groups.iter_mut().find(fits) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups
    }

    /// One pass over rows of one variant: reads what their slots do not hold yet, chooses the next token
    /// of each.
    fn advance(&mut self, mut rows: Vec<Row>, on_token: &mut OnToken<'_>) -> Vec<Row> {
        let unread: Vec<(usize, &[u32])> =
            rows.iter().map(|row| (row.slot, &row.tokens[self.slots.held(row.slot)..])).collect();
        let seq = unread.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        let overlay = rows[0].variant.overlay();
        let mut hidden = self.model.read(&unread, overlay, &mut self.slots.cache);
        for (slot, ids) in &unread {
            self.slots.extend(*slot, ids);
        }
        if seq > 1 {
            let last = unread.iter().enumerate().map(|(row, (_, ids))| row * seq + ids.len() - 1);
            let last: Vec<i32> = last.map(|at| at as i32).collect();
            let data = TensorData::new(last, [rows.len()]);
            hidden = hidden.select(0, Tensor::from_data(data, self.model.device()));
        }
        let logits = self.model.read_out(hidden).into_data();
        let mut logits = logits.convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        let vocab = self.model.config().vocab_size;
        let stop_ids = &self.stop_ids;
        let take = |(row, logits): (&mut Row, &mut [f32])| row.take(logits, stop_ids);
        let tokens: Vec<Token> =
            rows.par_iter_mut().zip(logits.par_chunks_mut(vocab)).map(take).collect();
        for (row, token) in rows.iter_mut().zip(&tokens) {
            let flow = on_token(row.id, token, row.new_tokens());
            if flow.is_break() && row.finish.is_none() {
                row.finish = Some(ingrain_chat::FinishReason::Stop);
            }
        }
        rows
    }

    /// Sends finished rows off; the others go on.
    fn settle(&mut self, rows: Vec<Row>, on_done: &mut dyn FnMut(u64, Generation)) {
        for row in rows {
            if row.finish.is_some() {
                self.slots.release(row.slot);
                on_done(row.id, row.into_generation());
            } else {
                self.rows.push(row);
            }
        }
    }
}
