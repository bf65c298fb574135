//! Vectors of the tiny models.

use std::path::Path;

use ingrain_lm::{Adapter, CausalLm, LoraConfig, ModelSource};
use ingrain_run::Silent;
use ingrain_steering::{
    Contrast, ControlVector, Method, Monitored, ProjectionMonitor, SteeringConfig, SteeringError,
};
use ingrain_train::{Cost, Metrics, Objective, Statistics, TrainError};

fn tiny() -> CausalLm {
    tiny_of("llama_tied")
}

fn tiny_of(name: &str) -> CausalLm {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny_models").join(name);
    let source: ModelSource = path.to_str().unwrap().parse().unwrap();
    CausalLm::load(&source.resolve(&Silent).unwrap(), &ingrain_lm::device("cpu").unwrap()).unwrap()
}

fn ids(from: u32, len: u32) -> Vec<u32> {
    (0..len).map(|i| (from + 7 * i) % 300 + 5).collect()
}

fn contrasts() -> Vec<Contrast> {
    (0..4)
        .map(|i| Contrast {
            with: [ids(200, 6), ids(10 * i, 5)].concat(),
            without: ids(10 * i, 5),
            continuation: ids(50 + 13 * i, 3 + 2 * i),
        })
        .collect()
}

fn config(method: Method) -> SteeringConfig {
    SteeringConfig { method, first_layer: 0.0, last_layer: 1.0, every_tokens: 1 }
}

#[test]
fn the_mean_difference_is_that_of_the_states_at_every_truncation() {
    let model = tiny();
    let found =
        ControlVector::find(&model, &contrasts(), &config(Method::MeanDifference), None).unwrap();
    let (layers, width) = (model.config().num_layers, model.config().hidden_size);
    assert_eq!(found.directions.len(), layers);
    for block in 0..layers {
        let mut sum = vec![0.0f64; width];
        for contrast in contrasts() {
            // Truncations read by themselves, one by one: the state of their last token.
            for end in 1..=contrast.continuation.len() {
                let state = |prompt: &[u32]| {
                    let text = [prompt, &contrast.continuation[..end]].concat();
                    let last = text.len() - 1..text.len();
                    let states = model.states(&[(&text, last)], block..block + 1, None).unwrap();
                    states[0].values.clone()
                };
                let pair = state(&contrast.with).into_iter().zip(state(&contrast.without));
                sum.iter_mut().zip(pair).for_each(|(s, (a, b))| *s += f64::from(a) - f64::from(b));
            }
        }
        let norm = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
        for (found, expected) in found.directions[&block].iter().zip(&sum) {
            assert!((f64::from(*found) - expected / norm).abs() < 1e-4, "block {block}");
        }
    }
}

#[test]
fn both_methods_give_unit_vectors_over_the_layers_asked_for() {
    let model = tiny();
    for method in [Method::PcaCenter, Method::MeanDifference] {
        let config = SteeringConfig { first_layer: 0.5, ..config(method) };
        let found = ControlVector::find(&model, &contrasts(), &config, None).unwrap();
        let layers = model.config().num_layers;
        let blocks: Vec<usize> = (layers.div_ceil(2)..layers).collect();
        assert_eq!(found.directions.keys().copied().collect::<Vec<_>>(), blocks);
        for direction in found.directions.values() {
            let norm: f32 = direction.iter().map(|v| v * v).sum();
            assert!((norm - 1.0).abs() < 1e-5);
        }
    }
    let defaults = SteeringConfig::default();
    assert_eq!(defaults.blocks(32).unwrap(), 4..28);
    assert_eq!(defaults.blocks(30).unwrap(), 4..26);
}

