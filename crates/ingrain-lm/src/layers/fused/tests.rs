//! The block of kernels against the block of Burn operations, and against itself.

use burn::tensor::{Device, Distribution, Tensor};

use super::super::{Branches, DecoderLayer, KvCache, Linear, Rotary, Span};
use super::forward;
use crate::DecoderConfig;
use crate::batch::Branch;
use crate::config::{Activation, Family, LayerKind, LayerRope};
use crate::lora::{LayerAdapter, LoraPair, Projection};

/// A block of random weights.
struct Case {
    config: DecoderConfig,
    layer: DecoderLayer,
    adapter: LayerAdapter,
}

fn normal<const D: usize>(shape: [usize; D], size: f64) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, size), &Device::flex())
}

fn outputs(config: &DecoderConfig, which: Projection) -> usize {
    match which {
        Projection::Q => config.num_heads * config.head_dim,
        Projection::K | Projection::V => config.num_kv_heads * config.head_dim,
        Projection::O | Projection::Down => config.hidden_size,
        Projection::Gate | Projection::Up => config.intermediate_size,
    }
}

fn inputs(config: &DecoderConfig, which: Projection) -> usize {
    match which {
        Projection::O => config.num_heads * config.head_dim,
        Projection::Down => config.intermediate_size,
        _ => config.hidden_size,
    }
}

impl Case {
    fn new(heads: [usize; 3], widths: [usize; 2], bias: bool, adapted: &[Projection]) -> Self {
        let [num_heads, num_kv_heads, head_dim] = heads;
        let [hidden_size, intermediate_size] = widths;
        let config = DecoderConfig {
            family: Family::Llama,
            nested: false,
            layers: vec![LayerKind::PLAIN],
            sliding_window: None,
            attention_scale: (head_dim as f64).powf(-0.5),
            rope_local_theta: 100.0,
            embed_scale: 1.0,
            qk_norm: false,
            output_norms: false,
            activation: Activation::Silu,
            final_softcap: None,
            vocab_size: 11,
            hidden_size,
            intermediate_size,
            num_layers: 1,
            num_heads,
            num_kv_heads,
            head_dim,
            rms_norm_eps: 1e-5,
            rope_theta: 100.0,
            rope_scaling: None,
            max_position: 512,
            tie_embeddings: true,
            qkv_bias: bias,
            output_bias: bias,
            mlp_bias: bias,
        };
        let projections = Projection::ALL.map(|which| {
            let (inputs, outputs) = (inputs(&config, which), outputs(&config, which));
            Linear {
                weight: normal([outputs, inputs], (inputs as f64).powf(-0.5)),
                bias: bias.then(|| normal([outputs], 0.5)),
                half: None,
            }
        });
        let norm = || normal([hidden_size], 0.3).add_scalar(1.0);
        let layer = DecoderLayer {
            kind: LayerKind::PLAIN,
            input_norm: norm(),
            post_attention_norm: norm(),
            qk_norms: None,
            output_norms: None,
            projections,
        };
        let mut adapter = LayerAdapter::default();
        for (at, &which) in adapted.iter().enumerate() {
            let rank = 3 + at;
            adapter.pairs[which as usize] = Some(LoraPair {
                a: normal([rank, inputs(&config, which)], 0.3),
                b: normal([outputs(&config, which), rank], 0.3),
                scale: 0.7,
            });
        }
        Self { config, layer, adapter }
    }

    fn span(&self, batch: usize, seq: usize) -> Span {
        let rotary = Rotary::shared(&self.config, LayerRope::Global, seq, &Device::flex());
        let (window, branches, placement) = (None, None, None);
        Span { batch, seq, rotary, window, branches, placement, recompute: false }
    }

    /// Rows some of which hold two sequences.
    fn branched(&self, rows: &[Option<Branch>], seq: usize) -> Span {
        let (batch, branches) = (rows.len(), Branches::new(rows, seq).expect("some of them"));
        let (rope, positions) = (LayerRope::Global, branches.positions());
        let rotary = Rotary::at(&self.config, rope, batch, positions, &Device::flex());
        Span { rotary, branches: Some(branches), ..self.span(batch, seq) }
    }
}

