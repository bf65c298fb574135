//! The block over slices: forward, and backward from what the forward kept.

use std::convert::Infallible;

use super::Block;
use crate::kernels::causal_attention::{self, Shape};
use crate::kernels::linear::{self, Map, SideGradient};
use crate::kernels::rotary::{self, Turn};
use crate::kernels::{Dense, norm, swiglu};
use crate::layers::{LayerCache, Placement};
use crate::lora::Projection;

/// What the backward pass needs of the forward pass; what is cheap to compute again is not in it.
#[derive(Debug)]
pub(super) struct Saved {
    x: Dense,
    /// After attention and its residual.
    middle: Vec<f32>,
    /// Of both norms, one a row.
    scales: [Vec<f32>; 2],
    /// Rotated.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    /// `x A^T` of each side path, in the order of [`Projection::ALL`].
    inner: Vec<Option<Vec<f32>>>,
}

/// The gradients of a block.
pub(super) struct Gradients {
    /// With respect to the input, if asked.
    pub(super) x: Option<Vec<f32>>,
    /// With respect to the side paths, in the order of [`Projection::ALL`].
    pub(super) sides: Vec<Option<SideGradient>>,
}

const QKV: [Projection; 3] = [Projection::Q, Projection::K, Projection::V];
const GATE_UP: [Projection; 2] = [Projection::Gate, Projection::Up];

impl Saved {
    /// The block's input, `[tokens, hidden]`.
    pub(super) fn into_input(self) -> Dense {
        self.x
    }

    /// What [`forward`] keeps for the input `x`, computed again.
    pub(super) fn again(block: &Block, x: Dense) -> Self {
        let Ok(mut saved) = Self::until_gate(block, x, |q, k, v| {
            Ok::<_, Infallible>(causal_attention::forward(q, k, v, block.shape()))
        });
        let product = swiglu::forward(&saved.gate, &saved.up);
        saved.inner.push(block.map(Projection::Down).narrow(&product));
        saved
    }

    /// Everything before the down projection, attention being given.
    fn until_gate<E>(
        block: &Block,
        x: Dense,
        attend: impl FnOnce(&[f32], &[f32], &[f32]) -> Result<(Vec<f32>, Vec<f32>), E>,
    ) -> Result<Self, E> {
        let rows = block.batch * block.seq;
        let (h, first_scales) = norm::forward(x.values(), block.norms[0].values(), block.eps);
        let maps = QKV.map(|which| block.map(which));
        let [mut q, mut k, mut v] = maps.map(|map| map.blank(rows));
        let mut inner = linear::forward(rows, &h, &maps, &mut [&mut q, &mut k, &mut v]);
        rotary::rotate(&mut q, block.heads, block.angles(), Turn::Forward);
        rotary::rotate(&mut k, block.kv_heads, block.angles(), Turn::Forward);
        let (attended, lse) = attend(&q, &k, &v)?;
        let middle = x.values().to_vec();
        let (middle, o_inner) = add(block.map(Projection::O), &attended, middle);
        inner.extend(o_inner);
        let (h, second_scales) = norm::forward(&middle, block.norms[1].values(), block.eps);
        let maps = GATE_UP.map(|which| block.map(which));
        let [mut gate, mut up] = maps.map(|map| map.blank(rows));
        inner.extend(linear::forward(rows, &h, &maps, &mut [&mut gate, &mut up]));
        let scales = [first_scales, second_scales];
        Ok(Self { x, middle, scales, q, k, v, attended, lse, gate, up, inner })
    }
}

