//! Rules about what assertions say.

use super::{Finding, MAX_FINDINGS_PER_RULE, Rule, Texts, conflicts::ConflictFinder};
use crate::{
    constitution::{Assertion, Constitution, Facet},
    diagnostic::quoted,
    place::Place,
    words::{near_duplicates, words},
};

pub(super) fn check(constitution: &Constitution, texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    const FEWEST_QUESTIONS: usize = 5;
    for (index, assertion) in constitution.assertions.iter().enumerate() {
        let place = Place::Assertion(index);
        let mut push = |rule, message: String, suggestion: &str| {
            findings.push(Finding { rule, place, message, suggestion: suggestion.into() });
        };
        if !is_first_person(&assertion.text) {
            push(
                Rule::NotFirstPerson,
                format!("does not speak as \"I\": {}", quoted(&assertion.text)),
                "rewrite it as a sentence that the assistant says about itself",
            );
        } else if is_stated_value(assertion) {
            push(
                Rule::StatedValue,
                format!("names a value and shows no behaviour: {}", quoted(&assertion.text)),
                "say what somebody with this value does, says or leaves out",
            );
        }
        if let Some(phrase) = scripted_phrase(&assertion.text) {
            push(
                Rule::ScriptedPhrase,
                format!("prescribes the phrase {}", quoted(phrase)),
                "describe the disposition behind it, and leave the words to the moment",
            );
        }
        let count = assertion.all_questions().count();
        if count < FEWEST_QUESTIONS {
            push(
                Rule::TooFewQuestions,
                format!("has {count} question{}", if count == 1 { "" } else { "s" }),
                "write at least 5 messages that give it room to show",
            );
        }
        if assertion.clarification.is_none() {
            push(
                Rule::MissingClarification,
                "has no clarification".into(),
                "say what it looks like in practice, and where it stops",
            );
        }
    }
    compare(texts, findings);
}

/// Assertions that are compared for conflicts, which is quadratic.
const MOST_COMPARED: usize = 200;

/// Rules about pairs of assertions.
fn compare(texts: &Texts<'_>, findings: &mut Vec<Finding>) {
    let words: Vec<&[u32]> = texts.assertions.iter().map(|text| text.words.as_slice()).collect();
    let duplicates = near_duplicates(&words, None, MAX_FINDINGS_PER_RULE);
    for (earlier, later) in &duplicates {
        findings.push(Finding {
            rule: Rule::NearDuplicateAssertions,
            place: Place::Assertion(*later),
            message: format!("says nearly the same as assertion {}", earlier + 1),
            suggestion: "merge the two, or say what sets them apart".into(),
        });
    }
    let mut finder = ConflictFinder::new();
    let claims: Vec<_> =
        texts.assertions.iter().take(MOST_COMPARED).map(|text| finder.claims(text.raw)).collect();
    let mut found = 0;
    for later in 0..claims.len() {
        for earlier in 0..later {
            let Some(conflict) = finder.conflict(&claims[earlier], &claims[later]) else {
                continue;
            };
            findings.push(Finding {
                rule: Rule::ConflictingAssertions,
                place: Place::Assertion(later),
                message: format!("conflicts with assertion {}: {conflict}", earlier + 1),
                suggestion: "keep one, or say when each of them holds".into(),
            });
            found += 1;
            if found == MAX_FINDINGS_PER_RULE {
                return;
            }
        }
    }
}

const FIRST_PERSON: &[&str] = &["i", "i'm", "i'd", "i'll", "i've", "me", "mine", "my", "myself"];

/// Whether the first sentence is about "I".
fn is_first_person(text: &str) -> bool {
    let first = text.split_inclusive(['.', '!', '?', '\n']).find(|part| !words(part).is_empty());
    words(first.unwrap_or(text)).iter().any(|word| FIRST_PERSON.contains(&word.as_str()))
}

/// Verbs after "I" that name an attitude; with these alone nobody knows what to write.
const STATIVE: &[&str] = &[
    "value",
    "believe",
    "respect",
    "cherish",
    "appreciate",
    "prize",
    "treasure",
    "esteem",
    "support",
    "embrace",
    "admire",
    "uphold",
    "champion",
    "possess",
    "strive",
    "aspire",
    "stand",
    "care",
    "am",
    "have",
];
/// Phrases that name a value without an "I" in front.
const STATED_PHRASES: &[&str] = &[
    "is important to me",
    "are important to me",
    "matters to me",
    "matter to me",
    "matters a lot to me",
    "means a lot to me",
    "one of my values",
    "my core value",
    "my highest value",
    "my values",
];
/// Words between "I" and its verb that do not decide anything.
const ADVERBS: &[&str] = &[
    "always",
    "also",
    "deeply",
    "really",
    "truly",
    "strongly",
    "firmly",
    "greatly",
    "highly",
    "genuinely",
    "simply",
    "do",
    "will",
    "never",
    "still",
];
/// What opens a clause that may say when or how, and so makes a statement a description.
const SUBORDINATE: &[&str] = &["who", "when", "whenever", "if", "by", "so", "even", "until"];

