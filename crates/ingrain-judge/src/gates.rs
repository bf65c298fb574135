//! Whether a report may call its judge reliable.

use serde::{Deserialize, Serialize};

use crate::{Agreement, Measure};

/// What a judge must reach against labels before a report may call it reliable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// Krippendorff's ordinal alpha of judge and labels. Default 0.70.
    pub min_alpha: f64,
    /// Spearman's correlation of judge and labels. Default 0.80.
    pub min_spearman: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self { min_alpha: 0.70, min_spearman: 0.80 }
    }
}

/// Whether a report may call its judge reliable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "standing")]
pub enum Standing {
    /// It passed every gate.
    Reliable,
    /// It failed at least one.
    NotReliable {
        /// Which, with the figures.
        because: Vec<String>,
    },
    /// There are no labels to hold it against.
    Unknown,
}

/// As a report says it of a judge.
impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reliable => write!(f, "reliable against human labels"),
            Self::NotReliable { because } => write!(f, "not reliable: {}", because.join("; ")),
            Self::Unknown => {
                write!(f, "of unknown reliability: no human labels to hold it against")
            }
        }
    }
}

impl Gates {
    /// Holds a judge's agreement with labels against the gates. What is undefined fails.
    #[must_use]
    pub fn standing(&self, labels: Option<&Agreement>) -> Standing {
        let Some(labels) = labels else { return Standing::Unknown };
        let mut because = Vec::new();
        for (name, measure, needed) in [
            ("alpha (ordinal)", &labels.alpha_ordinal, self.min_alpha),
            ("Spearman", &labels.spearman, self.min_spearman),
        ] {
            match measure {
                Measure::Value(found) if found.estimate >= needed => {}
                Measure::Value(found) => {
                    because.push(format!("{name} is {:.2}, below {needed:.2}", found.estimate));
                }
                Measure::Undefined { undefined } => because.push(format!("{name}: {undefined}")),
            }
        }
        if because.is_empty() { Standing::Reliable } else { Standing::NotReliable { because } }
    }
}
