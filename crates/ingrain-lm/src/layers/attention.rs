//! Grouped-query causal attention, with and without a cache of keys and values.

use std::ops::Range;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, Tensor, TensorData, activation, module};

use super::cache::LayerCache;

/// Which keys a query may look at.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a forward pass")]
pub(crate) enum AttentionMask {
    /// Key `j` is visible to query `i` if `j <= i`; right padding needs nothing more.
    Causal,
    /// Columns that hold padding, for decoding steps.
    Hidden {
        /// One range a row.
        gaps: Vec<Range<usize>>,
        /// The same as `[batch, keys]`, `true` hiding a key, for back ends without a kernel.
        mask: Option<Tensor<2, Bool>>,
    },
}

impl AttentionMask {
    /// Hides `gaps[row]` from the one query of each row, which sees `keys` columns.
    pub(crate) fn hiding(gaps: &[Range<usize>], keys: usize, device: &Device) -> Self {
        if gaps.iter().all(Range::is_empty) {
            return Self::Causal;
        }
        let mask = (*device != Device::flex()).then(|| Self::mask(gaps, keys, device));
        Self::Hidden { gaps: gaps.to_vec(), mask }
    }

    fn mask(gaps: &[Range<usize>], keys: usize, device: &Device) -> Tensor<2, Bool> {
        let mask: Vec<bool> = gaps
            .iter()
            .flat_map(|gap| (0..keys).map(move |column| gap.contains(&column)))
            .collect();
        Tensor::from_data(TensorData::new(mask, [gaps.len(), keys]), device)
    }

    /// The hidden columns of each row; empty where there are none.
    pub(crate) fn gaps(&self) -> &[Range<usize>] {
        match self {
            Self::Causal => &[],
            Self::Hidden { gaps, .. } => gaps,
        }
    }
}

/// `q: [batch, queries, heads, dim]`, `k`, `v`: `[batch, queries, kv_heads, dim]` to
/// `[batch * queries, heads * dim]`.
///
/// With a cache, the keys and values are appended to it and the queries see all of its columns.
pub(crate) fn attend(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &AttentionMask,
    cache: Option<&mut LayerCache>,
) -> Tensor<2> {
    let [batch, queries, heads, dim] = q.dims();
    let (mut k, mut v) = (k.swap_dims(1, 2), v.swap_dims(1, 2));
    if let Some(cache) = cache {
        let filled = cache.len() > 0;
        cache.append(k.clone(), v.clone());
        if queries == 1
            && let Some(out) = cache.decode(&q, mask.gaps())
        {
            return out;
        }
        if filled {
            (k, v) = cache.used();
        }
    }
    let q = q.swap_dims(1, 2);
    let out = if q.is_autodiff() || q.device() != Device::flex() {
        grouped(q, k, v, mask)
    } else {
        flash(q, k, v, mask)
    };
    out.swap_dims(1, 2).reshape([batch * queries, heads * dim])
}

/// Burn's own attention, which on Flex knows about groups.
fn flash(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &AttentionMask) -> Tensor<4> {
    let is_causal = matches!(mask, AttentionMask::Causal) && q.dims()[2] > 1;
    let hidden = hidden(&q, &k, mask);
    let options = AttentionModuleOptions { is_causal, ..Default::default() };
    module::attention(q, k, v, hidden, None, options)
}

/// `[batch, 1, 1, keys]` where the mask hides columns.
fn hidden(q: &Tensor<4>, k: &Tensor<4>, mask: &AttentionMask) -> Option<Tensor<4, Bool>> {
    let AttentionMask::Hidden { gaps, mask } = mask else { return None };
    let ([batch, ..], [_, _, keys, _]) = (q.dims(), k.dims());
    let mask = mask.clone().unwrap_or_else(|| AttentionMask::mask(gaps, keys, &q.device().inner()));
    Some(mask.reshape([batch, 1, 1, keys]))
}

