//! Who is offered what: fixed by a seed, the same for every model compared.

use ingrain_stats::Stream;
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// 144 single-word traits from the usual vocabularies of personality and manner, one a line.
pub const TRAITS: &str = include_str!("../../data/traits.txt");

/// One choice between two traits on one user message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Index of the trait named first.
    pub first: usize,
    /// Index of the trait named second.
    pub second: usize,
    /// Index of the message.
    pub message: usize,
}

/// All choices of an evaluation.
///
/// Traits meet in rounds: each round shuffles all of them and pairs neighbours, so that every trait is
/// offered equally often (to one), first and second equally likely. Messages go round in a shuffled order.
///
/// # Examples
/// ```
/// use ingrain_eval::Schedule;
///
/// let messages = vec!["Why is the sky blue?".to_owned(), "Plan my week.".to_owned()];
/// let schedule = Schedule::new(Schedule::default_traits(), messages, 25_000, 1)?;
/// assert_eq!(schedule.traits().len(), 144);
/// assert_eq!(schedule.offers().len(), 25_000);
/// # Ok::<(), ingrain_eval::EvalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    traits: Vec<String>,
    messages: Vec<String>,
    offers: Vec<Offer>,
}

impl Schedule {
    /// Draws `count` offers.
    ///
    /// # Errors
    /// [`EvalError::Empty`] for fewer than two traits, or no message or offer;
    /// [`EvalError::RepeatedTrait`].
    pub fn new(
        traits: Vec<String>,
        messages: Vec<String>,
        count: usize,
        seed: u64,
    ) -> Result<Self, EvalError> {
        if traits.len() < 2 || messages.is_empty() || count == 0 {
            return Err(EvalError::Empty("revealed preferences"));
        }
        let mut sorted: Vec<&String> = traits.iter().collect();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(EvalError::RepeatedTrait(twice[0].clone()));
        }
        let mut stream = Stream::new(seed, 0);
        let mut order: Vec<usize> = (0..traits.len()).collect();
        let mut message_order: Vec<usize> = (0..messages.len()).collect();
        stream.shuffle(&mut message_order);
        let mut offers = Vec::with_capacity(count);
        while offers.len() < count {
            stream.shuffle(&mut order);
            for pair in order.chunks_exact(2).take(count - offers.len()) {
                let message = message_order[offers.len() % messages.len()];
                offers.push(Offer { first: pair[0], second: pair[1], message });
            }
        }
        Ok(Self { traits, messages, offers })
    }

    /// The built-in traits.
    #[must_use]
    pub fn default_traits() -> Vec<String> {
        TRAITS.lines().map(str::to_owned).collect()
    }

    /// The traits.
    #[must_use]
    pub fn traits(&self) -> &[String] {
        &self.traits
    }

    /// The user messages.
    #[must_use]
    pub fn messages(&self) -> &[String] {
        &self.messages
    }

    /// The choices, in order.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seed: u64) -> Schedule {
        let messages = (0..100).map(|i| format!("message {i}")).collect();
        Schedule::new(Schedule::default_traits(), messages, 25_000, seed).expect("valid")
    }

    #[test]
    fn the_traits_are_144_different_single_words() {
        let traits = Schedule::default_traits();
        assert_eq!(traits.len(), 144);
        assert!(traits.iter().all(|t| t.bytes().all(|b| b.is_ascii_lowercase())));
        let mut unique = traits.clone();
        unique.dedup();
        assert_eq!(unique, traits, "sorted, none twice");
    }

    #[test]
    fn a_schedule_depends_on_its_seed_alone_and_is_balanced() {
        let (one, other) = (schedule(1), schedule(2));
        assert_eq!(one, schedule(1));
        assert_ne!(one.offers(), other.offers());
        let mut times = [0; 144];
        for offer in one.offers() {
            assert_ne!(offer.first, offer.second);
            times[offer.first] += 1;
            times[offer.second] += 1;
        }
        let (least, most) = (times.iter().min(), times.iter().max());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
    }

    #[test]
    fn a_trait_that_stands_twice_is_named() {
        let traits = ["warm", "dry", "warm"].map(str::to_owned).to_vec();
        let error = Schedule::new(traits, vec!["m".into()], 10, 1);
        assert!(matches!(error, Err(EvalError::RepeatedTrait(word)) if word == "warm"));
    }
}
