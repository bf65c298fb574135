//! The share of the bare matrix-product rate that a DPO step reaches.
//!
//! The limit is the time that the matrix products of a step take alone, on operands that lie ready, one
//! product after the other on the same threads: frozen weights, side paths and head, forward and backward.
//! Attention's own products (some 4 % at 256 tokens) and what is recomputed count for nothing. In bf16 the
//! products with a weight run in bf16, the gradients of side paths in f32, as in the step. Bare products
//! and steps take turns.
//!
//! ```sh
//! cargo bench -p ingrain --bench roofline -- 5
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod support;

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use gemm::Parallelism;
use ingrain::lm::Bf16Matrix;
use support::products::{self, Form, Product};
use support::step::{self, Failure, SETTINGS, Shape, Step, Trainer};

#[global_allocator]
static ALLOCATOR: support::Counting = support::Counting;

#[derive(Parser)]
struct CommandLine {
    /// Rounds: in each, every product five times, then one step after one that is not timed.
    #[arg(default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    _cargo: support::Cargo,
}

/// Median seconds of five runs after one that is not timed.
fn time(product: Product, bf16: bool) -> f64 {
    let Product { form, rows, depth, columns } = product;
    let values = |len: usize| (0..len).map(|i| (i % 251) as f32 * 1e-3).collect::<Vec<_>>();
    let (a, b, mut c) = (values(rows * depth), values(depth * columns), values(rows * columns));
    let half = match form {
        Form::Forward if bf16 => Bf16Matrix::of_columns(&b, [depth, columns]),
        Form::Backward if bf16 => Bf16Matrix::of_rows(&b, [depth, columns]),
        _ => None,
    };
    let mut once = || match &half {
        Some(half) => half.add_product(&mut c, &a),
        None => in_f32(product, &mut c, &a, &b),
    };
    once();
    let timed = |_| {
        let start = Instant::now();
        once();
        start.elapsed().as_secs_f64()
    };
    let seconds = support::median((0..5).map(timed).collect());
    black_box(c);
    seconds
}

/// `C += A B`.
fn in_f32(product: Product, c: &mut [f32], a: &[f32], b: &[f32]) {
    let Product { form, rows, depth, columns } = product;
    let (a_row, a_column) = if form == Form::Gradient { (1, rows) } else { (depth, 1) };
    let (b_row, b_column) = if form == Form::Forward { (1, depth) } else { (columns, 1) };
    assert!(a.len() == rows * depth && b.len() == depth * columns && c.len() == rows * columns);
    #[expect(unsafe_code, reason = "gemm takes pointers; the lengths behind them are checked")]
    // SAFETY: the strides address each operand's `rows * columns` values and no others, and `c`,
    // being `&mut`, overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            c.as_mut_ptr(),
            1,
            columns as isize,
            true,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}

fn main() -> Result<(), Failure> {
    support::keep_freed_pages();
    let CommandLine { rounds, shape, .. } = CommandLine::parse();
    let model = step::builtin()?;
    let products = products::of_step(model.config(), shape);
    let gflops: f64 = products.iter().map(|(p, count)| p.flops() * count).sum::<f64>() / 1e9;
    println!(
        "| precision | GFLOP a step | products alone, s | GFLOP/s | step, s | GFLOP/s | share |"
    );
    println!("|---|---|---|---|---|---|---|");
    for setting in SETTINGS.into_iter().filter(|setting| ["f32", "bf16"].contains(&setting.name)) {
        let (mut alone, mut steps) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            alone.push(products.iter().map(|(p, count)| time(*p, setting.bf16) * count).sum());
            let step = Step { trainer: Trainer::Dpo, model: &model, setting, shape, steps: 1 };
            steps.extend(step.measure()?.step_secs);
        }
        let (alone, step): (f64, f64) = (support::median(alone), support::median(steps));
        println!(
            "| {} | {gflops:.0} | {alone:.2} | {:.0} | {step:.2} | {:.0} | {:.0} % |",
            setting.name,
            gflops / alone,
            gflops / step,
            100.0 * alone / step,
        );
    }
    Ok(())
}
