//! The thread that owns the batch.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};

use ingrain_chat::FinishReason;
use ingrain_lm::{Adapter, Batch, LocalModel, Token, Variant};
use ingrain_serve::{Event, Input, Job, Refusal, Replies};

use super::going::Going;
use super::variants::Variants;

/// Tokens, padding included, of the prompts that one pass scores.
const SCORE_TOKENS: usize = 1024;

/// Columns that the cache begins with.
const FIRST_COLUMNS: usize = 512;

pub(super) struct Worker<'t> {
    model: &'t LocalModel,
    variants: Variants,
    batch: Batch,
    /// Prompts to be scored before, or instead of, being continued.
    to_score: VecDeque<Going<'t>>,
    /// Prompts to be continued, in the order of arrival.
    waiting: VecDeque<Going<'t>>,
    going: HashMap<u64, Going<'t>>,
    next_id: u64,
}

impl<'t> Worker<'t> {
    /// Works until the other end of `incoming` is gone.
    pub(super) fn run(
        model: &'t LocalModel,
        name: String,
        adapters: Vec<(String, Adapter)>,
        incoming: &mpsc::Receiver<(Job, Replies)>,
    ) {
        let stop_ids = model.tokenizer.stop_ids();
        let rows = model.max_batch;
        let mut worker = Worker {
            model,
            variants: Variants::new(name, adapters),
            batch: Batch::new(&model.model, Variant::new(None), stop_ids, rows, FIRST_COLUMNS),
            to_score: VecDeque::new(),
            waiting: VecDeque::new(),
            going: HashMap::new(),
            next_id: 0,
        };
        loop {
            if worker.is_idle() {
                match incoming.recv() {
                    Ok((job, replies)) => worker.take(job, replies),
                    Err(_) => return,
                }
            }
            loop {
                match incoming.try_recv() {
                    Ok((job, replies)) => worker.take(job, replies),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return worker.refuse_all(),
                }
            }
            worker.score();
            worker.step();
        }
    }

    fn is_idle(&self) -> bool {
        self.to_score.is_empty() && self.waiting.is_empty() && self.batch.is_empty()
    }

    /// Accepts a job or says why not.
    fn take(&mut self, job: Job, replies: Replies) {
        match self.prepare(&job) {
            Ok((ids, variant)) => {
                let heard = replies.send(Event::Started { prompt_tokens: ids.len() });
                if !heard {
                    return;
                }
                let Job { sampling, logprobs, echo, .. } = job;
                let tokenizer = &*self.model.tokenizer;
                let going = Going::new(ids, sampling, variant, logprobs, tokenizer, replies);
                if echo { self.to_score.push_back(going) } else { self.waiting.push_back(going) }
            }
            Err(refusal) => {
                let _ = replies.send(Event::Failed(refusal));
            }
        }
    }

    fn prepare(&mut self, job: &Job) -> Result<(Vec<u32>, Arc<Variant>), Refusal> {
        let variant = self.variants.get(&job.model, job.strength).ok_or(Refusal::NoSuchModel)?;
        let (tokenizer, model) = (&self.model.tokenizer, &self.model.model);
        let invalid = |error: &dyn std::fmt::Display| Refusal::Invalid(error.to_string());
        let ids = match &job.input {
            Input::Chat(messages) => self.model.prompt_ids(messages).map_err(|e| invalid(&e))?,
            Input::Text(text) => tokenizer.encode(text, true).map_err(|e| invalid(&e))?,
            Input::Tokens(ids) => ids.clone(),
        };
        model.check_tokens("the prompt", &ids).map_err(|e| invalid(&e))?;
        // A request that names no bound may fill the context.
        let wanted = match job.sampling.max_new_tokens {
            usize::MAX => 1,
            wanted => wanted,
        };
        let what = format!("the prompt ({} tokens) with {wanted} new tokens", ids.len());
        let tokens = ids.len().saturating_add(wanted);
        model.check_length(&what, tokens).map_err(|e| invalid(&e))?;
        Ok((ids, variant))
    }

    /// One pass over prompts that are to be echoed.
    fn score(&mut self) {
        let Some(first) = self.to_score.front() else { return };
        let (variant, alternatives) = (first.variant.clone(), first.logprobs);
        let (mut group, mut longest): (Vec<Going<'t>>, usize) = (Vec::new(), 0);
        while let Some(next) = self.to_score.pop_front() {
            let width = longest.max(next.ids.len());
            let alike = Arc::ptr_eq(&next.variant, &variant) && next.logprobs == alternatives;
            if !alike || (!group.is_empty() && (group.len() + 1) * width > SCORE_TOKENS) {
                self.to_score.push_front(next);
                break;
            }
            longest = width;
            if next.is_wanted() {
                group.push(next);
            }
        }
        let scored = if alternatives.is_some() || group.iter().any(Going::ends_with_prompt) {
            let texts: Vec<&[u32]> = group.iter().map(|going| going.ids.as_slice()).collect();
            let count = alternatives.unwrap_or(0);
            match self.model.model.score_texts(&texts, count, variant.overlay()) {
                Ok(scored) => scored.into_iter().map(Some).collect(),
                Err(error) => {
                    let broken = Refusal::Broken(error.to_string());
                    return group.into_iter().for_each(|going| going.refuse(broken.clone()));
                }
            }
        } else {
            vec![None; group.len()]
        };
        for (mut going, scored) in group.into_iter().zip(scored) {
            if let Err(refusal) = going.echo(scored.as_ref().filter(|_| alternatives.is_some())) {
                going.refuse(refusal);
            } else if let Some(scored) = scored.filter(|_| going.ends_with_prompt()) {
                let wanted = going.sampling.max_new_tokens;
                let mut finish = FinishReason::Length;
                if let Some(&(id, logprob)) = scored.next.first().filter(|_| wanted == 1) {
                    let alternatives = scored.next[..alternatives.unwrap_or(0)].to_vec();
                    let met = going.push(&Token { id, logprob, alternatives }).is_break();
                    if met || self.model.tokenizer.stop_ids().contains(&id) {
                        finish = FinishReason::Stop;
                    }
                }
                going.finish(finish, wanted);
            } else {
                self.waiting.push_back(going);
            }
        }
    }

    /// One token for everything that is being continued.
    fn step(&mut self) {
        while self.batch.room() > 0 {
            let Some(going) = self.waiting.pop_front() else { break };
            if !going.is_wanted() {
                continue;
            }
            self.next_id += 1;
            match self.batch.admit(self.next_id, going.prompt()) {
                Ok(()) => {
                    self.going.insert(self.next_id, going);
                }
                Err(error) => going.refuse(Refusal::Invalid(error.to_string())),
            }
        }
        let mut done = Vec::new();
        let going = &mut self.going;
        self.batch.step(
            &mut |id, token, _| match going.get_mut(&id) {
                Some(going) => going.push(token),
                None => ControlFlow::Break(()),
            },
            &mut |id, generation| done.push((id, generation)),
        );
        for (id, generation) in done {
            if let Some(going) = self.going.remove(&id) {
                going.finish(generation.finish, generation.token_ids.len());
            }
        }
    }

    fn refuse_all(self) {
        let rest = self.to_score.into_iter().chain(self.waiting).chain(self.going.into_values());
        rest.for_each(|going| going.refuse(Refusal::Stopping));
    }
}
