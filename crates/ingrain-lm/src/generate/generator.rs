//! Many prompts, one batch after another's rows.

use std::ops::ControlFlow;
use std::sync::Arc;

use ingrain_run::Interrupt;

use super::{Batch, Generation, Prompt};
use crate::{CausalLm, LmError, Overlay, Variant};

/// Columns that the cache begins with at most; it grows if replies become longer.
const FIRST_COLUMNS: usize = 1024;

/// Continues many prompts at once.
///
/// Prompts are sorted by length and join a [`Batch`] as slots become free; each carries its own random
/// stream, so its reply depends on its seed and not on its neighbours (up to ties between the two best
/// tokens closer than rounding). The same prompts give the same replies, to the bit.
#[derive(Clone, Debug)]
pub struct Generator<'a> {
    /// The model.
    pub model: &'a CausalLm,
    /// What is laid over the weights for prompts that name no variant of their own.
    pub overlay: Overlay<'a>,
    /// Tokens that end a reply.
    pub stop_ids: &'a [u32],
    /// Rows decoded together. More is faster until memory bandwidth no longer binds.
    pub max_batch: usize,
    /// Looked at between tokens.
    pub interrupt: Interrupt,
}

impl Generator<'_> {
    /// Runs all prompts; calls `on_done` with the index of each as it finishes.
    ///
    /// `halt` sees a request's index and its tokens after each new one, and ends it by returning
    /// `true`: this is where text is streamed and stop texts are looked for. After an interrupt,
    /// unfinished requests get no call.
    ///
    /// # Errors
    /// Before anything is generated: [`LmError::Tokens`] if a prompt is empty or holds a token that the
    /// model does not have, [`LmError::TooLong`] if it fills the whole context.
    pub fn run(
        &self,
        prompts: &[Prompt],
        halt: &dyn Fn(usize, &[u32]) -> bool,
        on_done: &mut dyn FnMut(usize, Generation),
    ) -> Result<(), LmError> {
        for (index, prompt) in prompts.iter().enumerate() {
            let what = format!("prompt {index}");
            self.model.check_tokens(&what, &prompt.ids)?;
            self.model.check_length(&what, prompt.ids.len() + 1)?;
        }
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        // Prompts that begin alike stand side by side.
        order.sort_by(|&a, &b| {
            let key = |i: usize| (prompts[i].ids.len(), &prompts[i].ids);
            key(a).cmp(&key(b))
        });
        let mut order = order.into_iter();
        let mut batch = self.batch(prompts);
        while !self.interrupt.is_requested() {
            for index in order.by_ref().take(batch.room()) {
                batch.admit(index as u64, prompts[index].clone())?;
            }
            if batch.is_empty() {
                break;
            }
            batch.step(
                &mut |id, _, tokens| match halt(id as usize, tokens) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                },
                &mut |id, generation| on_done(id as usize, generation),
            );
        }
        Ok(())
    }

    fn batch(&self, prompts: &[Prompt]) -> Batch {
        let wanted = |p: &Prompt| p.ids.len().saturating_add(p.sampling.max_new_tokens);
        let columns = prompts.iter().map(wanted).max().unwrap_or(0).min(FIRST_COLUMNS);
        let rows = self.max_batch.clamp(1, prompts.len().max(1));
        let variant = Arc::new(Variant::from(self.overlay));
        Batch::new(self.model, variant, self.stop_ids, rows, columns)
    }
}
