//! What the comparison of two runs finds: nothing where nothing changed, and planted shifts.

use ingrain_stats::{Bootstrap, BradleyTerry, Elo, Interval, ShiftReport, Stream, rating_shifts};

use crate::simulate::{run, schedule, true_ratings};

/// Two runs of a model over one schedule, the second with `planted` shifts in points.
fn two_runs(
    items: usize,
    games: usize,
    planted: &[f64],
    seed: u64,
    resamples: usize,
) -> ShiftReport {
    let mut stream = Stream::new(seed, 9);
    let before = true_ratings(items, 100.0, &mut stream);
    let mut after = before.clone();
    after.iter_mut().zip(planted).for_each(|(points, shift)| *points += shift);
    let offers = schedule(items, games, &mut stream);
    let first = run(&offers, &before, &mut stream);
    let second = run(&offers, &after, &mut stream);
    let bootstrap = Bootstrap { replicates: resamples, confidence: 0.95, seed };
    rating_shifts(&BradleyTerry::default(), &first, &second, &bootstrap).expect("fits")
}

#[test]
fn an_unchanged_model_shows_a_shift_in_one_pair_of_runs_in_twenty() {
    let (mut by_interval, mut by_p_value, mut false_discoveries) = (0, 0, 0);
    for seed in 0..1_000 {
        let report = two_runs(16, 1_600, &[], seed, 500);
        let any = |found: &dyn Fn(&ingrain_stats::Shift) -> bool| {
            usize::from(report.shifts.iter().any(found))
        };
        by_interval += any(&|shift| !shift.simultaneous.contains(0.0));
        by_p_value += any(&|shift| shift.family_p_value <= 0.05);
        // With no true shift every discovery is false, so this rate is the false discovery rate.
        false_discoveries += any(&|shift| shift.q_value <= 0.05);
    }
    for (name, count) in
        [("interval", by_interval), ("p-value", by_p_value), ("q-value", false_discoveries)]
    {
        let rate = Interval::wilson(count, 1_000, 0.95).expect("defined");
        assert!(rate.contains(0.05), "{name}: {count} of 1,000 pairs of runs");
    }
}

#[test]
fn planted_shifts_of_150_points_are_found_at_the_paper_s_sample_size() {
    // 144 traits, 25,000 games, five traits up and five down; power above .9 (six studies).
    let mut planted = [0.0; 144];
    planted[..5].fill(150.0);
    planted[5..10].fill(-150.0);
    let (mut found, mut stray) = (0, 0);
    for seed in 0..6 {
        let report = two_runs(144, 25_000, &planted, seed, 200);
        let seen = |shift: &&ingrain_stats::Shift| !shift.simultaneous.contains(0.0);
        found += report.shifts[..10].iter().filter(seen).count();
        stray += report.shifts[10..].iter().filter(seen).count();
    }
    assert!(found > 54, "{found} of 60");
    assert!(stray <= 3, "{stray} false ones");
}

#[test]
fn sequential_elo_is_noisier_than_maximum_likelihood_on_the_same_games() {
    let mut stream = Stream::new(1, 2);
    let truth = true_ratings(144, 100.0, &mut stream);
    let mean = truth.iter().sum::<f64>() / 144.0;
    let games = run(&schedule(144, 25_000, &mut stream), &truth, &mut stream);
    let error = |points: &[f64]| {
        let squares = points.iter().zip(&truth).map(|(p, t)| (p - t + mean).powi(2));
        (squares.sum::<f64>() / 144.0).sqrt()
    };
    let by_likelihood = error(&BradleyTerry::default().fit(&games).expect("fits").points);
    let by_elo = error(&Elo::default().rate(&games));
    assert!((15.0..27.0).contains(&by_likelihood), "{by_likelihood}");
    assert!((45.0..70.0).contains(&by_elo), "{by_elo}");
}

#[test]
fn runs_over_different_prompts_are_refused() {
    let mut stream = Stream::new(1, 2);
    let truth = true_ratings(5, 100.0, &mut stream);
    let short = run(&schedule(5, 200, &mut stream), &truth, &mut stream);
    let long = run(&schedule(5, 201, &mut stream), &truth, &mut stream);
    let error = rating_shifts(&BradleyTerry::default(), &short, &long, &Bootstrap::default());
    assert!(error.is_err_and(|e| e.to_string().contains("clusters of two runs")));
}
