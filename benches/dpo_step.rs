//! One DPO step on the built-in model: forward, backward and optimiser, and the reference pass.
//!
//! 4 pairs of 256 tokens, half of them completion, LoRA r=64 on all seven projections.
//!
//! ```sh
//! cargo bench --bench dpo_step
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use ingrain::dpo::{DpoConfig, DpoTrainer, TokenizedPair};
use ingrain::lm::{Adapter, CausalLm, LoraConfig, ModelSource, TokenSequence};
use ingrain::run::{Event, Interrupt, Observer, Recorder, Silent};
use ingrain::train::{TrainConfig, TrainRun};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const PAIRS: usize = 4;
const LENGTH: usize = 256;

fn sequence(seed: u32) -> TokenSequence {
    let id = |i: u32| (seed * 977 + i * 131) % 40_000;
    let half = LENGTH as u32 / 2;
    let prompt: Vec<u32> = (0..half).map(id).collect();
    let completion: Vec<u32> = (half..2 * half).map(id).collect();
    TokenSequence::from_parts(&prompt, &completion)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = support::repetitions(5) as u64;
    let files = ModelSource::Builtin.resolve(&Silent)?;
    let model = CausalLm::load(&files, &ingrain::lm::device("cpu")?)?;
    let pairs: Vec<TokenizedPair> = (0..PAIRS as u32)
        .map(|i| TokenizedPair {
            id: i.to_string(),
            chosen: sequence(2 * i),
            rejected: sequence(2 * i + 1),
        })
        .collect();
    let half = model.clone().with_bf16_products();
    if let Err(error) = &half {
        println!("bf16: {error}");
    }
    let half = half.unwrap_or_else(|_| model.clone());
    for (name, model, micro_batch_tokens, recompute_blocks) in [
        ("f32", &model, 2048, false),
        ("f32, blocks computed again", &model, 2048, true),
        ("f32, 4 passes of 512 tokens", &model, 512, false),
        ("f32, 4 passes, blocks computed again", &model, 512, true),
        ("bf16 products", &half, 2048, false),
        ("bf16 products, 4 passes of 512 tokens", &half, 512, false),
    ] {
        let training = TrainConfig {
            epochs: steps + 1,
            batch_size: PAIRS,
            micro_batch_tokens,
            recompute_blocks,
            checkpoint_every_steps: 1_000,
            ..TrainConfig::default()
        };
        let config = DpoConfig { training, ..DpoConfig::default() };
        let adapter = Adapter::init(model, &LoraConfig::default(), 1)?;
        let dir = std::env::temp_dir().join(format!("ingrain-bench-{}", std::process::id()));
        let recorder = Recorder::default();
        let run = TrainRun {
            stage: "bench",
            dir: &dir,
            resume: false,
            observer: &recorder as &dyn Observer,
            interrupt: &Interrupt::new(),
        };
        let trainer = DpoTrainer { model, base: "builtin", pairs: &pairs, config: &config };
        let mut result = None;
        let (_, bytes) = support::measure(|| result = Some(trainer.fit(adapter, &run)));
        if let Some(result) = result {
            result?;
        }
        std::fs::remove_dir_all(&dir)?;
        // Tokens a second times seconds is the same for all steps; the first warms up.
        let tokens = (2 * PAIRS * LENGTH) as f64;
        let seconds: Vec<f64> = recorder
            .events()
            .iter()
            .filter_map(|event| match event {
                Event::Step { metrics, step, .. } if *step > 1 => {
                    metrics.get("tokens_per_sec").map(|rate| tokens / rate)
                }
                _ => None,
            })
            .collect();
        let reference = recorder.events().iter().find_map(|event| match event {
            Event::StageFinished { stage, seconds, .. } if stage == "bench/reference" => {
                Some(*seconds)
            }
            _ => None,
        });
        println!(
            "{name:<38} step {:.2} s, reference {:.2} s, extra {:.2} GiB",
            support::median(seconds),
            reference.unwrap_or(f64::NAN),
            bytes as f64 / (1u64 << 30) as f64
        );
    }
    Ok(())
}
