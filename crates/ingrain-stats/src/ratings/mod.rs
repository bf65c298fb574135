//! Ratings from paired comparisons.

mod bootstrap;
mod bradley_terry;
mod comparisons;
mod elo;
mod existence;
mod model;
mod robust;
mod shift;
mod solver;

pub use bootstrap::{RatingSample, bootstrap_ratings};
pub use bradley_terry::{BradleyTerry, Ratings, Ties};
pub use comparisons::{Comparison, Comparisons, Outcome};
pub use elo::Elo;
pub use shift::{Shift, ShiftReport, rating_shifts};

/// Points of the Elo scale in a nat: 400 points are odds of ten to one.
pub const POINTS_PER_NAT: f64 = 400.0 / std::f64::consts::LN_10;
