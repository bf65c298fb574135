//! KTO and BCO: against TRL's numbers (`fixtures/make_losses.py`), and trained on a tiny model.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use ingrain_dpo::{
    Bco, DpoError, Kto, TokenLogps, TokenizedReply, UnpairedConfig, UnpairedLoss, UnpairedTrainer,
};
use ingrain_lm::{Adapter, CausalLm, LoraConfig, TokenSequence};
use ingrain_train::{Statistics, TrainConfig, Trained};
use serde::Deserialize;

use crate::fixtures::{LossCase, LossPair, Recorder, bits, json, made_up_pairs, model};

#[derive(Deserialize)]
struct Fixture {
    pairs: Vec<LossPair>,
    pairwise: Vec<LossCase>,
    batched: Vec<Batched>,
}

#[derive(Deserialize)]
struct Batched {
    name: String,
    loss: f64,
    #[serde(default)]
    kl: f64,
    grad_chosen: Vec<Vec<f64>>,
    grad_rejected: Vec<Vec<f64>>,
}

/// Losses of all chosen replies, then of all rejected ones, and the gradient of their sum at each token.
fn evaluate(
    loss: &UnpairedLoss,
    pairs: &[LossPair],
    given: &[(&str, f64)],
) -> (Vec<f32>, Vec<f32>) {
    let device = Device::flex();
    let policy = pairs.iter().map(|p| &p.policy_chosen);
    let policy: Vec<&Vec<f32>> = policy.chain(pairs.iter().map(|p| &p.policy_rejected)).collect();
    let reference = pairs.iter().map(|p| &p.reference_chosen);
    let reference: Vec<&Vec<f32>> =
        reference.chain(pairs.iter().map(|p| &p.reference_rejected)).collect();
    let flat: Vec<f32> = policy.iter().flat_map(|row| row.iter().copied()).collect();
    let counts: Vec<usize> = policy.iter().map(|row| row.len()).collect();
    let leaf = Tensor::<1>::from_floats(flat.as_slice(), &device).autodiff().require_grad();
    let ratios = TokenLogps::from_flat(leaf.clone(), &counts)
        .minus(&TokenLogps::from_rows(&reference, &device))
        .sum();
    let desirable: Vec<bool> = (0..2 * pairs.len()).map(|i| i < pairs.len()).collect();
    let given: Statistics = given.iter().map(|(name, x)| ((*name).to_owned(), *x)).collect();
    let losses = loss.forward(ratios, &desirable, &given);
    let gradients = losses.clone().sum().backward();
    let read = |x: burn::tensor::TensorData| x.try_to_vec::<f32>().expect("f32");
    (read(losses.inner().to_data()), read(leaf.grad(&gradients).expect("tracked").to_data()))
}

fn close(found: f64, expected: f64, what: &str) {
    let distance = (found - expected).abs();
    assert!(distance <= 1e-5 * expected.abs().max(1.0), "{what}: {found} is not {expected}");
}

fn flat(chosen: &[Vec<f64>], rejected: &[Vec<f64>]) -> Vec<f64> {
    chosen.iter().chain(rejected).flatten().copied().collect()
}

#[test]
fn kto_equals_trl_over_a_batch() {
    let fixture: Fixture = json("losses/trl.json");
    for (name, loss) in [
        ("kto", Kto::default()),
        ("kto_weighted", Kto { undesirable_weight: 1.5, ..Kto::default() }),
        // Without a divergence KTO is APO-zero on single replies.
        ("apo_zero_unpaired", Kto::default()),
    ] {
        let case = fixture.batched.iter().find(|case| case.name == name).expect("a case");
        let (losses, gradient) =
            evaluate(&UnpairedLoss::Kto(loss), &fixture.pairs, &[("kl", case.kl)]);
        let replies = losses.len() as f64;
        let mean = losses.iter().map(|&x| f64::from(x)).sum::<f64>() / replies;
        close(mean, case.loss, name);
        let expected = flat(&case.grad_chosen, &case.grad_rejected);
        assert_eq!(gradient.len(), expected.len());
        for (found, expected) in gradient.iter().zip(expected) {
            close(f64::from(*found) / replies, expected, &format!("{name}, gradient"));
        }
    }
}

#[test]
fn bco_without_a_shift_equals_trl_s_paired_form() {
    let fixture: Fixture = json("losses/trl.json");
    let case = fixture.pairwise.iter().find(|case| case.name == "bco_pair").expect("a case");
    let pairs = fixture.pairs.len();
    let (losses, gradient) =
        evaluate(&UnpairedLoss::Bco(Bco::default()), &fixture.pairs, &[("delta", 0.0)]);
    for (i, expected) in case.losses.iter().enumerate() {
        close(f64::from(losses[i]) + f64::from(losses[pairs + i]), *expected, "bco");
    }
    let expected = flat(&case.grad_chosen, &case.grad_rejected);
    for (found, expected) in gradient.iter().zip(expected) {
        close(f64::from(*found), expected, "bco, gradient");
    }
}

