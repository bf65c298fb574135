//! What a batch of preference pairs costs a policy.

use ingrain_lm::{CausalLm, Policy, Readout, TokenBatch, vocab_kl};
use ingrain_train::{Cost, Objective, TrainError, fingerprint};

use crate::layout::{data_fingerprint, real_tokens};
use crate::{
    DpoConfig, DpoError, PairLogps, PreferenceLoss, PreferenceMetrics, ReferenceLogps, Sequences,
    TokenLogps, TokenizedPair, WeightedSum, build_loss, layout,
};

/// Preference pairs under a model, as an [`Objective`] over adapters or other policies.
///
/// The same object prices pairs for training (a tracked policy) and for evaluation (a plain one).
#[derive(Debug)]
pub struct DpoObjective<'a> {
    model: &'a CausalLm,
    pairs: &'a [TokenizedPair],
    sequences: Vec<Sequences<'a>>,
    reference: Option<Vec<ReferenceLogps>>,
    loss: WeightedSum,
    metrics: PreferenceMetrics,
    fingerprint: String,
}

impl<'a> DpoObjective<'a> {
    /// `base` names the model's weights; `reference` holds one entry a pair, or nothing where no
    /// loss needs one.
    ///
    /// # Errors
    /// [`DpoError`] if the losses are not valid.
    pub fn new(
        model: &'a CausalLm,
        base: &str,
        pairs: &'a [TokenizedPair],
        reference: Option<Vec<ReferenceLogps>>,
        config: &DpoConfig,
    ) -> Result<Self, DpoError> {
        let loss = build_loss(&config.losses, config.beta)?;
        let losses = format!("{:?} {:?}", config.clone().resolved().losses, config.beta);
        let sequences: Vec<_> = pairs.iter().map(TokenizedPair::sequences).collect();
        let fingerprint = fingerprint([data_fingerprint(base, &sequences), losses]);
        let metrics = PreferenceMetrics { beta: config.beta };
        Ok(Self { model, pairs, sequences, reference, loss, metrics, fingerprint })
    }

    /// The same with a loss of one's own in place of the configured ones. `settings` names it and its
    /// numbers: a checkpoint is continued only under the same name.
    #[must_use]
    pub fn with_loss(self, loss: WeightedSum, settings: &str) -> Self {
        let fingerprint = fingerprint([self.fingerprint, settings.to_owned()]);
        Self { loss, fingerprint, ..self }
    }

    fn reference_of(&self, examples: &[usize]) -> Option<PairLogps> {
        let reference = self.reference.as_ref()?;
        let side = |side: usize| {
            let rows: Vec<&[f32]> =
                examples.iter().map(|&i| reference[i].rows[side].as_slice()).collect();
            TokenLogps::from_rows(&rows, self.model.device())
        };
        Some(PairLogps { chosen: side(0), rejected: side(1) })
    }

    /// The policy's log-probabilities, with divergences from the reference where a loss wants them.
    fn policy_of(&self, readout: Readout, batch: &TokenBatch) -> PairLogps {
        let divergence = self
            .loss
            .divergence()
            .map(|direction| vocab_kl(&readout, &self.model.readout(batch, None), direction));
        let logps = PairLogps::from_flat(readout.logprobs(batch), &batch.counts);
        match divergence {
            Some(flat) => logps.with_divergence(flat),
            None => logps,
        }
    }
}

impl<P: Policy> Objective<P> for DpoObjective<'_> {
    fn cost(&self, examples: &[usize], policy: &P) -> Result<Cost, TrainError> {
        let joined = policy.shares_beginnings(self.model);
        let batch = layout::batch(&self.sequences, examples, joined, self.model.device());
        let policy = self.policy_of(policy.readout(self.model, &batch), &batch);
        let reference = self.reference_of(examples);
        let output =
            self.loss.forward(&policy, reference.as_ref()).map_err(TrainError::objective)?;
        let metrics = self
            .metrics
            .measure(&policy, reference.as_ref(), &output)
            .map_err(TrainError::objective)?;
        Ok(Cost {
            loss: output.loss.sum(),
            weight: examples.len() as f64,
            tokens: examples.iter().map(|&i| real_tokens(&self.sequences[i])).sum(),
            metrics,
        })
    }

    fn example_name(&self, example: usize) -> String {
        self.pairs.get(example).map_or_else(|| format!("#{example}"), |pair| pair.id.clone())
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}
