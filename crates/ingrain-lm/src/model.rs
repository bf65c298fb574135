//! The decoder: embedding, blocks, final norm, head.

use std::sync::Arc;

use burn::tensor::DType::{self, F32};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::batch::{Branch, TokenBatch};
use crate::device::is_gpu;
use crate::kernels::bf16::HalfWeight;
use crate::layers::{
    Branches, DecoderLayer, KvCache, Linear, Rotary, Span, Spans, product, rms_norm,
    times_transposed,
};
use crate::logprob;
use crate::{Adapter, DecoderConfig, LayerKind, LmError, Overlay, Readout};

/// A decoder-only language model with frozen weights.
///
/// Cheap to clone: tensors are reference-counted. The weights are plain tensors that no gradient
/// reaches; what trains is an [`Adapter`], passed to the forward pass.
#[derive(Clone, Debug)]
pub struct CausalLm {
    pub(crate) config: Arc<DecoderConfig>,
    pub(crate) device: Device,
    /// `[vocab, hidden]`
    pub(crate) embed: Tensor<2>,
    pub(crate) layers: Vec<DecoderLayer>,
    pub(crate) norm: Tensor<1>,
    /// `[vocab, hidden]`; the embedding itself where the two are tied.
    pub(crate) head: Tensor<2>,
    /// The head in bf16, where products are to use it.
    pub(crate) head_half: Option<Arc<HalfWeight>>,
    /// Whether backward passes compute the inside of each block again.
    pub(crate) recompute: bool,
    /// Names of tensors that were left out by rule.
    pub(crate) skipped: Vec<String>,
}

impl CausalLm {
    /// Shapes and constants.
    #[must_use]
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The device that holds the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Tensors of the file that were left out by rule: those that read images, a tied head written out
    /// again, tables that are computed here.
    #[must_use]
    pub fn skipped_tensors(&self) -> &[String] {
        &self.skipped
    }

    /// Number of weights, a tied head counted once.
    #[must_use]
    pub fn num_parameters(&self) -> usize {
        let sizes = self.named_weights().into_iter().map(|(_, weight)| weight.num_values());
        sizes.sum()
    }

    /// The output weights, `[vocab, hidden]`. Logits may be capped: see [`DecoderConfig::final_softcap`].
    #[must_use]
    pub fn head(&self) -> Tensor<2> {
        self.head.clone()
    }

    /// The same model, whose backward passes compute the inside of each block again instead of keeping
    /// it: about a third more time for a small part of the memory, with the same gradients.
    ///
    /// Holds for f32 on the CPU, where a block is one operation; other back ends keep everything.
    #[must_use]
    pub fn recomputing(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// The same model with its frozen weights multiplied in bf16: rounded once, activations rounded on the
    /// way in, sums in f32. In training, scoring and generation alike.
    ///
    /// Faster on a GPU and where the processor has AVX-512 BF16 (docs/PERFORMANCE.md); a block's gradients
    /// move by under two percent. Side paths are rounded alike where rows are many, norms and attention stay
    /// in f32. On the CPU the packed weights take half of the model's memory again, and another half once it
    /// trains; on a GPU the model itself is held in bf16.
    ///
    /// # Errors
    /// [`LmError::Device`] if this processor or back end has no such product.
    pub fn with_bf16_products(mut self) -> Result<Self, LmError> {
        if is_gpu(&self.device) {
            return Ok(self.held_in(DType::BF16));
        }
        self.head_half = HalfWeight::pack(&self.head).map(Arc::new);
        let mut linears = self.layers.iter_mut().flat_map(|layer| &mut layer.projections);
        if self.head_half.is_some() && linears.all(Linear::pack) {
            return Ok(self);
        }
        Err(LmError::Device {
            device: format!("{:?}", self.device),
            reason:
                "bf16 products need the CPU back end and a processor with AVX-512 BF16; use f32"
                    .into(),
        })
    }

    /// The same model, its matrices held in another type.
    pub(crate) fn held_in(mut self, dtype: DType) -> Self {
        self.embed = self.embed.cast(dtype);
        self.head = match self.config.tie_embeddings {
            true => self.embed.clone(),
            false => self.head.cast(dtype),
        };
        for linear in self.layers.iter_mut().flat_map(|layer| &mut layer.projections) {
            linear.weight = linear.weight.clone().cast(dtype);
        }
        self
    }

    /// Hidden states after the final norm.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, seq]`, padded on the right; pads never reach real tokens
    /// - output: `[batch, seq, hidden]`, tracked if the adapter is
    #[must_use]
    pub fn hidden<'a>(&self, tokens: Tensor<2, Int>, overlay: impl Into<Overlay<'a>>) -> Tensor<3> {
        self.hidden_watched(tokens, overlay, &mut |_, _| {})
    }

