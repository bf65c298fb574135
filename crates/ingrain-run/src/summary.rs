//! What a whole run ended with: the contents of `summary.json`.

use serde::{Deserialize, Serialize};

/// `summary.json`: cost of the run, and the trained model beside the one it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Wall-clock seconds of all stages, interruptions left out.
    pub seconds_total: f64,
    /// Most memory held at once, in bytes; `None` where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// Cost of each stage, in the order in which they ran.
    pub stages: Vec<StageSummary>,
    /// Preference on questions that were used for nothing else.
    pub heldout: ByModel<Heldout>,
    /// Perplexity on a fixed neutral text, dimensionless.
    pub perplexity: ByModel<f64>,
    /// Replies side by side, for all held-out questions.
    pub samples: Vec<Sample>,
}

/// What one stage cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Stage name, as in the manifest.
    pub name: String,
    /// Wall-clock seconds, earlier processes included.
    pub seconds: f64,
    /// Tokens processed: prompt and completion when generating, all positions when training.
    pub tokens: u64,
    /// `tokens / seconds`; 0 for a stage without tokens or time.
    pub tokens_per_sec: f64,
}

impl StageSummary {
    /// Works out the rate.
    #[must_use]
    pub fn new(name: impl Into<String>, seconds: f64, tokens: u64) -> Self {
        let tokens_per_sec = if seconds > 0.0 { tokens as f64 / seconds } else { 0.0 };
        Self { name: name.into(), seconds, tokens, tokens_per_sec }
    }
}

/// One value for each of the three models that a run compares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ByModel<T> {
    /// The untrained model.
    pub base: T,
    /// After preference distillation.
    pub distilled: T,
    /// After introspection and merge: the final adapter.
    pub persona: T,
}

/// Held-out preference, length-normalised: `log pi(chosen)/|chosen| - log pi(rejected)/|rejected|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heldout {
    /// Share of pairs with a positive difference, in 0..=1.
    pub accuracy: f64,
    /// Mean difference, in nats a token.
    pub margin: f64,
    /// Mean of `beta * (log pi/ref of chosen - log pi/ref of rejected)`, in nats; only where a
    /// reference exists, so not for the base model itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implicit_reward_margin: Option<f64>,
}

/// Replies of the untrained and the final model to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// What was asked.
    pub question: String,
    /// Reply of the untrained model.
    pub base: String,
    /// Reply of the final model.
    pub persona: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keys_are_those_that_readers_rely_on() {
        let heldout = |margin| Heldout { accuracy: 0.5, margin, implicit_reward_margin: None };
        let summary = Summary {
            seconds_total: 12.0,
            peak_rss_bytes: Some(1024),
            stages: vec![StageSummary::new("student", 4.0, 100)],
            heldout: ByModel {
                base: heldout(-0.5),
                distilled: Heldout { implicit_reward_margin: Some(3.0), ..heldout(1.0) },
                persona: heldout(2.0),
            },
            perplexity: ByModel { base: 22.0, distilled: 23.0, persona: 24.0 },
            samples: vec![Sample {
                question: "Why?".into(),
                base: "Because.".into(),
                persona: "Oh, why indeed.".into(),
            }],
        };
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "seconds_total": 12.0,
                "peak_rss_bytes": 1024,
                "stages": [
                    {"name": "student", "seconds": 4.0, "tokens": 100, "tokens_per_sec": 25.0}
                ],
                "heldout": {
                    "base": {"accuracy": 0.5, "margin": -0.5},
                    "distilled": {"accuracy": 0.5, "margin": 1.0, "implicit_reward_margin": 3.0},
                    "persona": {"accuracy": 0.5, "margin": 2.0},
                },
                "perplexity": {"base": 22.0, "distilled": 23.0, "persona": 24.0},
                "samples": [
                    {"question": "Why?", "base": "Because.", "persona": "Oh, why indeed."}
                ],
            })
        );
        assert_eq!(serde_json::from_value::<Summary>(json).unwrap(), summary);
    }

    #[test]
    fn a_stage_without_time_has_rate_zero() {
        assert_eq!(StageSummary::new("merge", 0.0, 10).tokens_per_sec, 0.0);
    }
}
