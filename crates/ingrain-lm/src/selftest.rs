//! A file beside an adapter that lets any other loader prove that it does there what it did here.

use std::path::Path;

use ingrain_run::write_json_atomic;
use serde::{Deserialize, Serialize};

use crate::{Adapter, LmError, LocalModel, ModelIdentity, TokenSequence, small_file};

/// Contents of `selftest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The base weights that the figures hold for.
    pub base: SelfTestBase,
    /// Prompts, completions and what both models make of them.
    pub cases: Vec<SelfTestCase>,
}

/// The base weights of a [`SelfTest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTestBase {
    /// Where they came from, their digest and their type.
    #[serde(flatten)]
    pub identity: ModelIdentity,
    /// Largest difference a token that another implementation may show, in nats.
    pub tolerance: f64,
}

/// One prompt and completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTestCase {
    /// The rendered and tokenised prompt.
    pub prompt_token_ids: Vec<u32>,
    /// The completion that follows it.
    pub completion_token_ids: Vec<u32>,
    /// Log-probability of the completion under the base, nats, summed over its tokens.
    pub base_logprob: f64,
    /// The same with the adapter.
    pub adapter_logprob: f64,
}

/// Differences up to this many nats a token are rounding.
const TOLERANCE: f64 = 1e-3;

impl SelfTest {
    /// Scores prompt-completion pairs with and without `adapter`.
    ///
    /// # Errors
    /// [`LmError::TooLong`] if a pair does not fit the context; [`LmError::Adapter`] if the adapter
    /// changes none of the cases.
    pub fn record(
        model: &LocalModel,
        adapter: &Adapter,
        pairs: &[(Vec<u32>, Vec<u32>)],
    ) -> Result<Self, LmError> {
        let sequences = sequences(pairs.iter().map(|(p, c)| (p.as_slice(), c.as_slice())));
        let base = model.with_adapter(None).score(&sequences)?;
        let adapted = model.with_adapter(Some(adapter.untracked())).score(&sequences)?;
        let cases: Vec<SelfTestCase> = pairs
            .iter()
            .zip(base.iter().zip(&adapted))
            .map(|((prompt, completion), (base, adapted))| SelfTestCase {
                prompt_token_ids: prompt.clone(),
                completion_token_ids: completion.clone(),
                base_logprob: sum(base),
                adapter_logprob: sum(adapted),
            })
            .collect();
        if cases.iter().all(|c| (c.base_logprob - c.adapter_logprob).abs() < 1e-6) {
            return Err(LmError::Adapter("it changes none of the self-test's cases".into()));
        }
        let base = SelfTestBase { identity: model.identity.clone(), tolerance: TOLERANCE };
        Ok(Self { base, cases })
    }

    /// Largest difference a token, in nats, between what is recorded and what `model` gives now.
    ///
    /// # Errors
    /// [`LmError::TooLong`] if a case does not fit the context.
    pub fn max_difference(&self, model: &LocalModel, adapter: &Adapter) -> Result<f64, LmError> {
        let sequences = sequences(
            self.cases
                .iter()
                .map(|c| (c.prompt_token_ids.as_slice(), c.completion_token_ids.as_slice())),
        );
        let base = model.with_adapter(None).score(&sequences)?;
        let adapted = model.with_adapter(Some(adapter.untracked())).score(&sequences)?;
        let mut worst = 0.0f64;
        for (case, (base, adapted)) in self.cases.iter().zip(base.iter().zip(&adapted)) {
            let tokens = case.completion_token_ids.len().max(1) as f64;
            for difference in [case.base_logprob - sum(base), case.adapter_logprob - sum(adapted)] {
                // A log-probability that is no number (`max` would skip it) agrees with nothing.
                let difference = if difference.is_nan() { f64::INFINITY } else { difference.abs() };
                worst = worst.max(difference / tokens);
            }
        }
        Ok(worst)
    }

    /// Recomputes every case and fails if one differs by more than the recorded tolerance.
    ///
    /// # Errors
    /// [`LmError::File`] naming `path` and the difference, or that there are no cases.
    pub fn verify(
        &self,
        path: &Path,
        model: &LocalModel,
        adapter: &Adapter,
    ) -> Result<f64, LmError> {
        if self.cases.is_empty() {
            return Err(LmError::file(
                path,
                "holds no cases, so it proves nothing; record it again",
            ));
        }
        let worst = self.max_difference(model, adapter)?;
        if worst <= self.base.tolerance {
            return Ok(worst);
        }
        Err(LmError::file(
            path,
            format!(
                "log-probabilities differ by {worst:.4} nats a token, more than {}; the base weights \
                 must be {} (sha256 {})",
                self.base.tolerance, self.base.identity.source, self.base.identity.sha256
            ),
        ))
    }

    /// Reads a `selftest.json`.
    ///
    /// # Errors
    /// [`LmError::Io`] or [`LmError::File`].
    pub fn read(path: &Path) -> Result<Self, LmError> {
        serde_json::from_str(&small_file::read(path)?)
            .map_err(|e| LmError::file(path, format!("is not a self-test: {e}")))
    }

    /// Writes it, beside and renamed.
    ///
    /// # Errors
    /// [`LmError::Run`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), LmError> {
        Ok(write_json_atomic(path, self)?)
    }
}

fn sequences<'a>(pairs: impl Iterator<Item = (&'a [u32], &'a [u32])>) -> Vec<TokenSequence> {
    pairs.map(|(prompt, completion)| TokenSequence::from_parts(prompt, completion)).collect()
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum()
}
