//! Which weights get a side path, and how large it is.

use serde::{Deserialize, Serialize};

use crate::LmError;

/// A linear map of a decoder block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Projection {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention output.
    O,
    /// Gate of the feed-forward layer.
    Gate,
    /// Up-projection of the feed-forward layer.
    Up,
    /// Down-projection of the feed-forward layer.
    Down,
}

impl Projection {
    /// All seven, in the order of a forward pass.
    pub const ALL: [Self; 7] =
        [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Name of the module in HF checkpoints, as in PEFT's `target_modules`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q_proj",
            Self::K => "k_proj",
            Self::V => "v_proj",
            Self::O => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// Path of the module below `model.layers.N.`.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }
}

/// Size and reach of a LoRA adapter.
///
/// Source: Hu et al. 2021, arXiv:2106.09685; field names follow PEFT's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the update. At least 1. Default and paper: 64.
    pub rank: usize,
    /// The side path is scaled by `alpha / rank`. Default and paper: 128.
    pub alpha: f64,
    /// Names of the adapted modules. Default and paper: all seven projections.
    pub target_modules: Vec<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 64,
            alpha: 128.0,
            target_modules: Projection::ALL.iter().map(|p| p.name().to_owned()).collect(),
        }
    }
}

impl LoraConfig {
    /// The projections that `target_modules` names.
    ///
    /// # Errors
    /// [`LmError::Adapter`] for a name that no decoder block has, an empty list, or a rank of 0.
    pub fn projections(&self) -> Result<Vec<Projection>, LmError> {
        if self.rank == 0 {
            return Err(LmError::Adapter("rank is 0; expected at least 1".into()));
        }
        if self.target_modules.is_empty() {
            return Err(LmError::Adapter("target_modules is empty; name at least one".into()));
        }
        let known = Projection::ALL.map(Projection::name).join(", ");
        self.target_modules
            .iter()
            .map(|name| {
                Projection::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| {
                    LmError::Adapter(format!(
                        "unknown target module {name:?}; expected some of {known}"
                    ))
                })
            })
            .collect()
    }
}
