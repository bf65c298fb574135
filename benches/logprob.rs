//! Selective log-probability against plain log-softmax and gather: time and peak memory.
//!
//! In f32 and, where the processor can, with the head's products in bf16. `--return-pages` leaves the
//! allocator as it is: it hands freed memory back to the kernel, as glibc does too.
//!
//! 1,024 tokens, 49,152 words, width 576, unless told otherwise. Runs are interleaved; figures are
//! medians. What would not fit into memory is skipped with a word.
//!
//! ```sh
//! cargo bench -p ingrain --bench logprob -- 5
//! cargo bench -p ingrain --bench logprob -- 3 --grid
//! cargo bench -p ingrain --bench logprob -- 3 --tokens 256,1024 --vocab 151936 --hidden 2048
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use burn::tensor::{Device, Distribution, Int, Tensor, activation};
use clap::Parser;
use ingrain::lm::{Bf16Weight, selective_logprob, selective_logprob_bf16};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

#[derive(Parser)]
struct CommandLine {
    /// Rounds over all cases, after one that is not timed.
    #[arg(default_value_t = 5)]
    repetitions: usize,
    #[arg(long, value_delimiter = ',', default_value = "1024")]
    tokens: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "49152")]
    vocab: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "576")]
    hidden: Vec<usize>,
    /// 256, 1,024 and 8,192 tokens by 32,000, 49,152 and 151,936 words by width 576, 2,048 and 3,584.
    #[arg(long, conflicts_with_all = ["tokens", "vocab", "hidden"])]
    grid: bool,
    /// Let freed memory go back to the kernel at once.
    #[arg(long)]
    return_pages: bool,
    /// One JSON line a case in place of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    _cargo: support::Cargo,
}

/// How the log-probabilities are computed.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Selective,
    SelectiveBf16,
    Plain,
}

/// One of the things to time.
#[derive(Clone, Copy)]
struct Case {
    how: How,
    backward: bool,
}

const CASES: [Case; 6] = [
    Case { how: How::Selective, backward: false },
    Case { how: How::SelectiveBf16, backward: false },
    Case { how: How::Plain, backward: false },
    Case { how: How::Selective, backward: true },
    Case { how: How::SelectiveBf16, backward: true },
    Case { how: How::Plain, backward: true },
];

impl Case {
    fn name(self) -> String {
        let pass = if self.backward { "forward + backward" } else { "forward" };
        let how = match self.how {
            How::Selective => "selective",
            How::SelectiveBf16 => "selective, products in bf16",
            How::Plain => "plain Burn",
        };
        format!("{pass}, {how}")
    }

    /// About how much it allocates beyond its inputs, in bytes.
    fn need(self, [tokens, vocab, hidden]: [usize; 3]) -> usize {
        // Plain: the logits and their logarithm, and a gradient; selective: one chunk of 128 tokens.
        let rows = match (self.how, self.backward) {
            (How::Selective | How::SelectiveBf16, _) => tokens.min(128),
            (How::Plain, false) => 2 * tokens,
            (How::Plain, true) => 3 * tokens,
        };
        4 * (rows * vocab + 2 * tokens * hidden)
    }

    fn run(self, inputs: &Inputs) {
        let Inputs { hidden, head, packed, targets } = inputs;
        let logps = |hidden: Tensor<2>| {
            let (head, targets) = (head.clone(), targets.clone());
            match (self.how, packed) {
                (How::Plain, _) => plain(hidden, head, targets),
                (How::SelectiveBf16, Some(packed)) => {
                    selective_logprob_bf16(hidden, head, packed, targets, None)
                }
                _ => selective_logprob(hidden, head, targets, None),
            }
        };
        if self.backward {
            let tracked = hidden.clone().autodiff().require_grad();
            let gradients = logps(tracked.clone()).sum().backward();
            tracked.grad(&gradients).map(Tensor::into_data);
        } else {
            logps(hidden.clone()).into_data();
        }
    }
}