#[test]
fn a_vector_names_the_kind_of_model_it_was_found_in() {
    let config = config(Method::MeanDifference);
    let contrasts: Vec<Contrast> = contrasts()
        .into_iter()
        .map(|contrast| {
            let small = |ids: Vec<u32>| ids.into_iter().map(|id| id % 250).collect();
            let Contrast { with, without, continuation } = contrast;
            Contrast {
                with: small(with),
                without: small(without),
                continuation: small(continuation),
            }
        })
        .collect();
    for (name, hint) in
        [("llama_tied", "llama"), ("qwen3", "qwen3"), ("gemma3_text", "gemma3_text")]
    {
        let found = ControlVector::find(&tiny_of(name), &contrasts, &config, None).unwrap();
        assert_eq!(found.model_hint, hint);
    }
}

#[test]
fn nothing_to_contrast_is_an_error() {
    let model = tiny();
    let find = |contrasts: &[Contrast], config: &SteeringConfig| {
        ControlVector::find(&model, contrasts, config, None).unwrap_err()
    };
    let all = config(Method::PcaCenter);
    assert!(matches!(find(&[], &all), SteeringError::NoContrasts));
    let mut same = contrasts();
    same.iter_mut().for_each(|c| c.with = c.without.clone());
    assert!(matches!(find(&same, &all), SteeringError::NoDifference { .. }));
    let none = SteeringConfig { first_layer: 0.9, last_layer: 0.1, ..all };
    assert!(matches!(find(&contrasts(), &none), SteeringError::Config(_)));
}

#[test]
fn steering_by_the_vector_moves_the_projection_by_its_strength() {
    let model = tiny();
    let config = SteeringConfig { last_layer: 0.5, ..config(Method::MeanDifference) };
    let vector = ControlVector::find(&model, &contrasts(), &config, None).unwrap();
    let first = *vector.directions.keys().next().unwrap();
    let only =
        ControlVector { directions: [(first, vector.directions[&first].clone())].into(), ..vector };
    let monitor = ProjectionMonitor::new(only.clone());
    let text = ids(9, 12);
    let texts = [(text.as_slice(), 4..12)];
    let plain = monitor.read(&model, &texts, None).unwrap();
    let steering = only.steering(&model, 2.5).unwrap();
    let overlay = ingrain_lm::Overlay { adapter: None, steering: Some(&steering) };
    let steered = monitor.read(&model, &texts, overlay).unwrap();
    assert_eq!((plain.tokens, steered.tokens), (8, 8));
    assert!((steered.mean() - plain.mean() - 2.5).abs() < 1e-4);
    let monitor = monitor.with_anchors(plain.clone(), steered.clone());
    assert!(monitor.position(&plain).unwrap().abs() < 1e-9);
    assert!((monitor.position(&steered).unwrap() - 1.0).abs() < 1e-9);
}

/// An objective whose costs depend on a figure of the whole batch, as KTO's do.
struct OfTheBatch;

impl Objective<Adapter> for OfTheBatch {
    fn cost(&self, _: &[usize], _: &Adapter) -> Result<Cost, TrainError> {
        panic!("asked without the batch's figure")
    }

    fn statistics(&self, examples: &[usize], _: &Adapter) -> Result<Metrics, TrainError> {
        let mut metrics = Metrics::default();
        metrics.add("figure", examples.len() as f64, 1.0);
        Ok(metrics)
    }

    fn carry(&self, _: &Statistics, batch: Statistics) -> Statistics {
        batch.into_iter().map(|(name, value)| (name, 10.0 * value)).collect()
    }

    fn cost_given(
        &self,
        examples: &[usize],
        adapter: &Adapter,
        statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        let loss = adapter.parameters()[0].1.clone().sum().mul_scalar(statistics["figure"]);
        let tokens = examples.len() as u64;
        Ok(Cost { loss, weight: 1.0, tokens, metrics: Metrics::default() })
    }

    fn example_name(&self, example: usize) -> String {
        format!("example {example}")
    }
}

