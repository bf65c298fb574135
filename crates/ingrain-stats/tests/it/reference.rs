//! Values of the reference implementations (`fixtures/make_stats.py`).

use std::path::Path;

use ingrain_stats::{
    Bootstrap, BradleyTerry, Comparison, Comparisons, ConfusionMatrix, Interval, Level, Outcome,
    PowerAnalysis, SoftmaxRegression, SparseRow, Weights, auroc, bca_interval, benjamini_hochberg,
    best_temperature, brier_score, clustered_mean, cohen_kappa, expected_calibration_error, holm,
    kendall_tau_b, krippendorff_alpha, least_squares, length_controlled_win_rate,
    logistic_regression, macro_auroc, mean_absolute_error, paired_permutation_test, pearson,
    permutation_test, softmax, spearman, weighted_kappa,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One value of `fixtures/stats/reference.json`.
fn get<T: DeserializeOwned>(block: &str, key: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/stats/reference.json");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let content: Value = serde_json::from_str(&text).expect("JSON");
    serde_json::from_value(content[block][key].clone()).expect("the expected shape")
}

#[track_caller]
fn check(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
}

#[track_caller]
fn check_all(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        check(*found, *expected, tolerance);
    }
}

#[test]
fn correlations_are_those_of_scipy() {
    let (a, b): (Vec<f64>, Vec<f64>) = (get("correlations", "a"), get("correlations", "b"));
    check(pearson(&a, &b).expect("defined"), get("correlations", "pearson"), 1e-12);
    check(spearman(&a, &b).expect("defined"), get("correlations", "spearman"), 1e-12);
    check(kendall_tau_b(&a, &b).expect("defined"), get("correlations", "kendall"), 1e-12);
    check(mean_absolute_error(&[1.0, 4.0], &[2.0, 1.0]).expect("defined"), 2.0, 0.0);
}

#[test]
fn bootstrap_intervals_are_those_of_scipy_for_the_same_resamples() {
    let values: Vec<f64> = get("bootstrap", "values");
    let replicates: Vec<f64> = get("bootstrap", "replicates");
    let total: f64 = values.iter().sum();
    let n = values.len() as f64;
    let jackknife: Vec<f64> = values.iter().map(|v| (total - v) / (n - 1.0)).collect();
    let bca = bca_interval(total / n, replicates, &jackknife, 0.95).expect("defined");
    check_all(&[bca.low, bca.high], &get::<Vec<f64>>("bootstrap", "bca"), 1e-9);

    // Our own resamples: both ends within what 10,000 of them leave to chance.
    let mean = |draw: &[usize]| draw.iter().map(|&i| values[i]).sum::<f64>() / n;
    let bootstrap = Bootstrap { replicates: 10_000, ..Bootstrap::default() };
    let percentile = bootstrap.percentile(values.len(), mean).expect("defined");
    let scipy: Vec<f64> = get("bootstrap", "percentile");
    check_all(&[percentile.low, percentile.high], &scipy, 0.25);
    let own_bca = bootstrap.bca(values.len(), mean).expect("defined");
    check_all(&[own_bca.low, own_bca.high], &get::<Vec<f64>>("bootstrap", "bca"), 0.3);
}

#[test]
fn kappas_are_those_of_statsmodels() {
    let (a, b): (Vec<usize>, Vec<usize>) = (get("kappas", "a"), get("kappas", "b"));
    check(cohen_kappa(&a, &b).expect("defined"), get("kappas", "equal"), 1e-12);
    for (weights, key) in [(Weights::Linear, "linear"), (Weights::Quadratic, "quadratic")] {
        check(weighted_kappa(&a, &b, weights).expect("defined"), get("kappas", key), 1e-12);
    }
}

#[test]
fn alphas_are_those_of_the_krippendorff_package() {
    let units: Vec<Vec<Option<f64>>> = get("alphas", "units");
    assert!(units.iter().flatten().any(Option::is_none), "the data have gaps");
    let levels =
        [(Level::Nominal, "nominal"), (Level::Ordinal, "ordinal"), (Level::Interval, "interval")];
    for (level, key) in levels {
        let alpha = krippendorff_alpha(&units, level).expect("defined");
        check(alpha, get("alphas", key), 1e-12);
    }
}

