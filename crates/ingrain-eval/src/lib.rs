//! Evaluation suites: held-out preference and perplexity.
//!
//! Both ask a model for log-probabilities of given text, so they need no judge: held-out preference
//! says whether the character was learnt, perplexity whether general ability was kept.

mod error;
mod perplexity;
mod preference;

pub use error::EvalError;
pub use perplexity::{NEUTRAL_TEXT, perplexity};
pub use preference::{PairScore, accuracy, implicit_reward_margin, margin, score_pairs};
