//! One supervised step on the built-in model: forward, backward and optimiser.
//!
//! The sequences of `dpo_step`, each a conversation of its own: 8 of 256 tokens, 192 of them in the
//! loss, LoRA r=64 on all seven projections, unless told otherwise.
//!
//! ```sh
//! cargo bench -p ingrain --bench sft_step                       # every setting, 5 steps each
//! cargo bench -p ingrain --bench sft_step -- 3 bf16             # one setting, 3 steps, as a JSON line
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use support::step::{Failure, Trainer};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

fn main() -> Result<(), Failure> {
    support::step::main(Trainer::Sft)
}
