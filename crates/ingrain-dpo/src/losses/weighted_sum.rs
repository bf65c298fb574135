//! A weighted sum of losses, which is a loss.

use ingrain_lm::KlDirection;

use crate::{DpoError, LossOutput, PairLogps, PreferenceLoss};

/// One term of a [`WeightedSum`].
pub struct WeightedTerm {
    /// Name under which the term's own value is reported.
    pub name: String,
    /// Factor in the sum.
    pub weight: f64,
    /// The loss.
    pub loss: Box<dyn PreferenceLoss>,
}

/// `sum of weight_i * loss_i`, pair by pair; each term's unweighted value is a part of the output
/// under the term's name.
///
/// # Examples
///
/// The paper's composite objective:
///
/// ```
/// use burn::tensor::Device;
/// use ingrain_dpo::{Dpo, Nll, PairLogps, PreferenceLoss, SquaredLogRatio, TokenLogps, WeightedSum};
///
/// let objective = WeightedSum::new()
///     .with("dpo", 1.0, Dpo::default())
///     .with("nll", 0.1, Nll::default())
///     .with("squared_log_ratio", 0.001, SquaredLogRatio::default());
/// let row = |x: f32| TokenLogps::from_rows(&[[x]], &Device::flex());
/// let policy = PairLogps { chosen: row(-2.0), rejected: row(-3.0) };
/// let output = objective.forward(&policy, Some(&policy))?;
/// assert!((output.loss.into_scalar::<f32>() - (2.0_f32.ln() + 0.2)).abs() < 1e-6);
/// assert_eq!(output.parts[1].0, "nll");
/// # Ok::<(), ingrain_dpo::DpoError>(())
/// ```
#[derive(Default)]
pub struct WeightedSum {
    terms: Vec<WeightedTerm>,
}

impl std::fmt::Debug for WeightedSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.terms.iter().map(|term| (&term.name, term.weight))).finish()
    }
}

impl WeightedSum {
    /// A sum without terms, which cannot be evaluated yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a term.
    #[must_use]
    pub fn with(
        mut self,
        name: impl Into<String>,
        weight: f64,
        loss: impl PreferenceLoss + 'static,
    ) -> Self {
        self.push(WeightedTerm { name: name.into(), weight, loss: Box::new(loss) });
        self
    }

    /// Adds a term.
    pub fn push(&mut self, term: WeightedTerm) {
        self.terms.push(term);
    }
}

impl PreferenceLoss for WeightedSum {
    /// # Errors
    /// [`DpoError::NoLosses`] for a sum without terms, and whatever a term returns.
    fn forward(
        &self,
        policy: &PairLogps,
        reference: Option<&PairLogps>,
    ) -> Result<LossOutput, DpoError> {
        let mut parts = Vec::with_capacity(self.terms.len());
        let mut total = None;
        for term in &self.terms {
            let loss = term.loss.forward(policy, reference)?.loss;
            parts.push((term.name.clone(), loss.clone().inner()));
            let weighted = loss.mul_scalar(term.weight);
            total = Some(match total {
                Some(sum) => sum + weighted,
                None => weighted,
            });
        }
        Ok(LossOutput { loss: total.ok_or(DpoError::NoLosses)?, parts })
    }

    fn needs_reference(&self) -> bool {
        self.terms.iter().any(|term| term.loss.needs_reference())
    }

    fn divergence(&self) -> Option<KlDirection> {
        self.terms.iter().find_map(|term| term.loss.divergence())
    }
}