#[test]
fn a_watched_objective_keeps_the_figures_of_its_batch() {
    let model = tiny();
    let contrasts = contrasts();
    let vector = ControlVector::find(&model, &contrasts, &config(Method::PcaCenter), None).unwrap();
    let monitor = ProjectionMonitor::new(vector);
    let adapter = Adapter::init(&model, &LoraConfig::default(), 1).unwrap();
    let texts = [(ids(9, 12), 4..12)];
    let watched = Monitored {
        objective: &OfTheBatch,
        monitor: &monitor,
        model: &model,
        texts: &texts,
        every_steps: 1,
    };
    let batch = watched.statistics(&[0, 1, 2], &adapter).unwrap().means();
    let given = watched.carry(&Statistics::new(), batch);
    assert_eq!(given["figure"], 30.0);
    let cost = |objective: &dyn Objective<Adapter>| {
        let cost = objective.cost_given(&[0], &adapter, &given).unwrap();
        let after = objective.after_step(1, 9, &adapter).unwrap();
        (cost.loss.into_scalar::<f32>(), cost.metrics.means(), after.means())
    };
    let (plain, watched_cost) = (cost(&OfTheBatch), cost(&watched));
    assert_eq!((plain.0, &plain.1), (watched_cost.0, &watched_cost.1));
    assert!(plain.2.is_empty() && watched_cost.2.contains_key("projection"));
    assert_eq!(watched.example_name(3), "example 3");
}

struct Nothing;

impl Objective<Adapter> for Nothing {
    fn cost(&self, _: &[usize], adapter: &Adapter) -> Result<Cost, TrainError> {
        let loss = adapter.parameters()[0].1.clone().sum();
        Ok(Cost { loss, weight: 1.0, tokens: 1, metrics: Metrics::default() })
    }

    fn fingerprint(&self) -> String {
        "nothing".to_owned()
    }
}

#[test]
fn an_objective_is_watched_every_so_many_steps_and_after_the_last_and_otherwise_left_alone() {
    let model = tiny();
    let vector =
        ControlVector::find(&model, &contrasts(), &config(Method::PcaCenter), None).unwrap();
    let monitor = ProjectionMonitor::new(vector);
    let adapter = Adapter::init(&model, &LoraConfig::default(), 1).unwrap();
    let texts = [(ids(9, 12), 4..12)];
    let (objective, every_steps) = (&Nothing, 3);
    let watched =
        Monitored { objective, monitor: &monitor, model: &model, texts: &texts, every_steps };
    let read = monitor.read(&model, &[(&texts[0].0, 4..12)], Some(&adapter)).unwrap().mean();
    for step in 1..=8 {
        let cost = watched.cost(&[0], &adapter.tracked()).unwrap();
        assert!(cost.metrics.means().is_empty());
        let means = watched.after_step(step, 8, &adapter).unwrap().means();
        let expected = [3, 6, 8].contains(&step).then_some(&read);
        assert_eq!(means.get("projection"), expected, "step {step}");
    }
    assert_eq!(watched.fingerprint(), "nothing");
}

#[test]
fn anchors_stand_where_the_model_has_the_continuations_without_and_with_the_prompt() {
    let model = tiny();
    let contrasts = contrasts();
    let vector = ControlVector::find(&model, &contrasts, &config(Method::PcaCenter), None).unwrap();
    let monitor = ProjectionMonitor::between(vector.clone(), &model, &contrasts).unwrap();
    for (with, expected) in [(false, 0.0), (true, 1.0)] {
        let texts: Vec<_> = contrasts.iter().map(|contrast| contrast.text(with)).collect();
        let texts: Vec<_> = texts.iter().map(|(ids, range)| (&ids[..], range.clone())).collect();
        let position = monitor.position(&monitor.read(&model, &texts, None).unwrap()).unwrap();
        assert!((position - expected).abs() < 1e-9, "{position}");
    }
    let none = ProjectionMonitor::between(vector, &model, &[]);
    assert!(matches!(none, Err(SteeringError::NoContrasts)));
}
