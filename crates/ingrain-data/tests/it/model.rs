//! A deterministic model for the tests, and what every test needs around it.

use std::path::Path;

use ingrain_chat::{ChatError, ChatModel, ChatReply, ChatRequest, FinishReason, Sampling};
use ingrain_constitution::InteractionKind;
use ingrain_data::{Generation, InteractionPlan, Prompt, Unfinished};
use ingrain_run::{Interrupt, JsonlStore, Keyed, Silent, sha256_hex};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Replies depend on the conversation, the seed *and the whole batch*, as on real hardware, where
/// other batch shapes round differently. Replies arrive out of order: even indices first.
pub(crate) struct BatchSensitive;

impl ChatModel for BatchSensitive {
    fn complete(
        &self,
        requests: &[ChatRequest],
        on_reply: &mut dyn FnMut(usize, Result<ChatReply, ChatError>),
    ) {
        let batch = serde_json::to_string(requests).unwrap();
        let count = requests.len();
        for i in (0..count).step_by(2).chain((1..count).step_by(2)) {
            let hash = sha256_hex(format!("{batch}{i}").as_bytes());
            let reply = ChatReply {
                text: format!("Oh, {} it is.", &hash[..12]),
                finish: FinishReason::Stop,
                prompt_tokens: 3,
                completion_tokens: 4,
            };
            on_reply(i, Ok(reply));
        }
    }
}

/// Everything that a stage needs but the model.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) interrupt: Interrupt,
}

impl Setting {
    pub(crate) fn generation<'a>(
        &'a self,
        stage: &'a str,
        model: &'a dyn ChatModel,
    ) -> Generation<'a> {
        Generation {
            stage,
            model,
            sampling: Sampling::default(),
            seed: 7,
            batch_size: 4,
            observer: &Silent,
            interrupt: &self.interrupt,
        }
    }
}

pub(crate) fn store<T>(path: &Path) -> JsonlStore<T>
where
    T: Keyed + Serialize + DeserializeOwned,
{
    JsonlStore::open(path).unwrap()
}

pub(crate) fn records<T>(store: &JsonlStore<T>) -> Vec<T>
where
    T: Keyed + Serialize + DeserializeOwned,
{
    store.iter().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn prompts(count: usize) -> Vec<Prompt> {
    Prompt::general((0..count).map(|i| format!("Question {i}?")))
}

pub(crate) fn plan(kind: InteractionKind, conversations: usize, turns: usize) -> InteractionPlan {
    InteractionPlan {
        kind,
        system: format!("You meet your copy. {}", kind.as_str()),
        greetings: vec!["Hello.".into(), "Hi there.".into(), "Good morning.".into()],
        conversations,
        turns,
        unfinished: Unfinished::Keep,
    }
}
