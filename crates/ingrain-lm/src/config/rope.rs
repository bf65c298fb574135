//! How rotary frequencies are stretched, in the forms in which checkpoints say it.

use serde_json::{Value, json};

/// How rotary frequencies are stretched beyond the length a model was first trained for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// Llama 3.1: low frequencies are divided by `factor`, high ones kept, a ramp between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_max_position / low_freq_factor` are divided in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_max_position / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context of the first training, in tokens.
        original_max_position: usize,
    },
    /// Every frequency divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Divisors given one a frequency (GGUF stores Llama 3.1's in `rope_freqs.weight`).
    Factors(Vec<f32>),
}

impl RopeScaling {
    /// What frequency number `index`, unscaled `base` in radians a token, is divided by.
    pub(super) fn divisor(&self, index: usize, base: f64) -> f64 {
        match self {
            Self::Linear { factor } => *factor,
            Self::Factors(factors) => f64::from(factors[index]),
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                let turns = *original_max_position as f64 * base / std::f64::consts::TAU;
                if turns > *high_freq_factor {
                    1.0
                } else if turns < *low_freq_factor {
                    *factor
                } else {
                    let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    1.0 / ((1.0 - kept) / factor + kept)
                }
            }
        }
    }

    /// The object under `rope_scaling` in `config.json`; `None` for divisors that no form expresses.
    ///
    /// `bases` are the unscaled frequencies.
    pub(super) fn to_hf(&self, bases: &[f64]) -> Option<Value> {
        match self {
            Self::Linear { factor } => Some(json!({"rope_type": "linear", "factor": factor})),
            Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                Some(json!({
                    "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
                    "high_freq_factor": high_freq_factor,
                    "original_max_position_embeddings": original_max_position,
                }))
            }
            Self::Factors(factors) if factors.iter().all(|f| *f == 1.0) => Some(Value::Null),
            Self::Factors(factors) => Self::llama3_of(factors, bases)?.to_hf(bases),
        }
    }

    /// The Llama 3 rule that gives these divisors, if there is one.
    ///
    /// All published models have the ramp from 1 to 4 turns; a divisor on the ramp then gives the
    /// first context, and the rule is taken if it reproduces every divisor.
    fn llama3_of(factors: &[f32], bases: &[f64]) -> Option<Self> {
        let (low, high) = (1.0, 4.0);
        let factor = f64::from(factors.iter().copied().fold(1.0, f32::max));
        let on_ramp = factors.iter().position(|f| *f > 1.0 && f64::from(*f) < factor)?;
        let kept = (1.0 / f64::from(factors[on_ramp]) - 1.0 / factor) / (1.0 - 1.0 / factor);
        let context = (kept * (high - low) + low) * std::f64::consts::TAU / bases[on_ramp];
        let rule = Self::Llama3 {
            factor,
            low_freq_factor: low,
            high_freq_factor: high,
            original_max_position: context.round() as usize,
        };
        let close = |(index, given): (usize, &f32)| {
            (rule.divisor(index, bases[index]) / f64::from(*given) - 1.0).abs() < 1e-5
        };
        factors.iter().enumerate().all(close).then_some(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::RopeScaling;

    fn bases(theta: f64, dim: usize) -> Vec<f64> {
        (0..dim / 2).map(|i| theta.powf(-2.0 * i as f64 / dim as f64)).collect()
    }

    #[test]
    fn divisors_of_llama_3_2_are_recognised_as_its_rule() {
        let rule = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position: 8192,
        };
        let bases = bases(500_000.0, 64);
        let factors = bases.iter().enumerate().map(|(i, &b)| rule.divisor(i, b) as f32).collect();
        assert_eq!(RopeScaling::Factors(factors).to_hf(&bases), rule.to_hf(&bases));
    }

    #[test]
    fn divisors_that_follow_no_rule_have_no_hf_form() {
        let bases = bases(10_000.0, 8);
        assert_eq!(RopeScaling::Factors(vec![1.0, 3.0, 2.0, 8.0]).to_hf(&bases), None);
        assert_eq!(RopeScaling::Factors(vec![1.0, 1.5, 1.2, 8.0]).to_hf(&bases), None);
    }
}