fn assert_close<const D: usize>(a: Tensor<D>, b: Tensor<D>, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let largest = b.clone().abs().max().into_scalar::<f32>();
    let off = (a - b).abs().max().into_scalar::<f32>();
    // Some gradients vanish, being differences of terms that are large themselves.
    assert!(off <= 1e-5 * largest.max(20.0), "{what}: off by {off}, the largest being {largest}");
}

/// Values of both forms, then the gradients of `sum(y * towards)` with respect to everything tracked.
fn compare(case: &Case, batch: usize, seq: usize, track_x: bool) {
    compare_over(case, &case.span(batch, seq), track_x);
}

fn compare_over(case: &Case, span: &Span, track_x: bool) {
    let what = format!("{} x {}, {:?}", span.batch, span.seq, case.config);
    let tokens = span.batch * span.seq;
    let x = normal([tokens, case.config.hidden_size], 1.0);
    let towards = normal([tokens, case.config.hidden_size], 1.0);
    let x = if track_x { x.autodiff().require_grad() } else { x };
    let mut adapter = case.adapter.clone();
    for pair in adapter.pairs.iter_mut().flatten() {
        pair.a = pair.a.clone().autodiff().require_grad();
        pair.b = pair.b.clone().autodiff().require_grad();
    }
    let kernels = forward(&case.layer, &case.config, &x, span, Some(&adapter), None);
    let kernels = kernels.expect("f32 on Flex");
    let plain = case.layer.compose(&case.config, x.clone(), span, Some(&adapter), None);
    assert_eq!(kernels.is_autodiff(), plain.is_autodiff());
    let inner = Tensor::without_autodiff;
    assert_close(inner(kernels.clone()), inner(plain.clone()), &format!("{what}: values"));
    if !kernels.is_autodiff() {
        return;
    }
    let gradients = |y: Tensor<2>| (y * towards.clone().autodiff()).sum().backward();
    let (found, expected) = (gradients(kernels), gradients(plain));
    let mut tracked = vec![];
    if track_x {
        tracked.push(("x".to_owned(), x.clone()));
    }
    for which in Projection::ALL {
        if let Some(pair) = adapter.get(which) {
            tracked.push((format!("A of {}", which.name()), pair.a.clone()));
            tracked.push((format!("B of {}", which.name()), pair.b.clone()));
        }
    }
    for (name, tensor) in tracked {
        let gradient = |of: &_| tensor.grad(of).unwrap_or_else(|| panic!("{what}: no {name}"));
        assert_close(gradient(&found), gradient(&expected), &format!("{what}: {name}"));
    }
}

#[test]
fn values_and_gradients_equal_the_composition() {
    let all = &Projection::ALL[..];
    for (heads, widths, bias) in [
        ([9, 3, 64], [64, 80], false),
        ([4, 2, 16], [48, 33], true),
        ([2, 2, 6], [7, 5], true),
        ([5, 1, 20], [31, 64], false),
    ] {
        let case = Case::new(heads, widths, bias, all);
        for (batch, seq) in [(1, 1), (2, 3), (3, 11), (1, 33), (2, 47), (1, 131)] {
            compare(&case, batch, seq, true);
        }
    }
}

#[test]
fn two_sequences_in_a_row_equal_the_composition_and_each_by_itself() {
    let case = Case::new([4, 2, 16], [48, 33], true, &Projection::ALL);
    let branch = |shared, start| Some(Branch { shared, start });
    for (rows, seq) in [(&[branch(1, 2)][..], 3), (&[branch(11, 30), None, branch(3, 41)], 47)] {
        for recompute in [false, true] {
            compare_over(&case, &Span { recompute, ..case.branched(rows, seq) }, true);
        }
    }
    let (shared, start, seq) = (5, 9, 14);
    let x = normal([seq, case.config.hidden_size], 1.0);
    let run = |x: Tensor<2>, span: &Span| {
        forward(&case.layer, &case.config, &x, span, Some(&case.adapter), None).expect("on Flex")
    };
    let together = run(x.clone(), &case.branched(&[branch(shared, start)], seq));
    let first = run(x.clone().narrow(0, 0, start), &case.span(1, start));
    assert_close(together.clone().narrow(0, 0, start), first, "the first");
    let own = seq - start;
    let second = Tensor::cat(vec![x.clone().narrow(0, 0, shared), x.narrow(0, start, own)], 0);
    let second = run(second, &case.span(1, shared + own)).narrow(0, shared, own);
    assert_close(together.narrow(0, start, own), second, "the second");
}

