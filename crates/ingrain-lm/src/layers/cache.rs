//! Keys and values of the tokens read so far.

use burn::tensor::{Bool, Device, IndexingUpdateOp, Tensor};

use super::placement::Placement;
use crate::DecoderConfig;
use crate::kernels::decode_attention::{self, Cached};
use crate::kernels::{self, Dense};

/// Columns that the cache grows by at least.
const GROWTH: usize = 64;

/// Keys and values of all layers, in slots that sequences come and go in.
///
/// Column `i` of a slot holds position `i` of its sequence, so a slot can be shared from the front,
/// continued, cut short and overwritten while its neighbours go on.
#[derive(Debug)]
pub(crate) struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    /// Columns in use, slot by slot.
    lens: Vec<usize>,
    capacity: usize,
}

impl KvCache {
    /// An empty cache with room for `capacity` tokens in each of `slots`; it grows where that is not enough.
    pub(crate) fn new(
        config: &DecoderConfig,
        slots: usize,
        capacity: usize,
        device: &Device,
    ) -> Self {
        let shape = [slots, config.num_kv_heads, capacity, config.head_dim];
        let layers = (0..config.num_layers).map(|_| LayerCache::new(shape, device)).collect();
        Self { layers, lens: vec![0; slots], capacity }
    }

    /// Columns of a slot in use.
    pub(crate) fn len(&self, slot: usize) -> usize {
        self.lens[slot]
    }

    /// Forgets all but the first `len` columns of a slot.
    pub(crate) fn truncate(&mut self, slot: usize, len: usize) {
        self.lens[slot] = self.lens[slot].min(len);
    }

    /// Makes `to` begin with the first `len` columns of `from`, in place of what it held.
    ///
    /// # Panics
    /// If `from` holds fewer.
    pub(crate) fn share(&mut self, from: usize, to: usize, len: usize) {
        assert!(len <= self.lens[from], "what is shared has been read");
        for layer in &mut self.layers {
            layer.share(from, to, len);
        }
        self.lens[to] = len;
    }

    /// Makes room for `counts[r]` more tokens in slot `slots[r]`, and says where they go.
    ///
    /// The slots hold them after the pass that this is given to.
    pub(crate) fn place(&mut self, slots: Vec<usize>, counts: Vec<usize>) -> Placement {
        let starts = slots.iter().map(|&slot| self.lens[slot]).collect();
        let placement = Placement::new(slots, starts, counts);
        let columns = placement.columns();
        if columns > self.capacity {
            self.capacity = columns.max(self.capacity * 3 / 2).next_multiple_of(GROWTH);
            for layer in &mut self.layers {
                layer.grow(self.capacity);
            }
        }
        for (&slot, &count) in placement.slots.iter().zip(&placement.counts) {
            self.lens[slot] += count;
        }
        placement
    }
}