#[test]
fn permutation_tests_are_those_of_scipy() {
    let (a, b): (Vec<f64>, Vec<f64>) = (get("permutations", "a"), get("permutations", "b"));
    let paired = paired_permutation_test(&a, &b, 0, 0).expect("defined");
    check(paired, get("permutations", "paired"), 1e-12);
    // SciPy's is exact; ours is an estimate from 200,000, with a standard deviation below 0.0012.
    let independent = permutation_test(&a[..8], &b[..8], 200_000, 1).expect("defined");
    check(independent, get("permutations", "independent_first_eight"), 0.005);
}

#[test]
fn clustered_regressions_are_those_of_statsmodels() {
    let clusters: Vec<usize> = get("regressions", "clusters");
    let x: Vec<f64> = get("regressions", "x");
    let (y, won): (Vec<f64>, Vec<f64>) = (get("regressions", "y"), get("regressions", "won"));
    let design: Vec<[f64; 2]> = x.iter().map(|&x| [1.0, x]).collect();

    let ols = least_squares(&design, &y, &clusters).expect("defined");
    let [coefficients, errors]: [Vec<f64>; 2] = get("regressions", "ols");
    check_all(&ols.coefficients, &coefficients, 1e-10);
    check_all(&ols.standard_errors, &errors, 1e-10);

    let (mean, error) = clustered_mean(&y, &clusters).expect("defined");
    check_all(&[mean, error], &get::<Vec<f64>>("regressions", "mean"), 1e-10);

    let logit = logistic_regression(&design, &won, &clusters).expect("defined");
    let [coefficients, errors]: [Vec<f64>; 2] = get("regressions", "logit");
    check_all(&logit.coefficients, &coefficients, 1e-8);
    check_all(&logit.standard_errors, &errors, 1e-8);

    let controlled = length_controlled_win_rate(&won, &x, &clusters, 0.95).expect("defined");
    check(controlled.controlled.estimate, get("regressions", "controlled_rate"), 1e-8);
}

/// The class with the largest logit.
fn predicted(logits: &[f64]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("a class")
}

#[test]
fn scores_of_a_classifier_are_those_of_scikit_learn() {
    let block = "classification";
    let truths: Vec<usize> = get(block, "truth");
    let logits: Vec<Vec<f64>> = get(block, "logits");
    let pairs = truths.iter().zip(&logits).map(|(&truth, row)| (truth, predicted(row)));
    let matrix = ConfusionMatrix::count(4, pairs).expect("classes in range");
    assert_eq!(matrix.counts(), get::<Vec<Vec<usize>>>(block, "confusion"));
    check(matrix.accuracy().expect("defined"), get(block, "accuracy"), 1e-12);
    check(matrix.macro_f1().expect("defined"), get(block, "macro_f1"), 1e-12);
    let (expected, support): (Vec<[f64; 3]>, Vec<usize>) =
        (get(block, "scores"), get(block, "support"));
    for (class, (expected, support)) in expected.iter().zip(support).enumerate() {
        let scores = matrix.scores(class);
        let found =
            [scores.precision, scores.recall, scores.f1].map(|score| score.expect("defined"));
        check_all(&found, expected, 1e-12);
        assert_eq!(scores.support, support);
    }

    let shares: Vec<Vec<f64>> = logits.iter().map(|row| softmax(row, 1.0)).collect();
    check(macro_auroc(&shares, &truths).expect("defined"), get(block, "macro_auroc"), 1e-12);
    // Rounded to one digit, so that many are equal.
    let of = |wanted: bool| -> Vec<f64> {
        let rows = shares.iter().zip(&truths).filter(|(_, truth)| (**truth == 0) == wanted);
        rows.map(|(row, _)| (row[0] * 10.0).round_ties_even() / 10.0).collect()
    };
    check(auroc(&of(true), &of(false)).expect("defined"), get(block, "auroc_of_0"), 1e-12);
    check(brier_score(&shares, &truths).expect("defined"), get(block, "brier"), 1e-12);

    let confidences: Vec<f64> = shares.iter().map(|row| row[predicted(row)]).collect();
    let right: Vec<bool> =
        shares.iter().zip(&truths).map(|(row, &truth)| predicted(row) == truth).collect();
    let error = expected_calibration_error(&confidences, &right, 10).expect("defined");
    check(error, get(block, "calibration_error"), 1e-12);
    check(
        best_temperature(&logits, &truths, 0.0).expect("defined"),
        get(block, "temperature"),
        1e-5,
    );
}

