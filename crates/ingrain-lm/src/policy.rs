//! What a frozen model is run with to become a policy.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::kernels::bf16::HalfWeight;
use crate::logprob;
use crate::{Adapter, CausalLm, TokenBatch};

/// Hidden states and the head that turns them into logits.
#[derive(Clone, Debug)]
pub struct Readout {
    /// `[tokens, hidden]`
    pub hidden: Tensor<2>,
    /// `[vocab, hidden]`
    pub head: Tensor<2>,
    /// The head in bf16, where single log-probabilities are to use it.
    pub(crate) half: Option<Arc<HalfWeight>>,
    /// `c` where the logits are `c tanh(z / c)`.
    pub softcap: Option<f64>,
}

/// Something trainable that, together with a frozen [`CausalLm`], makes a policy.
///
/// An [`Adapter`] beside the weights is one. Objectives are written for any of them.
pub trait Policy: Sync {
    /// The hidden states before every completion token of a batch, and the head that reads them.
    ///
    /// # Shapes
    /// - hidden states: `[sum(batch.counts), hidden]`, tracked if the policy is
    fn readout(&self, model: &CausalLm, batch: &TokenBatch) -> Readout;

    /// Whether two sequences in a row ([`TokenBatch::of_pairs`]) cost this policy of a model less than in
    /// two; they come to the same either way.
    fn shares_beginnings(&self, _model: &CausalLm) -> bool {
        false
    }

    /// Log-probability of every completion token of a batch, in order, in nats,
    /// `[sum(batch.counts)]`.
    fn completion_logprobs(&self, model: &CausalLm, batch: &TokenBatch) -> Tensor<1> {
        self.readout(model, batch).logprobs(batch)
    }
}

impl Policy for Adapter {
    fn readout(&self, model: &CausalLm, batch: &TokenBatch) -> Readout {
        model.readout(batch, Some(self))
    }

    fn shares_beginnings(&self, model: &CausalLm) -> bool {
        model.shares_beginnings()
    }
}

impl Readout {
    /// Hidden states `[tokens, hidden]` under a head `[vocab, hidden]`, logits not capped.
    #[must_use]
    pub fn new(hidden: Tensor<2>, head: Tensor<2>) -> Self {
        Self { hidden, head, half: None, softcap: None }
    }

    /// Log-probabilities of the completion tokens of the batch that it was made from.
    #[must_use]
    pub fn logprobs(self, batch: &TokenBatch) -> Tensor<1> {
        let half = self.half.as_deref();
        logprob::with_half(self.hidden, self.head, half, batch.targets.clone(), self.softcap)
    }
}
