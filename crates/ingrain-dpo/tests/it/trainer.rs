//! The trainer on a tiny model: it learns, it resumes to the bit, it leaves the weights alone.

use std::path::Path;

use burn::tensor::{Int, Tensor};
use ingrain_dpo::{
    DpoConfig, DpoError, DpoTrainer, LossOutput, LossSpec, PairLogps, PreferenceLoss,
    TokenizedPair, WeightedSum,
};
use ingrain_lm::{Adapter, CausalLm, FullWeights, LoraConfig, Policy, Readout, TokenBatch};
use ingrain_train::{Gradients, Objective as _, Parameters, TrainConfig, TrainError, Trained};

use crate::fixtures::{Recorder, bits, made_up_pairs, model};

fn config(epochs: u64) -> DpoConfig {
    DpoConfig {
        losses: serde_json::from_str::<Vec<LossSpec>>(
            r#"[{"dpo": 1.0}, {"nll": 0.5}, {"squared_log_ratio": 0.001}]"#,
        )
        .expect("an objective"),
        training: TrainConfig {
            epochs,
            batch_size: 3,
            micro_batch_tokens: 40,
            learning_rate: 0.02,
            checkpoint_every_steps: 2,
            ..TrainConfig::default()
        },
        ..DpoConfig::default()
    }
}

fn fresh(model: &CausalLm) -> Adapter {
    let lora = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
    Adapter::init(model, &lora, 1).expect("the tiny model has all seven projections")
}

fn train(
    model: &CausalLm,
    pairs: &[TokenizedPair],
    config: &DpoConfig,
    dir: &Path,
    recorder: &Recorder,
) -> Result<Trained<Adapter>, DpoError> {
    DpoTrainer { model, base: "tiny", pairs, config, reference_cache: None }
        .fit(fresh(model), &recorder.run(dir))
}

#[test]
fn a_tiny_model_overfits_a_handful_of_pairs() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let trained = train(&model, &pairs, &config(40), dir.path(), &recorder).expect("trains");
    assert_eq!(trained.steps, 80);
    let first = |name: &str| recorder.metric(name)[0];
    let last = |name: &str| trained.last[name];
    // Before the first step the adapter changes nothing: the margin is zero up to rounding.
    assert!(first("margin").abs() < 1e-4, "{}", first("margin"));
    assert!((first("loss_dpo") - 2.0_f64.ln()).abs() < 1e-4);
    assert_eq!(last("accuracy"), 1.0);
    assert!(last("margin") > 2.0, "{}", last("margin"));
    assert!(last("nll") < 0.5 * first("nll"), "{} of {}", last("nll"), first("nll"));
    assert!(last("reward_chosen") > 0.0 && last("reward_rejected") < 0.0);
    assert!((last("logp_chosen") + last("nll")).abs() < 1e-6);
}

#[test]
fn a_run_interrupted_at_every_step_equals_an_uninterrupted_one() {
    let (model, pairs) = (model(), made_up_pairs(5));
    let whole = tempfile::tempdir().expect("temporary directory");
    let expected =
        train(&model, &pairs, &config(2), whole.path(), &Recorder::default()).expect("trains");
    assert_eq!(expected.steps, 4);
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..4 {
        let error = train(&model, &pairs, &config(2), dir.path(), &Recorder::stopping_after(step));
        let error = error.expect_err("interrupted");
        assert!(
            matches!(error, DpoError::Train(TrainError::Interrupted { done, .. }) if done == step),
            "{error}"
        );
    }
    let resumed =
        train(&model, &pairs, &config(2), dir.path(), &Recorder::default()).expect("ends");
    assert_eq!(bits(&resumed.parameters), bits(&expected.parameters));
    assert_ne!(bits(&resumed.parameters), bits(&fresh(&model)), "something was learnt");
}

#[test]
fn the_frozen_weights_do_not_move() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let logits = |model: &CausalLm| {
        let tokens = Tensor::<2, Int>::from_ints([[5, 99, 200, 17, 301, 42]], model.device());
        let data = model.logits(tokens, None).to_data();
        data.try_to_vec::<f32>().expect("f32").into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    };
    let before = logits(&model);
    let dir = tempfile::tempdir().expect("temporary directory");
    train(&model, &pairs, &config(3), dir.path(), &Recorder::default()).expect("trains");
    assert_eq!(logits(&model), before);
}

