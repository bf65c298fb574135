//! Grouped-query causal attention, with and without a cache of keys and values.

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor, TensorData, activation, module};

use crate::DecoderConfig;

/// Which keys a query may look at.
#[derive(Clone, Debug)]
pub(crate) enum AttentionMask {
    /// Key `j` is visible to query `i` if `j <= i`; right padding needs nothing more.
    Causal,
    /// `true` hides a key; `[batch, keys]`, the same for all queries of a row. For decoding steps.
    Hidden(Tensor<2, Bool>),
}

/// Keys and values of all layers, allocated once.
#[derive(Debug)]
pub(crate) struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
}

impl KvCache {
    pub(crate) fn new(config: &DecoderConfig, batch: usize, capacity: usize, device: &Device) -> Self {
        let shape = [batch, config.num_kv_heads, capacity, config.head_dim];
        let layer =
            || LayerCache { keys: Tensor::zeros(shape, device), values: Tensor::zeros(shape, device), len: 0 };
        Self { layers: (0..config.num_layers).map(|_| layer()).collect() }
    }

    /// Columns in use.
    pub(crate) fn len(&self) -> usize {
        self.layers.first().map_or(0, |l| l.len)
    }

    /// Keeps only the given rows, in the given order.
    pub(crate) fn keep_rows(&mut self, rows: &[usize], device: &Device) {
        let index: Vec<i32> = rows.iter().map(|&r| r as i32).collect();
        let index = Tensor::<1, burn::tensor::Int>::from_data(
            TensorData::new(index, [rows.len()]),
            device,
        );
        for layer in &mut self.layers {
            layer.keys = layer.keys.clone().select(0, index.clone());
            layer.values = layer.values.clone().select(0, index.clone());
        }
    }
}

/// Keys and values of one layer: `[batch, kv_heads, capacity, head_dim]`, the first `len` columns in use.
#[derive(Debug)]
pub(crate) struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
    len: usize,
}

impl LayerCache {
    /// Appends `[batch, kv_heads, new, head_dim]` and returns all columns in use.
    fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, new, dim] = keys.dims();
        let end = self.len + new;
        let place = [0..batch, 0..heads, self.len..end, 0..dim];
        // Moving the tensor out lets the back end write in place.
        let hole = Tensor::zeros([1, 1, 1, 1], &keys.device());
        let owned = std::mem::replace(&mut self.keys, hole.clone());
        self.keys = owned.slice_assign(place.clone(), keys);
        let owned = std::mem::replace(&mut self.values, hole);
        self.values = owned.slice_assign(place, values);
        self.len = end;
        let used = [0..batch, 0..heads, 0..end, 0..dim];
        (self.keys.clone().slice(used.clone()), self.values.clone().slice(used))
    }
}

/// `q: [batch, heads, queries, dim]`, `k`, `v`: `[batch, kv_heads, keys, dim]` to `[batch, heads, queries, dim]`.
pub(crate) fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &AttentionMask,
    cache: Option<&mut LayerCache>,
) -> Tensor<4> {
    let (k, v) = match cache {
        Some(cache) => cache.append(k, v),
        None => (k, v),
    };
    if q.is_autodiff() || q.device() != Device::flex() {
        return grouped(q, k, v, mask);
    }
    let [batch, _, queries, _] = q.dims();
    let keys = k.dims()[2];
    let (hidden, is_causal) = match mask {
        AttentionMask::Causal => (None, queries > 1),
        AttentionMask::Hidden(rows) => {
            (Some(rows.clone().reshape([batch, 1, 1, keys])), false)
        }
    };
    let options = AttentionModuleOptions { is_causal, ..Default::default() };
    module::attention(q, k, v, hidden, None, options)
}

/// The composition that differentiates and runs on every back end.
///
/// The query heads of a group are stacked along the query axis, so keys and values are never repeated.
fn grouped(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &AttentionMask) -> Tensor<4> {
    let [batch, heads, queries, dim] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    let group = heads / kv_heads;
    let q = q.reshape([batch, kv_heads, group * queries, dim]).mul_scalar((dim as f64).powf(-0.5));
    let scores = q.matmul(k.transpose()).reshape([batch, heads, queries, keys]);
    let hide = match mask {
        AttentionMask::Causal if queries == 1 => None,
        AttentionMask::Causal => {
            let device = scores.device().inner();
            let offset = (keys - queries) as i64;
            let mask = Tensor::<2, Bool>::tril_mask([queries, keys], offset, &device);
            Some(mask.reshape([1, 1, queries, keys]))
        }
        AttentionMask::Hidden(rows) => Some(rows.clone().reshape([batch, 1, 1, keys])),
    };
    let scores = match hide {
        Some(hide) => scores.mask_fill(hide.expand([batch, heads, queries, keys]), -1e30),
        None => scores,
    };
    activation::softmax(scores, 3)
        .reshape([batch, kv_heads, group * queries, keys])
        .matmul(v)
        .reshape([batch, heads, queries, dim])
}
