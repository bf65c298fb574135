//! What a batch of preference pairs costs an adapter.

use ingrain_lm::{Adapter, CausalLm, TokenBatch};
use ingrain_train::{Cost, Objective, TrainError, fingerprint};

use crate::reference::{data_fingerprint, real_tokens, sequences};
use crate::{
    DpoConfig, DpoError, PairLogps, PreferenceLoss, PreferenceMetrics, ReferenceLogps, TokenLogps,
    TokenizedPair, WeightedSum, build_loss,
};

/// Preference pairs under a model, as an [`Objective`] over adapters.
///
/// The same object prices pairs for training (a tracked adapter) and for evaluation (a plain
/// one).
#[derive(Debug)]
pub struct DpoObjective<'a> {
    model: &'a CausalLm,
    pairs: &'a [TokenizedPair],
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
        Ok(Self {
            model,
            pairs,
            reference,
            loss,
            metrics: PreferenceMetrics { beta: config.beta },
            fingerprint: fingerprint([data_fingerprint(base, pairs), losses]),
        })
    }

    fn reference_of(&self, examples: &[usize]) -> Option<PairLogps> {
        let reference = self.reference.as_ref()?;
        let side = |row: fn(&ReferenceLogps) -> &[f32]| {
            let rows: Vec<&[f32]> = examples.iter().map(|&i| row(&reference[i])).collect();
            TokenLogps::from_rows(&rows, self.model.device())
        };
        Some(PairLogps { chosen: side(|r| &r.chosen), rejected: side(|r| &r.rejected) })
    }
}

impl Objective<Adapter> for DpoObjective<'_> {
    fn cost(&self, examples: &[usize], adapter: &Adapter) -> Result<Cost, TrainError> {
        let batch = TokenBatch::new(&sequences(self.pairs, examples), self.model.device());
        let logps = self.model.completion_logprobs(&batch, Some(adapter));
        let policy = PairLogps::from_flat(logps, &batch.counts);
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
            tokens: examples.iter().map(|&i| real_tokens(&self.pairs[i])).sum(),
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
