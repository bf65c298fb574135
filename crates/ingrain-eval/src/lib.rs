//! Evaluation suites.
//!
//! Held-out preference and perplexity ask a model for log-probabilities of given text, so they need no
//! judge: held-out preference says whether the character was learnt, perplexity whether general ability
//! was kept. [`Coherence`] and [`RevealedPreferences`] compare replies through judges; they implement
//! [`Suite`], run over any [`ChatModel`](ingrain_chat::ChatModel), keep every reply and ruling, and go on
//! where they stopped.
//!
//! Only `perplexity` knows a local model; it is behind the feature `local`, so that the rest builds
//! without tensors.

mod coherence;
mod error;
mod judging;
#[cfg(feature = "local")]
mod perplexity;
mod preference;
mod preferences;
mod replies;
mod suite;

pub use coherence::{Coherence, Method};
pub use error::EvalError;
#[cfg(feature = "local")]
pub use perplexity::{NEUTRAL_TEXT, perplexity};
pub use preference::{PairScore, accuracy, implicit_reward_margin, margin, score_pairs};
pub use preferences::{
    Offer, PreferenceModel, PreferenceOutcomes, RankAgreement, RevealedPreferences, Schedule,
    TRAITS, rank_agreement,
};
pub use suite::{Figure, NamedJudge, Suite, SuiteReport, SuiteRun};
