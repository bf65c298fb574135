//! The training step that several benchmarks time: one optimiser step of a LoRA on random token ids.

use clap::{Args, Parser};
use ingrain::dpo::{DpoConfig, DpoTrainer, TokenizedPair};
use ingrain::introspection::{SftConfig, SftTrainer, TokenizedTranscript};
use ingrain::lm::{Adapter, CausalLm, LoraConfig, ModelSource, TokenSequence};
use ingrain::run::{Event, Interrupt, Recorder, Silent, peak_rss_bytes};
use ingrain::train::{TrainConfig, TrainRun};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// Who takes the step.
#[derive(Clone, Copy)]
pub(crate) enum Trainer {
    /// Pairs; the reference's log-probabilities are computed before the first step.
    Dpo,
    /// Both sequences of each pair, as conversations of their own.
    Sft,
}

/// The size of a step; the words are those of `benches/peers/workload.py`.
#[derive(Args, Clone, Copy)]
pub(crate) struct Shape {
    /// Pairs, so half the number of sequences.
    #[arg(long, default_value_t = 4)]
    pub(crate) pairs: usize,
    /// Tokens a sequence, prompt included.
    #[arg(long, default_value_t = 256)]
    pub(crate) tokens: usize,
    /// Tokens a sequence that are prompt.
    #[arg(long, default_value_t = 64)]
    pub(crate) prompt_tokens: usize,
    /// Rank of the LoRA on all seven projections; alpha is twice that.
    #[arg(long, default_value_t = 64)]
    pub(crate) rank: usize,
}

impl Shape {
    /// Tokens of all sequences.
    pub(crate) fn step_tokens(self) -> usize {
        2 * self.pairs * self.tokens
    }

    /// The sequence of that number; the two of a pair follow each other and have one prompt.
    fn sequence(self, index: usize) -> TokenSequence {
        let id = |seed: usize| move |i: usize| ((seed * 977 + i * 131) % 40_000) as u32;
        let prompt: Vec<u32> = (0..self.prompt_tokens).map(id(index / 2 * 2)).collect();
        let completion: Vec<u32> = (self.prompt_tokens..self.tokens).map(id(index)).collect();
        TokenSequence::from_parts(&prompt, &completion)
    }
}

/// A way to run the step.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) bf16: bool,
    pub(crate) micro_batch_tokens: usize,
    pub(crate) recompute_blocks: bool,
}

const fn setting(name: &'static str, bf16: bool, tokens: usize, again: bool) -> Setting {
    Setting { name, bf16, micro_batch_tokens: tokens, recompute_blocks: again }
}

pub(crate) const SETTINGS: [Setting; 6] = [
    setting("f32", false, 2048, false),
    setting("f32-recompute", false, 2048, true),
    setting("f32-micro", false, 512, false),
    setting("f32-smallest", false, 512, true),
    setting("bf16", true, 2048, false),
    setting("bf16-micro", true, 512, false),
];

/// What a setting costs.
pub(crate) struct Measured {
    pub(crate) step_secs: Vec<f64>,
    pub(crate) reference_secs: Option<f64>,
    /// Peak of what was allocated beyond the model.
    pub(crate) extra_bytes: usize,
}

/// The built-in model, on the CPU.
pub(crate) fn builtin() -> Result<CausalLm, Failure> {
    let files = ModelSource::Builtin.resolve(&Silent)?;
    Ok(CausalLm::load(&files, &ingrain::lm::device("cpu")?)?)
}

/// A number of steps after one that is not timed.
#[derive(Clone, Copy)]
pub(crate) struct Step<'a> {
    pub(crate) trainer: Trainer,
    pub(crate) model: &'a CausalLm,
    pub(crate) setting: Setting,
    pub(crate) shape: Shape,
    pub(crate) steps: u64,
}

