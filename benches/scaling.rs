//! Time and memory of a DPO step by length, batch and depth, with the exponent fitted through them.
//!
//! One thing varies at a time; the rest is 2 pairs of 256 tokens at rank 64, 30 blocks, every sequence in
//! one pass. A model of another depth has random weights and the built-in model's shapes. `b` in
//! `cost = a size^b` is a least-squares fit of the logarithms; memory is what a step allocates beyond the
//! model, counted by the allocator.
//!
//! ```sh
//! cargo bench -p ingrain --bench scaling -- 3
//! cargo bench -p ingrain --bench scaling -- 3 f32 bf16
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use clap::Parser;
use ingrain::lm::CausalLm;
use support::step::{self, Failure, SETTINGS, Setting, Shape, Step, Trainer};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const LENGTHS: [usize; 4] = [128, 256, 512, 1024];
const PAIRS: [usize; 4] = [1, 2, 4, 8];
const DEPTHS: [usize; 4] = [5, 10, 20, 40];

const BASE: Shape = Shape { pairs: 2, tokens: 256, prompt_tokens: 64, rank: 64 };

#[derive(Parser)]
struct CommandLine {
    /// Steps that are timed, after one that is not.
    #[arg(default_value_t = 3)]
    steps: u64,
    /// Settings of `dpo_step`; f32 if absent.
    settings: Vec<String>,
    #[command(flatten)]
    _cargo: support::Cargo,
}

/// Seconds a step and extra bytes, for a value of what varies.
struct Point {
    size: usize,
    seconds: f64,
    bytes: usize,
}

fn main() -> Result<(), Failure> {
    support::keep_freed_pages();
    let CommandLine { steps, mut settings, .. } = CommandLine::parse();
    if settings.is_empty() {
        settings.push("f32".to_owned());
    }
    let model = step::builtin()?;
    println!("| setting | varied | sizes | step, s | exponent | extra, GiB | exponent |");
    println!("|---|---|---|---|---|---|---|");
    for name in settings {
        let Some(&setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            return Err(format!("{name}: no such setting of dpo_step").into());
        };
        let point = |model: &CausalLm, shape, size| point(model, setting, shape, steps, size);
        let lengths = LENGTHS.map(|tokens| point(&model, Shape { tokens, ..BASE }, tokens));
        row(&name, "tokens a sequence", lengths)?;
        let batches = PAIRS.map(|pairs| point(&model, Shape { pairs, ..BASE }, pairs));
        row(&name, "pairs", batches)?;
        let depths = DEPTHS.map(|blocks| {
            let mut config = model.config().clone();
            config.num_layers = blocks;
            let kinds = model.config().layers.iter().cycle();
            config.layers = kinds.take(blocks).copied().collect();
            point(&CausalLm::random(config, 1, model.device())?, BASE, blocks)
        });
        row(&name, "blocks", depths)?;
    }
    Ok(())
}

fn point(
    model: &CausalLm,
    setting: Setting,
    shape: Shape,
    steps: u64,
    size: usize,
) -> Result<Point, Failure> {
    // A pass holds the same share of the step at every size.
    let passes = BASE.step_tokens().div_ceil(setting.micro_batch_tokens);
    let setting = Setting { micro_batch_tokens: shape.step_tokens() / passes, ..setting };
    let measured = Step { trainer: Trainer::Dpo, model, setting, shape, steps }.measure()?;
    Ok(Point { size, seconds: support::median(measured.step_secs), bytes: measured.extra_bytes })
}

fn row(setting: &str, varied: &str, points: [Result<Point, Failure>; 4]) -> Result<(), Failure> {
    let points: Vec<Point> = points.into_iter().collect::<Result<_, _>>()?;
    let list = |of: fn(&Point) -> String| points.iter().map(of).collect::<Vec<_>>().join(", ");
    let fit = |of: fn(&Point) -> f64| {
        support::exponent(&points.iter().map(|p| (p.size as f64, of(p))).collect::<Vec<_>>())
    };
    println!(
        "| `{setting}` | {varied} | {} | {} | {:.2} | {} | {:.2} |",
        list(|p| p.size.to_string()),
        list(|p| format!("{:.2}", p.seconds)),
        fit(|p| p.seconds),
        list(|p| format!("{:.2}", support::gib(p.bytes))),
        fit(|p| p.bytes as f64),
    );
    Ok(())
}
