//! A local model, with adapters under names of their own, as the engine of a server.

mod going;
mod variants;
mod worker;

use std::sync::mpsc;
use std::thread::JoinHandle;

use ingrain_lm::{Adapter, LocalModel};
use ingrain_serve::{Engine, Event, Job, ModelCard, Refusal, Replies};

use worker::Worker;

/// Serves one base model and any number of adapters on it from one batch, in a thread of its own.
///
/// Dropping it ends the thread; jobs that are not done then are refused.
pub struct LocalEngine {
    jobs: Option<mpsc::Sender<(Job, Replies)>>,
    thread: Option<JoinHandle<()>>,
    cards: Vec<ModelCard>,
}

impl LocalEngine {
    /// An engine for `base` under the name `name`, and for `adapters` under theirs.
    ///
    /// As many requests as `base.max_batch` are decoded together. Requests for several adapters, or for
    /// several strengths of one, share the batch, but each needs a pass over the weights of its own.
    #[must_use]
    pub fn new(base: &LocalModel, name: &str, adapters: Vec<(String, Adapter)>) -> Self {
        let context = base.model.config().max_position;
        let card = |id: &str, has_adapter| ModelCard { id: id.to_owned(), has_adapter, context };
        let mut cards = vec![card(name, false)];
        cards.extend(adapters.iter().map(|(id, _)| card(id, true)));
        let (jobs, incoming) = mpsc::channel();
        let (base, name) = (base.clone(), name.to_owned());
        let thread = std::thread::spawn(move || Worker::run(&base, name, adapters, &incoming));
        Self { jobs: Some(jobs), thread: Some(thread), cards }
    }
}

impl Engine for LocalEngine {
    fn models(&self) -> Vec<ModelCard> {
        self.cards.clone()
    }

    fn submit(&self, job: Job, replies: Replies) {
        let sent = match &self.jobs {
            Some(jobs) => {
                jobs.send((job, replies)).map_err(|mpsc::SendError((_, replies))| replies)
            }
            None => Err(replies),
        };
        if let Err(replies) = sent {
            // Whether anybody hears it makes no difference any more.
            let _ = replies.send(Event::Failed(Refusal::Stopping));
        }
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
