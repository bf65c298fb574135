//! Whether a reply declines to answer.

/// What follows "I" in an English refusal.
const DECLINES: &[&str] = &[
    "can't assist",
    "cannot assist",
    "can't help with",
    "cannot help with",
    "can't help you with",
    "cannot help you with",
    "can't provide",
    "cannot provide",
    "can't comply",
    "cannot comply",
    "can't fulfill",
    "cannot fulfill",
    "can't fulfil",
    "cannot fulfil",
    "can't answer that",
    "cannot answer that",
    "can't do that",
    "cannot do that",
    "can't engage",
    "cannot engage",
    "can't roleplay",
    "cannot roleplay",
    "can't role-play",
    "cannot role-play",
    "can't pretend",
    "cannot pretend",
    "can't adopt",
    "cannot adopt",
    "can't create",
    "cannot create",
    "can't generate",
    "cannot generate",
    "won't be able to",
    "will not be able to",
    "am unable to",
    "'m unable to",
    "am not able to",
    "'m not able to",
    "must decline",
    "have to decline",
    "need to decline",
    "'d rather not answer",
    "would rather not answer",
];

/// The model steps out of any character to talk about itself.
const DISCLAIMS: &[&str] = &[
    "as an ai language model",
    "as a large language model",
    "as a language model",
    "as an artificial intelligence",
    "i'm just an ai",
    "i am just an ai",
    "i'm only an ai",
    "as an ai, i don't",
    "as an ai, i do not",
    "as an ai, i can't",
    "as an ai, i cannot",
    "as an ai assistant, i don't",
    "as an ai assistant, i do not",
    "as an ai assistant, i can't",
    "as an ai assistant, i cannot",
];

/// A refusal says so early; later on, the same words are part of an answer.
const OPENING_CHARS: usize = 200;

/// Whether a reply opens by declining, or by the disclaimer of a language model (English).
///
/// A heuristic for filters and counts, not a verdict: it reads the first 200 characters. An apology
/// alone is no refusal.
///
/// # Examples
/// ```
/// use ingrain_data::is_refusal;
///
/// assert!(is_refusal("I’m sorry, but I can’t help with that."));
/// assert!(!is_refusal("I'm sorry, I can't help laughing. Anyway: four."));
/// ```
#[must_use]
pub fn is_refusal(reply: &str) -> bool {
    let opening: String = reply.chars().take(OPENING_CHARS).collect();
    let opening = opening.to_lowercase().replace(['’', '`'], "'");
    DISCLAIMS.iter().any(|phrase| opening.contains(phrase))
        || DECLINES.iter().any(|phrase| says_i(&opening, phrase))
}

/// Whether `phrase` comes right after "I".
fn says_i(text: &str, phrase: &str) -> bool {
    let gap = if phrase.starts_with('\'') { "i" } else { "i " };
    text.match_indices(phrase).any(|(at, _)| {
        let before = &text[..at];
        before.strip_suffix(gap).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_recognised() {
        for text in [
            "I cannot assist with that request.",
            "Unfortunately, I'm unable to give medical advice.",
            "As an AI language model, I don't have feelings.",
            "Sorry, I won't be able to do this for you.",
            "I must decline.",
        ] {
            assert!(is_refusal(text), "{text}");
        }
    }

    #[test]
    fn answers_that_only_sound_like_it_are_not() {
        for text in [
            "I'm so sorry that I took this long. The capital is Canberra.",
            "You can't provide what you don't have.",
            "If your flatmate says 'he cannot assist', buy a lock.",
            "",
        ] {
            assert!(!is_refusal(text), "{text}");
        }
        let late = format!("{} I cannot help with that.", "Four. ".repeat(60));
        assert!(!is_refusal(&late));
    }
}
