//! The seam to whatever generates.

use ingrain_chat::{FinishReason, Message, Sampling};
use tokio::sync::mpsc;

/// Something that continues prompts, many at a time.
pub trait Engine: Send + Sync {
    /// The models it offers, the plain one first.
    fn models(&self) -> Vec<ModelCard>;

    /// Takes a job and returns at once; what comes of it goes to `replies`, from any thread.
    ///
    /// First [`Event::Started`], then text, last [`Event::Done`]; or [`Event::Failed`] at any point.
    /// When [`Replies::send`] says that nobody listens any more, the job is dropped.
    fn submit(&self, job: Job, replies: Replies);
}

/// A model on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name that requests use.
    pub id: String,
    /// Whether it is a plain model or one with an adapter, whose strength a request may set.
    pub has_adapter: bool,
    /// Tokens that prompt and reply may have together.
    pub context: usize,
}

/// One prompt to be continued once.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Name of a model on offer.
    pub model: String,
    /// Strength of its adapter: 0 is the plain model, 1 the adapter as trained.
    pub strength: f64,
    /// What to continue.
    pub input: Input,
    /// How.
    pub sampling: Sampling,
    /// Whether to give the prompt back before its continuation.
    pub echo: bool,
    /// Whether to report log-probabilities, and for how many of the likeliest tokens beside each.
    pub logprobs: Option<usize>,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A conversation, to be rendered with the model's chat template.
    Chat(Vec<Message>),
    /// Text, to be tokenised as it is.
    Text(String),
    /// Token ids.
    Tokens(Vec<u32>),
}

/// What becomes of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The prompt has been accepted.
    Started {
        /// Its length.
        prompt_tokens: usize,
    },
    /// More text: of the prompt first, if it was to be echoed, then of the reply.
    Text {
        /// What comes next; may be empty.
        text: String,
        /// The tokens it is made of, if log-probabilities were asked for.
        tokens: Vec<TokenText>,
    },
    /// There is no more.
    Done {
        /// Why.
        finish: FinishReason,
        /// Tokens generated.
        completion_tokens: usize,
    },
    /// It cannot be done, or went wrong.
    Failed(Refusal),
}

/// A token with its log-probability.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenText {
    /// Its own text.
    pub text: String,
    /// Nats; nothing predicts the first token of a prompt.
    pub logprob: Option<f32>,
    /// The likeliest tokens in its place, best first.
    pub alternatives: Vec<(String, f32)>,
}

/// Why a job was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no model of that name.
    NoSuchModel,
    /// The request cannot be carried out as it is; says why, and the way out.
    Invalid(String),
    /// The engine is stopping.
    Stopping,
    /// Something broke.
    Broken(String),
}

/// Where an engine sends the events of one job.
#[derive(Debug)]
pub struct Replies {
    index: usize,
    sender: mpsc::UnboundedSender<(usize, Event)>,
}

/// Where they arrive.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::UnboundedReceiver<(usize, Event)>,
}

impl Replies {
    /// One listener for `count` jobs.
    #[must_use]
    pub fn channel(count: usize) -> (Vec<Self>, Events) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let replies = (0..count).map(|index| Self { index, sender: sender.clone() }).collect();
        (replies, Events { receiver })
    }

    /// Sends an event; `false` if nobody listens any more.
    #[must_use]
    pub fn send(&self, event: Event) -> bool {
        self.sender.send((self.index, event)).is_ok()
    }

    /// Whether somebody still listens.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.sender.is_closed()
    }
}

impl Events {
    /// Waits for the next event and the index of the job it belongs to; `None` after the last.
    ///
    /// # Panics
    /// Inside an asynchronous task: this is for threads.
    pub fn wait(&mut self) -> Option<(usize, Event)> {
        self.receiver.blocking_recv()
    }
}
