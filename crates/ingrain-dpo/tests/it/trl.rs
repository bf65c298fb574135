//! Values and gradients of the losses against TRL's own code (`fixtures/make_losses.py`), and by
//! hand where TRL has none.

use burn::tensor::{Device, Tensor};
use ingrain_dpo::{
    ApoDown, ApoZero, Cpo, Dpo, Dpop, Exo, Hinge, Ipo, K1, K2, K3, Kl, LabelNoise, Nll, Orpo,
    PairLogps, PreferenceLoss, SimPo, SquaredLogRatio, TokenLogps,
};
use serde::Deserialize;

use crate::fixtures::{LossCase, LossPair, json};

#[derive(Deserialize)]
struct Fixture {
    pairs: Vec<LossPair>,
    pairwise: Vec<LossCase>,
}

/// Losses `[pair]` and gradients `[pair][token]` of both sides.
struct Outcome {
    losses: Vec<f32>,
    chosen: Vec<Vec<f32>>,
    rejected: Vec<Vec<f32>>,
}

fn evaluate(loss: &dyn PreferenceLoss, pairs: &[LossPair]) -> Outcome {
    let device = Device::flex();
    let leaf = |row: fn(&LossPair) -> &[f32]| {
        let flat: Vec<f32> = pairs.iter().flat_map(|p| row(p).to_vec()).collect();
        let counts: Vec<usize> = pairs.iter().map(|p| row(p).len()).collect();
        (Tensor::<1>::from_floats(flat.as_slice(), &device).autodiff().require_grad(), counts)
    };
    let (chosen, chosen_counts) = leaf(|p| &p.policy_chosen);
    let (rejected, rejected_counts) = leaf(|p| &p.policy_rejected);
    let policy = PairLogps {
        chosen: TokenLogps::from_flat(chosen.clone(), &chosen_counts),
        rejected: TokenLogps::from_flat(rejected.clone(), &rejected_counts),
    };
    let plain = |row: fn(&LossPair) -> &[f32]| {
        let rows: Vec<&[f32]> = pairs.iter().map(row).collect();
        TokenLogps::from_rows(&rows, &device)
    };
    let reference = PairLogps {
        chosen: plain(|p| &p.reference_chosen),
        rejected: plain(|p| &p.reference_rejected),
    };
    let reference = loss.needs_reference().then_some(&reference);
    let losses = loss.forward(&policy, reference).expect("the reference is there").loss;
    let values = losses.clone().inner().to_data().try_to_vec().expect("f32");
    let gradients = losses.sum().backward();
    let rows = |leaf: &Tensor<1>, counts: &[usize]| {
        let flat: Vec<f32> = leaf.grad(&gradients).map_or_else(
            || vec![0.0; counts.iter().sum()],
            |g| g.to_data().try_to_vec().expect("f32"),
        );
        let mut rest = flat.as_slice();
        let mut take = |&n: &usize| {
            let (row, tail) = rest.split_at(n);
            rest = tail;
            row.to_vec()
        };
        counts.iter().map(&mut take).collect()
    };
    Outcome {
        losses: values,
        chosen: rows(&chosen, &chosen_counts),
        rejected: rows(&rejected, &rejected_counts),
    }
}

