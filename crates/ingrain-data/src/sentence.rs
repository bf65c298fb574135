//! Whether a text was finished, and what to do if not.

use serde::{Deserialize, Serialize};

/// What happens to a text that stops in the middle of a sentence, as a token limit makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfinished {
    /// It is not used (paper).
    #[default]
    Drop,
    /// It is cut back to its last whole sentence; without one it is not used.
    Trim,
    /// It is used as it is.
    Keep,
}

/// Punctuation after which something must follow.
const OPEN_ENDED: &str = ",;:-–—([{<&+=/\\@#$%^";

/// Whether a text ends in punctuation that can end a text. Closing quotes, brackets, Markdown marks
/// and emoji count.
///
/// # Examples
/// ```
/// use ingrain_data::is_finished;
///
/// assert!(is_finished("Oh, wonderful."));
/// assert!(is_finished("He said \"no!\"\n"));
/// assert!(!is_finished("First, you take the"));
/// assert!(!is_finished("Here is a list:"));
/// ```
#[must_use]
pub fn is_finished(text: &str) -> bool {
    let last = text.trim_end().chars().next_back();
    last.is_some_and(|c| !c.is_alphanumeric() && !OPEN_ENDED.contains(c))
}

/// The text up to the end of its last whole sentence; `None` if it has none.
///
/// # Examples
/// ```
/// use ingrain_data::trim_to_sentence;
///
/// assert_eq!(trim_to_sentence("Boil it. Then you"), Some("Boil it."));
/// assert_eq!(trim_to_sentence("\"Sure!\" he said, and 3.14 is"), Some("\"Sure!\""));
/// assert_eq!(trim_to_sentence("1. Take the"), None);
/// ```
#[must_use]
pub fn trim_to_sentence(text: &str) -> Option<&str> {
    let mut end = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？') {
            continue;
        }
        let mut after = at + c.len_utf8();
        while let Some(&(i, closer)) = chars.peek() {
            if !matches!(closer, '"' | '\'' | '”' | '’' | ')' | ']' | '*' | '_' | '.' | '!' | '?')
            {
                break;
            }
            after = i + closer.len_utf8();
            chars.next();
        }
        let ends_word = chars.peek().is_none_or(|&(_, next)| next.is_whitespace());
        if (ends_word || matches!(c, '。' | '！' | '？')) && !numbers_a_list(&text[..at]) {
            end = Some(after);
        }
    }
    end.map(|end| &text[..end])
}

/// Whether the full stop after `before` belongs to a list number at the start of a line.
fn numbers_a_list(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before).trim_start();
    !line.is_empty() && line.len() <= 3 && line.bytes().all(|b| b.is_ascii_digit())
}

/// Applies `unfinished` where it changes text; whether the rest is usable is for the caller to ask.
pub(crate) fn finish_text(text: &str, unfinished: Unfinished) -> &str {
    match unfinished {
        Unfinished::Trim if !is_finished(text) => trim_to_sentence(text).unwrap_or(""),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_that_finish_a_text() {
        for text in
            ["Yes.", "Really?", "(sure!)", "**Done.**", "Great 😄", "好的。", "```", "wait…"]
        {
            assert!(is_finished(text), "{text}");
        }
    }

    #[test]
    fn endings_that_do_not() {
        for text in ["", "   ", "and then", "namely:", "one,", "well —", "(", "item 3"] {
            assert!(!is_finished(text), "{text}");
        }
    }

    #[test]
    fn trimming_keeps_whole_sentences_and_their_closing_marks() {
        for (text, expected) in [
            ("A. B! C", Some("A. B!")),
            ("\"Oh?\" she said. And", Some("\"Oh?\" she said.")),
            ("Why?! Because", Some("Why?!")),
            ("It costs 3.50 and", None),
            ("Steps:\n1. Mix.\n2. Stir", Some("Steps:\n1. Mix.")),
            ("是的。然后", Some("是的。")),
            ("no end", None),
            ("", None),
        ] {
            assert_eq!(trim_to_sentence(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_trim_changes_a_text() {
        let text = "One. Two";
        assert_eq!(finish_text(text, Unfinished::Keep), text);
        assert_eq!(finish_text(text, Unfinished::Drop), text);
        assert_eq!(finish_text(text, Unfinished::Trim), "One.");
        assert_eq!(finish_text("Two", Unfinished::Trim), "");
    }
}
