//! Keys and values of the tokens read so far.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::DecoderConfig;
use crate::kernels::decode_attention::{self, Cached};
use crate::kernels::{self, Dense};

/// Keys and values of all layers, allocated once.
#[derive(Debug)]
pub(crate) struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
}

impl KvCache {
    pub(crate) fn new(
        config: &DecoderConfig,
        batch: usize,
        capacity: usize,
        device: &Device,
    ) -> Self {
        let shape = [batch, config.num_kv_heads, capacity, config.head_dim];
        Self { layers: (0..config.num_layers).map(|_| LayerCache::new(shape, device)).collect() }
    }

    /// Columns in use.
    pub(crate) fn len(&self) -> usize {
        self.layers.first().map_or(0, LayerCache::len)
    }

    /// Keeps only the given rows, in the given order.
    pub(crate) fn keep_rows(&mut self, rows: &[usize]) {
        for layer in &mut self.layers {
            layer.keep_rows(rows);
        }
    }
}

/// Keys and values of one layer.
#[derive(Debug)]
pub(crate) struct LayerCache {
    /// `[batch, kv_heads, capacity, head_dim]`, the first `len` columns in use.
    keys: Tensor<4>,
    values: Tensor<4>,
    len: usize,
    /// Where each row still wanted lies. Kernels read through this, so that rows are dropped by forgetting
    /// them: moving the others together would cost more than several decoding steps.
    rows: Vec<usize>,
}

impl LayerCache {
    /// An empty cache of shape `[batch, kv_heads, capacity, head_dim]`.
    pub(crate) fn new(shape: [usize; 4], device: &Device) -> Self {
        Self {
            keys: Tensor::zeros(shape, device),
            values: Tensor::zeros(shape, device),
            len: 0,
            rows: (0..shape[0]).collect(),
        }
    }

    /// Columns in use.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn keep_rows(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&row| self.rows[row]).collect();
    }

    /// Appends `[rows, kv_heads, new, head_dim]` and returns all columns in use.
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [rows, heads, new, dim] = keys.dims();
        // Generation needs no gradients, whatever the adapter carries.
        let (keys, values) = (keys.without_autodiff(), values.without_autodiff());
        self.gather();
        let place = [0..rows, 0..heads, self.len..self.len + new, 0..dim];
        self.keys = take(&mut self.keys).slice_assign(place.clone(), keys);
        self.values = take(&mut self.values).slice_assign(place, values);
        self.len += new;
        self.used()
    }

    /// Moves the rows still wanted to the front.
    fn gather(&mut self) {
        if !in_order(&self.rows, self.keys.dims()[0]) {
            let index = row_index(&self.rows, &self.keys.device());
            self.keys = take(&mut self.keys).select(0, index.clone());
            self.values = take(&mut self.values).select(0, index);
            self.rows = (0..self.rows.len()).collect();
        }
    }

    /// All columns in use, `[rows, kv_heads, len, head_dim]`, rows being in order.
    fn used(&self) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, _, dim] = self.keys.dims();
        let used = [0..batch, 0..heads, 0..self.len, 0..dim];
        (self.keys.clone().slice(used.clone()), self.values.clone().slice(used))
    }

    /// Appends `[rows, columns, kv_heads, head_dim]`; `None` if the cache is not one that kernels read.
    pub(crate) fn append_values(
        &mut self,
        keys: &[f32],
        values: &[f32],
        columns: usize,
    ) -> Option<()> {
        Dense::read(&self.keys)?;
        self.keys = store(take(&mut self.keys), keys, columns, &self.rows, self.len);
        self.values = store(take(&mut self.values), values, columns, &self.rows, self.len);
        self.len += columns;
        Some(())
    }

    /// Attention of one query a row, `q: [rows, heads, head_dim]`, to the same shape.
    pub(crate) fn attend(
        &self,
        q: &[f32],
        heads: usize,
        hidden: &[Range<usize>],
    ) -> Option<Vec<f32>> {
        let [_, kv_heads, capacity, dim] = self.keys.dims();
        let (keys, values) = (Dense::read(&self.keys)?, Dense::read(&self.values)?);
        let cached = Cached {
            keys: keys.values(),
            values: values.values(),
            rows: &self.rows,
            kv_heads,
            capacity,
            dim,
            len: self.len,
        };
        Some(decode_attention::attend(q, heads, &cached, hidden))
    }
}

/// Moves the tensor out, so that the back end may write in place.
fn take(tensor: &mut Tensor<4>) -> Tensor<4> {
    let hole = Tensor::zeros([1, 1, 1, 1], &tensor.device());
    std::mem::replace(tensor, hole)
}

/// Writes `new: [rows, columns, kv_heads, head_dim]` into columns `len..` of the cache's `rows`.
fn store(cache: Tensor<4>, new: &[f32], columns: usize, rows: &[usize], len: usize) -> Tensor<4> {
    let [_, heads, capacity, dim] = cache.dims();
    kernels::modify(cache, |cache| {
        for (index, values) in new.chunks_exact(dim).enumerate() {
            let (token, head) = (index / heads, index % heads);
            let plane = rows[token / columns] * heads + head;
            let start = (plane * capacity + len + token % columns) * dim;
            cache[start..start + dim].copy_from_slice(values);
        }
    })
}

fn in_order(rows: &[usize], batch: usize) -> bool {
    rows.len() == batch && rows.iter().enumerate().all(|(at, &row)| at == row)
}

fn row_index(rows: &[usize], device: &Device) -> Tensor<1, Int> {
    let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    Tensor::from_data(TensorData::new(index, [rows.len()]), device)
}