/// Absolute for numbers below one, relative above.
fn close(found: f32, expected: f64, tolerance: f64, what: &str) {
    let distance = (f64::from(found) - expected).abs();
    assert!(distance <= tolerance * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

fn check(name: &str, loss: &dyn PreferenceLoss) {
    let fixture: Fixture = json("losses/trl.json");
    let case = fixture.pairwise.iter().find(|case| case.name == name).expect("a case");
    let pairs = &fixture.pairs[..case.losses.len()];
    let found = evaluate(loss, pairs);
    for (i, expected) in case.losses.iter().enumerate() {
        close(found.losses[i], *expected, 1e-6, &format!("{name}, loss of pair {i}"));
        let sides = [
            ("chosen", &found.chosen[i], &case.grad_chosen[i]),
            ("rejected", &found.rejected[i], &case.grad_rejected[i]),
        ];
        for (side, found, expected) in sides {
            assert_eq!(found.len(), expected.len());
            for (token, (f, e)) in found.iter().zip(expected).enumerate() {
                close(*f, *e, 1e-5, &format!("{name}, gradient of pair {i}, {side} {token}"));
            }
        }
    }
}

#[test]
fn dpo_equals_trl() {
    check("sigmoid", &Dpo::default());
    check("sigmoid_beta_0.5", &Dpo { beta: 0.5, ..Dpo::default() });
}

#[test]
fn dpo_with_noisy_labels_equals_trl() {
    let smoothed = Dpo { label_smoothing: 0.1, ..Dpo::default() };
    check("sigmoid_label_smoothing", &smoothed);
    check("robust", &Dpo { label_noise: LabelNoise::Robust, ..smoothed });
}

#[test]
fn length_normalised_dpo_equals_trl() {
    check("sigmoid_norm", &Dpo { beta: 2.0, length_normalized: true, ..Dpo::default() });
}

#[test]
fn ipo_equals_trl() {
    check("ipo", &Ipo::default());
}

#[test]
fn hinge_equals_trl_with_and_without_a_reference() {
    check("hinge", &Hinge::default());
    check("cpo_hinge", &Hinge { reference_free: true, ..Hinge::default() });
}

#[test]
fn exo_equals_trl() {
    check("exo_pair", &Exo { label_smoothing: 0.1, ..Exo::default() });
}

#[test]
fn apo_equals_trl() {
    check("apo_zero", &ApoZero::default());
    check("apo_down", &ApoDown::default());
}

#[test]
fn nll_equals_trl() {
    check("sft", &Nll::default());
}

#[test]
fn the_preference_term_of_cpo_equals_trl() {
    let cpo = Cpo { nll_weight: 0.0, ..Cpo::default() };
    check("cpo_sigmoid", &cpo);
    check("cpo_label_smoothing", &Cpo { label_smoothing: 0.1, ..cpo });
}

#[test]
fn simpo_equals_trl() {
    // TRL divides its gamma by beta before it multiplies by beta again.
    check("simpo", &SimPo { beta: 2.0, gamma: 0.5 });
}

#[test]
fn the_odds_ratio_of_orpo_equals_trl() {
    struct WithoutLikelihood;
    impl PreferenceLoss for WithoutLikelihood {
        fn forward(
            &self,
            policy: &PairLogps,
            reference: Option<&PairLogps>,
        ) -> Result<ingrain_dpo::LossOutput, ingrain_dpo::DpoError> {
            let whole = Orpo::default().forward(policy, reference)?.loss;
            let likelihood = Nll::default().forward(policy, reference)?.loss;
            Ok(ingrain_dpo::LossOutput::new(whole - likelihood))
        }

        fn needs_reference(&self) -> bool {
            false
        }
    }
    check("orpo_odds_ratio", &WithoutLikelihood);
}

/// One pair with log-ratios of 1 and -3 on two chosen tokens and 2 on a rejected one.
fn by_hand() -> Vec<LossPair> {
    vec![LossPair {
        policy_chosen: vec![-1.0, -5.0],
        reference_chosen: vec![-2.0, -2.0],
        policy_rejected: vec![-2.0],
        reference_rejected: vec![-4.0],
    }]
}

fn check_by_hand(loss: &dyn PreferenceLoss, value: f64, chosen: [f64; 2], rejected: f64) {
    let found = evaluate(loss, &by_hand());
    close(found.losses[0], value, 1e-6, "loss");
    close(found.chosen[0][0], chosen[0], 1e-6, "first chosen token");
    close(found.chosen[0][1], chosen[1], 1e-6, "second chosen token");
    close(found.rejected[0][0], rejected, 1e-6, "rejected token");
}

#[test]
fn dpop_is_dpo_plus_a_penalty_that_only_a_falling_chosen_reply_pays() {
    // c = 1 - 3 = -2, r = 2, penalty 3 * 2: z = 0.1 (-2 - 2 - 6) = -1.
    // Loss log(1 + e); slope of -log sigmoid at -1: -sigmoid(1) = -0.731059.
    // d z / d chosen token = 0.1 (1 + 3), d z / d rejected token = -0.1.
    let loss = Dpop { lambda: 3.0, ..Dpop::default() };
    let (value, slope) = (1.0_f64.exp().ln_1p(), -1.0 / (1.0 + (-1.0_f64).exp()));
    check_by_hand(&loss, value, [0.4 * slope; 2], -0.1 * slope);

    // A chosen reply that has become more likely pays nothing.
    let mut pairs = by_hand();
    pairs[0].policy_chosen[1] = -1.0;
    let dpop = evaluate(&loss, &pairs);
    let dpo = evaluate(&Dpo::default(), &pairs);
    assert_eq!(dpop.losses, dpo.losses);
    assert_eq!(dpop.chosen, dpo.chosen);
}

#[test]
fn the_squared_log_ratio_pulls_every_token_to_the_reference() {
    // ((1 + 9) / 2 + 4) / 2 = 4.5; slopes 2 r / (tokens * 2).
    check_by_hand(&SquaredLogRatio::default(), 4.5, [0.5, -1.5], 2.0);
}

#[test]
fn the_kl_estimators_have_their_values_and_slopes() {
    // r = log pi - log ref = 1, -3 | 2 and d = -r.
    check_by_hand(&K1::default(), (-1.0 + 2.0) / 2.0, [0.25, 0.25], 0.5);
    check_by_hand(&K2::default(), 4.5 / 2.0, [0.25, -0.75], 1.0);
    // k3 = e^-r + r - 1 with slope 1 - e^-r.
    let k3 = |r: f64| (-r).exp() + r - 1.0;
    let value = (f64::midpoint(k3(1.0), k3(-3.0)) + k3(2.0)) / 2.0;
    let slope = |r: f64| 1.0 - (-r).exp();
    check_by_hand(&K3::default(), value, [slope(1.0) / 4.0, slope(-3.0) / 4.0], slope(2.0) / 2.0);
}

#[test]
fn full_vocabulary_kl_is_the_mean_over_tokens_and_then_over_sides() {
    let device = Device::flex();
    let logps = |flat: &Tensor<1>, counts: &[usize]| {
        TokenLogps::from_flat(flat.clone(), counts).with_divergence(flat.clone().neg())
    };
    let chosen = Tensor::<1>::from_floats([-1.0, -2.0, -6.0], &device).autodiff().require_grad();
    let rejected = Tensor::<1>::from_floats([-4.0, -0.5], &device);
    let policy = PairLogps { chosen: logps(&chosen, &[2, 1]), rejected: logps(&rejected, &[1, 1]) };
    let losses = Kl::default().forward(&policy, None).expect("carries divergences").loss;
    let values: Vec<f32> = losses.clone().inner().to_data().try_to_vec().expect("f32");
    assert_eq!(values, [(1.5 + 4.0) / 2.0, (6.0 + 0.5) / 2.0]);
    let gradient = chosen.grad(&losses.sum().backward()).expect("tracked");
    let gradient: Vec<f32> = gradient.to_data().try_to_vec().expect("f32");
    assert_eq!(gradient, [-0.25, -0.25, -0.5]);
    let bare = PairLogps { chosen: TokenLogps::from_rows(&[[-1.0]], &device), ..policy };
    let error = Kl::default().forward(&bare, None).expect_err("no divergences").to_string();
    assert!(error.contains("`kl` looks at the whole vocabulary"), "{error}");
}

#[test]
fn cpo_adds_the_mean_likelihood_of_the_chosen_reply() {
    // z = 0.1 (-6 + 2) = -0.4; loss log(1 + e^0.4) + (1 + 5) / 2.
    let slope = -0.1 / (1.0 + (-0.4_f64).exp());
    let value = 0.4_f64.exp().ln_1p() + 3.0;
    check_by_hand(&Cpo::default(), value, [slope - 0.5; 2], -slope);
}

#[test]
fn ipo_on_sums_is_the_paper_s_own_form() {
    // d = -2 - 2 = -4, target 5: (-4 - 5)^2 = 81, slope 2 (-9).
    let ipo = Ipo { length_normalized: false, ..Ipo::default() };
    check_by_hand(&ipo, 81.0, [-18.0; 2], 18.0);
}

#[test]
fn length_normalised_forms_take_the_mean_log_ratio_of_a_reply() {
    // c = (1 - 3) / 2 = -1, r = 2, d = c - r = -3; a chosen token has half of the slope in c.
    let on = true;
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    // sigmoid' is even.
    let bell = |z: f64| sigmoid(z) * sigmoid(-z);

    // max(0, 1 - 0.1 d)
    let hinge = Hinge { length_normalized: on, ..Hinge::default() };
    check_by_hand(&hinge, 1.3, [-0.05; 2], 0.1);

    // (-3 - 5)^2, slope 2 (-8)
    check_by_hand(&Ipo { length_normalized: on, ..Ipo::default() }, 64.0, [-8.0; 2], 16.0);

    // sigmoid(-0.1 c) + sigmoid(0.1 r)
    let (value, slope) = (sigmoid(0.1) + sigmoid(0.2), -0.1 * bell(0.1));
    let zero = ApoZero { length_normalized: on, ..ApoZero::default() };
    check_by_hand(&zero, value, [slope / 2.0; 2], 0.1 * bell(0.2));

    // sigmoid(0.1 c) + sigmoid(-0.1 d)
    let (value, slope) = (sigmoid(-0.1) + sigmoid(0.3), 0.1 * bell(0.1) - 0.1 * bell(0.3));
    let down = ApoDown { length_normalized: on, ..ApoDown::default() };
    check_by_hand(&down, value, [slope / 2.0; 2], 0.1 * bell(0.3));

    // z = 0.1 (c - r - 3 max(0, -c)) = -0.6; -log sigmoid(z), dz/dc = 0.1 (1 + 3)
    let dpop = Dpop { lambda: 3.0, length_normalized: on, ..Dpop::default() };
    let (value, slope) = (0.6_f64.exp().ln_1p(), -sigmoid(0.6));
    check_by_hand(&dpop, value, [slope * 0.2; 2], -0.1 * slope);

    // q = sigmoid(z) at z = -0.3: the divergence of (q, 1 - q) from (0.9, 0.1), with slope
    // q (1 - q) (log(q / (1 - q)) - log(0.9 / 0.1)) = q (1 - q) (z - log 9) in z.
    let exo = Exo { label_smoothing: 0.1, length_normalized: on, ..Exo::default() };
    let q = sigmoid(-0.3);
    let value = q * (q / 0.9).ln() + (1.0 - q) * ((1.0 - q) / 0.1).ln();
    let slope = 0.1 * bell(0.3) * (-0.3 - 9.0_f64.ln());
    check_by_hand(&exo, value, [slope / 2.0; 2], -slope);
}

#[test]
fn loss_is_ln_2_when_policy_equals_reference() {
    let mut pairs = by_hand();
    pairs[0].policy_chosen = pairs[0].reference_chosen.clone();
    pairs[0].policy_rejected = pairs[0].reference_rejected.clone();
    let ln_2 = std::f64::consts::LN_2;
    for length_normalized in [false, true] {
        let dpo = Dpo { length_normalized, ..Dpo::default() };
        close(evaluate(&dpo, &pairs).losses[0], ln_2, 1e-7, "dpo");
    }
    close(evaluate(&Dpop::default(), &pairs).losses[0], ln_2, 1e-7, "dpop");
    for loss in [&SquaredLogRatio::default() as &dyn PreferenceLoss, &K1 {}, &K2 {}, &K3 {}] {
        close(evaluate(loss, &pairs).losses[0], 0.0, 1e-7, "a penalty");
    }
}

#[test]
fn a_loss_that_needs_a_reference_says_so_and_names_the_way_out() {
    let row = || TokenLogps::from_rows(&[[-1.0]], &Device::flex());
    let policy = PairLogps { chosen: row(), rejected: row() };
    let error = Dpo::default().forward(&policy, None).expect_err("no reference").to_string();
    assert!(error.starts_with("loss `dpo` compares with a reference model"), "{error}");
    assert!(error.contains("reference-free loss (nll, simpo, orpo, cpo)"), "{error}");
}
