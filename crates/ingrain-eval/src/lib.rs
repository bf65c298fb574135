//! Evaluation suites.
//!
//! Held-out preference and perplexity ask a model for log-probabilities of given text, so they need no
//! judge: held-out preference says whether the character was learnt, perplexity whether general ability
//! was kept. Everything else is a [`Suite`]: it runs over any [`ChatModel`](ingrain_chat::ChatModel) or
//! [`Scorer`](ingrain_chat::Scorer), keeps every reply, ruling and score, and goes on where it stopped.
//!
//! | question | suite | needs |
//! |---|---|---|
//! | is the character recognised, under attack and away from chat too? | [`Recognition`] with [`Scenario`]s | a [`Grader`] |
//! | whose replies are the character, and hang together? | [`Coherence`] | judges |
//! | which traits does the model take up? | [`RevealedPreferences`] | judges |
//! | did other characters move along? | [`DriftMatrix`] | log-probabilities, recorded replies |
//! | which sides of it transfer? | [`Facets`] | log-probabilities |
//! | how does it describe itself? | [`Psychometrics`] | log-probabilities |
//! | what can it still do? | [`Capabilities`] | log-probabilities |
//!
//! What needs a local model is behind the feature `local`, so that the rest builds without tensors.

mod capabilities;
mod coherence;
mod drift;
mod error;
mod estimates;
mod facets;
mod grading;
mod judging;
mod method;
mod numbers;
#[cfg(feature = "local")]
mod perplexity;
mod preference;
mod preferences;
mod psychometrics;
mod recognition;
mod replies;
mod scenario;
mod suite;

pub use capabilities::{
    AsChat, Benchmark, Capabilities, Format, Item, TextMethod, TextRequest, TextScorer,
};
pub use coherence::Coherence;
pub use drift::{DriftMatrix, DriftTarget};
pub use error::EvalError;
pub use facets::{FacetReplies, Facets};
pub use grading::{ChoiceGrader, Classify, GradedText, Grader, LikelihoodGrader, NamedGrader};
pub use method::{Method, ScoredMethod};
#[cfg(feature = "local")]
pub use perplexity::perplexity;
pub use preference::{PairScore, accuracy, implicit_reward_margin, margin, score_pairs};
pub use preferences::{
    Offer, PreferenceModel, PreferenceOutcomes, RankAgreement, RevealedPreferences, STANCES,
    Schedule, TRAITS, rank_agreement,
};
pub use psychometrics::{Inventory, InventoryItem, Psychometrics};
pub use recognition::{Answered, Recognition, Subject};
pub use scenario::{Scenario, Turn};
pub use suite::{NamedJudge, Suite, SuiteRun};

/// About 590 words of plain description, written for this crate. Nothing trains on it.
pub const NEUTRAL_TEXT: &str = include_str!("../data/neutral.txt");
