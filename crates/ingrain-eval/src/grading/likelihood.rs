//! Which description of a character makes a reply likeliest?

use ingrain_chat::{ChatError, Message, ScoreRequest, Scorer};
use ingrain_stats::softmax;

use super::{GradedText, Grader};

/// Grades by likelihood: a model reads the message under a system prompt for each character, and the
/// reply is of the character whose prompt makes it likeliest.
///
/// It needs no training and no judge, and knows nothing of how the replies came about; but it sees what
/// the scoring model sees, which in a small model is diction before meaning.
#[derive(Clone, Debug)]
pub struct LikelihoodGrader<S> {
    scorer: S,
    labels: Vec<String>,
    systems: Vec<Option<String>>,
    /// Subtracted from the mean log-probability under each prompt, nats a token.
    offsets: Vec<f64>,
}

impl<S: Scorer> LikelihoodGrader<S> {
    /// A grader for characters by label and system prompt; a character without a prompt is the plain
    /// assistant.
    pub fn new(scorer: S, characters: impl IntoIterator<Item = (String, Option<String>)>) -> Self {
        let (labels, systems): (Vec<_>, Vec<_>) = characters.into_iter().unzip();
        let offsets = vec![0.0; labels.len()];
        Self { scorer, labels, systems, offsets }
    }

    /// The same with the pull of each prompt taken off: what it gives on average to texts that are of all
    /// characters in equal parts. Texts that cannot be scored are left out.
    #[must_use]
    pub fn calibrated(mut self, balanced: &[GradedText<'_>]) -> Self {
        let rows: Vec<(Vec<f64>, usize)> = self.means(balanced).into_iter().flatten().collect();
        for (index, offset) in self.offsets.iter_mut().enumerate() {
            let total: f64 = rows.iter().map(|(means, _)| means[index]).sum();
            *offset = total / rows.len().max(1) as f64;
        }
        self
    }

    /// What each prompt gives to everybody, nats a token; 0 where nothing was calibrated.
    #[must_use]
    pub fn offsets(&self) -> &[f64] {
        &self.offsets
    }

    /// The same with offsets that were found before; ignored unless there is one a character.
    #[must_use]
    pub fn with_offsets(mut self, offsets: &[f64]) -> Self {
        if offsets.len() == self.labels.len() {
            self.offsets = offsets.to_vec();
        }
        self
    }

    /// Mean log-probability a token of each text under each prompt, and its tokens.
    fn means(&self, texts: &[GradedText<'_>]) -> Vec<Result<(Vec<f64>, usize), ChatError>> {
        let mut requests = Vec::with_capacity(texts.len() * self.labels.len());
        for text in texts {
            requests.extend(self.systems.iter().map(|system| {
                ScoreRequest {
                    messages: system
                        .iter()
                        .map(Message::system)
                        .chain([Message::user(text.message)])
                        .collect(),
                    continuation: text.reply.to_owned(),
                }
            }));
        }
        let mut scores = self.scorer.logprobs(&requests).into_iter();
        let of_text = |_| {
            let scores: Vec<_> = scores.by_ref().take(self.labels.len()).collect();
            let scores = scores.into_iter().collect::<Result<Vec<_>, _>>()?;
            let tokens = scores.first().map_or(0, |score| score.logprobs.len());
            Ok((scores.iter().map(ingrain_chat::Score::mean).collect(), tokens))
        };
        texts.iter().map(of_text).collect()
    }
}

impl<S: Scorer> Grader for LikelihoodGrader<S> {
    fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Posterior probabilities with equal priors.
    fn grade(&self, texts: &[GradedText<'_>]) -> Vec<Result<Vec<f64>, ChatError>> {
        let posterior = |(means, tokens): (Vec<f64>, usize)| {
            let each = means.iter().zip(&self.offsets);
            let logits: Vec<f64> = each.map(|(m, offset)| tokens as f64 * (m - offset)).collect();
            softmax(&logits, 1.0)
        };
        self.means(texts).into_iter().map(|row| row.map(posterior)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ingrain_chat::{Role, Score, ScriptedScorer};

    /// Two tokens: -1 each where the reply has a word of the prompt, -2 otherwise; any reply is a nat
    /// likelier under "loud".
    fn scorer() -> ScriptedScorer {
        ScriptedScorer::from_fn(|request| {
            let system = request.messages.iter().find(|m| m.role == Role::System);
            let system = system.map_or("", |m| m.content.as_str());
            let fits = !system.is_empty() && request.continuation.contains(system);
            let pull = if system == "loud" { 1.0 } else { 0.0 };
            let logprob = pull + if fits { -1.0 } else { -2.0 };
            Score { token_ids: vec![0; 2], logprobs: vec![logprob; 2] }
        })
    }

    fn characters() -> Vec<(String, Option<String>)> {
        ["loud", "calm"].map(|name| (name.to_owned(), Some(name.to_owned()))).to_vec()
    }

    fn text(reply: &str) -> GradedText<'_> {
        GradedText { message: "m", reply }
    }

    #[test]
    fn the_posterior_is_that_of_the_summed_log_probabilities() {
        let grader = LikelihoodGrader::new(scorer(), characters());
        // loud: 2 * (1 - 1) = 0; calm: 2 * -2 = -4.
        let row = grader.grade(&[text("so loud")]).remove(0).expect("scored");
        assert!((row[0] - 1.0 / (1.0 + (-4.0_f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn calibration_takes_off_what_a_prompt_gives_to_everybody() {
        let plain = LikelihoodGrader::new(scorer(), characters());
        let calm = plain.grade(&[text("so calm")]).remove(0).expect("scored");
        assert_eq!(calm[0], calm[1], "the pull of a nat hides it");
        let grader = plain.calibrated(&[text("so loud"), text("so calm")]);
        let calm = grader.grade(&[text("so calm")]).remove(0).expect("scored");
        assert!(calm[1] > 0.8, "{calm:?}");
    }
}