impl Step<'_> {
    /// Takes the steps.
    pub(crate) fn measure(self) -> Result<Measured, Failure> {
        let model = match self.setting.bf16 {
            true => self.model.clone().with_bf16_products()?,
            false => self.model.clone(),
        };
        let (rank, alpha) = (self.shape.rank, 2.0 * self.shape.rank as f64);
        let lora = LoraConfig { rank, alpha, ..LoraConfig::default() };
        let adapter = Adapter::init(&model, &lora, 1)?;
        let dir = std::env::temp_dir().join(format!("ingrain-bench-{}", std::process::id()));
        let (recorder, interrupt) = (Recorder::default(), Interrupt::new());
        let run = TrainRun {
            stage: "bench",
            dir: &dir,
            resume: false,
            observer: &recorder,
            interrupt: &interrupt,
        };
        let mut result = Ok(());
        let step = Step { model: &model, ..self };
        let (_, extra_bytes) = super::measure(|| result = step.fit(adapter, &run));
        result?;
        std::fs::remove_dir_all(&dir)?;
        let events = recorder.events();
        // Tokens a second times seconds is the same for all steps; the first warms up.
        let rate = |event: &Event| match event {
            Event::Step { metrics, step: 2.., .. } => metrics.get("tokens_per_sec").copied(),
            _ => None,
        };
        let tokens = self.shape.step_tokens() as f64;
        let step_secs = events.iter().filter_map(rate).map(|rate| tokens / rate).collect();
        let reference_secs = events.iter().find_map(|event| match event {
            Event::StageFinished { stage, seconds, .. } if stage == "bench/reference" => {
                Some(*seconds)
            }
            _ => None,
        });
        Ok(Measured { step_secs, reference_secs, extra_bytes })
    }

    fn fit(self, adapter: Adapter, run: &TrainRun<'_>) -> Result<(), Failure> {
        let Self { trainer, model, setting, shape, steps } = self;
        let sequences: Vec<TokenSequence> =
            (0..2 * shape.pairs).map(|i| shape.sequence(i)).collect();
        // One step an epoch: every step takes all the data.
        let training = TrainConfig {
            epochs: steps + 1,
            batch_size: match trainer {
                Trainer::Dpo => shape.pairs,
                Trainer::Sft => sequences.len(),
            },
            micro_batch_tokens: setting.micro_batch_tokens,
            recompute_blocks: setting.recompute_blocks,
            checkpoint_every_steps: 1_000,
            ..TrainConfig::default()
        };
        let base = setting.name;
        match trainer {
            Trainer::Dpo => {
                let pair = |(i, both): (usize, &[TokenSequence])| TokenizedPair {
                    id: i.to_string(),
                    chosen: both[0].clone(),
                    rejected: both[1].clone(),
                };
                let pairs: Vec<TokenizedPair> = sequences.chunks(2).enumerate().map(pair).collect();
                let config = DpoConfig { training, ..DpoConfig::default() };
                let reference_cache = None;
                DpoTrainer { model, base, pairs: &pairs, config: &config, reference_cache }
                    .fit(adapter, run)?;
            }
            Trainer::Sft => {
                let transcript = |(i, sequence): (usize, TokenSequence)| TokenizedTranscript {
                    id: i.to_string(),
                    sequence,
                };
                let transcripts: Vec<TokenizedTranscript> =
                    sequences.into_iter().enumerate().map(transcript).collect();
                let config = SftConfig { training, ..SftConfig::default() };
                SftTrainer { model, base, transcripts: &transcripts, config: &config }
                    .fit(adapter, run)?;
            }
        }
        Ok(())
    }
}

/// Settings: f32, f32-recompute, f32-micro, f32-smallest, bf16, bf16-micro.
#[derive(Parser)]
struct CommandLine {
    /// Steps that are timed, after one that is not.
    #[arg(default_value_t = 5)]
    steps: u64,
    /// One setting, as a JSON line; every setting as a table if absent.
    setting: Option<String>,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    _cargo: super::Cargo,
}

/// The whole of a benchmark of one trainer.
pub(crate) fn main(trainer: Trainer) -> Result<(), Failure> {
    super::keep_freed_pages();
    let CommandLine { steps, setting, shape, .. } = CommandLine::parse();
    let wanted: Vec<Setting> = SETTINGS
        .into_iter()
        .filter(|known| setting.as_deref().is_none_or(|name| name == known.name))
        .collect();
    if wanted.is_empty() {
        let known = SETTINGS.map(|known| known.name).join(", ");
        return Err(format!("no such setting; expected one of {known}").into());
    }
    let model = builtin()?;
    for known in wanted {
        let name = known.name;
        let step = Step { trainer, model: &model, setting: known, shape, steps };
        let measured = match step.measure() {
            Ok(measured) => measured,
            Err(error) if setting.is_none() => {
                println!("{name:<16} {error}");
                continue;
            }
            Err(error) => return Err(error),
        };
        if setting.is_some() {
            let figures = serde_json::json!({
                "name": format!("ingrain {name}"),
                "step_secs": measured.step_secs,
                "reference_secs": measured.reference_secs,
                "peak_rss_bytes": peak_rss_bytes(),
                "extra_bytes": measured.extra_bytes,
            });
            println!("{figures}");
            continue;
        }
        let step = super::median(measured.step_secs);
        let extra = super::gib(measured.extra_bytes);
        let reference = measured.reference_secs.map(|secs| format!(", reference {secs:.2} s"));
        let reference = reference.unwrap_or_default();
        println!("{name:<16} step {step:.2} s, extra {extra:.2} GiB{reference}");
    }
    Ok(())
}