#[test]
fn the_shift_of_bco_moves_the_reward() {
    // One pair: log-ratios 2 and -1, beta 0.5, delta 0.25.
    // -log sigmoid(1 - 0.25) = log(1 + e^-0.75); -log sigmoid(-(-0.5 - 0.25)) = the same.
    let pair = LossPair {
        policy_chosen: vec![-1.0],
        reference_chosen: vec![-3.0],
        policy_rejected: vec![-2.0],
        reference_rejected: vec![-1.0],
    };
    let loss = UnpairedLoss::Bco(Bco { beta: 0.5 });
    let (losses, gradient) = evaluate(&loss, &[pair], &[("delta", 0.25)]);
    let expected = (-0.75_f64).exp().ln_1p();
    let slope = 0.5 / (1.0 + 0.75_f64.exp());
    close(f64::from(losses[0]), expected, "desirable");
    close(f64::from(losses[1]), expected, "undesirable");
    close(f64::from(gradient[0]), -slope, "desirable, gradient");
    close(f64::from(gradient[1]), slope, "undesirable, gradient");
}

fn replies(pairs: usize) -> Vec<TokenizedReply> {
    let pairs = made_up_pairs(pairs);
    let swapped = |own: &TokenSequence, other: &TokenSequence| {
        let ids = |s: &TokenSequence, completion: bool| -> Vec<u32> {
            let kept = s.ids.iter().zip(&s.completion).filter(|(_, is)| **is == completion);
            kept.map(|(&id, _)| id).collect()
        };
        TokenSequence::from_parts(&ids(own, false), &ids(other, true))
    };
    let mut replies = Vec::new();
    for (i, pair) in pairs.iter().enumerate() {
        let next = &pairs[(i + 1) % pairs.len()];
        for (desirable, own, other) in
            [(true, &pair.chosen, &next.chosen), (false, &pair.rejected, &next.rejected)]
        {
            replies.push(TokenizedReply {
                id: format!("{}-{desirable}", pair.id),
                desirable,
                sequence: own.clone(),
                mismatched: swapped(own, other),
            });
        }
    }
    replies
}

fn config(loss: UnpairedLoss, epochs: u64) -> UnpairedConfig {
    let training = TrainConfig {
        epochs,
        batch_size: 4,
        micro_batch_tokens: 30,
        learning_rate: 0.02,
        checkpoint_every_steps: 2,
        ..TrainConfig::default()
    };
    UnpairedConfig { loss, training, ..UnpairedConfig::default() }
}

fn both() -> [UnpairedLoss; 2] {
    [UnpairedLoss::Kto(Kto::default()), UnpairedLoss::Bco(Bco::default())]
}

fn train(
    model: &CausalLm,
    replies: &[TokenizedReply],
    config: &UnpairedConfig,
    dir: &Path,
    recorder: &Recorder,
) -> Result<Trained<Adapter>, DpoError> {
    let lora = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
    let initial = Adapter::init(model, &lora, 1).expect("the tiny model has all seven projections");
    UnpairedTrainer { model, base: "tiny", replies, config, reference_cache: None }
        .fit(initial, &recorder.run(dir))
}

#[test]
fn a_tiny_model_learns_which_replies_are_desirable() {
    let (model, replies) = (model(), replies(3));
    for loss in both() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let recorder = Recorder::default();
        let config = config(loss, 30);
        let trained = train(&model, &replies, &config, dir.path(), &recorder).expect("trains");
        let chosen = recorder.metric("reward_chosen");
        let rejected = recorder.metric("reward_rejected");
        let (chosen, rejected) = (&chosen[chosen.len() - 3..], &rejected[rejected.len() - 3..]);
        let lowest = chosen.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rejected.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(lowest > highest, "{chosen:?} {rejected:?}");
        assert!(trained.last["loss"] < 0.7 * recorder.metric("loss")[0], "{:?}", trained.last);
    }
}

#[test]
fn the_batch_s_figure_does_not_depend_on_micro_batches() {
    let (model, replies) = (model(), replies(4));
    for loss in both() {
        let result = |micro_batch_tokens| {
            let mut config = config(loss.clone(), 2);
            config.training.micro_batch_tokens = micro_batch_tokens;
            config.training.batch_size = 8;
            let dir = tempfile::tempdir().expect("temporary directory");
            let trained = train(&model, &replies, &config, dir.path(), &Recorder::default());
            trained.expect("trains").last
        };
        let (whole, single) = (result(100_000), result(1));
        for key in ["loss", "grad_norm", "reward_chosen"] {
            let (a, b) = (whole[key], single[key]);
            assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{key}: {a} and {b}");
        }
    }
}

#[test]
fn a_run_interrupted_at_every_step_equals_an_uninterrupted_one() {
    let (model, replies) = (model(), replies(3));
    for loss in both() {
        let config = config(loss, 2);
        let whole = tempfile::tempdir().expect("temporary directory");
        let expected =
            train(&model, &replies, &config, whole.path(), &Recorder::default()).expect("trains");
        let dir = tempfile::tempdir().expect("temporary directory");
        for step in 1..expected.steps {
            train(&model, &replies, &config, dir.path(), &Recorder::stopping_after(step))
                .expect_err("interrupted");
        }
        let resumed =
            train(&model, &replies, &config, dir.path(), &Recorder::default()).expect("ends");
        assert_eq!(bits(&resumed.parameters), bits(&expected.parameters));
    }
}