#[test]
fn some_side_paths_or_none_are_enough() {
    use Projection::{Down, K, Up, V};
    for adapted in [&[][..], &[V], &[K, Up], &[Down]] {
        let case = Case::new([4, 2, 8], [24, 40], false, adapted);
        for track_x in [false, true] {
            compare(&case, 2, 40, track_x);
        }
    }
}

#[test]
fn products_in_bf16_keep_values_and_gradients_within_two_percent() {
    if !crate::kernels::bf16::supported() {
        return;
    }
    let mut case = Case::new([9, 3, 64], [576, 200], true, &Projection::ALL);
    let x = normal([90, 576], 1.0).autodiff().require_grad();
    let mut adapter = case.adapter.clone();
    for pair in adapter.pairs.iter_mut().flatten() {
        pair.a = pair.a.clone().autodiff().require_grad();
        // Large scores would make the softmax, not the arithmetic, decide the error.
        pair.b = pair.b.clone().mul_scalar(0.05).autodiff().require_grad();
    }
    let run = |case: &Case| {
        let span = case.span(2, 45);
        let y = forward(&case.layer, &case.config, &x, &span, Some(&adapter), None);
        let y = y.expect("f32 on Flex");
        let gradients = y.clone().powi_scalar(2).sum().backward();
        let mut found = vec![y.inner(), x.grad(&gradients).expect("tracked")];
        for pair in adapter.pairs.iter().flatten() {
            found.extend([&pair.a, &pair.b].map(|t| t.grad(&gradients).expect("tracked")));
        }
        found
    };
    let exact = run(&case);
    assert!(case.layer.projections.iter_mut().all(Linear::pack));
    for (index, (found, exact)) in run(&case).into_iter().zip(exact).enumerate() {
        let size = exact.clone().powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        let off = (found - exact).powi_scalar(2).mean().sqrt().into_scalar::<f32>();
        assert!(off > 0.0, "tensor {index}: bf16 was not used");
        assert!(off < 0.02 * size, "tensor {index}: off by {off}, {size} being usual");
    }
}

#[test]
fn a_block_computed_again_gives_the_same_gradients_to_the_bit() {
    let case =
        Case::new([4, 2, 16], [48, 33], true, &[Projection::Q, Projection::V, Projection::Down]);
    let x = normal([2 * 37, 48], 1.0).autodiff().require_grad();
    let mut adapter = case.adapter.clone();
    for pair in adapter.pairs.iter_mut().flatten() {
        pair.a = pair.a.clone().autodiff().require_grad();
        pair.b = pair.b.clone().autodiff().require_grad();
    }
    let gradients = |recompute: bool| {
        let span = Span { recompute, ..case.span(2, 37) };
        let y = forward(&case.layer, &case.config, &x, &span, Some(&adapter), None);
        let gradients = y.expect("f32 on Flex").powi_scalar(2).sum().backward();
        let pairs = adapter.pairs.iter().flatten();
        let mut found = vec![x.grad(&gradients).expect("tracked").into_data()];
        for pair in pairs {
            found.extend(
                [&pair.a, &pair.b].map(|t| t.grad(&gradients).expect("tracked").into_data()),
            );
        }
        found
    };
    assert_eq!(gradients(true), gradients(false));
}

#[test]
fn a_frozen_factor_of_a_tracked_pair_gets_no_gradient() {
    let case = Case::new([2, 1, 8], [16, 16], false, &[Projection::Q]);
    let mut adapter = case.adapter.clone();
    let pair = adapter.pairs[0].as_mut().expect("adapted");
    pair.b = pair.b.clone().autodiff().require_grad();
    let x = normal([5, 16], 1.0);
    let y = forward(&case.layer, &case.config, &x, &case.span(1, 5), Some(&adapter), None);
    let gradients = y.expect("f32 on Flex").sum().backward();
    let b = adapter.pairs[0].as_ref().expect("adapted").b.clone();
    assert!(b.grad(&gradients).is_some());
}

/// One pass of kernels and composition over a cache of each.
struct Pair {
    case: Case,
    kernels: KvCache,
    composed: KvCache,
}

