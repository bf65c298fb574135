//! Activation steering: the training-free way to give a model a character, and the yardstick beside it.
//!
//! A [`ControlVector`] holds a direction for the residual stream behind some blocks, found by contrasting
//! the same continuations under a prompt that asks for the character and one that does not
//! ([`Contrast`]). [`largest_strength`] finds how far a model can be pushed along it before its perplexity
//! on neutral text passes a bound. A [`ProjectionMonitor`] reports how far texts lie along the direction,
//! after training or, with [`Monitored`], during it.
//!
//! Vectors are saved in the GGUF form of the Python package `repeng`, which llama.cpp reads too. What is
//! done with a vector in a pass is [`ingrain_lm::Steering`]'s business; this crate knows neither
//! constitutions nor how texts are made.

mod contrast;
mod direction;
mod error;
mod file;
mod monitor;
mod strength;
mod vector;

pub use contrast::Contrast;
pub use direction::Method;
pub use error::SteeringError;
pub use monitor::{Monitored, Projection, ProjectionMonitor};
pub use strength::{StrengthSearch, Tuned, largest_strength};
pub use vector::{ControlVector, SteeringConfig};
