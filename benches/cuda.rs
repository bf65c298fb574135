//! On a GPU: parity with the CPU, and a DPO step at large shapes with random weights in bf16.
//!
//! Prints JSON lines; `python benches/peers/cuda.py` runs it beside TRL and makes a table. Written where no
//! GPU was at hand and **not run yet**.
//!
//! ```sh
//! cargo bench -p ingrain --features cuda,fusion --bench cuda -- parity
//! cargo bench -p ingrain --features cuda,fusion --bench cuda -- step 5 --shape 1b
//! cargo bench -p ingrain --features cuda --bench cuda -- parity      # nothing fused
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod support;

use burn::tensor::{Device, Int, Tensor, TensorData};
use clap::{Parser, Subcommand, ValueEnum};
use ingrain::lm::{
    Adapter, CausalLm, DecoderConfig, LoraConfig, ModelSource, TokenBatch, TokenSequence, device,
    selective_logprob,
};
use ingrain::run::Silent;
use serde_json::json;
use support::products::model_flops;
use support::step::{Failure, Setting, Shape, Step, Trainer};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

#[derive(Parser)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
    #[arg(long, default_value = "cuda", global = true)]
    device: String,
    #[command(flatten)]
    _cargo: support::Cargo,
}

#[derive(Subcommand)]
enum What {
    /// The same numbers as the CPU, within a tolerance.
    Parity,
    /// Times a DPO step.
    Step {
        /// Steps that are timed, after one that is not.
        #[arg(default_value_t = 5)]
        steps: u64,
        #[arg(long, default_value = "1b")]
        shape: Model,
        /// Most tokens in one pass.
        #[arg(long, default_value_t = 2048)]
        micro_batch_tokens: usize,
        #[command(flatten)]
        size: Shape,
    },
}

/// Whose shapes; `benches/peers/cuda_trl.py` has the same.
#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// Llama 3.2 1B.
    #[value(name = "1b")]
    Billion,
    /// Llama 3.1 8B.
    #[value(name = "8b")]
    EightBillion,
}

impl Model {
    fn config(self, like: &DecoderConfig) -> DecoderConfig {
        let (hidden_size, intermediate_size, num_layers, head_dim) = match self {
            Self::Billion => (2048, 8192, 16, 64),
            Self::EightBillion => (4096, 14_336, 32, 128),
        };
        DecoderConfig {
            vocab_size: 128_256,
            hidden_size,
            intermediate_size,
            num_layers,
            layers: vec![like.layers[0]; num_layers],
            num_heads: 32,
            num_kv_heads: 8,
            head_dim,
            attention_scale: f64::from(head_dim as u32).powf(-0.5),
            rope_theta: 5e5,
            max_position: 8192,
            tie_embeddings: matches!(self, Self::Billion),
            ..like.clone()
        }
    }
}

fn main() -> Result<(), Failure> {
    support::keep_freed_pages();
    let line = CommandLine::parse();
    let device = device(&line.device)?;
    let files = ModelSource::Builtin.resolve(&Silent)?;
    match line.what {
        What::Parity => {
            let models = [&Device::flex(), &device].map(|device| CausalLm::load(&files, device));
            let [cpu, gpu] = models;
            parity(&cpu?, &gpu?)
        }
        What::Step { steps, shape, micro_batch_tokens, size } => {
            let config = shape.config(&files.config()?);
            let flops = model_flops(&config, size);
            let model = CausalLm::random(config, 1, &device)?.with_bf16_products()?;
            let setting =
                Setting { name: "bf16", bf16: false, micro_batch_tokens, recompute_blocks: false };
            let trainer = Trainer::Dpo;
            let measured =
                Step { trainer, model: &model, setting, shape: size, steps }.measure()?;
            let line = json!({
                "name": "ingrain", "step_secs": measured.step_secs,
                "reference_secs": measured.reference_secs, "flops": flops,
                "fused": cfg!(feature = "fusion"),
            });
            println!("{line}");
            Ok(())
        }
    }
}

