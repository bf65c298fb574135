//! Constitutions to YAML, in one fixed layout: the keys in the order of the fields, defaults
//! left out, a text plain where every YAML reader takes it for the same text, else quoted.

use std::fmt::Write as _;

use crate::constitution::Constitution;

impl Constitution {
    /// The constitution in the YAML format; [`Constitution::parse`] gives the same value back.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        line(&mut out, 0, "name", self.name.as_str());
        line(&mut out, 0, "summary", &self.summary);
        if self.research_only {
            out.push_str("research_only: true\n");
        }
        if let Some(big_five) = &self.big_five {
            emit_big_five(&mut out, big_five);
        }
        let metadata = &self.metadata;
        if !metadata.is_empty() {
            out.push_str("metadata:\n");
            optional_line(&mut out, 2, "license", metadata.license.as_deref());
            list(&mut out, 2, "authors", &metadata.authors);
            optional_line(&mut out, 2, "version", metadata.version.as_deref());
        }
        if self.assertions.is_empty() {
            out.push_str("assertions: []\n");
        } else {
            out.push_str("assertions:\n");
        }
        for assertion in &self.assertions {
            let _ = writeln!(out, "  - text: {}", scalar(&assertion.text));
            line(&mut out, 4, "facet", assertion.facet.as_str());
            optional_line(&mut out, 4, "clarification", assertion.clarification.as_deref());
            list(&mut out, 4, "questions", &assertion.questions);
            list(&mut out, 4, "additional_questions", &assertion.additional_questions);
        }
        list(&mut out, 0, "heldout_questions", &self.heldout_questions);
        out
    }
}

fn emit_big_five(out: &mut String, big_five: &crate::constitution::BigFive) {
    if big_five.targets().next().is_none() {
        out.push_str("big_five: {}\n");
        return;
    }
    out.push_str("big_five:\n");
    for (factor, value) in big_five.targets() {
        // `{:?}` keeps the fraction (`1.0`) and every digit needed to read the same number.
        let _ = writeln!(out, "  {factor}: {value:?}");
    }
}

fn line(out: &mut String, indent: usize, key: &str, text: &str) {
    let _ = writeln!(out, "{:indent$}{key}: {}", "", scalar(text));
}

fn optional_line(out: &mut String, indent: usize, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        line(out, indent, key, text);
    }
}

fn list(out: &mut String, indent: usize, key: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let _ = writeln!(out, "{:indent$}{key}:", "");
    for text in texts {
        let _ = writeln!(out, "{:indent$}  - {}", "", scalar(text));
    }
}

/// `text` as a YAML scalar on one line.
fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { double_quoted(text) }
}

/// Whether YAML 1.1 and 1.2 readers both take the bare `text` for this very string.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let safe_start = first.is_alphabetic();
    let safe_inside = text.chars().all(|character| {
        matches!(character, ' '..='~') || (character.is_alphabetic() && !character.is_control())
    });
    let ends_well = !text.ends_with([' ', ':']);
    let separators = [": ", " #", "\t"].iter().any(|separator| text.contains(separator));
    // Words that some reader resolves to something else than text: booleans, null, numbers.
    let lower = text.to_ascii_lowercase();
    let reserved = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];
    safe_start
        && safe_inside
        && ends_well
        && !separators
        && !reserved.contains(&lower.as_str())
        && text.parse::<f64>().is_err()
}

fn double_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(character),
            _ if needs_escape(character) => {
                let code = u32::from(character);
                let _ = if code <= 0xffff {
                    write!(out, "\\u{code:04X}")
                } else {
                    write!(out, "\\U{code:08X}")
                };
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Characters that YAML does not count as printable, or that look like a line break or nothing.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || matches!(character,
        '\u{85}' | '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}'
        )
        || matches!(u32::from(character) & 0xffff, 0xfffe | 0xffff)
}
