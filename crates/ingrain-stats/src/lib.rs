//! Statistics of judgements, pure: numbers in, estimates with their uncertainty out.
//!
//! | question | here |
//! |---|---|
//! | how good is each, from paired comparisons? | [`BradleyTerry`], [`bootstrap_ratings`], [`Elo`] |
//! | what changed between two runs? | [`rating_shifts`], [`SimultaneousIntervals`], [`benjamini_hochberg`], [`holm`] |
//! | is the difference more than chance? | [`Bootstrap`], [`paired_permutation_test`], [`permutation_test`] |
//! | do raters agree? | [`cohen_kappa`], [`weighted_kappa`], [`krippendorff_alpha`], [`spearman`], [`kendall_tau_b`], [`mean_absolute_error`] |
//! | what do verdicts of an imperfect judge say? | [`Confusion`], [`length_controlled_win_rate`] |
//! | how good is a classifier, and does it know? | [`ConfusionMatrix`], [`macro_auroc`], [`expected_calibration_error`], [`brier_score`], [`best_temperature`] |
//! | do items measure one thing? | [`cronbach_alpha`] |
//! | how sure, when prompts repeat? | [`clustered_mean`], [`least_squares`], [`Clusters`] |
//! | how large must a study be? | [`PowerAnalysis`], [`design_effect`] |
//!
//! An estimate that does not exist is an error with its reason, never a number: two items that only one
//! of them wins have no finite distance, raters who always say the same have no kappa. Randomness comes
//! from [`Stream`]s fixed by seed and index, so results do not depend on the number of threads.
//!
//! This crate knows nothing of judges, models or files.
//!
//! ```
//! use ingrain_stats::{Bootstrap, BradleyTerry, Comparison, Comparisons, Outcome, bootstrap_ratings};
//!
//! // Three items over twelve prompts; 0 beats 1 and 1 beats 2 two times in three.
//! let mut games = Vec::new();
//! for cluster in 0..12 {
//!     let outcome = if cluster % 3 == 0 { Outcome::Second } else { Outcome::First };
//!     games.push(Comparison { first: 0, second: 1, outcome, cluster });
//!     games.push(Comparison { first: 1, second: 2, outcome, cluster });
//! }
//! let games = Comparisons::new(3, 12, games)?;
//! let model = BradleyTerry { prior: 1.0, ..BradleyTerry::default() };
//! let sample = bootstrap_ratings(&model, &games, &Bootstrap::default())?;
//! let best = sample.intervals()?[0];
//! assert!(best.estimate > 50.0 && best.low < best.estimate && best.estimate < best.high);
//! # Ok::<(), ingrain_stats::StatsError>(())
//! ```

mod agreement;
mod bootstrap;
mod calibration;
mod classification;
mod consistency;
mod detection;
mod error;
mod interval;
mod length;
mod linear;
mod multiple;
pub mod normal;
mod permutation;
mod power;
mod random;
mod ranks;
mod ratings;
mod regression;
mod roc;
mod simultaneous;
mod softmax_regression;

pub use agreement::{Level, Weights, cohen_kappa, krippendorff_alpha, weighted_kappa};
pub use bootstrap::{Bootstrap, Clusters, bca_interval};
pub use calibration::{
    CalibrationBin, best_temperature, brier_score, calibration_bins, expected_calibration_error,
    softmax,
};
pub use classification::{ClassScores, ConfusionMatrix};
pub use consistency::cronbach_alpha;
pub use detection::Confusion;
pub use error::StatsError;
pub use interval::Interval;
pub use length::{LengthControlled, length_controlled_win_rate};
pub use multiple::{benjamini_hochberg, holm};
pub use permutation::{paired_permutation_test, permutation_test};
pub use power::{PowerAnalysis, design_effect};
pub use random::Stream;
pub use ranks::{kendall_tau_b, mean_absolute_error, pearson, spearman};
pub use ratings::{
    BradleyTerry, Comparison, Comparisons, Elo, Outcome, POINTS_PER_NAT, RatingSample, Ratings,
    Shift, ShiftReport, Ties, bootstrap_ratings, rating_shifts,
};
pub use regression::{Regression, clustered_mean, least_squares, logistic_regression};
pub use roc::{auroc, macro_auroc};
pub use simultaneous::SimultaneousIntervals;
pub use softmax_regression::{SoftmaxFit, SoftmaxRegression, SparseRow};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
