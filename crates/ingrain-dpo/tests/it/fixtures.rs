//! The files under `fixtures/`, and runs over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use burn::tensor::Device;
use ingrain_dpo::TokenizedPair;
use ingrain_lm::{Adapter, CausalLm, ModelSource, TokenSequence};
use ingrain_run::{Event, Interrupt, Observer, Silent};
use ingrain_train::TrainRun;
use serde::de::DeserializeOwned;

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

pub(crate) fn json<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(path(name)).expect("a fixture");
    serde_json::from_str(&text).expect("JSON of the expected shape")
}

/// Every f32 tensor of a safetensors file, flat.
pub(crate) fn tensors(name: &str) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path(name)).expect("a fixture");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let floats = |data: &[u8]| -> Vec<f32> {
        data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect()
}

/// The tiny Llama model that PEFT's fixtures were made with.
pub(crate) fn model() -> CausalLm {
    let source = ModelSource::Directory(path("tiny_models/llama_tied"));
    let files = source.resolve(&Silent).expect("a model directory");
    CausalLm::load(&files, &Device::flex()).expect("loads")
}

/// The adapter `plain` that PEFT wrote.
pub(crate) fn adapter(model: &CausalLm) -> Adapter {
    Adapter::load(&path("peft/plain"), model).expect("loads")
}

/// Log-probabilities, one a token, of one pair of the losses' fixtures.
#[derive(serde::Deserialize)]
pub(crate) struct LossPair {
    pub(crate) policy_chosen: Vec<f32>,
    pub(crate) policy_rejected: Vec<f32>,
    pub(crate) reference_chosen: Vec<f32>,
    pub(crate) reference_rejected: Vec<f32>,
}

/// What TRL makes of all pairs by one loss: `[pair]` and `[pair][token]`.
#[derive(serde::Deserialize)]
pub(crate) struct LossCase {
    pub(crate) name: String,
    pub(crate) losses: Vec<f64>,
    pub(crate) grad_chosen: Vec<Vec<f64>>,
    pub(crate) grad_rejected: Vec<Vec<f64>>,
}

#[derive(serde::Deserialize)]
pub(crate) struct PairIds {
    prompt: Vec<u32>,
    chosen: Vec<u32>,
    rejected: Vec<u32>,
}

/// The two preference pairs of PEFT's fixtures.
pub(crate) fn peft_pairs() -> Vec<TokenizedPair> {
    #[derive(serde::Deserialize)]
    struct Expected {
        pairs: Vec<PairIds>,
    }
    let pairs = json::<Expected>("peft/expected.json").pairs;
    pairs.iter().enumerate().map(|(i, p)| tokenized(format!("pair-{i}"), p)).collect()
}

fn tokenized(id: String, pair: &PairIds) -> TokenizedPair {
    let side = |completion: &[u32]| TokenSequence::from_parts(&pair.prompt, completion);
    TokenizedPair { id, chosen: side(&pair.chosen), rejected: side(&pair.rejected) }
}

/// Pairs of different lengths, made of a fixed stream of tokens.
pub(crate) fn made_up_pairs(count: usize) -> Vec<TokenizedPair> {
    let mut state = 12_345_u32;
    let mut draw = |low: u32, high: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 16) % (high - low)
    };
    let mut text = |low, high| {
        let length = draw(low, high);
        (0..length).map(|_| draw(3, 320)).collect::<Vec<u32>>()
    };
    (0..count)
        .map(|i| {
            let (prompt, chosen, rejected) = (text(3, 6), text(2, 8), text(2, 8));
            tokenized(format!("pair-{i}"), &PairIds { prompt, chosen, rejected })
        })
        .collect()
}

/// The exact values of an adapter, for comparisons to the bit.
pub(crate) fn bits(adapter: &Adapter) -> Vec<u32> {
    let values = |(_, t): (String, burn::tensor::Tensor<2>)| t.to_data().try_to_vec::<f32>();
    let values = adapter.parameters().into_iter().flat_map(|p| values(p).expect("f32"));
    values.map(f32::to_bits).collect()
}

/// Collects events; asks to stop at an event if told so.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) stop_after_step: Option<u64>,
    pub(crate) stop_at_progress: bool,
    pub(crate) interrupt: Interrupt,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Recorder {
    pub(crate) fn stopping_after(step: u64) -> Self {
        Self { stop_after_step: Some(step), ..Self::default() }
    }

    pub(crate) fn run<'a>(&'a self, dir: &'a Path) -> TrainRun<'a> {
        TrainRun {
            stage: "distillation",
            dir,
            resume: true,
            observer: self,
            interrupt: &self.interrupt,
        }
    }

    pub(crate) fn metric(&self, name: &str) -> Vec<f64> {
        let events = self.events.lock().expect("not poisoned");
        let value = |event: &Event| match event {
            Event::Step { metrics, .. } => metrics.get(name).copied(),
            _ => None,
        };
        events.iter().filter_map(value).collect()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        let note = |event: &Event| match event {
            Event::Note { message, .. } => Some(message.clone()),
            _ => None,
        };
        events.iter().filter_map(note).collect()
    }
}

impl Observer for Recorder {
    fn on_event(&self, event: &Event) {
        let stop = match event {
            Event::Step { step, .. } => self.stop_after_step == Some(*step),
            Event::Progress { .. } => self.stop_at_progress,
            _ => false,
        };
        if stop {
            self.interrupt.request();
        }
        self.events.lock().expect("not poisoned").push(event.clone());
    }
}
