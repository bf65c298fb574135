//! The trainer on a tiny model: it learns, it resumes to the bit, it leaves the weights alone.

use std::path::Path;

use ingrain_introspection::{IntrospectionError, SftConfig, SftTrainer, TokenizedTranscript};
use ingrain_lm::{Adapter, CausalLm, LoraConfig};
use ingrain_run::{Event, Interrupt, Observer};
use ingrain_train::{TrainConfig, TrainError, TrainRun, Trained};

use crate::fixtures::{bits, made_up_transcripts, model};

/// Asks to stop after a step.
struct StopAfter(u64, Interrupt);

impl Observer for StopAfter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Step { step, .. } if *step == self.0) {
            self.1.request();
        }
    }
}

fn config(epochs: u64) -> SftConfig {
    let training = TrainConfig {
        epochs,
        batch_size: 3,
        micro_batch_tokens: 40,
        learning_rate: 0.02,
        ..TrainConfig::default()
    };
    SftConfig { training, ..SftConfig::default() }
}

fn fresh(model: &CausalLm) -> Adapter {
    let lora = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
    Adapter::init(model, &lora, 1).expect("the tiny model has all seven projections")
}

fn train(
    model: &CausalLm,
    transcripts: &[TokenizedTranscript],
    config: &SftConfig,
    dir: &Path,
    stop_after: u64,
) -> Result<Trained<Adapter>, IntrospectionError> {
    let interrupt = Interrupt::new();
    let observer = StopAfter(stop_after, interrupt.clone());
    let run = TrainRun {
        stage: "introspection",
        dir,
        resume: true,
        observer: &observer,
        interrupt: &interrupt,
    };
    SftTrainer { model, base: "tiny", transcripts, config }.fit(fresh(model), &run)
}

#[test]
fn a_tiny_model_learns_its_transcripts_by_heart() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let trained = train(&model(), &made_up_transcripts(4), &config(40), dir.path(), 0);
    let trained = trained.expect("trains");
    assert_eq!(trained.steps, 80);
    // ln 320 = 5.77 is a uniform guess.
    assert!(trained.last["loss"] < 0.5, "{:?}", trained.last);
}

#[test]
fn a_run_interrupted_at_every_step_equals_an_uninterrupted_one() {
    let (model, transcripts) = (model(), made_up_transcripts(5));
    let whole = tempfile::tempdir().expect("temporary directory");
    let expected = train(&model, &transcripts, &config(2), whole.path(), 0).expect("trains");
    assert_eq!(expected.steps, 4);
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..4 {
        let error = train(&model, &transcripts, &config(2), dir.path(), step);
        let error = error.expect_err("interrupted");
        assert!(
            matches!(
                error,
                IntrospectionError::Train(TrainError::Interrupted { done, .. }) if done == step
            ),
            "{error}"
        );
    }
    let resumed = train(&model, &transcripts, &config(2), dir.path(), 0).expect("ends");
    assert_eq!(bits(&resumed.parameters), bits(&expected.parameters));
    assert_ne!(bits(&resumed.parameters), bits(&fresh(&model)), "something was learnt");
}

#[test]
fn the_loss_is_the_mean_over_tokens_however_the_batch_is_cut() {
    let (model, transcripts) = (model(), made_up_transcripts(6));
    let result = |micro_batch_tokens| {
        let mut config = config(1);
        config.training.micro_batch_tokens = micro_batch_tokens;
        config.training.batch_size = 6;
        let dir = tempfile::tempdir().expect("temporary directory");
        train(&model, &transcripts, &config, dir.path(), 0).expect("trains").last
    };
    let (whole, single) = (result(100_000), result(1));
    for key in ["loss", "grad_norm"] {
        assert!((whole[key] - single[key]).abs() < 1e-5, "{key}: {whole:?} {single:?}");
    }
}

#[test]
fn a_folded_model_is_left_as_it_is() {
    let base = model();
    let model = base.clone().fold(&crate::fixtures::adapter(&base));
    let weights = |model: &CausalLm| {
        let tokens = burn::tensor::Tensor::from_ints([[5, 99, 200, 17]], model.device());
        model.logits(tokens, None).to_data().try_to_vec::<f32>().expect("f32")
    };
    let before = weights(&model);
    assert_ne!(before, weights(&base));
    let dir = tempfile::tempdir().expect("temporary directory");
    train(&model, &made_up_transcripts(3), &config(2), dir.path(), 0).expect("trains");
    assert_eq!(weights(&model), before);
}
