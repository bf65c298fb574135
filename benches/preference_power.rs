//! What the comparison of two preference runs finds, by simulation: family-wise error of unchanged
//! models and the power curve over spreads, sample sizes and shifts.
//!
//! Needs no model; the table takes some minutes on two cores, the 1,000 pairs of unchanged runs a quarter of
//! an hour. Prints Markdown.
//!
//! ```sh
//! cargo bench -p ingrain-stats --bench preference_power
//! cargo bench -p ingrain-stats --bench preference_power -- --null-pairs 0   # the table alone
//! ```
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its table")]

use ingrain_stats::{
    Bootstrap, BradleyTerry, Comparison, Comparisons, Interval, Outcome, POINTS_PER_NAT,
    ShiftReport, Stream, rating_shifts,
};

const ITEMS: usize = 144;
const RESAMPLES: usize = 400;
const STUDIES: u64 = 20;
/// Traits that move in a study with planted shifts, half of them up and half down.
const MOVED: usize = 10;

struct Study {
    games: usize,
    spread: f64,
    shift: f64,
}

impl Study {
    fn simulate(&self, seed: u64) -> ShiftReport {
        let mut stream = Stream::new(seed, 31);
        let before: Vec<f64> = (0..ITEMS).map(|_| self.spread * stream.normal()).collect();
        let mut after = before.clone();
        after[..MOVED / 2].iter_mut().for_each(|points| *points += self.shift);
        after[MOVED / 2..MOVED].iter_mut().for_each(|points| *points -= self.shift);
        let offers: Vec<[usize; 2]> = (0..self.games)
            .map(|_| {
                let first = stream.below(ITEMS);
                [first, (first + 1 + stream.below(ITEMS - 1)) % ITEMS]
            })
            .collect();
        let (first, second) =
            (run(&offers, &before, &mut stream), run(&offers, &after, &mut stream));
        let bootstrap = Bootstrap { replicates: RESAMPLES, confidence: 0.95, seed };
        // A prior only where some trait may win or lose everything.
        let prior = if self.games < 10_000 || self.spread > 250.0 { 0.5 } else { 0.0 };
        let model = BradleyTerry { prior, ..BradleyTerry::default() };
        rating_shifts(&model, &first, &second, &bootstrap).expect("fits")
    }

    /// Share of the planted shifts whose simultaneous interval excludes 0, and whose q-value is at most
    /// 5 %.
    fn power(&self) -> (f64, f64) {
        let (mut by_interval, mut by_q_value) = (0, 0);
        for seed in 0..STUDIES {
            for shift in &self.simulate(seed).shifts[..MOVED] {
                by_interval += usize::from(!shift.simultaneous.contains(0.0));
                by_q_value += usize::from(shift.q_value <= 0.05);
            }
        }
        let trials = (STUDIES * MOVED as u64) as f64;
        (by_interval as f64 / trials, by_q_value as f64 / trials)
    }
}

fn run(offers: &[[usize; 2]], points: &[f64], stream: &mut Stream) -> Comparisons {
    let games = offers.iter().enumerate().map(|(cluster, &[first, second])| {
        let win = 1.0 / (1.0 + ((points[second] - points[first]) / POINTS_PER_NAT).exp());
        let outcome = if stream.happens(win) { Outcome::First } else { Outcome::Second };
        Comparison { first, second, outcome, cluster }
    });
    Comparisons::new(ITEMS, offers.len(), games.collect()).expect("valid")
}

/// How often two runs of an unchanged model, at the paper's size, show a shift.
fn family_wise_error(pairs: u64) {
    let unchanged = Study { games: 25_000, spread: 100.0, shift: 0.0 };
    let any = |report: &ShiftReport| report.shifts.iter().any(|s| !s.simultaneous.contains(0.0));
    let alarms = (0..pairs).filter(|&seed| any(&unchanged.simulate(seed))).count();
    let rate = Interval::wilson(alarms, pairs as usize, 0.95).expect("pairs of runs");
    println!(
        "{alarms} of {pairs} unchanged pairs show a shift: {:.1} % ({:.1} to {:.1})\n",
        100.0 * rate.estimate,
        100.0 * rate.low,
        100.0 * rate.high
    );
}

fn main() {
    let number = |name: &str, default: u64| {
        let value = std::env::args().skip_while(|arg| arg != name).nth(1);
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let pairs = number("--null-pairs", 1_000);
    if pairs > 0 {
        family_wise_error(pairs);
    }
    println!("| games | spread | shift | power, simultaneous interval | power, FDR 5 % |");
    println!("|---|---|---|---|---|");
    for (games, spread, shift) in [
        (25_000, 100.0, 50.0),
        (25_000, 100.0, 100.0),
        (25_000, 100.0, 125.0),
        (25_000, 100.0, 150.0),
        (25_000, 50.0, 150.0),
        (25_000, 200.0, 150.0),
        (25_000, 300.0, 150.0),
        (50_000, 100.0, 100.0),
        (12_500, 100.0, 150.0),
        (12_500, 100.0, 200.0),
        (5_000, 100.0, 150.0),
        (5_000, 100.0, 300.0),
    ] {
        let (interval, fdr) = Study { games, spread, shift }.power();
        println!("| {games} | {spread} | {shift} | {interval:.2} | {fdr:.2} |");
    }
}
