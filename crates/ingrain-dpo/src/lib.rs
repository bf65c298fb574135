//! Preference losses and the distillation trainer.
//!
//! # The main decision
//!
//! A loss here is a function of per-token log-probabilities, [`PairLogps`], and returns one value
//! a pair: [`PreferenceLoss`]. It never reduces, logs or steps. Sums over tokens, means and squares are all
//! within its reach, a weighted sum of losses is a loss, and so the composite objective of
//! character training is *data* ([`LossSpec`]): `[{dpo: 1.0}, {nll: 0.1}, {squared_log_ratio:
//! 0.001}]`. What to report ([`PreferenceMetrics`]) is computed from the log-probabilities in one
//! place, whatever the loss.
//!
//! The reference is the policy's own weights with the adapter off, so it costs no memory; its
//! log-probabilities are computed once and kept on disk ([`ReferencePass`]).
//!
//! Two objectives are not losses over pairs, since they price single replies by a figure of the whole
//! batch: KTO and BCO ([`UnpairedTrainer`]).
//!
//! # Example
//!
//! The composite objective on one pair whose policy has moved away from the reference:
//!
//! ```
//! use burn::tensor::Device;
//! use ingrain_dpo::{LossSpec, PairLogps, PreferenceLoss, TokenLogps, build_loss};
//!
//! let row = |x: &[f32]| TokenLogps::from_rows(&[x], &Device::flex());
//! let policy = PairLogps { chosen: row(&[-1.0, -1.0]), rejected: row(&[-4.0]) };
//! let reference = PairLogps { chosen: row(&[-2.0, -2.0]), rejected: row(&[-3.0]) };
//!
//! let objective = build_loss(&LossSpec::paper(), 0.1)?;
//! let output = objective.forward(&policy, Some(&reference))?;
//! // -log sigmoid(0.1 (2 + 1)) + 0.1 * 1 + 0.001 * (1 + 1) / 2
//! let expected = (1.0 + (-0.3_f32).exp()).ln() + 0.1 + 0.001;
//! assert!((output.loss.into_scalar::<f32>() - expected).abs() < 1e-6);
//! # Ok::<(), ingrain_dpo::DpoError>(())
//! ```

mod config;
mod error;
mod layout;
mod logps;
mod loss;
mod losses;
mod metrics;
mod objective;
mod pairs;
mod reference;
mod spec;
mod trainer;
mod unpaired;

pub use config::DpoConfig;
pub use error::DpoError;
pub use layout::Sequences;
pub use logps::{PairLogps, TokenLogps};
pub use loss::{LossOutput, PreferenceLoss};
pub use losses::{
    ApoDown, ApoZero, Cpo, Dpo, Dpop, Exo, Hinge, Ipo, K1, K2, K3, Kl, LabelNoise, Nll, Orpo,
    SimPo, SquaredLogRatio, WeightedSum, WeightedTerm,
};
pub use metrics::PreferenceMetrics;
pub use objective::DpoObjective;
pub use pairs::{TokenizedPair, TooLong, tokenize_pairs};
pub use reference::{ReferenceLogps, ReferencePass};
pub use spec::{LossSpec, Term, build_loss};
pub use trainer::DpoTrainer;
pub use unpaired::{
    Bco, Kto, TokenizedReply, UnpairedConfig, UnpairedLoss, UnpairedObjective, UnpairedReply,
    UnpairedTrainer, split_pairs, tokenize_replies,
};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
