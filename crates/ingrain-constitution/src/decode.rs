//! A tree of nodes to typed values, collecting every problem on the way.
//!
//! Knows which shapes our formats have in common (mappings with known keys, lists of texts),
//! not what a constitution is: see [`crate::read`].

use std::{collections::HashMap, rc::Rc};

use crate::{
    diagnostic::{DiagnosticKind, Diagnostics, Location, quoted},
    near_miss::near_miss,
    node::{Node, Value},
};

/// The entries of a mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    location: Location,
    entries: HashMap<&'n str, &'n Node>,
    /// Keys that an unknown key was probably meant to be; their absence goes without saying.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of `key`, unless it is absent or null.
    pub(crate) fn optional(&self, key: &str) -> Option<&'n Node> {
        self.entries.get(key).copied().filter(|node| !node.is_null())
    }
}

pub(crate) struct Decoder {
    pub(crate) diagnostics: Diagnostics,
}

impl Decoder {
    pub(crate) fn new(source: &str) -> Self {
        Self { diagnostics: Diagnostics::new(source) }
    }

    /// The entries of a mapping; reports a node that is none, keys that are no text, keys given
    /// twice, and keys outside `known`.
    pub(crate) fn mapping<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&'static str],
    ) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &node.value else {
            self.wrong_type(node, what, &format!("a mapping with {}", alternatives(known)));
            return None;
        };
        let mut fields = HashMap::new();
        let mut meant = Vec::new();
        for (key, value) in entries {
            let Some(text) = self.key(key) else { continue };
            if !known.contains(&text) {
                meant.extend(self.unknown_key(text, key.location, what, known));
            } else if fields.insert(text, value.as_ref()).is_some() {
                self.diagnostics.push(
                    DiagnosticKind::DuplicateKey,
                    key.location,
                    format!("the key {} a second time", quoted(text)),
                    format!("each key once in {what}"),
                    Some("merge the two, or delete one".into()),
                );
            }
        }
        Some(Fields { location: node.location, entries: fields, meant })
    }

    fn key<'n>(&mut self, key: &'n Rc<Node>) -> Option<&'n str> {
        match &key.value {
            Value::Scalar { text, .. } if !key.is_null() => Some(text),
            _ => {
                self.diagnostics.push(
                    DiagnosticKind::KeyType,
                    key.location,
                    format!("{} as a key", key.describe()),
                    "a word as key",
                    None,
                );
                None
            }
        }
    }

    /// Reports the key, and returns the one that was probably meant.
    fn unknown_key(
        &mut self,
        text: &str,
        at: Location,
        what: &str,
        known: &[&'static str],
    ) -> Option<&'static str> {
        let meant = near_miss(text, known.iter().copied());
        let suggestion = meant.map(|candidate| format!("did you mean {candidate:?}?"));
        self.diagnostics.push(
            DiagnosticKind::UnknownKey,
            at,
            format!("unknown key {} in {what}", quoted(text)),
            alternatives(known),
            suggestion,
        );
        meant
    }

    /// The value of `key`; its absence is reported once. An explicit null counts as empty.
    pub(crate) fn required<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &'static str,
        what: &str,
        example: &str,
    ) -> Option<&'n Node> {
        match fields.entries.get(key) {
            Some(node) if node.is_null() => {
                self.diagnostics.push(
                    DiagnosticKind::Empty,
                    node.location,
                    format!("nothing after {key:?}"),
                    example,
                    None,
                );
                None
            }
            Some(node) => Some(node),
            None if fields.meant.contains(&key) => None,
            None => {
                self.diagnostics.push(
                    DiagnosticKind::MissingKey,
                    fields.location,
                    format!("{what} without {key:?}"),
                    format!("{key}: {example}"),
                    None,
                );
                None
            }
        }
    }

    /// A trimmed text that is not empty.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.any_text(node, what)?;
        if text.is_empty() {
            self.diagnostics.push(
                DiagnosticKind::Empty,
                node.location,
                format!("an empty {what}"),
                "some text",
                None,
            );
            return None;
        }
        Some(text)
    }

    /// A trimmed text that may be empty when it is written out (`""`).
    pub(crate) fn any_text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { text, .. } if !node.is_null() => Some(text.trim().to_owned()),
            Value::Mapping(_) => {
                self.diagnostics.push(
                    DiagnosticKind::WrongType,
                    node.location,
                    format!("{} as {what}", node.describe()),
                    "a text",
                    Some("put the text in quotation marks: a colon and a space end a key".into()),
                );
                None
            }
            _ => {
                self.wrong_type(node, what, "a text");
                None
            }
        }
    }

    /// A list of texts; a single text is not a list.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<(String, Location)> {
        let Value::Sequence(items) = &node.value else {
            let expected = "a list of texts (lines that start with `- `, or `[...]`)";
            self.wrong_type(node, &format!("{what}s"), expected);
            return Vec::new();
        };
        items.iter().filter_map(|item| Some((self.text(item, what)?, item.location))).collect()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.value {
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "True") => {
                Some(true)
            }
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "false" | "False") => {
                Some(false)
            }
            _ => {
                self.wrong_type(node, what, "true or false");
                None
            }
        }
    }

    /// A number from -1 to 1.
    pub(crate) fn score(&mut self, node: &Node, what: &str) -> Option<f64> {
        let number = match &node.value {
            Value::Scalar { text, plain: true } => text.parse::<f64>().ok(),
            _ => None,
        };
        match number {
            Some(number) if (-1.0..=1.0).contains(&number) => Some(number),
            Some(_) => {
                let found = format!("{} as {what}", node.describe());
                let (kind, expected) = (DiagnosticKind::InvalidValue, "a number from -1 to 1");
                self.diagnostics.push(kind, node.location, found, expected, None);
                None
            }
            None => {
                self.wrong_type(node, what, "a number from -1 to 1");
                None
            }
        }
    }

    /// Reports a value of another type than the format has in this place.
    pub(crate) fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let found = format!("{} as {what}", node.describe());
        self.diagnostics.push(DiagnosticKind::WrongType, node.location, found, expected, None);
    }
}

fn alternatives(known: &[&str]) -> String {
    format!("one of {}", known.join(", "))
}