struct Inputs {
    hidden: Tensor<2>,
    head: Tensor<2>,
    packed: Option<Bf16Weight>,
    targets: Tensor<1, Int>,
}

fn plain(hidden: Tensor<2>, head: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [tokens] = targets.dims();
    let logits = hidden.matmul(head.transpose());
    activation::log_softmax(logits, 1).gather(1, targets.reshape([tokens, 1])).reshape([tokens])
}

/// What a case cost, or why it did not run.
type Cost = Result<(Vec<f64>, usize), String>;

fn measure(size: [usize; 3], repetitions: usize) -> [Cost; CASES.len()] {
    let [tokens, vocab, width] = size;
    let device = Device::flex();
    let words = Distribution::Uniform(0.0, vocab as f64 - 1.0);
    let head = Tensor::random([vocab, width], Distribution::Normal(0.0, 0.05), &device);
    let inputs = Inputs {
        hidden: Tensor::random([tokens, width], Distribution::Normal(0.0, 1.0), &device),
        packed: Bf16Weight::pack(&head),
        head,
        targets: Tensor::random([tokens], words, &device),
    };
    // What takes minutes needs no warming up.
    let (long, warm_up) = (tokens * vocab * width > 1 << 39, 1);
    let (rounds, warm_up) = if long { (1, 0) } else { (repetitions, warm_up) };
    let mut costs = CASES.map(|case| match support::available_bytes() {
        _ if case.how == How::SelectiveBf16 && inputs.packed.is_none() => {
            Err("skipped: this processor does not multiply bf16".to_owned())
        }
        Some(there) if case.need(size) > there / 10 * 9 => {
            let (need, there) = (support::gib(case.need(size)), support::gib(there));
            Err(format!("skipped: needs about {need:.0} GiB, {there:.0} GiB are there"))
        }
        _ => Ok((Vec::new(), 0)),
    });
    for round in 0..rounds + warm_up {
        for (case, cost) in CASES.iter().zip(&mut costs) {
            let Ok((seconds, most)) = cost else { continue };
            let (took, bytes) = support::measure(|| case.run(&inputs));
            if round >= warm_up {
                seconds.push(took);
                *most = bytes.max(*most);
            }
        }
    }
    costs
}

fn main() {
    let mut line = CommandLine::parse();
    if !line.return_pages {
        support::keep_freed_pages();
    }
    if line.grid {
        line.tokens = vec![256, 1024, 8192];
        line.vocab = vec![32_000, 49_152, 151_936];
        line.hidden = vec![576, 2048, 3584];
    }
    for &tokens in &line.tokens {
        for &vocab in &line.vocab {
            for &hidden in &line.hidden {
                let costs = measure([tokens, vocab, hidden], line.repetitions);
                if !line.json {
                    println!("\n{tokens} tokens x {vocab} words x width {hidden}\n");
                    println!("{:<62}{:>12}{:>16}", "", "ms", "extra MiB");
                }
                let pages = if line.return_pages { ", pages returned" } else { "" };
                for (case, cost) in CASES.into_iter().zip(costs) {
                    let name = case.name() + pages;
                    print(line.json, &name, [tokens, vocab, hidden], cost);
                }
            }
        }
    }
}

fn print(json: bool, case: &str, [tokens, vocab, hidden]: [usize; 3], cost: Cost) {
    if json {
        let (secs, extra_bytes, note) = match cost {
            Ok((secs, bytes)) => (secs, bytes, None),
            Err(note) => (Vec::new(), 0, Some(note)),
        };
        let row = serde_json::json!({
            "case": case, "tokens": tokens, "vocab": vocab, "hidden": hidden,
            "secs": secs, "extra_bytes": extra_bytes, "note": note,
        });
        println!("{row}");
        return;
    }
    match cost {
        Ok((seconds, bytes)) => {
            let (ms, mib) = (support::median(seconds) * 1e3, support::gib(bytes) * 1024.0);
            println!("{case:<62}{ms:>12.0}{mib:>16.0}");
        }
        Err(note) => println!("{case:<62}{note}"),
    }
}
