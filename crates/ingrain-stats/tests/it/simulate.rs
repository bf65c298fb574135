//! Simulated judges and models, whose truth is known.

use ingrain_stats::{Comparison, Comparisons, Outcome, POINTS_PER_NAT, Stream};

/// Ratings in points, normal with this spread.
pub(crate) fn true_ratings(items: usize, spread: f64, stream: &mut Stream) -> Vec<f64> {
    (0..items).map(|_| spread * stream.normal()).collect()
}

/// Which two items each of `games` prompts offers: the same for every run.
pub(crate) fn schedule(items: usize, games: usize, stream: &mut Stream) -> Vec<[usize; 2]> {
    let pair = |stream: &mut Stream| {
        let first = stream.below(items);
        [first, (first + 1 + stream.below(items - 1)) % items]
    };
    (0..games).map(|_| pair(stream)).collect()
}

/// One run over a schedule: a model with these ratings, one prompt a game.
pub(crate) fn run(schedule: &[[usize; 2]], points: &[f64], stream: &mut Stream) -> Comparisons {
    let games = schedule.iter().enumerate().map(|(cluster, &[first, second])| {
        let win = 1.0 / (1.0 + ((points[second] - points[first]) / POINTS_PER_NAT).exp());
        let outcome = if stream.happens(win) { Outcome::First } else { Outcome::Second };
        Comparison { first, second, outcome, cluster }
    });
    Comparisons::new(points.len(), schedule.len(), games.collect()).expect("valid")
}

/// Whether `hits` of `trials` is what `rate` gives, within four standard deviations.
#[track_caller]
pub(crate) fn check_rate(hits: usize, trials: usize, rate: f64, slack: f64) {
    let found = hits as f64 / trials as f64;
    let chance = 4.0 * (rate * (1.0 - rate) / trials as f64).sqrt();
    assert!((found - rate).abs() <= chance + slack, "{hits} of {trials}, expected {rate}");
}