/// The output of the block for `x: [tokens, hidden]`.
///
/// With a cache, keys and values are stored in it, and tokens that continue a slot attend to what it
/// holds. `None` if the cache is not one that kernels read.
pub(super) fn forward(
    block: &Block,
    x: Dense,
    cache: Option<(&mut LayerCache, &Placement)>,
) -> Option<(Vec<f32>, Saved)> {
    let whole = |q: &[f32], k: &[f32], v: &[f32]| causal_attention::forward(q, k, v, block.shape());
    let mut saved = Saved::until_gate::<()>(block, x, |q, k, v| {
        let Some((cache, placement)) = cache else { return Ok(whole(q, k, v)) };
        cache.append_values(k, v, placement).ok_or(())?;
        if placement.is_fresh() {
            return Ok(whole(q, k, v));
        }
        Ok((cache.attend(q, block.heads, placement).ok_or(())?, Vec::new()))
    })
    .ok()?;
    let product = swiglu::forward(&saved.gate, &saved.up);
    let (y, inner) = add(block.map(Projection::Down), &product, saved.middle.clone());
    saved.inner.extend(inner);
    Some((y, saved))
}

/// `residual` plus the map of `x`.
fn add(map: Map<'_>, x: &[f32], mut residual: Vec<f32>) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    if let Some(bias) = map.bias {
        for row in residual.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
    }
    let rows = residual.len() / map.outputs();
    let inner = linear::forward(rows, x, &[map], &mut [&mut residual]);
    (residual, inner)
}

/// From the derivative with respect to the output to those with respect to the inputs.
pub(super) fn backward(block: &Block, saved: &Saved, dy: &[f32], with_x: bool) -> Gradients {
    let (inner_qkv, inner_o) = (&saved.inner[..3], &saved.inner[3..4]);
    let (inner_gate_up, inner_down) = (&saved.inner[4..6], &saved.inner[6..]);

    let product = swiglu::forward(&saved.gate, &saved.up);
    let mut d_gate = vec![0.0; product.len()];
    let down = [block.map(Projection::Down)];
    let down = linear::backward(&product, &down, inner_down, &[dy], Some(&mut d_gate));
    drop(product);
    let d_up = swiglu::backward(&saved.gate, &saved.up, &mut d_gate);

    let weight = block.norms[1].values();
    let h = norm::again(&saved.middle, weight, &saved.scales[1]);
    let mut dh = vec![0.0; h.len()];
    let maps = GATE_UP.map(|which| block.map(which));
    let gate_up = linear::backward(&h, &maps, inner_gate_up, &[&d_gate, &d_up], Some(&mut dh));
    let mut d_middle = dy.to_vec();
    norm::backward(&saved.middle, weight, &saved.scales[1], &dh, &mut d_middle);

    let mut d_attended = vec![0.0; saved.attended.len()];
    let o = [block.map(Projection::O)];
    let o = linear::backward(&saved.attended, &o, inner_o, &[&d_middle], Some(&mut d_attended));
    let [dq, dk, dv] = block.attention_backward(saved, &d_attended);

    let weight = block.norms[0].values();
    let h = norm::again(saved.x.values(), weight, &saved.scales[0]);
    let mut dh = with_x.then(|| vec![0.0; h.len()]);
    let maps = QKV.map(|which| block.map(which));
    let mut sides = linear::backward(&h, &maps, inner_qkv, &[&dq, &dk, &dv], dh.as_deref_mut());
    let x = dh.map(|dh| {
        norm::backward(saved.x.values(), weight, &saved.scales[0], &dh, &mut d_middle);
        d_middle
    });
    sides.extend(o);
    sides.extend(gate_up);
    sides.extend(down);
    Gradients { x, sides }
}

impl Block {
    fn shape(&self) -> Shape<'_> {
        Shape {
            batch: self.batch,
            seq: self.seq,
            heads: self.heads,
            kv_heads: self.kv_heads,
            dim: self.head_dim,
            branches: &self.branches,
        }
    }

    /// Derivatives with respect to the projections, before rotation.
    fn attention_backward(&self, saved: &Saved, d_out: &[f32]) -> [Vec<f32>; 3] {
        let kept = causal_attention::Saved {
            q: &saved.q,
            k: &saved.k,
            v: &saved.v,
            out: &saved.attended,
            lse: &saved.lse,
        };
        let [mut dq, mut dk, dv] = causal_attention::backward(kept, d_out, self.shape());
        rotary::rotate(&mut dq, self.heads, self.angles(), Turn::Backward);
        rotary::rotate(&mut dk, self.kv_heads, self.angles(), Turn::Backward);
        [dq, dk, dv]
    }
}
