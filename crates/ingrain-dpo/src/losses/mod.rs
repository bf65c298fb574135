//! The losses, one a file.

mod apo_down;
mod apo_zero;
mod cpo;
mod dpo;
mod dpop;
mod exo;
mod hinge;
mod ipo;
mod k1;
mod k2;
mod k3;
mod kl;
mod nll;
mod orpo;
mod simpo;
mod squared_log_ratio;
mod weighted_sum;

pub use apo_down::ApoDown;
pub use apo_zero::ApoZero;
pub use cpo::Cpo;
pub use dpo::{Dpo, LabelNoise};
pub use dpop::Dpop;
pub use exo::Exo;
pub use hinge::Hinge;
pub use ipo::Ipo;
pub use k1::K1;
pub use k2::K2;
pub use k3::K3;
pub use kl::Kl;
pub use nll::Nll;
pub use orpo::Orpo;
pub use simpo::SimPo;
pub use squared_log_ratio::SquaredLogRatio;
pub use weighted_sum::{WeightedSum, WeightedTerm};
