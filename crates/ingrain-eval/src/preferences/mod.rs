//! Revealed preferences: which of two traits a model takes up when it may choose.
//!
//! A system prompt offers two single-word traits, the model picks one without saying so and answers a
//! user's message in that manner, and a judge says which trait the reply shows. Many such choices make a
//! rating of every trait, and two models that were offered the same choices can be compared.

mod asking;
mod outcomes;
mod schedule;
mod suite;

pub use outcomes::{PreferenceOutcomes, RankAgreement, rank_agreement};
pub use schedule::{Offer, Schedule, TRAITS};
pub use suite::{PreferenceModel, RevealedPreferences, STANCES};
