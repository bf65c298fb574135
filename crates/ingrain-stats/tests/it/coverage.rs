//! With simulated judges of known accuracy, bias and agreement, each statistic recovers the truth
//! within its interval at the stated rate.

use ingrain_stats::{
    Bootstrap, BradleyTerry, Clusters, Confusion, Interval, Level, Stream, bootstrap_ratings,
    clustered_mean, cohen_kappa, krippendorff_alpha, length_controlled_win_rate, spearman,
};

use crate::simulate::{check_rate, run, schedule, true_ratings};

const BOOTSTRAP: Bootstrap = Bootstrap { replicates: 400, confidence: 0.95, seed: 1 };

/// How many of `studies` simulated intervals hold the truth.
fn covered(studies: u64, truth: f64, study: impl Fn(&mut Stream) -> Interval) -> usize {
    (0..studies).filter(|&seed| study(&mut Stream::new(seed, 77)).contains(truth)).count()
}

#[test]
fn a_win_rate_over_repeated_prompts_covers_its_truth() {
    // A judge sees 60 prompts five times; each prompt has a win rate of its own, 0.5 on average.
    let study = |stream: &mut Stream| {
        let (mut won, mut prompts) = (Vec::new(), Vec::new());
        for prompt in 0..60 {
            let rate = stream.uniform();
            for _ in 0..5 {
                won.push(f64::from(u8::from(stream.happens(rate))));
                prompts.push(prompt);
            }
        }
        (won, prompts)
    };
    let bootstrap = covered(500, 0.5, |stream| {
        let (won, prompts) = study(stream);
        let clusters = Clusters::new(&prompts);
        let rate = |draw: &[usize]| {
            let drawn = clusters.expand(draw);
            drawn.iter().map(|&i| won[i]).sum::<f64>() / drawn.len() as f64
        };
        BOOTSTRAP.percentile(clusters.len(), rate).expect("defined")
    });
    check_rate(bootstrap, 500, 0.95, 0.01);
    let robust = covered(1_000, 0.5, |stream| {
        let (won, prompts) = study(stream);
        let (mean, error) = clustered_mean(&won, &prompts).expect("defined");
        Interval::normal(mean, error, 0.95).expect("defined")
    });
    check_rate(robust, 1_000, 0.95, 0.01);
    let naive = covered(1_000, 0.5, |stream| {
        let wins = study(stream).0.iter().filter(|w| **w > 0.5).count();
        Interval::wilson(wins, 300, 0.95).expect("defined")
    });
    assert!(naive < 900, "ignoring the prompts covers too rarely: {naive} of 1,000");
}

#[test]
fn bca_covers_the_mean_of_skewed_data() {
    // Squared normals: mean 1, skewness 2.8.
    let hits = covered(600, 1.0, |stream| {
        let values: Vec<f64> = (0..80).map(|_| stream.normal().powi(2)).collect();
        let mean =
            |draw: &[usize]| draw.iter().map(|&i| values[i]).sum::<f64>() / draw.len() as f64;
        BOOTSTRAP.bca(values.len(), mean).expect("defined")
    });
    check_rate(hits, 600, 0.95, 0.025);
}

#[test]
fn kappa_and_alpha_cover_their_truth() {
    // Two judges say the same with probability 0.8 and toss coins otherwise: kappa 0.8.
    let ratings = |stream: &mut Stream| -> Vec<[usize; 2]> {
        let one = |stream: &mut Stream| {
            let first = stream.below(2);
            [first, if stream.happens(0.8) { first } else { stream.below(2) }]
        };
        (0..200).map(|_| one(stream)).collect()
    };
    let kappa = covered(400, 0.8, |stream| {
        let pairs = ratings(stream);
        let statistic = |draw: &[usize]| {
            let (a, b): (Vec<_>, Vec<_>) = draw.iter().map(|&i| (pairs[i][0], pairs[i][1])).unzip();
            cohen_kappa(&a, &b).unwrap_or(f64::NAN)
        };
        BOOTSTRAP.bca(pairs.len(), statistic).expect("defined")
    });
    check_rate(kappa, 400, 0.95, 0.01);
    let alpha = covered(400, 0.8, |stream| {
        let pairs = ratings(stream);
        let statistic = |draw: &[usize]| {
            let units: Vec<_> = draw.iter().map(|&i| pairs[i].map(|r| Some(r as f64))).collect();
            krippendorff_alpha(&units, Level::Nominal).unwrap_or(f64::NAN)
        };
        BOOTSTRAP.percentile(pairs.len(), statistic).expect("defined")
    });
    check_rate(alpha, 400, 0.95, 0.015);
}

