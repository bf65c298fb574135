//! What a judge says.

use serde::{Deserialize, Serialize};

use crate::Order;

/// A judge's answer about a case, in the case's own terms whatever the order shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The case's first option.
    First,
    /// The case's second option.
    Second,
    /// Neither.
    Tie,
    /// A grade on the rubric's scale.
    Grade(u8),
}

impl Verdict {
    /// What answering A (`true`) or B means in this order.
    #[must_use]
    pub fn of_letter(is_a: bool, order: Order) -> Self {
        if is_a == (order == Order::AsGiven) { Self::First } else { Self::Second }
    }

    /// Whether this is the option that was shown first; `None` for ties and grades.
    #[must_use]
    pub fn is_shown_first(self, order: Order) -> Option<bool> {
        match self {
            Self::First => Some(order == Order::AsGiven),
            Self::Second => Some(order == Order::Swapped),
            Self::Tie | Self::Grade(_) => None,
        }
    }

    /// 1 for the first option, 0 for the second, 0.5 for a tie; a grade is itself.
    #[must_use]
    pub fn score(self) -> f64 {
        match self {
            Self::First => 1.0,
            Self::Second => 0.0,
            Self::Tie => 0.5,
            Self::Grade(grade) => f64::from(grade),
        }
    }
}

/// Why a judge's reply gives no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unreadable {
    /// It was cut off at the token limit.
    CutOff,
    /// It holds no answer in the tags of this question.
    NoAnswer,
    /// It holds several.
    SeveralAnswers,
    /// Text follows the answer.
    NotAtTheEnd,
    /// The answer is none of those allowed; its first 40 characters.
    NotAllowed(String),
    /// A scorer gave no number to compare.
    NoScore,
}