impl Pair {
    fn new(heads: [usize; 3], slots: usize, columns: usize) -> Self {
        let case = Case::new(heads, [32, 24], false, &[Projection::Q, Projection::Down]);
        let cache = || KvCache::new(&case.config, slots, columns, &Device::flex());
        Self { kernels: cache(), composed: cache(), case }
    }

    /// Reads `counts[r]` tokens into `slots[r]`; returns inputs and outputs, padded to the longest row.
    fn read(&mut self, slots: &[usize], counts: &[usize], what: &str) -> (Tensor<3>, Tensor<3>) {
        let (batch, seq) = (slots.len(), counts.iter().copied().max().unwrap_or(0));
        let Case { layer, config, adapter, .. } = &self.case;
        let x = normal([batch * seq, config.hidden_size], 1.0);
        let span = |cache: &mut KvCache| {
            let placement = cache.place(slots.to_vec(), counts.to_vec());
            let rotary = Rotary::at(
                config,
                LayerRope::Global,
                batch,
                placement.positions(),
                &Device::flex(),
            );
            let (window, branches, placement) = (None, None, Some(placement));
            Span { batch, seq, rotary, window, branches, placement, recompute: false }
        };
        let shape = [batch, seq, config.hidden_size];
        let (fast, slow) = (span(&mut self.kernels), span(&mut self.composed));
        let cache = Some(&mut self.kernels.layers[0]);
        let found = forward(layer, config, &x, &fast, Some(adapter), cache).expect("on Flex");
        let cache = Some(&mut self.composed.layers[0]);
        let expected = layer.compose(config, x.clone(), &slow, Some(adapter), cache);
        let (found, expected) = (found.reshape(shape), expected.reshape(shape));
        for (row, &count) in counts.iter().enumerate() {
            let real = |y: &Tensor<3>| y.clone().narrow(0, row, 1).narrow(1, 0, count);
            assert_close(real(&found), real(&expected), &format!("{what}, row {row}"));
        }
        (x.reshape(shape), found)
    }
}

const HEADS: [[usize; 3]; 4] = [[9, 3, 64], [4, 4, 16], [5, 1, 20], [2, 1, 6]];

#[test]
fn reading_piece_by_piece_equals_reading_at_once() {
    for heads in HEADS {
        let mut pair = Pair::new(heads, 2, 3);
        let pieces = [4, 1, 1, 3, 1];
        let (inputs, outputs): (Vec<_>, Vec<_>) =
            pieces.iter().map(|&n| pair.read(&[1, 0], &[n, n], &format!("{n} tokens"))).unzip();
        let (x, y) = (Tensor::cat(inputs, 1), Tensor::cat(outputs, 1));
        let [batch, seq, hidden] = x.dims();
        let Case { layer, config, adapter, .. } = &pair.case;
        let flat = x.reshape([batch * seq, hidden]);
        let whole = forward(layer, config, &flat, &pair.case.span(batch, seq), Some(adapter), None);
        assert_close(y, whole.expect("on Flex").reshape([batch, seq, hidden]), "whole");
        assert_eq!([pair.kernels.len(0), pair.kernels.len(1)], [seq, seq]);
    }
}

#[test]
fn slots_of_their_own_lengths_are_read_continued_shared_and_overwritten() {
    for heads in HEADS {
        let mut pair = Pair::new(heads, 4, 8);
        pair.read(&[0, 1, 2, 3], &[11, 4, 1, 7], "prompts");
        pair.read(&[0, 1, 2, 3], &[1, 1, 1, 1], "decoding");
        pair.read(&[3, 0], &[1, 1], "two rows left, in another order");
        for cache in [&mut pair.kernels, &mut pair.composed] {
            cache.share(0, 2, 9);
            cache.truncate(1, 3);
        }
        pair.read(&[2, 1], &[3, 5], "continuing a shared beginning, and one cut short");
        pair.read(&[0, 1, 2, 3], &[1, 1, 1, 1], "decoding again");
        for cache in [&mut pair.kernels, &mut pair.composed] {
            cache.truncate(3, 0);
        }
        pair.read(&[3], &[30], "a longer sequence in an old slot");
        pair.read(&[3, 0], &[1, 1], "decoding at last");
    }
}
