//! What can go wrong with numbers.

/// An error of this crate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatsError {
    /// Too few observations for the statistic to exist.
    #[error("{what} needs at least {needed} {unit}, got {found}")]
    TooFew {
        /// The statistic.
        what: &'static str,
        /// What is counted: `observations`, `clusters`, ...
        unit: &'static str,
        /// How many it needs.
        needed: usize,
        /// How many there were.
        found: usize,
    },
    /// Two inputs that belong together have different lengths.
    #[error(
        "{what}: the two sides have {left} and {right} entries; they must have the same number"
    )]
    Lengths {
        /// The statistic.
        what: &'static str,
        /// Entries of the first input.
        left: usize,
        /// Entries of the second input.
        right: usize,
    },
    /// A number is not finite.
    #[error("{what}: entry {index} is {value}; only finite numbers can be used")]
    NotFinite {
        /// The statistic.
        what: &'static str,
        /// Position, counted from 0.
        index: usize,
        /// The number.
        value: f64,
    },
    /// A setting or an entry is out of its range.
    #[error("{name} is {value}, which is outside {range}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// Where it must lie.
        range: &'static str,
    },
    /// The statistic is 0/0 for this data, for instance an agreement where nothing varies.
    #[error("{what} is not defined here: {reason}")]
    Undefined {
        /// The statistic.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// Comparisons that put no finite distance between some items.
    #[error(
        "items {group:?} are not tied to the rest by wins in both directions, so their distance \
         has no finite estimate; compare more, or set a prior above 0"
    )]
    Separable {
        /// Indices of the smaller side, at most ten of them.
        group: Vec<usize>,
    },
    /// Ties (Davidson) that grow or vanish without a finite estimate.
    #[error(
        "the tie parameter has no finite estimate: {reason}; use Bradley-Terry, compare more, or \
         set a prior above 0"
    )]
    TiesSeparable {
        /// What the data lack.
        reason: &'static str,
    },
    /// A regression whose outcome is predicted perfectly, or whose columns say the same.
    #[error("{what}: {reason}")]
    Degenerate {
        /// The regression.
        what: &'static str,
        /// Why it has no finite estimate.
        reason: &'static str,
    },
    /// Too many resamples in which the estimate does not exist.
    #[error(
        "{failed} of {replicates} bootstrap samples had no finite estimate; the data are too thin \
         for a bootstrap without a prior"
    )]
    Replicates {
        /// Samples without an estimate.
        failed: usize,
        /// Samples drawn.
        replicates: usize,
    },
    /// An iteration did not settle.
    #[error("{what} did not converge in {iterations} steps")]
    NoConvergence {
        /// The estimate.
        what: &'static str,
        /// Steps taken.
        iterations: usize,
    },
}

/// [`StatsError::Lengths`] unless both lengths are equal.
pub(crate) fn same_length(what: &'static str, left: usize, right: usize) -> Result<(), StatsError> {
    if left == right { Ok(()) } else { Err(StatsError::Lengths { what, left, right }) }
}

/// [`StatsError::TooFew`] below `needed` observations.
pub(crate) fn at_least(what: &'static str, needed: usize, found: usize) -> Result<(), StatsError> {
    if found >= needed {
        Ok(())
    } else {
        Err(StatsError::TooFew { what, unit: "observations", needed, found })
    }
}

/// [`StatsError::NotFinite`] at the first number that is not.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<(), StatsError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { what, index, value: values[index] }),
        None => Ok(()),
    }
}

/// [`StatsError::OutOfRange`] unless `value` lies strictly between 0 and 1.
pub(crate) fn share(name: &'static str, value: f64) -> Result<(), StatsError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(StatsError::OutOfRange { name, value, range: "0 to 1, both excluded" })
    }
}
