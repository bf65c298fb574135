//! Selective log-probability against plain log-softmax and gather: time and peak memory.
//!
//! 1,024 tokens, 49,152 words, width 576. Runs are interleaved; figures are medians.
//!
//! ```sh
//! cargo bench --bench logprob
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use burn::tensor::{Device, Distribution, Int, Tensor, activation};
use ingrain::lm::selective_logprob;

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

const TOKENS: usize = 1024;
const VOCAB: usize = 49_152;
const HIDDEN: usize = 576;

fn plain(hidden: Tensor<2>, head: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let logits = hidden.matmul(head.transpose());
    activation::log_softmax(logits, 1).gather(1, targets.reshape([TOKENS, 1])).reshape([TOKENS])
}

fn main() {
    let device = Device::flex();
    let hidden = Tensor::<2>::random([TOKENS, HIDDEN], Distribution::Normal(0.0, 1.0), &device);
    let head = Tensor::<2>::random([VOCAB, HIDDEN], Distribution::Normal(0.0, 0.05), &device);
    let targets =
        Tensor::<1, Int>::random([TOKENS], Distribution::Uniform(0.0, VOCAB as f64 - 1.0), &device);
    let forward = |fused: bool| {
        let logps = if fused {
            selective_logprob(hidden.clone(), head.clone(), targets.clone(), None)
        } else {
            plain(hidden.clone(), head.clone(), targets.clone())
        };
        logps.into_data()
    };
    let backward = |fused: bool| {
        let tracked = hidden.clone().autodiff().require_grad();
        let logps = if fused {
            selective_logprob(tracked.clone(), head.clone(), targets.clone(), None)
        } else {
            plain(tracked.clone(), head.clone(), targets.clone())
        };
        let gradients = logps.sum().backward();
        tracked.grad(&gradients).map(Tensor::into_data)
    };
    let repetitions = support::repetitions(5);
    let mut rows = [const { (Vec::new(), 0usize) }; 4];
    for round in 0..=repetitions {
        for (index, row) in rows.iter_mut().enumerate() {
            let fused = index % 2 == 0;
            let (seconds, bytes) = support::measure(|| {
                if index < 2 {
                    forward(fused);
                } else {
                    backward(fused);
                }
            });
            // The first round warms up.
            if round > 0 {
                row.0.push(seconds);
                row.1 = row.1.max(bytes);
            }
        }
    }
    println!("{TOKENS} tokens x {VOCAB} words x width {HIDDEN}, median of {repetitions}\n");
    println!("{:<34}{:>12}{:>16}", "", "ms", "extra MiB");
    let names = [
        "forward, selective",
        "forward, plain",
        "forward + backward, selective",
        "forward + backward, plain",
    ];
    for (name, (seconds, bytes)) in names.iter().zip(rows) {
        let ms = support::median(seconds) * 1e3;
        println!("{name:<34}{ms:>12.0}{:>16.0}", bytes as f64 / (1 << 20) as f64);
    }
}
