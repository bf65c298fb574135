//! What a classifier has to beat: length, surface, and labels that mean nothing.

mod length;
mod ngrams;
mod shuffled;

pub use length::LengthBaseline;
pub use ngrams::{NgramBaseline, NgramConfig};
pub use shuffled::ShuffledLabels;
