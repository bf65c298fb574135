//! How far a model can be pushed.

use serde::{Deserialize, Serialize};

use crate::SteeringError;

/// Bounds of the search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrengthSearch {
    /// Perplexity may become so many times that of the unsteered model. Default 1.2.
    pub max_ratio: f64,
    /// First strength tried; its size hardly matters. Default 1.
    pub first: f64,
    /// Halvings of the interval that the answer lies in, on a logarithmic scale. Default 5: within 2.2 %.
    pub rounds: usize,
}

impl Default for StrengthSearch {
    fn default() -> Self {
        Self { max_ratio: 1.2, first: 1.0, rounds: 5 }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// The largest strength tried that keeps within the bound.
    pub strength: f64,
    /// Perplexity at that strength.
    pub perplexity: f64,
    /// Perplexity of the unsteered model.
    pub base_perplexity: f64,
    /// Every strength tried, with its perplexity, in order.
    pub trials: Vec<(f64, f64)>,
}

/// Doublings or halvings before the search gives up: a factor of a million either way.
const MAX_DOUBLINGS: usize = 20;

/// The largest strength whose perplexity is at most `search.max_ratio` times that of strength 0.
///
/// Perplexity is taken to grow with strength: the answer is where it first passes the bound, going up
/// from `search.first` by doubling (or down by halving, if that is too much already), and then halving
/// the interval. A perplexity that is no number counts as too large.
///
/// # Errors
/// [`SteeringError::Config`] for a ratio below 1 or a first strength that is not positive;
/// [`SteeringError::Strength`] if a factor of a million either way passes no bound; whatever
/// `perplexity` fails with.
///
/// # Examples
/// ```
/// use ingrain_steering::{StrengthSearch, largest_strength};
///
/// // 10 (1 + s^2) stays within 12 up to the square root of 0.2.
/// let found = largest_strength(&StrengthSearch::default(), |s| Ok(10.0 * (1.0 + s * s)))?;
/// assert!(found.strength <= 0.2f64.sqrt() && found.strength > 0.97 * 0.2f64.sqrt());
/// # Ok::<(), ingrain_steering::SteeringError>(())
/// ```
pub fn largest_strength(
    search: &StrengthSearch,
    mut perplexity: impl FnMut(f64) -> Result<f64, SteeringError>,
) -> Result<Tuned, SteeringError> {
    if !(search.max_ratio >= 1.0 && search.first > 0.0 && search.first.is_finite()) {
        return Err(SteeringError::Config(
            "the perplexity ratio must be at least 1, and the first strength positive".to_owned(),
        ));
    }
    let base = perplexity(0.0)?;
    let mut trials = vec![(0.0, base)];
    let mut fits = |strength: f64| -> Result<bool, SteeringError> {
        let found = perplexity(strength)?;
        trials.push((strength, found));
        // Not a number compares as false.
        Ok(found <= base * search.max_ratio)
    };
    let grows = fits(search.first)?;
    let factor = if grows { 2.0 } else { 0.5 };
    let (mut inside, mut outside) = (search.first, search.first);
    let mut crossed = false;
    for _ in 0..MAX_DOUBLINGS {
        let next = if grows { inside * factor } else { outside * factor };
        if fits(next)? {
            inside = next;
        } else {
            outside = next;
        }
        crossed = inside < outside;
        if crossed {
            break;
        }
    }
    if !crossed {
        let reason = if grows {
            "perplexity never passes the bound; does the vector act on this model?"
        } else {
            "perplexity passes the bound at every strength; does the vector fit this model?"
        };
        return Err(SteeringError::Strength(reason.to_owned()));
    }
    for _ in 0..search.rounds {
        let middle = (inside * outside).sqrt();
        if fits(middle)? {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    let at = trials.iter().find(|(strength, _)| *strength == inside);
    let perplexity = at.map_or(f64::NAN, |(_, perplexity)| *perplexity);
    Ok(Tuned { strength: inside, perplexity, base_perplexity: base, trials })
}

#[cfg(test)]
mod tests {
    use super::{StrengthSearch, largest_strength};
    use crate::SteeringError;

    #[test]
    fn the_answer_is_found_over_many_orders_of_magnitude() {
        for edge in [3e-5, 0.7, 4.0, 525.0, 3e5] {
            let search = StrengthSearch { rounds: 8, ..StrengthSearch::default() };
            let curve = |s: f64| Ok(if s > edge { f64::NAN } else { 7.0 });
            let found = largest_strength(&search, curve).expect("there is one");
            assert!(found.strength <= edge && found.strength > 0.99 * edge, "{edge}: {found:?}");
            assert_eq!((found.perplexity, found.base_perplexity), (7.0, 7.0));
            assert_eq!(found.trials[0], (0.0, 7.0));
        }
    }

    #[test]
    fn a_vector_that_does_nothing_or_everything_is_an_error_that_says_so() {
        let search = StrengthSearch::default();
        let nothing = largest_strength(&search, |_| Ok(5.0)).expect_err("no bound");
        assert!(nothing.to_string().contains("never passes"));
        let everything = |s| Ok(if s == 0.0 { 5.0 } else { f64::INFINITY });
        let everything = largest_strength(&search, everything).expect_err("no room");
        assert!(everything.to_string().contains("every strength"));
        let search = StrengthSearch { max_ratio: 0.5, ..search };
        let config = largest_strength(&search, |_| Ok(5.0)).expect_err("no such ratio");
        assert!(matches!(config, SteeringError::Config(_)));
    }
}
