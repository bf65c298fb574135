//! Known defects of the released recipe that concern data: repaired, or reproduced to compare.

use ingrain_constitution::Wording;
use serde::{Deserialize, Serialize};

/// Whether one defect is repaired or reproduced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// As it should be.
    #[default]
    Corrected,
    /// As released.
    Faithful,
}

impl From<Fidelity> for Wording {
    fn from(fidelity: Fidelity) -> Self {
        match fidelity {
            Fidelity::Corrected => Self::Corrected,
            Fidelity::Faithful => Self::Faithful,
        }
    }
}

/// One switch a defect. The default is `corrected` throughout.
///
/// # Examples
/// ```
/// use ingrain_data::{DataFidelity, Fidelity};
///
/// let mut fidelity = DataFidelity::default();
/// assert_eq!(fidelity.last_turn, Fidelity::Corrected);
/// fidelity.last_turn = Fidelity::Faithful;
/// assert_ne!(fidelity, DataFidelity::faithful());
/// ```
///
/// # Source
/// The public code of Maiya et al. 2025, arXiv:2511.01689.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataFidelity {
    /// Faithful: of the questions that a constitution brings, a new one is compared with those of
    /// the *last* assertion only, not with its own (and, either way, with new ones that were kept).
    pub duplicates: Fidelity,
    /// Faithful: the guidance (free or leading) never reaches the system prompt of
    /// self-interactions.
    pub guidance: Fidelity,
    /// Faithful: the name in the system prompt that conversations are saved with stays a
    /// placeholder.
    pub saved_name: Fidelity,
    /// Faithful: a conversation is saved before its last reply, so that it ends on a user turn.
    pub last_turn: Fidelity,
    /// Faithful: only the last message trains, whoever wrote it. Corrected: every assistant turn
    /// that the model generated, and no canned greeting.
    pub loss_turns: Fidelity,
    /// Faithful: replies over the limit are cut mid-way and count as ended, conversations over it
    /// lose their beginning, system prompt first. Corrected: pairs and reflections are dropped,
    /// conversations lose whole turns at the end.
    ///
    /// This crate does not tokenize, so its faithful cut falls between words or turns. What is
    /// dropped is counted either way; the released code says nothing.
    pub length: Fidelity,
}

impl DataFidelity {
    /// Every defect repaired.
    #[must_use]
    pub fn corrected() -> Self {
        Self::default()
    }

    /// Every defect reproduced.
    #[must_use]
    pub fn faithful() -> Self {
        Self {
            duplicates: Fidelity::Faithful,
            guidance: Fidelity::Faithful,
            saved_name: Fidelity::Faithful,
            last_turn: Fidelity::Faithful,
            loss_turns: Fidelity::Faithful,
            length: Fidelity::Faithful,
        }
    }
}
