//! How rotary frequencies are stretched, in the forms in which checkpoints say it.

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
    /// YaRN: frequencies that turn often in the first context are kept, others divided by `factor`, with
    /// a ramp between; attention is sharpened. Source: Peng et al. 2023, arXiv:2309.00071.
    Yarn {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Context of the first training, in tokens.
        original_max_position: usize,
        /// Turns in that context from which on frequencies are kept.
        beta_fast: f64,
        /// Turns in that context below which they are divided in full.
        beta_slow: f64,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
        /// Whether the ramp begins and ends at whole dimensions.
        truncate: bool,
    },
    /// Divisors given one a frequency (GGUF stores Llama 3.1's in `rope_freqs.weight`).
    Factors(Vec<f32>),
}

impl RopeScaling {
    /// What each of the unscaled frequencies `bases`, in radians a token, is divided by.
    pub(super) fn divisors(&self, bases: &[f64], theta: f64) -> Vec<f64> {
        match self {
            Self::Linear { factor } => vec![*factor; bases.len()],
            Self::Factors(factors) => factors.iter().map(|&factor| f64::from(factor)).collect(),
            Self::Llama3 { .. } => bases.iter().map(|&base| self.llama3_divisor(base)).collect(),
            Self::Yarn {
                factor, original_max_position, beta_fast, beta_slow, truncate, ..
            } => {
                let dim = 2.0 * bases.len() as f64;
                // The dimension whose frequency turns so often in the first context.
                let place = |turns: f64| {
                    let context = *original_max_position as f64;
                    dim * (context / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
                };
                let (mut low, mut high) = (place(*beta_fast), place(*beta_slow));
                if *truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, high) = (low.max(0.0), high.min(dim - 1.0));
                let width = if low == high { 0.001 } else { high - low };
                let divided = |index: usize| ((index as f64 - low) / width).clamp(0.0, 1.0);
                (0..bases.len())
                    .map(|index| 1.0 / (divided(index) / factor + 1.0 - divided(index)))
                    .collect()
            }
        }
    }

    /// What cosines and sines are multiplied by.
    pub(super) fn magnitude(&self) -> f64 {
        match self {
            Self::Yarn { attention_factor, .. } => *attention_factor,
            _ => 1.0,
        }
    }

    /// The rule of Llama 3 for one frequency; 1 for every other rule.
    fn llama3_divisor(&self, base: f64) -> f64 {
        let Self::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } =
            self
        else {
            return 1.0;
        };
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

    /// The Llama 3 rule that gives these divisors, if there is one.
    ///
    /// All published models have the ramp from 1 to 4 turns; a divisor on the ramp then gives the
    /// first context, and the rule is taken if it reproduces every divisor.
    pub(super) fn llama3_of(factors: &[f32], bases: &[f64]) -> Option<Self> {
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
            (rule.llama3_divisor(bases[index]) / f64::from(*given) - 1.0).abs() < 1e-5
        };
        factors.iter().enumerate().all(close).then_some(rule)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::Fields;
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
        let factors = rule.divisors(&bases, 500_000.0).into_iter().map(|f| f as f32).collect();
        assert_eq!(RopeScaling::Factors(factors).to_hf(&bases), rule.to_hf(&bases));
    }

    #[test]
    fn divisors_that_follow_no_rule_have_no_hf_form() {
        let bases = bases(10_000.0, 8);
        assert_eq!(RopeScaling::Factors(vec![1.0, 3.0, 2.0, 8.0]).to_hf(&bases), None);
        assert_eq!(RopeScaling::Factors(vec![1.0, 1.5, 1.2, 8.0]).to_hf(&bases), None);
    }

    #[test]
    fn frequencies_of_every_rule_equal_those_of_transformers() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rope.json");
        let cases: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let fields = Fields {
                path: std::path::Path::new("config.json"),
                object: case["scaling"].as_object().unwrap(),
            };
            let scaling = fields.rope_scaling().unwrap().unwrap();
            let theta = case["rope_theta"].as_f64().unwrap();
            let bases = bases(theta, 64);
            let found = scaling.divisors(&bases, theta);
            for (at, expected) in case["frequencies"].as_array().unwrap().iter().enumerate() {
                let (found, expected) = (bases[at] / found[at], expected.as_f64().unwrap());
                assert!((found / expected - 1.0).abs() < 1e-5, "{} {at}: {found}", case["name"]);
            }
            let expected = case["magnitude"].as_f64().unwrap();
            assert!((scaling.magnitude() - expected).abs() < 1e-9, "{}", case["name"]);
        }
    }
}