#[test]
fn micro_batches_change_nothing_but_the_last_digits() {
    let (model, pairs) = (model(), made_up_pairs(6));
    let result = |micro_batch_tokens| {
        let mut config = config(1);
        config.training.micro_batch_tokens = micro_batch_tokens;
        config.training.batch_size = 6;
        let dir = tempfile::tempdir().expect("temporary directory");
        let trained = train(&model, &pairs, &config, dir.path(), &Recorder::default());
        trained.expect("trains").last
    };
    let (whole, single) = (result(100_000), result(1));
    for key in ["loss", "grad_norm", "nll", "loss_squared_log_ratio"] {
        let (a, b) = (whole[key], single[key]);
        assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{key}: {a} and {b}");
    }
}

#[test]
fn blocks_that_are_computed_again_train_to_the_same_bits() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let result = |recompute_blocks| {
        let mut config = config(2);
        config.training.recompute_blocks = recompute_blocks;
        let dir = tempfile::tempdir().expect("temporary directory");
        let trained = train(&model, &pairs, &config, dir.path(), &Recorder::default());
        bits(&trained.expect("trains").parameters)
    };
    assert_eq!(result(true), result(false));
}

/// The mean of `-log pi(chosen)`, as somebody outside would write it.
struct Mine;

impl PreferenceLoss for Mine {
    fn forward(&self, policy: &PairLogps, _: Option<&PairLogps>) -> Result<LossOutput, DpoError> {
        Ok(LossOutput::new(policy.chosen.mean().neg()))
    }

    fn needs_reference(&self) -> bool {
        false
    }
}

#[test]
fn a_loss_of_ones_own_trains_like_the_built_in_one_that_it_equals() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let mut config = config(2);
    config.losses = serde_json::from_str(r#"[{"nll": 1.0}]"#).expect("an objective");
    let dir = tempfile::tempdir().expect("temporary directory");
    let expected =
        train(&model, &pairs, &config, dir.path(), &Recorder::default()).expect("trains");
    let trainer = DpoTrainer {
        model: &model,
        base: "tiny",
        pairs: &pairs,
        config: &config,
        reference_cache: None,
    };
    let own = |settings: &str, dir: &Path| {
        let loss = WeightedSum::new().with("mine", 1.0, Mine);
        trainer.fit_loss(loss, settings, fresh(&model), &Recorder::default().run(dir))
    };
    let dir = tempfile::tempdir().expect("temporary directory");
    let trained = own("mine", dir.path()).expect("trains");
    assert_eq!(bits(&trained.parameters), bits(&expected.parameters));
    let other = own("mine, otherwise", dir.path()).expect_err("another loss's checkpoint");
    assert!(matches!(other, DpoError::Train(_)), "{other}");
}

#[test]
fn a_reference_free_objective_makes_no_reference_pass() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let losses = serde_json::from_str(r#"[{"simpo": 1.0}, {"nll": 1.0}]"#).expect("an objective");
    let config = DpoConfig { losses, ..config(20) };
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let trained = train(&model, &pairs, &config, dir.path(), &recorder).expect("trains");
    assert!(trained.last["loss"] < recorder.metric("loss")[0]);
    let files = std::fs::read_dir(dir.path()).expect("a directory");
    let names: Vec<_> = files.map(|f| f.expect("entry").file_name()).collect();
    assert!(!names.iter().any(|n| n.to_string_lossy().contains("reference")), "{names:?}");
}

#[test]
fn other_data_does_not_continue_a_checkpoint() {
    let model = model();
    let dir = tempfile::tempdir().expect("temporary directory");
    let first = made_up_pairs(4);
    train(&model, &first, &config(1), dir.path(), &Recorder::default()).expect("trains");
    let mut other = first;
    *other[0].chosen.ids.last_mut().expect("a reply") ^= 1;
    let error = train(&model, &other, &config(1), dir.path(), &Recorder::default());
    let message = error.expect_err("another run's checkpoint").to_string();
    assert!(message.contains("other training settings, losses or data"), "{message}");
}

