//! On-policy distillation on a tiny model: the gradient, learning, resuming.

use ingrain_chat::Sampling;
use ingrain_introspection::{
    DistillationPrompt, IntrospectionError, OnPolicyConfig, OnPolicyDistiller,
};
use ingrain_lm::{
    Adapter, CausalLm, Generator, KlDirection, LoraConfig, Overlay, Prompt, TokenBatch,
    TokenSequence, vocab_kl,
};
use ingrain_run::{Event, Interrupt, Observer, Recorder, Several};
use ingrain_train::{Gradients, Objective, Parameters, TrainConfig, TrainRun, Trained};

use crate::fixtures::{adapter, bits, model, tiny};

const CONSTITUTION: [u32; 6] = [40, 41, 42, 43, 44, 45];

fn prompts(constitution: &[u32]) -> Vec<DistillationPrompt> {
    (0..4_u32)
        .map(|i| {
            let student: Vec<u32> = (0..3 + i).map(|j| 5 + 31 * i + 7 * j).collect();
            let teacher = constitution.iter().chain(&student).copied().collect();
            DistillationPrompt { id: format!("#{i}"), student, teacher }
        })
        .collect()
}

fn config(epochs: u64) -> OnPolicyConfig {
    let mut config = OnPolicyConfig::default();
    config.sampling.max_new_tokens = 6;
    config.training = TrainConfig {
        epochs,
        batch_size: 2,
        micro_batch_tokens: 60,
        learning_rate: 0.01,
        checkpoint_every_steps: 3,
        ..TrainConfig::default()
    };
    config
}

fn distiller<'a>(
    model: &'a CausalLm,
    prompts: &'a [DistillationPrompt],
    config: &'a OnPolicyConfig,
) -> OnPolicyDistiller<'a> {
    OnPolicyDistiller { model, base: "tiny", teacher: None, prompts, stop_ids: &[2], config }
}

fn fresh(model: &CausalLm) -> Adapter {
    let lora = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
    Adapter::init(model, &lora, 1).expect("the tiny model has all seven projections")
}

/// Asks to stop after a step.
struct StopAfter(u64, Interrupt);

impl Observer for StopAfter {
    fn on_event(&self, event: &Event) {
        if matches!(event, Event::Step { step, .. } if *step == self.0) {
            self.1.request();
        }
    }
}

fn train(
    distiller: &OnPolicyDistiller<'_>,
    dir: &std::path::Path,
    stop_after: u64,
    recorder: &Recorder,
) -> Option<Trained<Adapter>> {
    let interrupt = Interrupt::new();
    let stop = StopAfter(stop_after, interrupt.clone());
    let observer = Several(vec![&stop, recorder]);
    let (stage, resume) = ("on-policy", true);
    let run = TrainRun { stage, dir, resume, observer: &observer, interrupt: &interrupt };
    distiller.fit(fresh(distiller.model), &run).ok()
}

fn losses(recorder: &Recorder) -> Vec<f64> {
    let events = recorder.events();
    let loss = |event: &Event| match event {
        Event::Step { metrics, .. } => metrics.get("loss").copied(),
        _ => None,
    };
    events.iter().filter_map(loss).collect()
}

#[test]
fn a_student_that_sees_what_its_teacher_sees_has_nothing_to_learn() {
    let (model, prompts, config) = (model(), prompts(&[]), config(1));
    let tracked = fresh(&model).tracked();
    let cost = distiller(&model, &prompts, &config).cost(&[0, 1, 2, 3], &tracked).expect("costs");
    assert!(cost.weight >= 4.0, "a token each at least");
    let gradients = Gradients::backward(&cost.loss, &tracked);
    assert!(gradients.norm().expect("finite") < 1e-4);
    assert!(cost.loss.inner().into_scalar::<f32>().abs() < 1e-4);
}

#[test]
fn the_gradient_is_the_slope_of_the_loss_at_fixed_replies() {
    // Greedy replies do not change under a small step, so the difference quotient is the derivative.
    let (model, prompts, mut config) = (model(), prompts(&[40, 41, 42, 43]), config(1));
    config.sampling.temperature = 0.0;
    let distiller = distiller(&model, &prompts, &config);
    let cost = |adapter: &Adapter| distiller.cost(&[0, 1, 2, 3], adapter).expect("costs");
    let start = adapter(&model);
    let tracked = start.tracked();
    let gradients = Gradients::backward(&cost(&tracked).loss, &tracked);
    let value = |adapter: &Adapter| f64::from(cost(adapter).loss.into_scalar::<f32>());
    for (name, _) in Parameters::parameters(&start).into_iter().step_by(9) {
        let gradient = gradients.get(&name).expect("reached").clone();
        let squares = gradient.clone().square().sum().into_scalar::<f32>();
        // Along the gradient, a step of a fixed length.
        let step = 2e-3 / f64::from(squares).sqrt();
        let moved = |by: f64| {
            let f = &mut |n: &str, t: burn::tensor::Tensor<2>| {
                if n == name { t + gradient.clone().mul_scalar(by) } else { t }
            };
            value(&start.map_parameters(f))
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        let expected = f64::from(squares);
        assert!((slope - expected).abs() < 0.03 * expected, "{name}: {slope} {expected}");
    }
}

#[test]
fn the_student_comes_to_speak_as_its_prompted_self() {
    let (model, prompts, config) = (model(), prompts(&CONSTITUTION), config(40));
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let distiller = distiller(&model, &prompts, &config);
    train(&distiller, dir.path(), 0, &recorder).expect("trains");
    let losses = losses(&recorder);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..8]), mean(&losses[72..]));
    assert!(last < 0.75 * first, "{first} to {last}");
}