#[test]
fn softmax_regression_is_that_of_scikit_learn() {
    let block = "softmax_regression";
    let truths: Vec<usize> = get(block, "truth");
    let x: Vec<Vec<f64>> = get(block, "x");
    let sparse = |row: &Vec<f64>| -> SparseRow {
        row.iter().copied().enumerate().filter(|(_, x)| *x != 0.0).collect()
    };
    let rows: Vec<SparseRow> = x.iter().map(sparse).collect();
    let model = SoftmaxRegression { l2: get(block, "l2"), max_iterations: 1_000, tolerance: 1e-9 };
    let fit = model.fit(&rows, &truths, 3, 5).expect("valid");
    let expected: Vec<Vec<f64>> = get(block, "probabilities");
    for (row, expected) in rows.iter().zip(&expected) {
        check_all(&softmax(&fit.logits(row), 1.0), expected, 1e-5);
    }
}

#[test]
fn adjusted_p_values_are_those_of_statsmodels() {
    let p: Vec<f64> = get("adjustments", "p");
    check_all(&holm(&p).expect("valid"), &get::<Vec<f64>>("adjustments", "holm"), 1e-12);
    let q = benjamini_hochberg(&p).expect("valid");
    check_all(&q, &get::<Vec<f64>>("adjustments", "benjamini_hochberg"), 1e-12);
}

#[test]
fn power_and_wilson_are_those_of_statsmodels() {
    let study = PowerAnalysis::default();
    let power = study.power_of(0.3, 1.0 / 50_f64.sqrt()).expect("defined");
    check(power, get("studies", "power"), 1e-12);
    let effect = study.minimum_detectable_effect(1.0, 200.0).expect("defined");
    check(effect, get("studies", "mde_200"), 1e-6);
    let strict = PowerAnalysis { alpha: 0.01, power: 0.9 };
    let size: f64 = get("studies", "size_0.25");
    assert_eq!(strict.sample_size(0.25, 1.0), Ok(size.ceil() as usize));
    let wilson = Interval::wilson(7, 20, 0.95).expect("defined");
    check_all(&[wilson.low, wilson.high], &get::<Vec<f64>>("studies", "wilson_7_of_20"), 1e-12);
}

fn games(block: &str, items: usize) -> Comparisons {
    let rows: Vec<[usize; 4]> = get(block, "games");
    let clusters = rows.last().map_or(0, |row| row[3] + 1);
    let outcomes = [Outcome::First, Outcome::Second, Outcome::Tie];
    let game = |&[first, second, outcome, cluster]: &[usize; 4]| Comparison {
        first,
        second,
        outcome: outcomes[outcome],
        cluster,
    };
    Comparisons::new(items, clusters, rows.iter().map(game).collect()).expect("valid")
}

#[test]
fn bradley_terry_ratings_and_errors_are_those_of_choix_and_statsmodels() {
    let games = games("ratings", 8);
    let model = BradleyTerry::default();
    let ratings = model.fit(&games).expect("fits");
    check_all(&ratings.points, &get::<Vec<f64>>("ratings", "points"), 1e-5);
    check_all(&ratings.points, &get::<Vec<f64>>("ratings", "choix"), 1e-2);
    check(ratings.log_likelihood, get("ratings", "log_likelihood"), 1e-8);
    let errors = model.standard_errors(&games).expect("defined");
    check_all(&errors, &get::<Vec<f64>>("ratings", "standard_errors"), 1e-5);
}

#[test]
fn davidson_ratings_are_those_of_scipy_s_optimiser() {
    let ratings = BradleyTerry::davidson().fit(&games("davidson", 6)).expect("fits");
    check_all(&ratings.points, &get::<Vec<f64>>("davidson", "points"), 1e-3);
    check(ratings.tie_parameter, get("davidson", "tie_parameter"), 1e-5);
    check(ratings.log_likelihood, get("davidson", "log_likelihood"), 1e-8);
}
