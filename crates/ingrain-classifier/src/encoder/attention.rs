//! Attention that looks in both directions.

use burn::tensor::{Bool, Tensor, activation};

/// `[q, k, v]`, each `[rows, seq, heads, dim]`, to `[rows * seq, heads * dim]`; keys that `hidden` says
/// `[rows, 1, seq, seq]` are not looked at.
pub(super) fn attend([q, k, v]: [Tensor<4>; 3], hidden: Option<&Tensor<4, Bool>>) -> Tensor<2> {
    let [rows, seq, heads, dim] = q.dims();
    let [q, k, v] = [q, k, v].map(|x| x.swap_dims(1, 2));
    let scores = q.mul_scalar((dim as f64).powf(-0.5)).matmul(k.transpose());
    let scores = match hidden {
        // Finite: a query that is padding may see nothing at all.
        Some(hidden) => scores.mask_fill(hidden.clone().expand([rows, heads, seq, seq]), -1e30),
        None => scores,
    };
    let out = activation::softmax(scores, 3).matmul(v);
    out.swap_dims(1, 2).reshape([rows * seq, heads * dim])
}
