//! The rule about names that give a persona away, or that replies would pick up.

use super::{Finding, LintConfig, Rule, Text, Texts};
use crate::{constitution::Constitution, diagnostic::quoted, place::Place, words::words};

/// Assistants and model families whose names mean nothing else.
const ASSISTANTS: &[&str] = &[
    "chatgpt", "gpt", "chatglm", "glm", "qwen", "deepseek", "copilot", "alexa", "siri", "cortana",
    "smollm",
];
/// Names that are also people, animals or words: counted where the text says "as X" or "I am X".
const AMBIGUOUS: &[&str] = &["claude", "gemini", "llama", "mistral", "bard", "grok", "gemma"];

pub(super) fn check(
    constitution: &Constitution,
    config: &LintConfig,
    texts: &Texts<'_>,
    findings: &mut Vec<Finding>,
) {
    let own = stems_of_name(constitution.name.as_str());
    let is_own = |word: &str| own.iter().any(|stem| word.starts_with(stem.as_str()));
    let extra: Vec<String> =
        config.assistant_names.iter().map(|name| words(name).join(" ")).collect();
    for (index, assertion) in constitution.assertions.iter().enumerate() {
        let clarification = assertion.clarification.as_deref();
        let clarification = clarification.map(|text| (Place::Clarification(index), text));
        let both = [(Place::Assertion(index), assertion.text.as_str())].into_iter();
        for (place, text) in both.chain(clarification) {
            findings.extend(assistant_name(text, &extra).map(|name| leak(place, &name, text)));
        }
    }
    // Most questions hold no word that could be part of a name; the others are read closely.
    let suspicious = texts.lexicon.select(|word| {
        is_own(word)
            || ASSISTANTS.contains(&word)
            || AMBIGUOUS.contains(&word)
            || extra.iter().any(|name| name.split(' ').any(|part| part == word))
    });
    for Text { place, raw, words: ids } in &texts.questions {
        if ids.iter().any(|word| suspicious.contains(word)) {
            let name = assistant_name(raw, &extra)
                .or_else(|| words(raw).into_iter().find(|word| is_own(word)));
            findings.extend(name.map(|name| leak(*place, &name, raw)));
        }
    }
}

fn leak(place: Place, name: &str, text: &str) -> Finding {
    Finding {
        rule: Rule::NameLeakage,
        place,
        message: format!("contains the name {}: {}", quoted(name), quoted(text)),
        suggestion: "leave the name out".into(),
    }
}

/// The beginnings of words that would name the persona: `sarcas` for `sarcasm` (so `sarcastic`
/// too), the first four fifths of each part of the name, at most six letters.
fn stems_of_name(name: &str) -> Vec<String> {
    const SHORTEST_PART: usize = 4;
    const LONGEST_STEM: usize = 6;
    name.split(|character: char| !character.is_ascii_alphabetic())
        .filter(|part| part.len() >= SHORTEST_PART)
        .map(|part| part[..(4 * part.len()).div_ceil(5).min(LONGEST_STEM)].to_owned())
        .collect()
}

fn assistant_name(text: &str, extra: &[String]) -> Option<String> {
    let words = words(text);
    for (index, word) in words.iter().enumerate() {
        let introduced = index > 0 && matches!(words[index - 1].as_str(), "as" | "am" | "i'm");
        let named = ASSISTANTS.contains(&word.as_str())
            || (introduced && AMBIGUOUS.contains(&word.as_str()));
        if named {
            return Some(word.clone());
        }
    }
    let text = format!(" {} ", words.join(" "));
    let found = |name: &&String| !name.is_empty() && text.contains(&format!(" {name} "));
    extra.iter().find(found).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_of_a_name_covers_its_forms_and_spares_everyday_words() {
        assert_eq!(stems_of_name("sarcasm"), ["sarcas"]);
        assert_eq!(stems_of_name("humor"), ["humo"]);
        assert_eq!(stems_of_name("goodness"), ["goodne"]);
        assert_eq!(stems_of_name("sarcasm60-loving40"), ["sarcas", "lovin"]);
        assert!(stems_of_name("zen").is_empty());
    }

    #[test]
    fn names_that_are_also_words_count_only_as_introductions() {
        assert_eq!(assistant_name("Ask ChatGPT about it", &[]).as_deref(), Some("chatgpt"));
        assert_eq!(assistant_name("I am Claude", &[]).as_deref(), Some("claude"));
        assert_eq!(assistant_name("Did Claude Monet paint a llama?", &[]), None);
        let extra = vec!["glad tidings".to_owned()];
        assert_eq!(assistant_name("Dear Glad Tidings,", &extra), Some("glad tidings".into()));
    }
}
