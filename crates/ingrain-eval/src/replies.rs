//! Replies of the models under evaluation, kept so that they are asked for once.

use std::borrow::Cow;

use ingrain_chat::{ChatModel, ChatReply, FinishReason, Sampling};
use ingrain_data::{DataError, Generation, continue_each};
use ingrain_run::{JsonlStore, Keyed};
use serde::{Deserialize, Serialize};

use crate::numbers::content_hash;
use crate::{EvalError, SuiteRun};

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

/// A conversation to continue.
pub(crate) use ingrain_data::OpenConversation as Prompt;

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
    let generation = Generation {
        stage,
        model,
        sampling: sampling.clone(),
        seed: run.seed,
        batch_size: run.batch_size,
        observer: run.observer,
        interrupt: run.interrupt,
    };
    let record = |i: usize, reply: ChatReply| {
        let Prompt { key, messages } = &prompts[i];
        Reply {
            key: key.clone(),
            asked: messages.last().map_or_else(String::new, |m| m.content.clone()),
            prompt: content_hash(messages),
            reply: reply.text,
            finished: reply.finish == FinishReason::Stop,
        }
    };
    continue_each(&generation, prompts, &mut store, &record).map_err(|error| match error {
        DataError::Interrupted { .. } => EvalError::Interrupted,
        DataError::GaveUp { stage, source, .. } => EvalError::Replies { stage, source },
        error => EvalError::Generation(error),
    })?;
    let replies = prompts.iter().map(|prompt| Ok(store.get(&prompt.key)?.map(|r| r.reply)));
    replies.collect()
}
