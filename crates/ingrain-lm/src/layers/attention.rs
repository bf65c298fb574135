//! Grouped-query causal attention, with and without a cache of keys and values.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor, activation, module};

use super::{LayerCache, Placement};

/// Which keys a query may not look at.
#[expect(clippy::large_enum_variant, reason = "there is one a call, on the stack")]
pub(super) enum Mask {
    /// Those behind it, and those further back than the window; right padding needs nothing more.
    Causal { window: Option<usize> },
    /// Those that are `true` in `[batch, 1, queries, keys]`.
    Hidden(Tensor<4, Bool>),
}

/// `q: [batch, queries, heads, dim]`, `k`, `v`: `[batch, queries, kv_heads, dim]` to
/// `[batch * queries, heads * dim]`.
///
/// Scores are multiplied by `scale`. Without a cache, a query sees the keys that `mask` leaves it. With
/// one, keys and values are stored as the placement says, and the queries see what their slots hold before
/// them, as far back as the placement's window.
pub(super) fn attend(
    [q, k, v]: [Tensor<4>; 3],
    scale: f64,
    mut mask: Mask,
    cache: Option<(&mut LayerCache, &Placement)>,
) -> Tensor<2> {
    let [batch, queries, heads, dim] = q.dims();
    let (mut k, mut v) = (k.swap_dims(1, 2), v.swap_dims(1, 2));
    if let Some((cache, placement)) = cache {
        let (keys, values, hidden) = cache.append(k.clone(), v.clone(), placement);
        if !placement.is_fresh() {
            (k, v, mask) = (keys, values, Mask::Hidden(hidden));
        }
    }
    let q = q.swap_dims(1, 2);
    // Burn's fused attention is wrong where only some of the three are tracked.
    let tracked = q.is_autodiff() || k.is_autodiff() || v.is_autodiff();
    let windowed = matches!(mask, Mask::Causal { window: Some(_) });
    let out = if tracked || windowed || q.device() != Device::flex() {
        grouped([q, k, v], scale, mask)
    } else {
        flash([q, k, v], scale, mask)
    };
    out.swap_dims(1, 2).reshape([batch * queries, heads * dim])
}

/// Burn's own attention, which on Flex knows about groups but not about windows.
fn flash([q, k, v]: [Tensor<4>; 3], scale: f64, mask: Mask) -> Tensor<4> {
    let queries = q.dims()[2];
    let (is_causal, hidden) = match mask {
        Mask::Causal { .. } => (queries > 1, None),
        Mask::Hidden(hidden) => (false, Some(hidden)),
    };
    let options = AttentionModuleOptions { is_causal, scale: Some(scale), ..Default::default() };
    module::attention(q, k, v, hidden, None, options)
}

