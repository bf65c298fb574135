//! Replies of the models under evaluation, kept so that they are asked for once.

use std::borrow::Cow;

use ingrain_chat::{ChatError, ChatModel, ChatRequest, FinishReason, Message, Sampling};
use ingrain_run::{Event, JsonlStore, Keyed, derive_seed};
use serde::{Deserialize, Serialize};

use crate::numbers::content_hash;
use crate::{EvalError, SuiteRun};

/// So many failures without a success between, and generation stops.
const GIVE_UP_AFTER: usize = 16;

/// One reply, as a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) key: String,
    /// The last message of the conversation that it answers, for people who read the file.
    pub(crate) asked: String,
    /// Hash of the whole conversation.
    pub(crate) prompt: String,
    pub(crate) reply: String,
    /// Whether it ended by itself.
    pub(crate) finished: bool,
}

impl Keyed for Reply {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.key)
    }
}

/// A conversation to continue, under a name of its own.
pub(crate) struct Prompt {
    pub(crate) key: String,
    pub(crate) messages: Vec<Message>,
}

/// The reply to each prompt, `None` where the model failed; from `replies.jsonl` where it is there.
pub(crate) fn collect(
    run: &SuiteRun<'_>,
    stage: &str,
    model: &dyn ChatModel,
    sampling: &Sampling,
    prompts: &[Prompt],
) -> Result<Vec<Option<String>>, EvalError> {
    let path = run.dir.join("replies.jsonl");
    std::fs::create_dir_all(run.dir)
        .map_err(|error| ingrain_run::RunError::io(run.dir, "create", error))?;
    let mut store = JsonlStore::<Reply>::open(&path)?;
    for prompt in prompts {
        let hash = content_hash(&prompt.messages);
        if store.get(&prompt.key)?.is_some_and(|reply| reply.prompt != hash) {
            return Err(EvalError::OtherPrompts { path });
        }
    }
    let open: Vec<usize> =
        (0..prompts.len()).filter(|&i| !store.contains(&prompts[i].key)).collect();
    let (total, unit) = (Some(prompts.len() as u64), "replies".to_owned());
    run.observer.on_event(&Event::StageStarted { stage: stage.to_owned(), total, unit });
    let (mut failures, mut tokens) = (0, 0);
    let mut done = (prompts.len() - open.len()) as u64;
    for batch in open.chunks(run.batch_size.max(1)) {
        if run.interrupt.is_requested() {
            return Err(EvalError::Interrupted);
        }
        let request = |&i: &usize| {
            let seed = derive_seed(run.seed, stage, i as u64);
            ChatRequest::new(prompts[i].messages.clone(), Sampling { seed, ..sampling.clone() })
        };
        let requests: Vec<ChatRequest> = batch.iter().map(request).collect();
        let mut stop = None;
        model.complete(&requests, &mut |at, reply| {
            let (Some(&i), None) = (batch.get(at), &stop) else { return };
            match reply {
                Ok(reply) => {
                    failures = 0;
                    tokens += (reply.prompt_tokens + reply.completion_tokens) as u64;
                    let Prompt { key, messages } = &prompts[i];
                    let record = Reply {
                        key: key.clone(),
                        asked: messages.last().map_or_else(String::new, |m| m.content.clone()),
                        prompt: content_hash(messages),
                        reply: reply.text,
                        finished: reply.finish == FinishReason::Stop,
                    };
                    done += 1;
                    stop = store.append(&record).err().map(EvalError::from);
                }
                Err(ChatError::Interrupted) => stop = Some(EvalError::Interrupted),
                Err(source) => {
                    failures += 1;
                    if failures >= GIVE_UP_AFTER {
                        stop = Some(EvalError::Replies { stage: stage.to_owned(), source });
                    }
                }
            }
        });
        if let Some(error) = stop {
            return Err(error);
        }
        run.observer.on_event(&Event::Progress { stage: stage.to_owned(), done, tokens });
    }
    store.sync()?;
    let replies = prompts.iter().map(|prompt| Ok(store.get(&prompt.key)?.map(|r| r.reply)));
    replies.collect()
}
