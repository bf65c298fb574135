//! The pieces of a decoder block, each as a plain function or struct over untracked weights.
//!
//! Activations travel as `[tokens, hidden]` with `tokens = batch * seq`; only attention looks at the
//! batch. None of these know where weights come from or how an adapter was made.

mod attention;
mod block;
mod branches;
mod cache;
mod fused;
mod linear;
mod norm;
mod placement;
mod rotary;

pub(crate) use block::{DecoderLayer, Norm, OutputNorms, QkNorms, Span, Spans};
pub(crate) use branches::Branches;
pub(crate) use cache::{KvCache, LayerCache};
pub(crate) use linear::{Linear, product, times_transposed};
pub(crate) use norm::rms_norm;
pub(crate) use placement::Placement;
pub use rotary::Rotary;
