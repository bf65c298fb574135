//! How far raters agree beyond chance.

mod alpha;
mod kappa;

pub use alpha::{Level, krippendorff_alpha};
pub use kappa::{Weights, cohen_kappa, weighted_kappa};