#[test]
fn full_vocabulary_kl_starts_at_zero_and_holds_the_policy_back() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let run = |losses: &str| {
        let losses = serde_json::from_str(losses).expect("an objective");
        let config = DpoConfig { losses, ..config(10) };
        let dir = tempfile::tempdir().expect("temporary directory");
        let recorder = Recorder::default();
        train(&model, &pairs, &config, dir.path(), &recorder).expect("trains");
        recorder
    };
    let weak = run(r#"[{"nll": 1.0}, {"kl": 0.0001}]"#);
    let strong = run(r#"[{"nll": 1.0}, {"kl": 10.0}]"#);
    let last = |recorder: &Recorder| recorder.metric("kl").pop().expect("measured");
    assert!(weak.metric("kl")[0].abs() < 1e-5, "{:?}", weak.metric("kl"));
    assert!(last(&strong) < 0.2 * last(&weak), "{} {}", last(&strong), last(&weak));
    assert!((strong.metric("loss_kl")[5] - strong.metric("kl")[5]).abs() < 1e-6);
    // A weight of zero measures it and leaves the training as it is.
    let (watched, alone) = (run(r#"[{"nll": 1.0}, {"kl": 0}]"#), run(r#"[{"nll": 1.0}]"#));
    assert!(last(&watched) > 1e-3, "{}", last(&watched));
    for (watched, alone) in watched.metric("nll").iter().zip(alone.metric("nll")) {
        assert!((watched - alone).abs() < 1e-4, "{watched} {alone}");
    }
    assert!(alone.metric("kl").is_empty());
}

#[test]
fn what_a_pair_costs_does_not_depend_on_its_neighbours() {
    // Batches hold several sequences side by side: one pair's tokens must not reach another's.
    let (model, pairs) = (model(), made_up_pairs(5));
    let policy = crate::fixtures::adapter(&model);
    let config = DpoConfig {
        losses: serde_json::from_str(r#"[{"simpo": 1.0}, {"nll": 1.0}]"#).expect("an objective"),
        ..DpoConfig::default()
    };
    let cost = |pairs: &[TokenizedPair], examples: &[usize]| {
        let objective = ingrain_dpo::DpoObjective::new(&model, "tiny", pairs, None, &config);
        let cost = objective.expect("valid").cost(examples, &policy).expect("priced");
        f64::from(cost.loss.into_scalar::<f32>())
    };
    let alone: f64 = (0..5).map(|i| cost(&pairs, &[i])).sum();
    let together = cost(&pairs, &[0, 1, 2, 3, 4]);
    assert!((alone - together).abs() < 1e-4, "{alone} {together}");
    // Other tokens in the neighbours leave the first pair's cost as it is, to the last bit of rounding.
    let mut others = pairs.clone();
    for pair in &mut others[1..] {
        pair.chosen.ids.iter_mut().chain(&mut pair.rejected.ids).for_each(|id| *id = 3 + *id % 300);
    }
    let rest = |pairs: &[TokenizedPair]| cost(pairs, &[0, 1, 2, 3, 4]) - cost(pairs, &[1, 2, 3, 4]);
    assert!((rest(&pairs) - rest(&others)).abs() < 1e-4);
}

/// An adapter whose replies are computed in rows of their own.
struct Apart(Adapter);

impl Policy for Apart {
    fn readout(&self, model: &CausalLm, batch: &TokenBatch) -> Readout {
        self.0.readout(model, batch)
    }
}

#[test]
fn prompts_that_are_computed_once_cost_and_slope_as_those_computed_twice() {
    let (model, mut pairs) = (model(), made_up_pairs(6));
    // A reply of one token, and a pair without a common beginning.
    let short = &mut pairs[1].rejected;
    let end = short.ids.len() - short.completion_len() + 1;
    short.ids.truncate(end);
    short.completion.truncate(end);
    pairs[2].chosen.ids[0] ^= 1;
    let config = DpoConfig {
        losses: serde_json::from_str(r#"[{"simpo": 1.0}, {"nll": 1.0}, {"kl": 1.0}]"#)
            .expect("an objective"),
        ..DpoConfig::default()
    };
    let model = model.recomputing(true);
    let objective = ingrain_dpo::DpoObjective::new(&model, "tiny", &pairs, None, &config);
    let objective = objective.expect("valid");
    let adapter = Parameters::tracked(&crate::fixtures::adapter(&model));
    assert!(adapter.shares_beginnings(&model) && !Apart(adapter.clone()).shares_beginnings(&model));
    for examples in [&[0, 1, 2, 3, 4, 5][..], &[1], &[2]] {
        let once = objective.cost(examples, &adapter).expect("priced");
        let twice = objective.cost(examples, &Apart(adapter.clone())).expect("priced");
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        assert!(once.weight == twice.weight && once.tokens == twice.tokens);
        let (found, expected) = (once.metrics.means(), twice.metrics.means());
        assert!(found.keys().eq(expected.keys()));
        assert!(expected.iter().all(|(name, b)| close(found[name], *b)), "{found:?} {expected:?}");
        let value = |x: &Tensor<1>| f64::from(x.clone().inner().into_scalar::<f32>());
        assert!(close(value(&once.loss), value(&twice.loss)));
        let found = Gradients::backward(&once.loss, &adapter);
        let expected = Gradients::backward(&twice.loss, &adapter);
        for (name, _) in adapter.parameters() {
            let gradient = |of: &Gradients| of.get(&name).expect("reached").clone();
            let (found, expected) = (gradient(&found), gradient(&expected));
            let largest = expected.clone().abs().max().into_scalar::<f32>();
            let off = (found - expected).abs().max().into_scalar::<f32>();
            assert!(off <= 1e-5 * largest, "{name}: {off} of {largest}");
        }
    }
}

#[test]
fn full_fine_tuning_learns_resumes_to_the_bit_and_leaves_the_model_alone() {
    let (model, pairs) = (model(), made_up_pairs(4));
    let config = |epochs| {
        let mut config = config(epochs);
        config.training.learning_rate = 0.005;
        config
    };
    let everything = FullWeights::all(&model).with_adapter(fresh(&model));
    let some = FullWeights::of(&model, &["down_proj", "norm"]).expect("the model has them");
    assert!(some.parameters().len() < everything.parameters().len());
    for initial in [everything, some] {
        let run = |config: &DpoConfig, dir: &Path, recorder: &Recorder| {
            let trainer = DpoTrainer {
                model: &model,
                base: "tiny",
                pairs: &pairs,
                config,
                reference_cache: None,
            };
            trainer.fit(initial.clone(), &recorder.run(dir))
        };
        let dir = tempfile::tempdir().expect("temporary directory");
        let recorder = Recorder::default();
        let trained = run(&config(15), dir.path(), &recorder).expect("trains");
        assert!(trained.last["nll"] < 0.8 * recorder.metric("nll")[0], "{:?}", trained.last);
        assert_eq!(trained.last["accuracy"], 1.0);

        let whole = tempfile::tempdir().expect("temporary directory");
        let expected = run(&config(2), whole.path(), &Recorder::default()).expect("trains");
        let dir = tempfile::tempdir().expect("temporary directory");
        run(&config(2), dir.path(), &Recorder::stopping_after(3)).expect_err("interrupted");
        let resumed = run(&config(2), dir.path(), &Recorder::default()).expect("ends");
        let bits = |weights: &FullWeights| -> Vec<u32> {
            let values = weights.parameters().into_iter().map(|(_, x)| x.to_data());
            values.flat_map(|x| x.try_to_vec::<f32>().expect("f32")).map(f32::to_bits).collect()
        };
        assert_eq!(bits(&resumed.parameters), bits(&expected.parameters));
    }
    let error = FullWeights::of(&model, &["q_proj", "lm_head"]).expect_err("tied").to_string();
    assert!(error.contains("no module \"lm_head\""), "{error}");
}

#[test]
fn weights_that_train_cost_and_slope_as_the_adapter_that_equals_them() {
    // The same policy twice: an adapter beside the weights, and the weights with it folded in. Their
    // costs agree, and dL/dB = scale * dL/dW A^T.
    let (model, pairs) = (model(), made_up_pairs(3));
    let adapter = crate::fixtures::adapter(&model);
    let folded = FullWeights::all(&model.clone().fold(&adapter));
    let config = DpoConfig {
        losses: serde_json::from_str(r#"[{"simpo": 1.0}, {"nll": 1.0}]"#).expect("an objective"),
        ..DpoConfig::default()
    };
    let objective = ingrain_dpo::DpoObjective::new(&model, "tiny", &pairs, None, &config);
    let objective = objective.expect("valid");
    let (beside, instead) = (Parameters::tracked(&adapter), Parameters::tracked(&folded));
    let cost = objective.cost(&[0, 1, 2], &beside).expect("priced");
    let full = objective.cost(&[0, 1, 2], &instead).expect("priced");
    let value = |x: &Tensor<1>| x.clone().inner().into_scalar::<f32>();
    assert!((value(&cost.loss) - value(&full.loss)).abs() < 1e-4);
    let gradients = Gradients::backward(&cost.loss, &beside);
    let full = Gradients::backward(&full.loss, &instead);
    assert_eq!(full.len(), folded.parameters().len(), "every weight is reached");
    let config = adapter.config();
    let scale = config.alpha / config.rank as f64;
    let named: std::collections::BTreeMap<_, _> = adapter.parameters().into_iter().collect();
    for path in ["0.self_attn.q_proj", "1.mlp.down_proj"] {
        let name = |factor: &str| format!("base_model.model.model.layers.{path}.{factor}.weight");
        let dw = full.get(&format!("model.layers.{path}.weight")).expect("reached").clone();
        let expected = dw.matmul(named[&name("lora_A")].clone().transpose()).mul_scalar(scale);
        let found = gradients.get(&name("lora_B")).expect("reached").clone();
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let off = (found - expected).abs().max().into_scalar::<f32>();
        assert!(off < 1e-3 * largest.max(0.1), "{path}: {off} of {largest}");
    }
}
