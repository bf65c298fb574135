//! Rules about what questions ask.

use std::collections::BTreeSet;

use super::{Finding, LintConfig, MAX_FINDINGS_PER_RULE, Rule};
use crate::{
    constitution::Constitution,
    diagnostic::quoted,
    place::Place,
    words::{content_stems, near_duplicates, words},
};

pub(super) fn check(constitution: &Constitution, config: &LintConfig, findings: &mut Vec<Finding>) {
    let mut places = Vec::new();
    let mut texts = Vec::new();
    for (index, assertion) in constitution.assertions.iter().enumerate() {
        let subject = content_stems(&assertion.text);
        for (question, text) in assertion.all_questions().enumerate() {
            let place = Place::Question { assertion: index, question };
            if asks_about_trait(text, &subject) {
                findings.push(Finding {
                    rule: Rule::QuestionAsksAboutTrait,
                    place,
                    message: format!("asks the assistant about itself: {}", quoted(text)),
                    suggestion: "ask for something ordinary that the trait can colour".into(),
                });
            }
            places.push(place);
            texts.push(text);
        }
    }
    repeated(&places, &texts, findings);
    held_out(constitution, config, &places, &texts, findings);
}

fn repeated(places: &[Place], texts: &[&str], findings: &mut Vec<Finding>) {
    for (earlier, later) in near_duplicates(texts, None, MAX_FINDINGS_PER_RULE) {
        findings.push(Finding {
            rule: Rule::NearDuplicateQuestions,
            place: places[later],
            message: format!(
                "is nearly the same as {}: {} and {}",
                places[earlier],
                quoted(texts[later]),
                quoted(texts[earlier])
            ),
            suggestion: "replace one of the two".into(),
        });
    }
}

fn held_out(
    constitution: &Constitution,
    config: &LintConfig,
    places: &[Place],
    texts: &[&str],
    findings: &mut Vec<Finding>,
) {
    let held_out = constitution.heldout_questions.iter().chain(&config.heldout_questions);
    let mut all: Vec<&str> = held_out.map(String::as_str).collect();
    let first_question = all.len();
    all.extend(texts);
    for (held_out, later) in near_duplicates(&all, Some(first_question), MAX_FINDINGS_PER_RULE) {
        findings.push(Finding {
            rule: Rule::HeldoutLeakage,
            place: places[later - first_question],
            message: format!("is (nearly) the held-out question {}", quoted(all[held_out])),
            suggestion: "replace it: held-out questions are for evaluation only".into(),
        });
    }
}

/// Openings that make the assistant itself the subject.
const SELF_OPENINGS: &[&str] = &[
    "are you", "do you", "would you say you", "would you describe yourself", "have you ever",
    "why are you", "why do you", "how do you feel", "what makes you", "can you be", "could you be",
    "do you consider", "would you call yourself", "tell me about your",
];
/// Phrases that ask for a self-description whatever the trait is.
const SELF_DESCRIPTION: &[&str] = &[
    "describe yourself", "your personality", "your character", "your traits", "your values",
    "your principles", "your constitution", "your tone", "your style", "your manner",
    "what kind of assistant", "what sort of assistant", "who are you", "what are you like",
    "your instructions", "your system prompt",
];

/// Whether a question asks the assistant for a description of itself, or asks it about the very
/// thing that the assertion says.
fn asks_about_trait(question: &str, subject: &BTreeSet<String>) -> bool {
    let text = words(question).join(" ");
    if SELF_DESCRIPTION.iter().any(|phrase| contains_phrase(&text, phrase)) {
        return true;
    }
    let about_self = SELF_OPENINGS.iter().any(|opening| {
        text.strip_prefix(opening).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    about_self && content_stems(question).iter().any(|stem| is_about(stem, subject))
}

/// Whether a stem is one of the subject's, or a longer or shorter form of one
/// (`honest` and `honesty`).
fn is_about(stem: &str, subject: &BTreeSet<String>) -> bool {
    const SHORTEST: usize = 4;
    subject.iter().any(|other| {
        other == stem
            || (stem.len().min(other.len()) >= SHORTEST
                && (stem.starts_with(other.as_str()) || other.starts_with(stem)))
    })
}

/// Whether whole words of `text` spell `phrase`; both have single spaces.
fn contains_phrase(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + phrase.len()..].chars().next();
        before.is_none_or(|c| c == ' ') && after.is_none_or(|c| c == ' ')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_about_the_assertion_itself_is_found() {
        let subject = content_stems("I tell honest truths with dry jokes.");
        for bad in ["Are you honest?", "Do you like joking?", "How would you describe yourself?",
            "What are your values?"]
        {
            assert!(asks_about_trait(bad, &subject), "{bad}");
        }
        for good in ["Are you able to convert miles?", "Tell me a joke.", "Is my cat honest?",
            "Do you know Paris?", "What did your grandfather do?"]
        {
            assert!(!asks_about_trait(good, &subject), "{good}");
        }
    }
}
