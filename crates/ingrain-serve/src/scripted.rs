//! An engine for tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ingrain_chat::FinishReason;

use crate::{Engine, Event, Input, Job, ModelCard, Refusal, Replies, TokenText};

/// Answers every prompt with the prompt's last text in upper case, one word an event.
///
/// One thread does all jobs in turn, word by word, as a batch would: none waits for another to end.
/// Dropping the engine ends its thread.
pub struct ScriptedEngine {
    jobs: Option<mpsc::Sender<(Job, Replies)>>,
    thread: Option<JoinHandle<()>>,
    at_work: Arc<AtomicUsize>,
}

struct Going {
    words: Vec<String>,
    said: usize,
    limit: usize,
    logprobs: bool,
    replies: Replies,
}

impl ScriptedEngine {
    /// An engine that takes `pause` for a word of each of its jobs.
    #[must_use]
    pub fn new(pause: Duration) -> Self {
        let (jobs, incoming) = mpsc::channel();
        let at_work = Arc::new(AtomicUsize::new(0));
        let counter = at_work.clone();
        let thread = std::thread::spawn(move || work(&incoming, pause, &counter));
        Self { jobs: Some(jobs), thread: Some(thread), at_work }
    }

    /// Jobs that have not come to an end.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.at_work.load(Ordering::SeqCst)
    }
}

impl Engine for ScriptedEngine {
    fn models(&self) -> Vec<ModelCard> {
        let card = |id: &str, has_adapter| ModelCard { id: id.into(), has_adapter, context: 1000 };
        vec![card("plain", false), card("loud", true)]
    }

    fn submit(&self, job: Job, replies: Replies) {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        if let Some(jobs) = &self.jobs {
            // The thread lives as long as the engine.
            let _ = jobs.send((job, replies));
        }
    }
}

impl Drop for ScriptedEngine {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(incoming: &mpsc::Receiver<(Job, Replies)>, pause: Duration, at_work: &AtomicUsize) {
    let mut going: Vec<Going> = Vec::new();
    loop {
        if going.is_empty() {
            match incoming.recv() {
                Ok((job, replies)) => going.extend(begin(job, replies, at_work)),
                Err(_) => return,
            }
        }
        while let Ok((job, replies)) = incoming.try_recv() {
            going.extend(begin(job, replies, at_work));
        }
        if !going.is_empty() {
            std::thread::sleep(pause);
        }
        going.retain_mut(|job| {
            let goes_on = job.advance();
            at_work.fetch_sub(usize::from(!goes_on), Ordering::SeqCst);
            goes_on
        });
    }
}

fn begin(job: Job, replies: Replies, at_work: &AtomicUsize) -> Option<Going> {
    let text = match &job.input {
        Input::Chat(messages) => messages.last().map(|m| m.content.clone()).unwrap_or_default(),
        Input::Text(text) => text.clone(),
        Input::Tokens(ids) => ids.iter().map(|id| format!("{id} ")).collect(),
    };
    let refusal = match job.model.as_str() {
        "plain" | "loud" if text.len() <= 1000 => None,
        "plain" | "loud" => Some(Refusal::Invalid("the prompt is too long".into())),
        _ => Some(Refusal::NoSuchModel),
    };
    let words: Vec<String> = text.split_inclusive(' ').map(str::to_uppercase).collect();
    let limit = job.sampling.max_new_tokens;
    let first = match refusal {
        Some(refusal) => Event::Failed(refusal),
        None => Event::Started { prompt_tokens: words.len() },
    };
    let failed = matches!(first, Event::Failed(_));
    if !replies.send(first) || failed {
        at_work.fetch_sub(1, Ordering::SeqCst);
        return None;
    }
    let going = Going { words, said: 0, limit, logprobs: job.logprobs.is_some(), replies };
    if job.echo {
        let tokens = if going.logprobs { scored(&text) } else { Vec::new() };
        let _ = going.replies.send(Event::Text { text, tokens });
    }
    Some(going)
}

fn scored(text: &str) -> Vec<TokenText> {
    let token = |(index, word): (usize, &str)| TokenText {
        text: word.to_owned(),
        logprob: (index > 0).then_some(-1.0),
        alternatives: if index > 0 { vec![("best".into(), -0.5)] } else { Vec::new() },
    };
    text.split_inclusive(' ').enumerate().map(token).collect()
}

impl Going {
    /// Says a word; `false` when there is nothing left to say or nobody to say it to.
    fn advance(&mut self) -> bool {
        if let Some(word) = self.words.get(self.said).filter(|_| self.said < self.limit) {
            self.said += 1;
            let token =
                TokenText { text: word.clone(), logprob: Some(-0.25), alternatives: Vec::new() };
            let tokens = if self.logprobs { vec![token] } else { Vec::new() };
            return self.replies.send(Event::Text { text: word.clone(), tokens });
        }
        let finish =
            if self.said < self.words.len() { FinishReason::Length } else { FinishReason::Stop };
        let _ = self.replies.send(Event::Done { finish, completion_tokens: self.said });
        false
    }
}