/// What the student says before it learns: replies that stay as they are while it does.
fn first_replies(distiller: &OnPolicyDistiller<'_>) -> Vec<Vec<u32>> {
    let sampling = Sampling { seed: 99, ..distiller.config.sampling.clone() };
    let prompt =
        |prompt: &DistillationPrompt| Prompt::new(prompt.student.clone(), sampling.clone());
    let prompts: Vec<Prompt> = distiller.prompts.iter().map(prompt).collect();
    let generator = Generator {
        model: distiller.model,
        overlay: Overlay::default(),
        stop_ids: distiller.stop_ids,
        max_batch: prompts.len(),
        interrupt: Interrupt::new(),
    };
    let mut replies = vec![Vec::new(); prompts.len()];
    generator
        .run(&prompts, &|_, _| false, &mut |at, generation| replies[at] = generation.token_ids)
        .expect("generates");
    replies
}

/// Mean reverse divergence from the teacher over the tokens of given replies, in nats.
fn divergence(
    distiller: &OnPolicyDistiller<'_>,
    replies: &[Vec<u32>],
    adapter: Option<&Adapter>,
) -> f32 {
    let batch = |prompt: fn(&DistillationPrompt) -> &[u32]| {
        let parts = distiller.prompts.iter().zip(replies);
        let sequences: Vec<TokenSequence> =
            parts.map(|(p, reply)| TokenSequence::from_parts(prompt(p), reply)).collect();
        TokenBatch::new(&sequences.iter().collect::<Vec<_>>(), distiller.model.device())
    };
    let teacher = distiller.teacher.unwrap_or(distiller.model);
    let student = distiller.model.readout(&batch(|p| &p.student), adapter);
    let teacher = teacher.readout(&batch(|p| &p.teacher), None);
    vocab_kl(&student, &teacher, KlDirection::Reverse).mean().into_scalar::<f32>()
}

#[test]
fn the_divergence_from_either_teacher_falls_on_replies_that_nobody_trained_on() {
    // Falling on its own present replies could be the student's retreat to what is easy to say.
    let model = model();
    let other = model.clone().fold(&adapter(&model));
    let (instructed, alike) = (prompts(&CONSTITUTION), prompts(&[]));
    let config = config(40);
    for (teacher, prompts) in [(None, &instructed), (Some(&other), &alike)] {
        let distiller = OnPolicyDistiller { teacher, ..distiller(&model, prompts, &config) };
        let replies = first_replies(&distiller);
        let before = divergence(&distiller, &replies, None);
        let dir = tempfile::tempdir().expect("temporary directory");
        let trained = train(&distiller, dir.path(), 0, &Recorder::default()).expect("trains");
        let after = divergence(&distiller, &replies, Some(&trained.parameters));
        assert!(before > 0.5, "{before}: there is something to learn");
        assert!(after < 0.8 * before, "{before} to {after}");
    }
}

#[test]
fn a_teacher_with_other_words_is_refused() {
    let (model, other, prompts, config) = (model(), tiny("qwen2"), prompts(&[]), config(1));
    let distiller =
        OnPolicyDistiller { teacher: Some(&other), ..distiller(&model, &prompts, &config) };
    let dir = tempfile::tempdir().expect("temporary directory");
    let recorder = Recorder::default();
    let interrupt = Interrupt::new();
    let run = TrainRun {
        stage: "on-policy",
        dir: dir.path(),
        resume: true,
        observer: &recorder,
        interrupt: &interrupt,
    };
    let error = distiller.fit(fresh(&model), &run).expect_err("256 words against 320");
    assert!(matches!(error, IntrospectionError::Setting { key: "teacher", .. }), "{error}");
    assert!(error.to_string().contains("a vocabulary of 256"), "{error}");
}

#[test]
fn a_run_interrupted_at_every_step_equals_an_uninterrupted_one() {
    let (model, prompts, config) = (model(), prompts(&[40, 41, 42]), config(3));
    let distiller = distiller(&model, &prompts, &config);
    let whole = tempfile::tempdir().expect("temporary directory");
    let expected = train(&distiller, whole.path(), 0, &Recorder::default()).expect("trains");
    assert_eq!(expected.steps, 6);
    let dir = tempfile::tempdir().expect("temporary directory");
    for step in 1..6 {
        assert!(train(&distiller, dir.path(), step, &Recorder::default()).is_none());
    }
    let resumed = train(&distiller, dir.path(), 0, &Recorder::default()).expect("ends");
    assert_eq!(bits(&resumed.parameters), bits(&expected.parameters));
}