/// The composition that differentiates and runs on every back end.
///
/// The query heads of a group are stacked along the query axis, so keys and values are never repeated.
fn grouped([q, k, v]: [Tensor<4>; 3], scale: f64, mask: Mask) -> Tensor<4> {
    let [batch, heads, queries, dim] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    let group = heads / kv_heads;
    let hide = match mask {
        Mask::Causal { .. } if queries == 1 => None,
        Mask::Causal { window } => {
            let device = q.device().inner();
            let mut hide = Tensor::<2, Bool>::tril_mask([queries, keys], 0, &device);
            if let Some(window) = window {
                let first = 1 - window as i64;
                hide = hide.bool_or(Tensor::triu_mask([queries, keys], first, &device));
            }
            Some(hide.reshape([1, 1, queries, keys]))
        }
        Mask::Hidden(hidden) => Some(hidden),
    };
    let q = q.reshape([batch, kv_heads, group * queries, dim]).mul_scalar(scale);
    let scores = q.matmul(k.transpose()).reshape([batch, heads, queries, keys]);
    let scores = match hide {
        Some(hide) => scores.mask_fill(hide.expand([batch, heads, queries, keys]), -1e30),
        None => scores,
    };
    activation::softmax(scores, 3)
        .reshape([batch, kv_heads, group * queries, keys])
        .matmul(v)
        .reshape([batch, heads, queries, dim])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::{Mask, grouped};
    use crate::batch::Branch;
    use crate::kernels::Dense;
    use crate::kernels::causal_attention::{Saved, Shape, backward, forward};
    use crate::layers::Branches;

    fn assert_close(found: &[f32], expected: Tensor<4>, tolerance: f32, what: &str) {
        let expected = Dense::read(&expected.swap_dims(1, 2)).expect("f32 on Flex");
        assert_eq!(found.len(), expected.values().len());
        let largest = expected.values().iter().fold(0.0f32, |m, x| m.max(x.abs()));
        for (a, b) in found.iter().zip(expected.values()) {
            assert!((a - b).abs() <= tolerance * largest.max(1.0), "{what}: {a}, not {b}");
        }
    }

    /// `size` scales the queries: at 30 most rows look at a single key.
    fn check(shape: Shape<'_>, size: f64) {
        let what = format!("{shape:?}, size {size}");
        // Scores round in proportion to their size, and their exponentials with them.
        let tolerance = 1e-5 * (size as f32).max(10.0) / 10.0;
        let Shape { batch, seq, heads, kv_heads, dim, branches } = shape;
        let device = Device::flex().autodiff();
        let normal = |heads, size| {
            let shape = [batch, seq, heads, dim];
            Tensor::<4>::random(shape, Distribution::Normal(0.0, size), &device)
        };
        let (q, k, v) = (normal(heads, size), normal(kv_heads, 1.0), normal(kv_heads, 1.0));
        let towards = normal(heads, 1.0);
        let swap = |x: &Tensor<4>| x.clone().swap_dims(1, 2);
        let tracked = [&q, &k, &v].map(|x| swap(x).require_grad());
        let [q_in, k_in, v_in] = tracked.clone();
        let scale = (dim as f64).powf(-0.5);
        let mask = match Branches::new(branches, seq) {
            Some(branches) => Mask::Hidden(branches.hidden(&Device::flex())),
            None => Mask::Causal { window: None },
        };
        let y = grouped([q_in, k_in, v_in], scale, mask);
        let gradients = (y.clone() * swap(&towards)).sum().backward();

        let read = |x: Tensor<4>| Dense::read(&x.inner()).expect("f32 on Flex");
        let (q, k, v, towards) = (read(q), read(k), read(v), read(towards));
        let (out, lse) = forward(q.values(), k.values(), v.values(), shape);
        assert_close(&out, y.inner(), tolerance, &format!("{what}: values"));
        let (q, k, v) = (q.values(), k.values(), v.values());
        let found = backward(Saved { q, k, v, out: &out, lse: &lse }, towards.values(), shape);
        for ((found, tracked), name) in found.iter().zip(tracked).zip(["dq", "dk", "dv"]) {
            let expected = tracked.grad(&gradients).expect("tracked");
            assert_close(found, expected, tolerance, &format!("{what}: {name}"));
        }
    }

    #[test]
    fn kernels_equal_the_composition_in_values_and_gradients() {
        for (heads, kv_heads, dim) in [(1, 1, 1), (4, 2, 8), (5, 1, 20), (3, 3, 33), (9, 3, 64)] {
            for (batch, seq) in [(1, 1), (2, 2), (3, 17), (1, 32), (2, 33), (1, 131), (1, 300)] {
                check(Shape { batch, seq, heads, kv_heads, dim, branches: &[] }, 1.0);
            }
        }
    }

    #[test]
    fn a_second_sequence_in_a_row_sees_what_is_shared_and_itself() {
        let branch = |shared, start| Some(Branch { shared, start });
        for (heads, kv_heads, dim) in [(1, 1, 1), (4, 2, 8), (9, 3, 64)] {
            for (seq, branches) in [
                (3, &[branch(1, 2)][..]),
                (17, &[branch(5, 9), None, branch(1, 16)]),
                // Nothing but the beginning in one of the two, then in both.
                (40, &[branch(7, 7), branch(7, 40), branch(40, 40)]),
                (300, &[branch(64, 180), branch(131, 135), branch(2, 290)]),
            ] {
                let batch = branches.len();
                check(Shape { batch, seq, heads, kv_heads, dim, branches }, 1.0);
            }
        }
    }

    #[test]
    fn kernels_survive_scores_that_overflow_an_exponential() {
        let shape = Shape { batch: 1, seq: 70, heads: 2, kv_heads: 1, dim: 16, branches: &[] };
        check(shape, 300.0);
        check(Shape { branches: &[Some(Branch { shared: 20, start: 50 })], ..shape }, 300.0);
    }
}
