//! What is judged: cases, and the questions made of them.

use serde::{Deserialize, Serialize};

/// Something to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique within a session.
    pub key: String,
    /// The user message that was answered. Cases with one message form a cluster.
    pub message: String,
    /// What is asked about it.
    pub task: Task,
}

/// What a judge is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Which of two replies is better.
    Compare {
        /// The one reply.
        first: String,
        /// The other.
        second: String,
    },
    /// Which of two traits a reply shows.
    Choose {
        /// The reply.
        reply: String,
        /// The one trait.
        first: String,
        /// The other.
        second: String,
    },
    /// How good a reply is, on the rubric's scale.
    Grade {
        /// The reply.
        reply: String,
    },
}

impl Task {
    /// `compare`, `choose` or `grade`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Compare { .. } => "compare",
            Self::Choose { .. } => "choose",
            Self::Grade { .. } => "grade",
        }
    }

    /// Whether there are two options, and so two orders.
    #[must_use]
    pub fn has_order(&self) -> bool {
        !matches!(self, Self::Grade { .. })
    }

    /// Characters by which the first reply is longer than the second; `None` unless replies are
    /// compared.
    #[must_use]
    pub fn first_longer_by(&self) -> Option<f64> {
        match self {
            Self::Compare { first, second } => {
                Some(first.chars().count() as f64 - second.chars().count() as f64)
            }
            _ => None,
        }
    }
}

/// Which option is shown first, under the letter A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The case's first.
    AsGiven,
    /// The case's second.
    Swapped,
}

impl Order {
    /// The word used in keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsGiven => "as_given",
            Self::Swapped => "swapped",
        }
    }
}

/// One question to a judge: a case in one order, for the n-th time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// What it is about.
    pub case: &'a Case,
    /// Which option is shown first.
    pub order: Order,
    /// 0, or above where a case is asked again to see whether the judge agrees with itself.
    pub repeat: usize,
    /// Seed of the judge's sampling.
    pub seed: u64,
}

impl Question<'_> {
    /// The two options as shown, A then B; `None` for a grade.
    #[must_use]
    pub fn options(&self) -> Option<[&str; 2]> {
        let (Task::Compare { first, second } | Task::Choose { first, second, .. }) =
            &self.case.task
        else {
            return None;
        };
        Some(match self.order {
            Order::AsGiven => [first, second],
            Order::Swapped => [second, first],
        })
    }
}