#[test]
fn spearman_covers_its_truth() {
    // Normal with Pearson's r = 0.6: Spearman's is 6 / pi * asin(0.3).
    let truth = 6.0 / std::f64::consts::PI * 0.3_f64.asin();
    let hits = covered(400, truth, |stream| {
        let pairs: Vec<(f64, f64)> = (0..150)
            .map(|_| {
                let a = stream.normal();
                (a, 0.6 * a + 0.8 * stream.normal())
            })
            .collect();
        let statistic = |draw: &[usize]| {
            let (a, b): (Vec<_>, Vec<_>) = draw.iter().map(|&i| pairs[i]).unzip();
            spearman(&a, &b).unwrap_or(f64::NAN)
        };
        BOOTSTRAP.percentile(pairs.len(), statistic).expect("defined")
    });
    check_rate(hits, 400, 0.95, 0.015);
}

#[test]
fn a_rate_corrected_for_the_judge_covers_the_truth_that_the_raw_rate_misses() {
    // True rate 0.3; the judge finds 85 % of yes and 90 % of no; 100 labels of either kind.
    let judge = |truth: bool, stream: &mut Stream| stream.happens(if truth { 0.85 } else { 0.1 });
    let study = |stream: &mut Stream| {
        let labelled = (0..200).map(|i| (i % 2 == 0, judge(i % 2 == 0, stream)));
        let labels = Confusion::count(labelled.collect::<Vec<_>>());
        let judged = (0..500).map(|_| {
            let truth = stream.happens(0.3);
            judge(truth, stream)
        });
        (labels, judged.filter(|&verdict| verdict).count())
    };
    let corrected = covered(2_000, 0.3, |stream| {
        let (labels, positives) = study(stream);
        labels.corrected_rate(positives, 500, 0.95).expect("defined")
    });
    check_rate(corrected, 2_000, 0.95, 0.005);
    let raw = covered(2_000, 0.3, |stream| {
        Interval::wilson(study(stream).1, 500, 0.95).expect("defined")
    });
    assert!(raw < 1_700, "the raw rate is biased: {raw} of 2,000");
}

#[test]
fn a_judge_that_likes_length_is_corrected_for_it() {
    // Equal quality (log-odds 0.4 at equal length), replies longer on average, log-odds 1.5 for it.
    let truth = 1.0 / (1.0 + (-0.4_f64).exp());
    let study = |stream: &mut Stream| {
        let longer: Vec<f64> = (0..400).map(|_| 60.0 + 100.0 * stream.normal()).collect();
        let won: Vec<f64> = longer
            .iter()
            .map(|l| {
                let odds = 0.4 + 1.5 * (l / 100.0).tanh();
                f64::from(u8::from(stream.happens(1.0 / (1.0 + (-odds).exp()))))
            })
            .collect();
        let prompts: Vec<usize> = (0..400).collect();
        length_controlled_win_rate(&won, &longer, &prompts, 0.95).expect("defined")
    };
    let hits = covered(600, truth, |stream| study(stream).controlled);
    check_rate(hits, 600, 0.95, 0.01);
    let example = study(&mut Stream::new(1, 1));
    assert!(example.raw > truth + 0.08 && example.length_effect.low > 0.0);
}

#[test]
fn ratings_cover_their_truth_item_by_item() {
    let (items, games, studies) = (20, 2_000, 60);
    let (mut robust, mut resampled) = (0, 0);
    for seed in 0..studies {
        let mut stream = Stream::new(seed, 5);
        let truth = true_ratings(items, 100.0, &mut stream);
        let mean = truth.iter().sum::<f64>() / items as f64;
        let offers = schedule(items, games, &mut stream);
        let games = run(&offers, &truth, &mut stream);
        let model = BradleyTerry::default();
        let errors = model.standard_errors(&games).expect("defined");
        let sample = bootstrap_ratings(&model, &games, &BOOTSTRAP).expect("defined");
        let intervals = sample.intervals().expect("defined");
        let points = sample.ratings.points.iter().zip(&truth);
        for ((estimate, truth), (error, interval)) in points.zip(errors.iter().zip(&intervals)) {
            let truth = truth - mean;
            let normal = Interval::normal(*estimate, *error, 0.95).expect("defined");
            robust += usize::from(normal.contains(truth));
            resampled += usize::from(interval.contains(truth));
        }
    }
    let trials = items * studies as usize;
    check_rate(robust, trials, 0.95, 0.01);
    check_rate(resampled, trials, 0.95, 0.01);
}
