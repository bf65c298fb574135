//! The matrix products of a training step.

use std::collections::BTreeMap;

use ingrain::lm::DecoderConfig;

use super::step::Shape;

/// Rows of the head's products: a chunk of the selective log-probability.
const HEAD_ROWS: usize = 128;

/// How the operands of `C = A B` are stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// `x W^T`: B is stored `[columns, depth]`.
    Forward,
    /// `dy W`: both as they are.
    Backward,
    /// `dy^T x`: A is stored `[depth, rows]`; no operand is a weight.
    Gradient,
}

/// A product `[rows, depth] x [depth, columns]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Product {
    pub(crate) form: Form,
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
}

impl Product {
    pub(crate) fn flops(self) -> f64 {
        2.0 * self.rows as f64 * self.depth as f64 * self.columns as f64
    }
}

/// The products of a step with frozen weights, side paths and head, and how often each occurs in it.
pub(crate) fn of_step(config: &DecoderConfig, shape: Shape) -> BTreeMap<Product, f64> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_heads * config.head_dim;
    let keys = config.num_kv_heads * config.head_dim;
    // The last token of a sequence predicts nothing and is not read.
    let sequences = 2 * shape.pairs;
    let (tokens, rank) = (sequences * (shape.tokens - 1), shape.rank);
    let mut counts = BTreeMap::new();
    let mut add = |form, rows, depth, columns, count: f64| {
        *counts.entry(Product { form, rows, depth, columns }).or_default() += count;
    };
    let layers = config.num_layers as f64;
    // Inputs, outputs, how many maps, and how many of them hand a gradient down: nothing is below the
    // first block.
    let maps = [
        (hidden, queries, layers, layers - 1.0),
        (hidden, keys, 2.0 * layers, 2.0 * (layers - 1.0)),
        (queries, hidden, layers, layers),
        (hidden, inner, 2.0 * layers, 2.0 * layers),
        (inner, hidden, layers, layers),
    ];
    for (inputs, outputs, count, down) in maps {
        add(Form::Forward, tokens, inputs, outputs, count);
        add(Form::Forward, tokens, inputs, rank, count);
        add(Form::Forward, tokens, rank, outputs, count);
        add(Form::Backward, tokens, outputs, inputs, down);
        add(Form::Backward, tokens, outputs, rank, count);
        add(Form::Backward, tokens, rank, inputs, down);
        add(Form::Gradient, rank, tokens, inputs, count);
        add(Form::Gradient, outputs, tokens, rank, count);
    }
    let completion = sequences * (shape.tokens - shape.prompt_tokens);
    let chunks = completion as f64 / HEAD_ROWS as f64;
    add(Form::Forward, HEAD_ROWS, hidden, config.vocab_size, chunks);
    add(Form::Backward, HEAD_ROWS, config.vocab_size, hidden, chunks);
    counts
}

/// Floating-point operations of a step: those products, and attention over the tokens that each may see.
pub(crate) fn model_flops(config: &DecoderConfig, shape: Shape) -> f64 {
    let products: f64 = of_step(config, shape).iter().map(|(p, count)| p.flops() * count).sum();
    let (sequences, length) = (2 * shape.pairs, shape.tokens - 1);
    let seen = sequences * length * (length + 1) / 2;
    let width = config.num_heads * config.head_dim;
    // Scores and their product with the values; backward two products for each.
    let attention = 2.0 * 6.0 * seen as f64 * width as f64 * config.num_layers as f64;
    products + attention
}
