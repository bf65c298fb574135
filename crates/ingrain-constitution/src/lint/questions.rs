//! Rules about what questions ask.

use std::collections::BTreeSet;

use super::{Finding, MAX_FINDINGS_PER_RULE, Rule, Text, Texts};
use crate::{
    diagnostic::quoted,
    place::Place,
    words::{Lexicon, near_duplicates, words},
};

pub(super) fn check(texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    about_the_trait(texts, findings);
    repeated(texts, findings);
    held_out(texts, findings);
}

/// Words of an assertion that questions are compared with.
const LONGEST_SUBJECT: usize = 200;

fn about_the_trait(texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    // Every phrase below has one of these words, and few questions do.
    let telltale =
        texts.lexicon.select(|word| matches!(word, "you" | "your" | "yourself" | "assistant"));
    for question in &texts.questions {
        if !question.words.iter().any(|word| telltale.contains(word)) {
            continue;
        }
        let Place::Question { assertion, .. } = question.place else { continue };
        let subject = texts.assertions[assertion].words.iter().take(LONGEST_SUBJECT).copied();
        let subject = texts.lexicon.content(&subject.collect::<Vec<_>>());
        if asks_about_trait(question, &subject, &texts.lexicon) {
            findings.push(Finding {
                rule: Rule::QuestionAsksAboutTrait,
                place: question.place,
                message: format!("asks the assistant about itself: {}", quoted(question.raw)),
                suggestion: "ask for something ordinary that the trait can colour".into(),
            });
        }
    }
}

fn repeated(texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    let words: Vec<&[u32]> = texts.questions.iter().map(|text| text.words.as_slice()).collect();
    for (earlier, later) in near_duplicates(&words, None, MAX_FINDINGS_PER_RULE) {
        let (earlier, later) = (&texts.questions[earlier], &texts.questions[later]);
        let (this, that) = (quoted(later.raw), quoted(earlier.raw));
        findings.push(Finding {
            rule: Rule::NearDuplicateQuestions,
            place: later.place,
            message: format!("is nearly the same as {}: {this} and {that}", earlier.place),
            suggestion: "replace one of the two".into(),
        });
    }
}

fn held_out(texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    let all: Vec<&Text<'_>> = texts.held_out.iter().chain(&texts.questions).collect();
    let words: Vec<&[u32]> = all.iter().map(|text| text.words.as_slice()).collect();
    let split = Some(texts.held_out.len());
    for (held_out, question) in near_duplicates(&words, split, MAX_FINDINGS_PER_RULE) {
        findings.push(Finding {
            rule: Rule::HeldoutLeakage,
            place: all[question].place,
            message: format!("is (nearly) the held-out question {}", quoted(all[held_out].raw)),
            suggestion: "replace it: held-out questions are for evaluation only".into(),
        });
    }
}

/// Openings that make the assistant itself the subject.
const SELF_OPENINGS: &[&str] = &[
    "are you",
    "do you",
    "would you say you",
    "would you describe yourself",
    "have you ever",
    "why are you",
    "why do you",
    "how do you feel",
    "what makes you",
    "can you be",
    "could you be",
    "do you consider",
    "would you call yourself",
    "tell me about your",
];
/// Phrases that ask for a self-description whatever the trait is.
const SELF_DESCRIPTION: &[&str] = &[
    "describe yourself",
    "your personality",
    "your character",
    "your traits",
    "your values",
    "your principles",
    "your constitution",
    "your tone",
    "your style",
    "your manner",
    "what kind of assistant",
    "what sort of assistant",
    "who are you",
    "what are you like",
    "your instructions",
    "your system prompt",
];

/// Whether a question asks the assistant for a description of itself, or asks it about the very
/// thing that the assertion says.
fn asks_about_trait(question: &Text<'_>, subject: &BTreeSet<u32>, lexicon: &Lexicon) -> bool {
    let text = words(question.raw).join(" ");
    if SELF_DESCRIPTION.iter().any(|phrase| contains_phrase(&text, phrase)) {
        return true;
    }
    let about_self = SELF_OPENINGS.iter().any(|opening| {
        text.strip_prefix(opening).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    let stems = || lexicon.content(&question.words);
    about_self && stems().iter().any(|stem| is_about(*stem, subject, lexicon))
}

/// Whether a stem is one of the subject's, or a longer or shorter form of one
/// (`honest` and `honesty`).
fn is_about(stem: u32, subject: &BTreeSet<u32>, lexicon: &Lexicon) -> bool {
    const SHORTEST: usize = 4;
    let one = lexicon.spelling(stem);
    subject.contains(&stem)
        || subject.iter().any(|other| {
            let other = lexicon.spelling(*other);
            one.len().min(other.len()) >= SHORTEST
                && (one.starts_with(other) || other.starts_with(one))
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
        let asks = |question| {
            let mut lexicon = Lexicon::default();
            let subject = lexicon.words("I tell honest truths with dry jokes.");
            let place = Place::Question { assertion: 0, question: 0 };
            let words = lexicon.words(question);
            let subject = lexicon.content(&subject);
            asks_about_trait(&Text { place, raw: question, words }, &subject, &lexicon)
        };
        for bad in [
            "Are you honest?",
            "Do you like joking?",
            "How would you describe yourself?",
            "What are your values?",
        ] {
            assert!(asks(bad), "{bad}");
        }
        for good in [
            "Are you able to convert miles?",
            "Tell me a joke.",
            "Is my cat honest?",
            "Do you know Paris?",
            "What did your grandfather do?",
        ] {
            assert!(!asks(good), "{good}");
        }
    }
}