/// The composition that differentiates and runs on every back end.
///
/// The query heads of a group are stacked along the query axis, so keys and values are never repeated.
fn grouped(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: &AttentionMask) -> Tensor<4> {
    let [batch, heads, queries, dim] = q.dims();
    let [_, kv_heads, keys, _] = k.dims();
    let group = heads / kv_heads;
    let hide = match mask {
        AttentionMask::Causal if queries == 1 => None,
        AttentionMask::Causal => {
            let device = q.device().inner();
            let offset = (keys - queries) as i64;
            let mask = Tensor::<2, Bool>::tril_mask([queries, keys], offset, &device);
            Some(mask.reshape([1, 1, queries, keys]))
        }
        AttentionMask::Hidden { .. } => hidden(&q, &k, mask),
    };
    let q = q.reshape([batch, kv_heads, group * queries, dim]).mul_scalar((dim as f64).powf(-0.5));
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

    use super::super::cache::LayerCache;
    use super::{AttentionMask, grouped};

    fn normal(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn a_decoding_step_against_the_cache_equals_the_composition_with_a_mask() {
        let device = Device::flex();
        for (heads, kv_heads, dim) in [(9, 3, 64), (4, 4, 16), (5, 1, 20), (2, 1, 7)] {
            let (batch, prompt) = (3, 11);
            let mut cache = LayerCache::new([batch, kv_heads, 19, dim], &device);
            cache.append(
                normal([batch, kv_heads, prompt, dim]),
                normal([batch, kv_heads, prompt, dim]),
            );
            let gaps = [11..11, 4..11, 1..11];
            for step in 0..6 {
                let q = normal([batch, 1, heads, dim]);
                cache.append(normal([batch, kv_heads, 1, dim]), normal([batch, kv_heads, 1, dim]));
                assert_eq!(cache.len(), prompt + step + 1);
                let mask = AttentionMask::hiding(&gaps, cache.len(), &device);
                let fast = cache.decode(&q, mask.gaps()).expect("untracked f32 on Flex");
                let (k, v) = cache.used();
                let slow = grouped(q.swap_dims(1, 2), k, v, &mask).reshape([batch, heads * dim]);
                let off = (fast - slow).abs().max().into_scalar::<f32>();
                assert!(off < 1e-5, "{heads} heads of {dim}, step {step}: off by {off}");
            }
        }
    }

    #[test]
    fn rows_that_are_kept_read_their_own_columns() {
        let device = Device::flex();
        let (heads, kv_heads, dim) = (4, 2, 8);
        let mut cache = LayerCache::new([4, kv_heads, 6, dim], &device);
        cache.append(normal([4, kv_heads, 3, dim]), normal([4, kv_heads, 3, dim]));
        let q = normal([4, 1, heads, dim]);
        let before = cache.decode(&q, &[]).expect("untracked f32 on Flex");
        for (keep, origin) in [(vec![0, 2, 3], [0, 2, 3]), (vec![2, 1], [3, 2, 0])] {
            cache.keep_rows(&keep);
            let rows = keep.len();
            let origin: Vec<i32> = origin[..rows].to_vec();
            let index = Tensor::<1, burn::tensor::Int>::from_ints(origin.as_slice(), &device);
            let after = cache.decode(&q.clone().select(0, index.clone()), &[]).expect("as before");
            assert_eq!(after.into_data(), before.clone().select(0, index).into_data());
            let (k, v) = cache.used();
            assert_eq!((k.dims(), v.dims()), ([rows, kv_heads, 3, dim], [rows, kv_heads, 3, dim]));
        }
        let new = || normal([2, kv_heads, 1, dim]);
        let (k, v) = (new(), new());
        cache.append(k.clone(), v.clone());
        let (keys, values) = cache.used();
        let last = |t: Tensor<4>| t.slice([0..2, 0..kv_heads, 3..4, 0..dim]).into_data();
        assert_eq!(last(keys), k.into_data());
        assert_eq!(last(values), v.into_data());
    }
}