/// Keys and values of one layer, `[slots, kv_heads, capacity, head_dim]` each.
#[derive(Debug)]
pub(crate) struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl LayerCache {
    /// An empty cache of shape `[slots, kv_heads, capacity, head_dim]`.
    pub(super) fn new(shape: [usize; 4], device: &Device) -> Self {
        Self { keys: Tensor::zeros(shape, device), values: Tensor::zeros(shape, device) }
    }

    fn grow(&mut self, capacity: usize) {
        for tensor in [&mut self.keys, &mut self.values] {
            let old = take(tensor);
            let [slots, heads, columns, dim] = old.dims();
            let larger = Tensor::zeros([slots, heads, capacity, dim], &old.device());
            *tensor = larger.slice_assign([0..slots, 0..heads, 0..columns, 0..dim], old);
        }
    }

    fn share(&mut self, from: usize, to: usize, len: usize) {
        for tensor in [&mut self.keys, &mut self.values] {
            let [_, heads, capacity, dim] = tensor.dims();
            if Dense::read(tensor).is_some() {
                *tensor = kernels::modify(take(tensor), |values| {
                    for head in 0..heads {
                        let start = |slot: usize| (slot * heads + head) * capacity * dim;
                        let source = start(from)..start(from) + len * dim;
                        values.copy_within(source, start(to));
                    }
                });
            } else {
                let shared = tensor.clone().slice([from..from + 1, 0..heads, 0..len, 0..dim]);
                let place = [to..to + 1, 0..heads, 0..len, 0..dim];
                *tensor = take(tensor).slice_assign(place, shared);
            }
        }
    }

    /// Stores `[rows, kv_heads, seq, head_dim]` in its place; returns the rows' columns in use, and which
    /// of them each query may not see.
    pub(super) fn append(
        &mut self,
        keys: Tensor<4>,
        values: Tensor<4>,
        placement: &Placement,
    ) -> (Tensor<4>, Tensor<4>, Tensor<4, Bool>) {
        let [rows, heads, seq, dim] = keys.dims();
        let index = placement.index(heads, &self.keys.device());
        for (tensor, new) in [(&mut self.keys, keys), (&mut self.values, values)] {
            // Generation needs no gradients, whatever the adapter carries.
            let new = new.without_autodiff().swap_dims(1, 2).reshape([rows * seq, heads, dim]);
            let new = new.select(0, index.real.clone());
            let places = index.places.clone();
            *tensor = take(tensor).scatter_nd(places, new, IndexingUpdateOp::Assign);
        }
        let columns = placement.columns();
        let used = |tensor: &Tensor<4>| {
            tensor.clone().narrow(2, 0, columns).select(0, index.slots.clone())
        };
        (used(&self.keys), used(&self.values), index.hidden.clone())
    }

    /// Stores `[rows, seq, kv_heads, head_dim]` in its place; `None` if the cache is not one that kernels
    /// read.
    pub(super) fn append_values(
        &mut self,
        keys: &[f32],
        values: &[f32],
        placement: &Placement,
    ) -> Option<()> {
        Dense::read(&self.keys)?;
        self.keys = store(take(&mut self.keys), keys, placement);
        self.values = store(take(&mut self.values), values, placement);
        Some(())
    }

    /// Attention of every token of the pass, `q: [rows, seq, heads, head_dim]`, to the same shape.
    pub(super) fn attend(
        &self,
        q: &[f32],
        heads: usize,
        placement: &Placement,
    ) -> Option<Vec<f32>> {
        let [_, kv_heads, capacity, dim] = self.keys.dims();
        let (keys, values) = (Dense::read(&self.keys)?, Dense::read(&self.values)?);
        let cached = Cached {
            keys: keys.values(),
            values: values.values(),
            queries: &placement.queries(),
            kv_heads,
            capacity,
            dim,
        };
        Some(decode_attention::attend(q, heads, &cached))
    }
}

/// Moves the tensor out, so that the back end may write in place.
fn take(tensor: &mut Tensor<4>) -> Tensor<4> {
    let hole = Tensor::zeros([1, 1, 1, 1], &tensor.device());
    std::mem::replace(tensor, hole)
}

/// Writes `new: [rows, seq, kv_heads, head_dim]`, padding excepted, where it goes.
fn store(cache: Tensor<4>, new: &[f32], placement: &Placement) -> Tensor<4> {
    let [_, heads, capacity, dim] = cache.dims();
    let rows = placement.slots.len();
    let width = new.len() / rows.max(1);
    kernels::modify(cache, |cache| {
        for (row, new) in new.chunks_exact(width.max(1)).enumerate() {
            let (slot, first) = (placement.slots[row], placement.starts[row]);
            let real = &new[..placement.counts[row] * heads * dim];
            for (index, values) in real.chunks_exact(dim).enumerate() {
                let (at, head) = (index / heads, index % heads);
                let start = ((slot * heads + head) * capacity + first + at) * dim;
                cache[start..start + dim].copy_from_slice(values);
            }
        }
    })
}
