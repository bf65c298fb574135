//! Bradley-Terry with a bootstrap over prompts, at the size of the paper's preference evaluation:
//! 25,000 comparisons of 144 traits, 1,000 resamples.
//!
//! Needs no model; takes seconds. Prints one JSON line.
//!
//! ```sh
//! cargo bench -p ingrain-stats --bench ratings
//! ```
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

use std::time::Instant;

use ingrain_stats::{
    Bootstrap, BradleyTerry, Comparison, Comparisons, Outcome, POINTS_PER_NAT, Stream,
    bootstrap_ratings, rating_shifts,
};

const ITEMS: usize = 144;
const GAMES: usize = 25_000;

fn games(ties: f64, seed: u64) -> Comparisons {
    let mut truth = Stream::new(1, 0);
    let truth: Vec<f64> = (0..ITEMS).map(|_| 100.0 * truth.normal()).collect();
    let mut stream = Stream::new(seed, 1);
    let game = |cluster| {
        let first = stream.below(ITEMS);
        let second = (first + 1 + stream.below(ITEMS - 1)) % ITEMS;
        let win = 1.0 / (1.0 + ((truth[second] - truth[first]) / POINTS_PER_NAT).exp());
        let outcome = match (stream.happens(ties), stream.happens(win)) {
            (true, _) => Outcome::Tie,
            (_, true) => Outcome::First,
            _ => Outcome::Second,
        };
        Comparison { first, second, outcome, cluster }
    };
    Comparisons::new(ITEMS, GAMES, (0..GAMES).map(game).collect()).expect("valid")
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn main() {
    let (plain, tied, later) = (games(0.0, 2), games(0.2, 3), games(0.0, 4));
    let bootstrap = Bootstrap::default();
    let (model, davidson) = (BradleyTerry::default(), BradleyTerry::davidson());
    let fit = seconds(|| drop(model.fit(&plain).expect("fits")));
    let one = seconds(|| drop(bootstrap_ratings(&model, &plain, &bootstrap).expect("fits")));
    let ties = seconds(|| drop(bootstrap_ratings(&davidson, &tied, &bootstrap).expect("fits")));
    let two = seconds(|| drop(rating_shifts(&model, &plain, &later, &bootstrap).expect("fits")));
    println!(
        "{{\"fit_secs\": {fit:.4}, \"bootstrap_secs\": {one:.3}, \"davidson_bootstrap_secs\": \
         {ties:.3}, \"shift_secs\": {two:.3}}}"
    );
}
