//! The families, and what differs between the blocks of one model.

/// Whose conventions a model's names and files follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Llama 2 and 3, SmolLM2 and everything that calls itself `llama`.
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// SmolLM3.
    SmolLm3,
    /// Gemma 3, text-only or the language model of a multimodal checkpoint.
    Gemma3,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3, Self::SmolLm3, Self::Gemma3];

    /// `model_type` in `config.json`, of the decoder alone.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::SmolLm3 => "smollm3",
            Self::Gemma3 => "gemma3_text",
        }
    }

    /// The class in transformers.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::SmolLm3 => "SmolLM3ForCausalLM",
            Self::Gemma3 => "Gemma3ForCausalLM",
        }
    }

    /// `general.architecture` in GGUF. Mistral's files say `llama`.
    pub(crate) fn gguf_name(self) -> &'static str {
        match self {
            Self::Gemma3 => "gemma3",
            other => other.model_type(),
        }
    }

    pub(super) fn from_model_type(name: &str) -> Option<Self> {
        let name = if name == "gemma3" { "gemma3_text" } else { name };
        Self::ALL.into_iter().find(|family| family.model_type() == name)
    }

    pub(super) fn from_gguf(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.gguf_name() == name)
    }

    /// Whether checkpoints hold the weight of every norm less one.
    pub(crate) fn norms_less_one(self) -> bool {
        self == Self::Gemma3
    }

    /// Whether llama.cpp interleaves the rotary halves of q and k.
    pub(crate) fn is_permuted_in_gguf(self) -> bool {
        matches!(self, Self::Llama | Self::Mistral | Self::SmolLm3)
    }
}

/// What stands between gate and product of the feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(x)`.
    Silu,
    /// The tanh approximation of the Gaussian error linear unit.
    GeluTanh,
}

/// What differs from block to block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Whether attention looks back no further than the model's window.
    pub windowed: bool,
    /// Which positions its queries and keys carry.
    pub rope: LayerRope,
}

/// Which rotary embedding a block uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerRope {
    /// The model's.
    Global,
    /// One of another base, never stretched (Gemma 3's windowed blocks).
    Local,
    /// None at all (every fourth block of SmolLM3).
    None,
}

impl LayerKind {
    /// The model's own positions and no window.
    pub const PLAIN: Self = Self { windowed: false, rope: LayerRope::Global };
}
