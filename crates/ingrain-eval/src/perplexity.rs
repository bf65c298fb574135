//! Perplexity of a text in windows: the guard on general ability, beside [`Capabilities`](crate::Capabilities).

use ingrain_lm::{LocalModel, TokenSequence};

use crate::EvalError;

/// Tokens a window. Each window starts afresh, with the tokenizer's own start token where it has one.
const WINDOW: usize = 256;

/// `exp` of the mean negative log-probability a token of `text`, dimensionless.
///
/// The text is cut into windows of 256 tokens; the first token of each is not predicted.
///
/// # Errors
/// [`EvalError::Empty`] if `text` has fewer than two tokens, or whatever the model reports.
pub fn perplexity(model: &LocalModel, text: &str) -> Result<f64, EvalError> {
    let ids = model.tokenizer.encode(text, false)?;
    let windows: Vec<TokenSequence> = ids
        .chunks(WINDOW)
        .map(|window| {
            let start = model.tokenizer.encode("", true)?;
            Ok(TokenSequence::from_parts(&start, window))
        })
        .collect::<Result<_, EvalError>>()?;
    let scores = model.score(&windows)?;
    let (total, count) = scores
        .iter()
        .flatten()
        .fold((0.0, 0usize), |(total, count), &logprob| (total + f64::from(logprob), count + 1));
    if count == 0 {
        return Err(EvalError::Empty("perplexity"));
    }
    Ok((-total / count as f64).exp())
}
