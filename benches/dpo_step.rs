//! One DPO step on the built-in model: forward, backward and optimiser, and the reference pass.
//!
//! 4 pairs of 256 tokens, 192 of them completion, LoRA r=64 on all seven projections, unless told
//! otherwise: the step that `benches/peers/` times in Python.
//!
//! ```sh
//! cargo bench -p ingrain --bench dpo_step                       # every setting, 5 steps each
//! cargo bench -p ingrain --bench dpo_step -- 3 bf16             # one setting, 3 steps, as a JSON line
//! cargo bench -p ingrain --bench dpo_step -- 3 f32 --pairs 2 --tokens 512 --rank 16
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use support::step::{Failure, Trainer};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

fn main() -> Result<(), Failure> {
    support::step::main(Trainer::Dpo)
}
