//! One DPO step on the built-in model: forward, backward and optimiser, and the reference pass.
//!
//! 4 pairs of 256 tokens, 192 of them completion, LoRA r=64 on all seven projections: the step that
//! `benches/peers/` times in Python.
//!
//! ```sh
//! cargo bench --bench dpo_step                       # every setting, 5 steps each
//! cargo bench --bench dpo_step -- 3 bf16             # one setting, 3 steps, as a JSON line
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use ingrain::dpo::{DpoConfig, DpoTrainer, TokenizedPair};
use ingrain::lm::{Adapter, CausalLm, LoraConfig, ModelSource, TokenSequence};
use ingrain::run::{Event, Interrupt, Observer, Recorder, Silent, peak_rss_bytes};
use ingrain::train::{TrainConfig, TrainRun};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const PAIRS: usize = 4;
const LENGTH: u32 = 256;
const PROMPT: u32 = 64;

/// A way to run the step.
struct Setting {
    name: &'static str,
    bf16: bool,
    micro_batch_tokens: usize,
    recompute_blocks: bool,
}

const SETTINGS: [Setting; 6] = [
    Setting { name: "f32", bf16: false, micro_batch_tokens: 2048, recompute_blocks: false },
    Setting {
        name: "f32-recompute",
        bf16: false,
        micro_batch_tokens: 2048,
        recompute_blocks: true,
    },
    Setting { name: "f32-micro", bf16: false, micro_batch_tokens: 512, recompute_blocks: false },
    Setting { name: "f32-smallest", bf16: false, micro_batch_tokens: 512, recompute_blocks: true },
    Setting { name: "bf16", bf16: true, micro_batch_tokens: 2048, recompute_blocks: false },
    Setting { name: "bf16-micro", bf16: true, micro_batch_tokens: 512, recompute_blocks: false },
];

/// What a setting costs.
struct Measured {
    step_secs: Vec<f64>,
    reference_secs: f64,
    extra_bytes: usize,
}

fn sequence(seed: u32) -> TokenSequence {
    let id = |i: u32| (seed * 977 + i * 131) % 40_000;
    let prompt: Vec<u32> = (0..PROMPT).map(id).collect();
    let completion: Vec<u32> = (PROMPT..LENGTH).map(id).collect();
    TokenSequence::from_parts(&prompt, &completion)
}

fn measure(
    model: &CausalLm,
    setting: &Setting,
    steps: u64,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let pair = |i: u32| TokenizedPair {
        id: i.to_string(),
        chosen: sequence(2 * i),
        rejected: sequence(2 * i + 1),
    };
    let pairs: Vec<TokenizedPair> = (0..PAIRS as u32).map(pair).collect();
    let model = match setting.bf16 {
        true => model.clone().with_bf16_products()?,
        false => model.clone(),
    };
    let training = TrainConfig {
        epochs: steps + 1,
        batch_size: PAIRS,
        micro_batch_tokens: setting.micro_batch_tokens,
        recompute_blocks: setting.recompute_blocks,
        checkpoint_every_steps: 1_000,
        ..TrainConfig::default()
    };
    let config = DpoConfig { training, ..DpoConfig::default() };
    let adapter = Adapter::init(&model, &LoraConfig::default(), 1)?;
    let dir = std::env::temp_dir().join(format!("ingrain-bench-{}", std::process::id()));
    let recorder = Recorder::default();
    let run = TrainRun {
        stage: "bench",
        dir: &dir,
        resume: false,
        observer: &recorder as &dyn Observer,
        interrupt: &Interrupt::new(),
    };
    let trainer = DpoTrainer {
        model: &model,
        base: setting.name,
        pairs: &pairs,
        config: &config,
        reference_cache: None,
    };
    let mut result = None;
    let (_, extra_bytes) = support::measure(|| result = Some(trainer.fit(adapter, &run)));
    if let Some(result) = result {
        result?;
    }
    std::fs::remove_dir_all(&dir)?;
    // Tokens a second times seconds is the same for all steps; the first warms up.
    let tokens = f64::from(2 * PAIRS as u32 * LENGTH);
    let rate = |event: &Event| match event {
        Event::Step { metrics, step, .. } if *step > 1 => metrics.get("tokens_per_sec").copied(),
        _ => None,
    };
    let step_secs = recorder.events().iter().filter_map(rate).map(|rate| tokens / rate).collect();
    let reference = recorder.events().iter().find_map(|event| match event {
        Event::StageFinished { stage, seconds, .. } if stage == "bench/reference" => Some(*seconds),
        _ => None,
    });
    Ok(Measured { step_secs, reference_secs: reference.unwrap_or(f64::NAN), extra_bytes })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps = support::repetitions(5) as u64;
    let wanted = std::env::args().skip(1).find(|arg| SETTINGS.iter().any(|s| s.name == arg));
    let files = ModelSource::Builtin.resolve(&Silent)?;
    let model = CausalLm::load(&files, &ingrain::lm::device("cpu")?)?;
    for setting in SETTINGS.iter().filter(|s| wanted.as_deref().is_none_or(|name| name == s.name)) {
        let measured = match measure(&model, setting, steps) {
            Ok(measured) => measured,
            Err(error) => {
                println!("{:<16} {error}", setting.name);
                continue;
            }
        };
        if wanted.is_some() {
            let seconds: Vec<String> = measured.step_secs.iter().map(f64::to_string).collect();
            println!(
                "{{\"name\": \"ingrain {}\", \"step_secs\": [{}], \"peak_rss_bytes\": {}}}",
                setting.name,
                seconds.join(", "),
                peak_rss_bytes().unwrap_or(0),
            );
        } else {
            println!(
                "{:<16} step {:.2} s, reference {:.2} s, extra {:.2} GiB",
                setting.name,
                support::median(measured.step_secs),
                measured.reference_secs,
                measured.extra_bytes as f64 / f64::from(1 << 30)
            );
        }
    }
    Ok(())
}