fn parity(cpu: &CausalLm, gpu: &CausalLm) -> Result<(), Failure> {
    let mut worst = Ok(());
    let mut compare = |check: &str, cpu: Vec<f32>, gpu: Vec<f32>, allowed: f64| {
        let off = distance(&cpu, &gpu);
        println!("{}", json!({"check": check, "off": off, "allowed": allowed}));
        if off.is_nan() || off > allowed {
            worst = Err(format!("{check}: off by {off:e}, allowed {allowed:e}").into());
        }
    };
    for softcap in [None, Some(15.0)] {
        let [on_cpu, on_gpu] = [cpu, gpu].map(|model| logprobs(model.device(), softcap));
        let name = |what| format!("log-probabilities of 1,100 tokens, softcap {softcap:?}: {what}");
        compare(&name("values"), on_cpu.0, on_gpu.0, 1e-3);
        compare(&name("gradient"), on_cpu.1, on_gpu.1, 5e-3);
    }
    let on_cpu = step_gradients(cpu)?;
    let on_gpu = step_gradients(gpu)?;
    compare("built-in model: log-probabilities", on_cpu.0.clone(), on_gpu.0, 2e-3);
    compare("built-in model: gradients of the adapter", on_cpu.1.clone(), on_gpu.1, 1e-2);
    let in_bf16 = step_gradients(&gpu.clone().with_bf16_products()?)?;
    compare("built-in model in bf16: log-probabilities", on_cpu.0, in_bf16.0, 5e-2);
    compare("built-in model in bf16: gradients of the adapter", on_cpu.1, in_bf16.1, 2e-1);
    worst
}

/// The root mean square of the differences over that of the first list.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let off: f64 = one.iter().zip(other).map(|(a, b)| square(a - b)).sum();
    (off / one.iter().map(|&x| square(x)).sum::<f64>()).sqrt()
}

/// Values and gradients of random hidden states, made on the CPU and moved.
fn logprobs(device: &Device, softcap: Option<f64>) -> (Vec<f32>, Vec<f32>) {
    let (tokens, vocab, width) = (1_100, 49_152, 576);
    let wave = |shape: [usize; 2], step: usize, size: f32| {
        let len = shape[0] * shape[1];
        let values: Vec<f32> = (0..len).map(|i| size * ((i * step) as f32).sin()).collect();
        Tensor::<2>::from_data(TensorData::new(values, shape), device)
    };
    let hidden = wave([tokens, width], 7, 1.0).autodiff().require_grad();
    let head = wave([vocab, width], 13, 0.2);
    let ids: Vec<i32> = (0..tokens).map(|i| (i * 7919 % vocab) as i32).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens]), device);
    let values = selective_logprob(hidden.clone(), head, targets, softcap);
    let gradients = (values.clone() * values.clone()).sum().backward();
    let gradient = hidden.grad(&gradients).map(list).unwrap_or_default();
    (list(values.inner()), gradient)
}

/// Log-probabilities of two sequences under a fresh adapter, and all its gradients.
fn step_gradients(model: &CausalLm) -> Result<(Vec<f32>, Vec<f32>), Failure> {
    let adapter = Adapter::init(model, &LoraConfig::default(), 1)?.tracked();
    let sequence = |seed: u32| {
        let ids: Vec<u32> = (0..96).map(|i| (seed * 977 + i * 131) % 40_000).collect();
        TokenSequence::from_parts(&ids[..16], &ids[16..])
    };
    let sequences = [sequence(1), sequence(2)];
    let batch = TokenBatch::new(&sequences.each_ref(), model.device());
    let logps = model.completion_logprobs(&batch, Some(&adapter));
    let gradients = logps.clone().sum().backward();
    let of = |(_, x): (String, Tensor<2>)| x.grad(&gradients).map(list).unwrap_or_default();
    Ok((list(logps.inner()), adapter.parameters().into_iter().flat_map(of).collect()))
}

fn list<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}
