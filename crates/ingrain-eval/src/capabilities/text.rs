//! Log-probabilities of raw text: what multiple choice stands on.

use ingrain_chat::{ChatError, Message, Score, ScoreRequest, Scorer};

/// A text and what precedes it, as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRequest {
    /// What precedes; may be empty.
    pub context: String,
    /// The text to score. Spaces at the seam belong here.
    pub continuation: String,
}

/// Anything that gives the log-probabilities of a text behind another.
pub trait TextScorer: Send + Sync {
    /// One result a request, in order. What only the start of a text precedes may go unscored.
    fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>>;
}

/// A chat scorer in the place of a text scorer: the context is what the user says, the continuation what
/// the assistant answers, end of turn included.
///
/// For endpoints and for methods that are a system prompt. Figures differ from those of raw text.
#[derive(Clone)]
pub struct AsChat<'a> {
    /// Who scores.
    pub scorer: &'a dyn Scorer,
    /// What the model is told first.
    pub system: Option<String>,
}

impl TextScorer for AsChat<'_> {
    fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>> {
        let request = |request: &TextRequest| {
            let system = self.system.iter().map(Message::system);
            let user = match request.context.trim_end() {
                "" => "Continue.",
                context => context,
            };
            ScoreRequest {
                messages: system.chain([Message::user(user)]).collect(),
                continuation: request.continuation.trim_start().to_owned(),
            }
        };
        self.scorer.logprobs(&requests.iter().map(request).collect::<Vec<_>>())
    }
}

#[cfg(feature = "local")]
mod local {
    use ingrain_chat::{ChatError, Score};
    use ingrain_lm::{LmError, LocalModel, TokenSequence};

    use super::{TextRequest, TextScorer};

    impl TextScorer for LocalModel {
        /// Both texts are tokenised as one, and cut where the context alone would end.
        fn score_texts(&self, requests: &[TextRequest]) -> Vec<Result<Score, ChatError>> {
            let invalid = |error: LmError| ChatError::InvalidRequest(error.to_string());
            let sequences: Vec<Result<TokenSequence, ChatError>> =
                requests.iter().map(|r| sequence(self, r).map_err(invalid)).collect();
            let good: Vec<TokenSequence> =
                sequences.iter().filter_map(|s| s.as_ref().ok().cloned()).collect();
            let mut scores = match self.score_sharing(&good) {
                Ok(scores) => scores.into_iter(),
                Err(error) => {
                    let failed = |_| Err(ChatError::Model(error.to_string()));
                    return requests.iter().map(failed).collect();
                }
            };
            let score = |sequence: Result<TokenSequence, ChatError>| {
                let sequence = sequence?;
                let each = sequence.ids.iter().zip(&sequence.completion).skip(1);
                let token_ids = each.filter(|(_, is)| **is).map(|(&id, _)| id).collect();
                Ok(Score { token_ids, logprobs: scores.next().unwrap_or_default() })
            };
            sequences.into_iter().map(score).collect()
        }
    }

    fn sequence(model: &LocalModel, request: &TextRequest) -> Result<TokenSequence, LmError> {
        let TextRequest { context, continuation } = request;
        let kept = context.trim_end();
        let all = model.tokenizer.encode(&format!("{context}{continuation}"), true)?;
        let start = model.tokenizer.encode(kept, true)?.len().min(all.len());
        let sequence = TokenSequence::from_parts(&all[..start], &all[start..]);
        model.model.check_tokens("the text", &sequence.ids)?;
        model.model.check_length("the text", sequence.ids.len())?;
        Ok(sequence)
    }
}
