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
    /// Where each row still wanted lies. Kernels read through this, so rows are dropped by forgetting
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
        if Dense::read(&self.keys).is_none() {
            let index = row_index(&self.rows, &self.keys.device());
            self.keys = take(&mut self.keys).select(0, index.clone());
            self.values = take(&mut self.values).select(0, index);
            self.rows = (0..rows.len()).collect();
        }
    }

    /// Appends `[batch, kv_heads, new, head_dim]`, a row for each row kept.
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) {
        let new = keys.dims()[2];
        self.keys = store(take(&mut self.keys), keys, &self.rows, self.len);
        self.values = store(take(&mut self.values), values, &self.rows, self.len);
        self.len += new;
    }

    /// All columns in use of the rows kept, `[rows, kv_heads, len, head_dim]`.
    pub(crate) fn used(&self) -> (Tensor<4>, Tensor<4>) {
        let [batch, heads, _, dim] = self.keys.dims();
        let pick = |cache: &Tensor<4>| {
            let used = cache.clone().slice([0..batch, 0..heads, 0..self.len, 0..dim]);
            match in_order(&self.rows, batch) {
                true => used,
                false => used.select(0, row_index(&self.rows, &cache.device())),
            }
        };
        (pick(&self.keys), pick(&self.values))
    }

    /// Attention of one query a row, `q: [rows, 1, heads, head_dim]`, to `[rows, heads * head_dim]`.
    ///
    /// `None` where there is no kernel for it.
    pub(crate) fn decode(&self, q: &Tensor<4>, hidden: &[Range<usize>]) -> Option<Tensor<2>> {
        let [rows, _, heads, _] = q.dims();
        let [_, kv_heads, capacity, dim] = self.keys.dims();
        let (q, keys, values) =
            (Dense::read(q)?, Dense::read(&self.keys)?, Dense::read(&self.values)?);
        let cached = Cached {
            keys: keys.values(),
            values: values.values(),
            rows: &self.rows,
            kv_heads,
            capacity,
            dim,
            len: self.len,
        };
        let out = decode_attention::attend(q.values(), heads, &cached, hidden);
        Some(kernels::tensor(out, [rows, heads * dim]))
    }
}

/// Moves the tensor out, so that the back end may write in place.
fn take(tensor: &mut Tensor<4>) -> Tensor<4> {
    let hole = Tensor::zeros([1, 1, 1, 1], &tensor.device());
    std::mem::replace(tensor, hole)
}

/// Writes `new: [rows, kv_heads, columns, head_dim]` into columns `len..` of the cache's `rows`.
fn store(cache: Tensor<4>, new: Tensor<4>, rows: &[usize], len: usize) -> Tensor<4> {
    let [_, heads, capacity, dim] = cache.dims();
    let columns = new.dims()[2];
    // Generation needs no gradients, whatever the adapter carries.
    let new = new.without_autodiff();
    let Some(new_values) = Dense::read(&new) else {
        return cache.slice_assign([0..rows.len(), 0..heads, len..len + columns, 0..dim], new);
    };
    kernels::modify(cache, |cache| {
        let run = columns * dim;
        for (index, values) in new_values.values().chunks_exact(run).enumerate() {
            let plane = rows[index / heads] * heads + index % heads;
            let start = (plane * capacity + len) * dim;
            cache[start..start + run].copy_from_slice(values);
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
