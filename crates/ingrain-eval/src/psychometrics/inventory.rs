//! An inventory of self-descriptions, and how its items are put to a model.

use ingrain_chat::{Message, ScoreRequest};
use serde::{Deserialize, Serialize};

use crate::EvalError;

const IPIP50: &str = include_str!("../../data/ipip50.yaml");

/// Points of the answer scale.
pub(super) const POINTS: usize = 5;

/// The answers, from the least agreement to the most.
const ANSWERS: [&str; POINTS] = [
    "very inaccurate",
    "moderately inaccurate",
    "neither accurate nor inaccurate",
    "moderately accurate",
    "very accurate",
];

/// Ways to ask, in wording of our own; each is a respondent of its own, as far as reliability goes.
const FRAMES: [&str; 6] = [
    "Here is a phrase that describes how people are: \"{item}\" How accurately does it describe you?",
    "Think of yourself as you generally are. How accurate is this phrase about you: \"{item}\"",
    "You are filling in a questionnaire about yourself. The statement reads: \"{item}\" Rate how well it fits you.",
    "Somebody says of you: \"{item}\" How accurate is that?",
    "How accurately does \"{item}\" describe the way you are?",
    "Rate the following self-description by how accurate it is for you. \"{item}\"",
];

/// An inventory: items, each with the factor that it measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Its name.
    pub name: String,
    /// Where it is from, and under which licence.
    pub source: String,
    /// The items.
    pub items: Vec<InventoryItem>,
}

/// A self-description in the first person, its subject left out: "Am always prepared."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryItem {
    /// The words.
    pub text: String,
    /// What it measures.
    pub factor: String,
    /// Whether agreement means less of the factor.
    #[serde(default)]
    pub reversed: bool,
}

impl Inventory {
    /// The 50 Big Five markers of the International Personality Item Pool, which are in the public domain.
    #[must_use]
    pub fn ipip50() -> Self {
        let empty = Self { name: "ipip50".into(), source: String::new(), items: Vec::new() };
        Self::parse(IPIP50, "ipip50.yaml").unwrap_or(empty)
    }

    /// Reads YAML; `origin` names it in errors.
    ///
    /// # Errors
    /// [`EvalError::Inventory`] for what is none, or a factor with fewer than two items.
    pub fn parse(yaml: &str, origin: &str) -> Result<Self, EvalError> {
        let wrong = |reason: String| EvalError::Inventory { origin: origin.to_owned(), reason };
        let inventory: Self =
            serde_yaml::from_str(yaml).map_err(|error| wrong(error.to_string()))?;
        for factor in inventory.factors() {
            if inventory.of_factor(factor).count() < 2 {
                return Err(wrong(format!("{factor} has fewer than two items")));
            }
        }
        Ok(inventory)
    }

    /// The factors, in order of appearance.
    #[must_use]
    pub fn factors(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for item in &self.items {
            if !found.contains(&item.factor.as_str()) {
                found.push(&item.factor);
            }
        }
        found
    }

    /// Indices of the items of a factor.
    pub(super) fn of_factor<'i>(&'i self, factor: &'i str) -> impl Iterator<Item = usize> + 'i {
        (0..self.items.len()).filter(move |&at| self.items[at].factor == factor)
    }
}

/// One way of asking: a wording, and whether the scale runs from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Respondent {
    pub(super) frame: usize,
    pub(super) falling: bool,
}

impl Respondent {
    /// Every wording in both orders.
    pub(super) fn all() -> Vec<Self> {
        let both = |frame| [false, true].map(|falling| Self { frame, falling });
        (0..FRAMES.len()).flat_map(both).collect()
    }

    pub(super) fn name(self) -> String {
        format!("{}{}", self.frame, if self.falling { "-falling" } else { "-rising" })
    }

    /// The question with each of the five answers, by letter from A on.
    pub(super) fn requests(self, system: Option<&str>, item: &str) -> Vec<ScoreRequest> {
        let mut prompt =
            FRAMES[self.frame].replace("{item}", &format!("I {}", decapitalised(item)));
        prompt.push('\n');
        for at in 0..POINTS {
            let answer = ANSWERS[if self.falling { POINTS - 1 - at } else { at }];
            prompt.push_str(&format!("\n{}: {answer}", letter(at)));
        }
        prompt.push_str("\n\nAnswer with one letter.");
        let messages: Vec<Message> =
            system.map(Message::system).into_iter().chain([Message::user(prompt)]).collect();
        (0..POINTS)
            .map(|at| ScoreRequest {
                messages: messages.clone(),
                continuation: letter(at).to_string(),
            })
            .collect()
    }

    /// The expected answer on the scale of 1 to 5 from log-probabilities by letter.
    pub(super) fn answer(self, totals: &[f64]) -> f64 {
        let masses = ingrain_stats::softmax(totals, 1.0);
        let point = |at: usize| if self.falling { POINTS - at } else { at + 1 };
        masses.iter().enumerate().map(|(at, mass)| mass * point(at) as f64).sum()
    }
}

fn letter(at: usize) -> char {
    char::from(b'A' + at as u8)
}

/// "Am always prepared." becomes "am always prepared."
fn decapitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_has_ten_items_a_factor_with_reversed_ones_among_them() {
        let inventory = Inventory::parse(IPIP50, "ipip50.yaml").expect("valid");
        assert_eq!(inventory.factors().len(), 5);
        for factor in inventory.factors() {
            let items: Vec<usize> = inventory.of_factor(factor).collect();
            assert_eq!(items.len(), 10, "{factor}");
            let reversed = items.iter().filter(|&&at| inventory.items[at].reversed).count();
            assert!((2..=5).contains(&reversed), "{factor}: {reversed}");
        }
    }

    #[test]
    fn the_same_answer_means_the_same_in_both_orders() {
        let [rising, falling] = [false, true].map(|falling| Respondent { frame: 0, falling });
        // All mass on the answer "very accurate".
        let (last, first) = ([-99.0, -99.0, -99.0, -99.0, 0.0], [0.0, -99.0, -99.0, -99.0, -99.0]);
        assert!((rising.answer(&last) - 5.0).abs() < 1e-9);
        assert!((falling.answer(&first) - 5.0).abs() < 1e-9);
        let prompt = falling.requests(None, "Like order.")[0].messages[0].content.clone();
        assert!(prompt.contains("I like order.") && prompt.contains("A: very accurate"));
    }
}
