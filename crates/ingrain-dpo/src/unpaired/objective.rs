//! What a batch of labelled replies costs a policy.

use burn::tensor::Tensor;
use ingrain_lm::{CausalLm, Policy, TokenBatch, TokenSequence};
use ingrain_train::{Cost, Metrics, Objective, Statistics, TrainError, fingerprint};

use super::loss::{DESIRABLE, KL, UNDESIRABLE};
use super::{TokenizedReply, UnpairedLoss};
use crate::layout::data_fingerprint;
use crate::{DpoError, ReferenceLogps, Sequences, TokenLogps};

/// Labelled replies under a model, as an [`Objective`] over adapters or other policies.
#[derive(Debug)]
pub struct UnpairedObjective<'a> {
    pub(super) model: &'a CausalLm,
    pub(super) replies: &'a [TokenizedReply],
    /// The reply; where the loss looks at it, the mismatched one too.
    pub(super) sequences: Vec<Sequences<'a>>,
    pub(super) reference: Vec<ReferenceLogps>,
    pub(super) loss: UnpairedLoss,
    pub(super) base: &'a str,
}

/// Which of a reply's sequences.
const OWN: usize = 0;
const MISMATCHED: usize = 1;

impl UnpairedObjective<'_> {
    /// `log pi - log ref`, summed over completion tokens, `[replies]`.
    fn log_ratios<P: Policy>(&self, examples: &[usize], which: usize, policy: &P) -> LogRatios {
        let sequences: Vec<&TokenSequence> =
            examples.iter().map(|&i| self.sequences[i][which]).collect();
        let batch = TokenBatch::new(&sequences, self.model.device());
        let logps = policy.completion_logprobs(self.model, &batch);
        let logps = TokenLogps::from_flat(logps, &batch.counts);
        let rows: Vec<&[f32]> =
            examples.iter().map(|&i| self.reference[i].rows[which].as_slice()).collect();
        let reference = TokenLogps::from_rows(&rows, self.model.device());
        let nll = logps.untracked().mean().neg();
        LogRatios { sums: logps.sum() - reference.sum(), nll }
    }

    fn label_metrics(&self, examples: &[usize], values: &[f32], names: [&str; 2]) -> Metrics {
        let mut metrics = Metrics::default();
        for (&example, &value) in examples.iter().zip(values) {
            let [desirable, undesirable] = names;
            let name = if self.replies[example].desirable { desirable } else { undesirable };
            metrics.add(name, f64::from(value), 1.0);
        }
        metrics
    }
}

struct LogRatios {
    /// Tracked if the policy is.
    sums: Tensor<1>,
    /// `-log pi` a token.
    nll: Tensor<1>,
}

fn read(values: Tensor<1>) -> Result<Vec<f32>, TrainError> {
    let values = values.inner().try_to_vec_as::<f32>();
    values.map_err(|e| {
        let (what, reason) = ("log-ratios", e.to_string());
        TrainError::objective(DpoError::Device { what, reason })
    })
}

impl<P: Policy> Objective<P> for UnpairedObjective<'_> {
    /// The batch's figures are those of `examples` alone.
    fn cost(&self, examples: &[usize], policy: &P) -> Result<Cost, TrainError> {
        let batch = Objective::<P>::statistics(self, examples, policy)?.means();
        let statistics = self.loss.carry(&Statistics::new(), &batch);
        self.cost_given(examples, policy, &statistics)
    }

    fn statistics(&self, examples: &[usize], policy: &P) -> Result<Metrics, TrainError> {
        let which = if self.loss.needs_mismatched() { MISMATCHED } else { OWN };
        let ratios = read(self.log_ratios(examples, which, policy).sums)?;
        if self.loss.needs_mismatched() {
            let mut metrics = Metrics::default();
            let sum = ratios.iter().map(|&x| f64::from(x)).sum();
            metrics.add(KL, sum, ratios.len() as f64);
            return Ok(metrics);
        }
        Ok(self.label_metrics(examples, &ratios, [DESIRABLE, UNDESIRABLE]))
    }

    fn carry(&self, before: &Statistics, batch: Statistics) -> Statistics {
        self.loss.carry(before, &batch)
    }

    fn cost_given(
        &self,
        examples: &[usize],
        policy: &P,
        statistics: &Statistics,
    ) -> Result<Cost, TrainError> {
        let LogRatios { sums, nll } = self.log_ratios(examples, OWN, policy);
        let desirable: Vec<bool> = examples.iter().map(|&i| self.replies[i].desirable).collect();
        let loss = self.loss.forward(sums.clone(), &desirable, statistics).sum();
        let beta = self.loss.beta() as f32;
        let rewards: Vec<f32> = read(sums)?.into_iter().map(|ratio| beta * ratio).collect();
        let names = ["reward_chosen", "reward_rejected"];
        let mut metrics = self.label_metrics(examples, &rewards, names);
        metrics.merge(self.label_metrics(examples, &read(nll)?, ["nll", "nll_rejected"]));
        for (name, value) in statistics.iter().filter(|(name, _)| *name != "batches") {
            metrics.add(name.clone(), *value, 1.0);
        }
        let tokens = examples.iter().map(|&i| self.replies[i].sequence.ids.len() as u64).sum();
        Ok(Cost { loss, weight: examples.len() as f64, tokens, metrics })
    }

    fn example_name(&self, example: usize) -> String {
        self.replies.get(example).map_or_else(|| format!("#{example}"), |reply| reply.id.clone())
    }

    fn fingerprint(&self) -> String {
        let labels: Vec<u8> = self.replies.iter().map(|r| u8::from(r.desirable)).collect();
        let data = data_fingerprint(self.base, &self.sequences);
        fingerprint([data.into_bytes(), labels, format!("{:?}", self.loss).into_bytes()])
    }
}