    /// The same; `watch` sees the residual stream behind each block, `[batch * seq, hidden]`, what
    /// steering adds there included.
    #[must_use]
    pub fn hidden_watched<'a>(
        &self,
        tokens: Tensor<2, Int>,
        overlay: impl Into<Overlay<'a>>,
        watch: &mut dyn FnMut(usize, &Tensor<2>),
    ) -> Tensor<3> {
        self.hidden_branched(tokens, &[], overlay.into(), watch)
    }

    /// The same of rows some of which hold two sequences.
    fn hidden_branched(
        &self,
        tokens: Tensor<2, Int>,
        branches: &[Option<Branch>],
        overlay: Overlay<'_>,
        watch: &mut dyn FnMut(usize, &Tensor<2>),
    ) -> Tensor<3> {
        let [batch, seq] = tokens.dims();
        let branches = Branches::new(branches, seq);
        let spans = Spans::new(&self.config, |kind| self.span(kind, batch, seq, branches.as_ref()));
        let x = self.embedded(tokens.reshape([batch * seq]));
        let x = self.run(x, &spans, overlay, None, watch);
        self.normed(x).reshape([batch, seq, self.config.hidden_size])
    }

    /// What blocks of one kind need to know in a pass over whole sequences.
    fn span(&self, kind: LayerKind, batch: usize, seq: usize, branches: Option<&Branches>) -> Span {
        let (config, device) = (&*self.config, &self.device);
        let longest = branches.map_or(seq, Branches::longest);
        let window = config.window(kind).filter(|&window| window < longest);
        Span {
            batch,
            seq,
            rotary: match branches {
                Some(it) => Rotary::at(config, kind.rope, batch, it.positions(), device),
                None => Rotary::shared(config, kind.rope, seq, device),
            },
            window,
            branches: branches.map(|branches| branches.within(window)),
            placement: None,
            recompute: self.recompute,
        }
    }

    /// Logits of every position: `[batch, seq]` to `[batch, seq, vocab]`.
    ///
    /// Allocates the whole of it; scoring and training use [`CausalLm::completion_logprobs`].
    #[must_use]
    pub fn logits<'a>(&self, tokens: Tensor<2, Int>, overlay: impl Into<Overlay<'a>>) -> Tensor<3> {
        let [batch, seq] = tokens.dims();
        let hidden = self.hidden(tokens, overlay).reshape([batch * seq, self.config.hidden_size]);
        let logits = self.capped(product(hidden, self.head.clone().transpose()));
        logits.reshape([batch, seq, self.config.vocab_size])
    }

    /// Log-probability of every completion token of a batch, in order, in nats.
    ///
    /// # Shapes
    /// - output: `[sum(batch.counts)]`, tracked if the adapter is
    ///
    /// Only the hidden states before completion tokens reach the head.
    #[must_use]
    pub fn completion_logprobs<'a>(
        &self,
        batch: &TokenBatch,
        overlay: impl Into<Overlay<'a>>,
    ) -> Tensor<1> {
        self.readout(batch, overlay).logprobs(batch)
    }

    /// The hidden states before every completion token of a batch, `[sum(batch.counts), hidden]`, and
    /// the head that reads them.
    #[must_use]
    pub fn readout<'a>(&self, batch: &TokenBatch, overlay: impl Into<Overlay<'a>>) -> Readout {
        let [rows, seq] = batch.tokens.dims();
        let (tokens, overlay) = (batch.tokens.clone(), overlay.into());
        let hidden = self.hidden_branched(tokens, &batch.branches, overlay, &mut |_, _| {});
        let hidden = hidden
            .reshape([rows * seq, self.config.hidden_size])
            .select(0, batch.positions.clone());
        Readout {
            hidden,
            head: self.head.clone(),
            half: self.head_half.clone(),
            softcap: self.config.final_softcap,
        }
    }

    /// Whether two sequences in a row ([`TokenBatch::of_pairs`]) cost less than in two. So they do where a
    /// block is one operation, f32 on the CPU; the composition computes what one hides from the other.
    #[must_use]
    pub fn shares_beginnings(&self) -> bool {
        let frozen = |linear: &Linear| !linear.weight.is_autodiff() && linear.weight.dtype() == F32;
        let fused = |layer: &DecoderLayer| {
            layer.is_plain(&self.config) && layer.projections.iter().all(frozen)
        };
        self.device == Device::flex() && self.layers.iter().all(fused)
    }

    /// Log-probability of one target for each of some hidden states, `[tokens, hidden]`.
    pub(crate) fn target_logprobs(&self, hidden: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
        let (half, softcap) = (self.head_half.as_deref(), self.config.final_softcap);
        logprob::with_half(hidden, self.head.clone(), half, targets, softcap)
    }

    /// The model with `adapter` added into its weights: `W + scale * B A`.
    #[must_use]
    pub fn fold(mut self, adapter: &Adapter) -> Self {
        for (layer, side) in self.layers.iter_mut().zip(&adapter.layers) {
            for (linear, pair) in layer.projections.iter_mut().zip(&side.pairs) {
                if let Some(pair) = pair {
                    let held = linear.weight.dtype();
                    linear.weight = (linear.weight.clone().cast(F32) + pair.delta()).cast(held);
                    if linear.half.is_some() {
                        linear.pack();
                    }
                }
            }
        }
        self
    }

    /// Checks that a sequence is one that this model reads: some tokens, all of its vocabulary, no more
    /// than its context holds.
    ///
    /// # Errors
    /// [`LmError::Tokens`] or [`LmError::TooLong`], naming `what`.
    pub fn check_tokens(&self, what: &str, ids: &[u32]) -> Result<(), LmError> {
        let bad = |reason: String| Err(LmError::Tokens { what: what.to_owned(), reason });
        if ids.is_empty() {
            return bad("is empty; give at least one token".into());
        }
        let vocab = self.config.vocab_size;
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocab) {
            return bad(format!("holds token {id}; the model's vocabulary has {vocab}"));
        }
        self.check_length(what, ids.len())
    }

    /// Checks that a sequence fits the context.
    ///
    /// # Errors
    /// [`LmError::TooLong`] naming `what`.
    pub fn check_length(&self, what: &str, tokens: usize) -> Result<(), LmError> {
        let limit = self.config.max_position;
        if tokens <= limit {
            return Ok(());
        }
        Err(LmError::TooLong { what: what.to_owned(), tokens, limit })
    }

    /// Reads tokens into slots of `cache`; each row continues what its slot holds.
    ///
    /// Hidden states after the final norm of every token, `[rows * seq, hidden]`, `seq` being the longest
    /// row's length.
    pub(crate) fn read(
        &self,
        rows: &[(usize, &[u32])],
        overlay: Overlay<'_>,
        cache: &mut KvCache,
    ) -> Tensor<2> {
        let (batch, seq) = (rows.len(), rows.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0));
        let mut ids = vec![0i32; batch * seq];
        for ((_, row), ids) in rows.iter().zip(ids.chunks_mut(seq.max(1))) {
            ids.iter_mut().zip(*row).for_each(|(to, &id)| *to = id as i32);
        }
        let slots = rows.iter().map(|&(slot, _)| slot).collect();
        let placement = cache.place(slots, rows.iter().map(|(_, ids)| ids.len()).collect());
        let (config, device) = (&*self.config, &self.device);
        let spans = Spans::new(config, |kind| {
            let window = config.window(kind).filter(|&window| window < placement.columns());
            Span {
                batch,
                seq,
                rotary: match placement.is_fresh() {
                    true => Rotary::shared(config, kind.rope, seq, device),
                    false => Rotary::at(config, kind.rope, batch, placement.positions(), device),
                },
                window,
                branches: None,
                placement: Some(placement.within(window)),
                recompute: false,
            }
        });
        let ids = Tensor::from_data(TensorData::new(ids, [batch * seq]), device);
        self.normed(self.run(self.embedded(ids), &spans, overlay, Some(cache), &mut |_, _| {}))
    }

    /// Logits of hidden states: `[tokens, hidden]` to `[tokens, vocab]`.
    pub(crate) fn read_out(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.capped(times_transposed(hidden, &self.head, self.head_half.as_deref()))
    }

    fn run(
        &self,
        mut x: Tensor<2>,
        spans: &Spans,
        overlay: Overlay<'_>,
        mut cache: Option<&mut KvCache>,
        watch: &mut dyn FnMut(usize, &Tensor<2>),
    ) -> Tensor<2> {
        for (index, layer) in self.layers.iter().enumerate() {
            let side = overlay.adapter.map(|a| &a.layers[index]);
            let cache = cache.as_deref_mut().map(|cache| &mut cache.layers[index]);
            x = layer.forward(&self.config, x, spans.of(layer.kind), side, cache);
            if let Some(steering) = overlay.steering {
                x = steering.apply(index, x);
            }
            watch(index, &x);
        }
        x
    }

    fn normed(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, &self.norm, self.config.rms_norm_eps)
    }

    fn embedded(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let x = self.embed.clone().select(0, ids).cast(F32);
        if self.config.embed_scale == 1.0 { x } else { x.mul_scalar(self.config.embed_scale) }
    }

    fn capped(&self, logits: Tensor<2>) -> Tensor<2> {
        match self.config.final_softcap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{DType, Device, Tensor};

    use crate::{Adapter, CausalLm, DecoderConfig, LoraConfig, TokenBatch, TokenSequence};

    fn random_model() -> CausalLm {
        let file = "../../fixtures/tiny_models/llama_tied/config.json";
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let config = DecoderConfig::from_hf_file(&file).expect("a fixture");
        CausalLm::random(config, 3, &Device::flex()).expect("valid shapes")
    }

    /// Log-probabilities and every gradient of their sum, as one list each.
    fn outcome(model: &CausalLm, adapter: &Adapter) -> [Vec<f32>; 2] {
        let sequences = [[5, 9, 31, 7], [8, 200, 6, 77]]
            .map(|ids| TokenSequence::from_parts(&ids[..1], &ids[1..]));
        let batch = TokenBatch::new(&sequences.each_ref(), model.device());
        let adapter = adapter.tracked();
        let logps = model.completion_logprobs(&batch, Some(&adapter));
        let gradients = logps.clone().sum().backward();
        let list = |x: Tensor<1>| x.into_data().iter::<f32>().collect::<Vec<_>>();
        let of = |(_, x): (String, Tensor<2>)| x.grad(&gradients).expect("tracked").flatten(0, 1);
        let all = adapter.parameters().into_iter().flat_map(|named| list(of(named))).collect();
        [list(logps.inner()), all]
    }

    #[test]
    fn a_model_held_in_bf16_keeps_values_and_gradients_within_two_percent() {
        let model = random_model();
        let config = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
        let adapter = Adapter::init(&model, &config, 1).expect("known modules");
        // B starts at zero, which would leave the side paths out.
        let adapter = adapter.map_parameters(&mut |_, x| x.add_scalar(0.01));
        let held = model.clone().held_in(DType::BF16);
        for (exact, found) in outcome(&model, &adapter).iter().zip(outcome(&held, &adapter)) {
            let square = |x: f32| f64::from(x) * f64::from(x);
            let size: f64 = exact.iter().map(|&x| square(x)).sum();
            let off: f64 = exact.iter().zip(&found).map(|(a, b)| square(a - b)).sum();
            assert!(size > 0.0 && off > 0.0, "rounding leaves a trace");
            assert!(off.sqrt() < 0.02 * size.sqrt(), "off by {} of {}", off.sqrt(), size.sqrt());
        }
    }

    #[test]
    fn folding_leaves_the_type_in_which_weights_are_held() {
        let model = random_model().held_in(DType::BF16);
        let config = LoraConfig { rank: 4, alpha: 8.0, ..LoraConfig::default() };
        let adapter = Adapter::init(&model, &config, 1).expect("known modules");
        let folded = model.fold(&adapter.map_parameters(&mut |_, x| x.add_scalar(0.1)));
        let weight = &folded.layers[0].projections[0].weight;
        assert_eq!(weight.dtype(), DType::BF16);
    }
}