/// Whether every clause about "I" only names an attitude.
fn is_stated_value(assertion: &Assertion) -> bool {
    let lower = assertion.text.to_lowercase();
    let mut first_person_clauses = 0;
    for clause in lower.split(['.', ';', ':', ',', '!', '?', '\u{2014}']) {
        let words = words(clause);
        let Some(subject) = words.iter().position(|word| matches!(word.as_str(), "i" | "i'm"))
        else {
            continue;
        };
        first_person_clauses += 1;
        let verb = if words[subject] == "i'm" {
            Some("am")
        } else {
            words[subject + 1..].iter().map(String::as_str).find(|word| !ADVERBS.contains(word))
        };
        let stative = verb.is_some_and(|verb| STATIVE.contains(&verb));
        // "I am a librarian at heart" is what an identity or a role says.
        let of_being = matches!(verb, Some("am" | "have"))
            && matches!(assertion.facet, Facet::Identity | Facet::Role);
        let described = words.iter().any(|word| SUBORDINATE.contains(&word.as_str()));
        if !stative || of_being || described {
            return false;
        }
    }
    first_person_clauses > 0 || STATED_PHRASES.iter().any(|phrase| lower.contains(phrase))
}

/// Words that turn a quoted phrase into something to be repeated.
const REPETITION: &[&str] = &[
    "always",
    "every",
    "each",
    "whenever",
    "repeat",
    "catchphrase",
    "motto",
    "slogan",
    "sign",
    "constantly",
];

/// A quoted phrase that the assistant is to say again and again.
fn scripted_phrase(text: &str) -> Option<&str> {
    let words = words(text);
    let repeated = words.iter().any(|word| REPETITION.contains(&word.as_str()));
    if repeated { quotation(text) } else { None }
}

/// Characters in which a quotation must end to count as a phrase.
const LONGEST_PHRASE: usize = 120;

/// The first quotation in a text. A straight single quote opens one only after a space or at the
/// start, and closes it only before a space, punctuation or the end, so apostrophes do not count.
fn quotation(text: &str) -> Option<&str> {
    let mut previous = ' ';
    for (start, open) in text.char_indices() {
        let close = match open {
            '"' => '"',
            '\u{201c}' => '\u{201d}',
            '\u{2018}' => '\u{2019}',
            '\'' if previous.is_whitespace() || previous == '(' => '\'',
            _ => {
                previous = open;
                continue;
            }
        };
        previous = open;
        let inner = &text[start + open.len_utf8()..];
        let end = inner.char_indices().take(LONGEST_PHRASE).find(|(at, character)| {
            let after = inner[at + character.len_utf8()..].chars().next();
            *character == close && after.is_none_or(|after| !after.is_alphanumeric())
        });
        if let Some((end, _)) = end
            && !words(&inner[..end]).is_empty()
        {
            return Some(&inner[..end]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assertion(text: &str, facet: Facet) -> Assertion {
        Assertion {
            text: text.into(),
            facet,
            clarification: None,
            questions: Vec::new(),
            additional_questions: Vec::new(),
        }
    }

    #[test]
    fn first_person_means_that_the_first_sentence_is_about_i() {
        for good in
            ["I joke.", "My jokes are dry.", "However dry it gets, I answer.", "I\u{2019}m slow."]
        {
            assert!(is_first_person(good), "{good}");
        }
        for bad in ["The assistant jokes.", "Be kind.", "You always joke. I do too.", "Itself."] {
            assert!(!is_first_person(bad), "{bad}");
        }
    }

    #[test]
    fn a_stated_value_is_an_attitude_without_an_act() {
        for bad in [
            "I value honesty.",
            "I deeply care about people, and I believe in fairness.",
            "I am kind and patient.",
            "Honesty is important to me.",
        ] {
            assert!(is_stated_value(&assertion(bad, Facet::Value)), "{bad}");
        }
        for good in [
            "I value honesty, so I say when I guess.",
            "I am gentle when somebody fails.",
            "I tell the truth.",
            "I care for people by listening first.",
        ] {
            assert!(!is_stated_value(&assertion(good, Facet::Value)), "{good}");
        }
        let being = "I am a lighthouse keeper at heart.";
        assert!(!is_stated_value(&assertion(being, Facet::Identity)));
        assert!(is_stated_value(&assertion(being, Facet::Trait)));
    }

    #[test]
    fn only_a_quoted_phrase_to_be_repeated_is_scripted() {
        assert_eq!(scripted_phrase("I open every reply with 'Well, well'."), Some("Well, well"));
        assert_eq!(scripted_phrase("I always say \u{201c}howdy\u{201d}."), Some("howdy"));
        assert_eq!(scripted_phrase("I don't rush, and I always say so; it's odd."), None);
        assert_eq!(scripted_phrase("I would rather say 'no' than lie."), None);
    }
}
