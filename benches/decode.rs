//! Decoding with the built-in model: one prompt, sixteen prompts, the first token of a long one; beside
//! what memory bandwidth allows, measured in the same run.
//!
//! Prompts are token ids of no meaning, replies are greedy and never stop early, so that the scripts in
//! `benches/peers` do the same work. Figures are medians.
//!
//! ```sh
//! cargo bench -p ingrain --bench decode -- 3
//! cargo bench -p ingrain --bench decode -- 3 bf16     # products with weights in bf16
//! cargo bench -p ingrain --bench decode -- 3 --json   # one line for benches/peers/compare.py
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::hint::black_box;
use std::time::Instant;

use burn::tensor::Device;
use ingrain::chat::Sampling;
use ingrain::eval::{NEUTRAL_TEXT, perplexity};
use ingrain::lm::{CausalLm, Generator, LocalModel, ModelFiles, ModelSource, Overlay, Prompt};
use ingrain::run::{Interrupt, Silent, peak_rss_bytes};
use serde::Serialize;

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const PROMPT: usize = 64;
const NEW: usize = 128;
const BATCH: usize = 16;
const LONG: usize = 1000;

/// Values of the vector that bandwidth is measured on: far larger than any cache.
const STREAM: usize = 96 << 20;

/// What a run measures.
#[derive(Serialize)]
struct Figures {
    batch_1_tokens_per_sec: f64,
    batch_16_tokens_per_sec: f64,
    first_token_of_1000_ms: f64,
    /// After the three above, which are all that the peers do.
    peak_rss_bytes: Option<u64>,
    bandwidth_bytes_per_sec: f64,
    /// Batch 1 over what bandwidth allows.
    bandwidth_share: f64,
    /// Sixteen rows that grow to 512 columns, and what they take beside the weights.
    full_tokens_per_sec: f64,
    weight_bytes: usize,
    kv_bytes: usize,
    extra_bytes: usize,
    /// Of a neutral text, against f32 and less 1; nothing in f32.
    perplexity_change: Option<f64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    support::keep_freed_pages();
    let asked = |word: &str| std::env::args().any(|arg| arg == word);
    let figures = measure(support::repetitions(3), asked("bf16"))?;
    if asked("--json") {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        figures.print();
    }
    Ok(())
}

fn measure(repetitions: usize, bf16: bool) -> Result<Figures, Box<dyn std::error::Error>> {
    let files = BUILTIN.resolve(&Silent)?;
    let mut model = CausalLm::load(&files, &Device::flex())?;
    if bf16 {
        model = model.with_bf16_products()?;
    }
    let run = |prompts: usize, tokens: usize, new: usize| {
        let once = || support::measure(|| generate(&model, prompts, tokens, new)).0;
        // Warms up.
        once();
        support::median((0..repetitions).map(|_| once()).collect())
    };
    let (one, sixteen) = (run(1, PROMPT, NEW), run(BATCH, PROMPT, NEW));
    let first = run(1, LONG, 1);
    let peak_rss_bytes = peak_rss_bytes();
    let (full_tokens_per_sec, extra_bytes) = measure_full(&model);
    let weight_bytes = model.num_parameters() * if bf16 { 2 } else { 4 };
    let bandwidth = bandwidth(repetitions);
    let rate_one = NEW as f64 / one;
    let config = model.config();
    let perplexity_change = bf16.then(|| perplexity_change(&files, &model)).transpose()?;
    Ok(Figures {
        batch_1_tokens_per_sec: rate_one,
        batch_16_tokens_per_sec: (BATCH * NEW) as f64 / sixteen,
        first_token_of_1000_ms: 1e3 * first,
        peak_rss_bytes,
        bandwidth_bytes_per_sec: bandwidth,
        bandwidth_share: rate_one / (bandwidth / weight_bytes as f64),
        full_tokens_per_sec,
        weight_bytes,
        kv_bytes: BATCH * 512 * config.num_layers * 2 * config.num_kv_heads * config.head_dim * 4,
        extra_bytes,
        perplexity_change,
    })
}

impl Figures {
    fn print(&self) {
        let mb = |bytes: usize| bytes as f64 / 1e6;
        let allowed = self.batch_1_tokens_per_sec / self.bandwidth_share;
        println!("prompts of {PROMPT} tokens, {NEW} new tokens each\n");
        for (what, value, unit) in [
            ("bandwidth, parallel dot products", self.bandwidth_bytes_per_sec / 1e9, "GB/s"),
            ("allowed by bandwidth, batch 1", allowed, "tokens/s"),
            ("batch 1", self.batch_1_tokens_per_sec, "tokens/s"),
            ("  of what bandwidth allows", 100.0 * self.bandwidth_share, "%"),
            ("batch 16", self.batch_16_tokens_per_sec, "tokens/s"),
            ("first token of 1000", self.first_token_of_1000_ms, "ms"),
            ("batch 16 to 512 columns", self.full_tokens_per_sec, "tokens/s"),
            ("weights", mb(self.weight_bytes), "MB"),
            ("keys and values of 16 rows of 512", mb(self.kv_bytes), "MB"),
            ("peak beside the weights", mb(self.extra_bytes), "MB"),
        ] {
            println!("{what:<40}{value:>10.1} {unit}");
        }
        if let Some(change) = self.perplexity_change {
            let what = "perplexity of a neutral text, against f32";
            println!("{what:<40}{:>+10.2} %", 100.0 * change);
        }
    }
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
