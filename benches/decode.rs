//! Decoding with the built-in model: one prompt, sixteen prompts, the first token of a long one; beside
//! what memory bandwidth allows, measured in the same run.
//!
//! Prompts are token ids of no meaning, replies are greedy and never stop early, so that the scripts in
//! `benches/peers` do the same work. Figures are medians.
//!
//! ```sh
//! cargo bench -p ingrain --bench decode -- 3
//! cargo bench -p ingrain --bench decode -- 3 bf16     # products with weights in bf16
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::Device;
use ingrain::chat::Sampling;
use ingrain::eval::{NEUTRAL_TEXT, perplexity};
use ingrain::lm::{CausalLm, Generator, LocalModel, ModelFiles, ModelSource, Overlay, Prompt};
use ingrain::run::{Interrupt, Silent, rss_bytes};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const PROMPT: usize = 64;
const NEW: usize = 128;
const BATCH: usize = 16;
const LONG: usize = 1000;

/// Values of the vector that bandwidth is measured on: far larger than any cache.
const STREAM: usize = 96 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::keep_freed_pages();
    let files = BUILTIN.resolve(&Silent)?;
    let mut model = CausalLm::load(&files, &Device::flex())?;
    let bf16 = std::env::args().any(|arg| arg == "bf16");
    if bf16 {
        model = model.with_bf16_products()?;
    }
    let repetitions = support::repetitions(3);
    let weights = model.num_parameters() * if bf16 { 2 } else { 4 };
    let run = |prompts: usize, tokens: usize, new: usize| {
        let (mut seconds, mut bytes) = (Vec::new(), 0);
        for _ in 0..=repetitions {
            let (took, peak) = support::measure(|| generate(&model, prompts, tokens, new));
            seconds.push(took);
            bytes = bytes.max(peak);
        }
        // The first round warms up.
        (support::median(seconds.split_off(1)), bytes)
    };
    let (one, _) = run(1, PROMPT, NEW);
    let (sixteen, _) = run(BATCH, PROMPT, NEW);
    let (first, _) = run(1, LONG, 1);
    let (full, extra) = measure_full(&model);
    let bandwidth = bandwidth(repetitions);
    let allowed = bandwidth / weights as f64;
    let rate_one = NEW as f64 / one;
    println!("prompts of {PROMPT} tokens, {NEW} new tokens each, median of {repetitions}\n");
    println!("bandwidth, parallel dot products          {:>10.1} GB/s", bandwidth / 1e9);
    println!("allowed by bandwidth, batch 1             {allowed:>10.1} tokens/s");
    println!("batch 1                                   {rate_one:>10.1} tokens/s");
    println!("  of what bandwidth allows                {:>10.0} %", 100.0 * rate_one / allowed);
    let rate = (BATCH * NEW) as f64 / sixteen;
    println!("batch {BATCH}                                  {rate:>10.1} tokens/s");
    println!("first token of {LONG}                       {:>10.0} ms", 1e3 * first);
    println!("batch {BATCH} to 512 columns                   {full:>10.1} tokens/s");
    let config = model.config();
    let kv = BATCH * 512 * config.num_layers * 2 * config.num_kv_heads * config.head_dim * 4;
    let mb = |bytes: usize| bytes as f64 / 1e6;
    println!(
        "weights {:.0} MB, keys and values {:.0} MB, peak beside weights {:.0} MB",
        mb(weights),
        mb(kv),
        mb(extra)
    );
    if bf16 {
        let change = perplexity_change(&files, &model)?;
        println!("perplexity of a neutral text, against f32 {:>+9.2} %", 100.0 * change);
    }
    println!("resident {:.0} MB", rss_bytes().map_or(f64::NAN, |bytes| bytes as f64 / 1e6));
    Ok(())
}

/// By how much `model` finds a neutral text less likely than the same weights in f32.
fn perplexity_change(
    files: &ModelFiles,
    model: &CausalLm,
) -> Result<f64, Box<dyn std::error::Error>> {
    let exact = LocalModel::load(files, &Device::flex())?;
    let rounded = exact.with_weights(model.clone());
    Ok(perplexity(&rounded, NEUTRAL_TEXT)? / perplexity(&exact, NEUTRAL_TEXT)? - 1.0)
}

const BUILTIN: ModelSource = ModelSource::Builtin;

/// Greedy, and never ended by a stop token.
fn generate(model: &CausalLm, prompts: usize, tokens: usize, new: usize) {
    let prompt = |row: usize| {
        // As in `peers/decode_workload.py`.
        let ids = (0..tokens).map(|at| (1000 + (row * 7919 + at * 104_729) % 40_000) as u32);
        Prompt::new(ids.collect(), Sampling::greedy(new))
    };
    let generator = Generator {
        model,
        overlay: Overlay::default(),
        stop_ids: &[],
        max_batch: BATCH,
        interrupt: Interrupt::new(),
    };
    let prompts: Vec<Prompt> = (0..prompts).map(prompt).collect();
    let mut found = 0;
    let result =
        generator.run(&prompts, &|_, _| false, &mut |_, reply| found += reply.token_ids.len());
    assert!(result.is_ok() && found == prompts.len() * new, "every prompt is continued in full");
}

/// Tokens a second and bytes beside the weights of sixteen rows that grow to 512 columns.
fn measure_full(model: &CausalLm) -> (f64, usize) {
    let (seconds, bytes) = support::measure(|| generate(model, BATCH, 512 - NEW, NEW));
    ((BATCH * NEW) as f64 / seconds, bytes)
}

/// Bytes a second that all cores together read in a product of a matrix with a vector.
fn bandwidth(repetitions: usize) -> f64 {
    let matrix = vec![1.0f32; STREAM];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut best = f64::INFINITY;
    for _ in 0..=repetitions {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for part in matrix.chunks(STREAM.div_ceil(threads)) {
                scope.spawn(move || black_box(dot(part)));
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (STREAM * 4) as f64 / best
}

/// With a vector of 64 values that stays in registers, in as many sums.
fn dot(row: &[f32]) -> f32 {
    let vector = black_box([0.5f32; 64]);
    let mut sums = [0.0f32; 64];
    for part in row.chunks_exact(64) {
        for ((sum, a), b) in sums.iter_mut().zip(part).zip(&vector) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
