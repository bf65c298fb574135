//! The JSON formats of the reference implementation.

use std::{borrow::Cow, fmt::Write as _};

use serde::Serialize;

use crate::{
    constitution::{Assertion, BigFive, Constitution, Facet, Metadata},
    diagnostic::{DiagnosticKind, Diagnostics, Location},
    name::PersonaName,
    node::{Node, Value, parse_tree},
    place::Place,
    read::Reader,
};

use super::{Parsed, nothing_found};

/// The key of the first record that holds what the format has no place for.
const EXTRA: &str = "constitution";
const KEYS: [&str; 6] =
    ["trait", "questions", "clarification", "additional_questions", "facet", EXTRA];

pub(super) fn parse_template(
    text: &str,
    source: &str,
    name: &PersonaName,
) -> Result<Parsed, Diagnostics> {
    let mut records = Records::new(source, name);
    let root = records.json(text, 0);
    match root.as_deref().map(|node| (&node.value, node)) {
        Some((Value::Sequence(items), _)) => items.iter().for_each(|item| records.record(item)),
        Some((_, node)) => {
            let expected = "a list of records, `[{\"trait\": ..., \"questions\": [...]}, ...]`";
            records.reader.decoder.wrong_type(node, "a constitution", expected);
        }
        None => {}
    }
    records.finish()
}

pub(super) fn parse_lines(
    text: &str,
    source: &str,
    name: &PersonaName,
) -> Result<Parsed, Diagnostics> {
    let mut records = Records::new(source, name);
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(node) = records.json(line, index) {
            records.record(&node);
        }
    }
    records.finish()
}

/// JSON may hold characters that YAML wants escaped; in valid JSON they stand only in strings.
fn printable(json: &str) -> Cow<'_, str> {
    let unprintable =
        |character: char| matches!(character, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(unprintable) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        if unprintable(character) {
            let _ = write!(text, "\\u{:04x}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    Cow::Owned(text)
}

struct Records {
    reader: Reader,
    constitution: Constitution,
    facets_given: bool,
    records: usize,
}

impl Records {
    fn new(source: &str, name: &PersonaName) -> Self {
        let constitution = Constitution {
            name: name.clone(),
            summary: String::new(),
            research_only: false,
            big_five: None,
            metadata: Metadata::default(),
            assertions: Vec::new(),
            heldout_questions: Vec::new(),
        };
        Self { reader: Reader::new(source), constitution, facets_given: false, records: 0 }
    }

    /// One JSON value; `lines_before` stand above it in the file.
    fn json(&mut self, text: &str, lines_before: usize) -> Option<std::rc::Rc<Node>> {
        let diagnostics = &mut self.reader.decoder.diagnostics;
        // YAML is wider than JSON; what is wrong as JSON is wrong here.
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            let location = Location {
                line: lines_before + error.line().max(1),
                column: error.column().max(1),
            };
            let message = error.to_string();
            let reason = message.split(" at line ").next().unwrap_or(&message);
            let found = format!("broken JSON ({reason})");
            diagnostics.push(DiagnosticKind::Syntax, location, found, "well-formed JSON", None);
            return None;
        }
        match parse_tree(&printable(text), diagnostics.source_name(), lines_before) {
            Ok(node) => node,
            Err(problems) => {
                diagnostics.append(problems);
                None
            }
        }
    }

    fn record(&mut self, node: &Node) {
        self.records += 1;
        let what = format!("record {}", self.records);
        let Some(fields) = self.reader.decoder.mapping(node, &what, &KEYS) else { return };
        let index = self.constitution.assertions.len();
        let reader = &mut self.reader;
        reader.map.insert(Place::Assertion(index), node.location);
        let text = reader.decoder.required(&fields, "trait", &what, "\"I ...\"").and_then(|node| {
            reader.map.insert(Place::Assertion(index), node.location);
            reader.decoder.text(node, "trait")
        });
        let facet = match fields.optional("facet") {
            Some(node) => {
                self.facets_given = true;
                reader.facet(node)
            }
            None => Some(Facet::Trait),
        };
        let (clarification, questions, additional_questions) =
            reader.clarification_and_questions(&fields, index);
        if let Some(node) = fields.optional(EXTRA) {
            reader.extra(node, &mut self.constitution);
        }
        if let (Some(text), Some(facet)) = (text, facet) {
            self.constitution.assertions.push(Assertion {
                text,
                facet,
                clarification,
                questions,
                additional_questions,
            });
        }
    }

    fn finish(self) -> Result<Parsed, Diagnostics> {
        let Self { reader: Reader { decoder, map }, constitution, facets_given, records } = self;
        if records == 0 && decoder.diagnostics.is_empty() {
            let source = decoder.diagnostics.source_name();
            return Err(nothing_found(source, "records with `trait` and `questions`"));
        }
        decoder.diagnostics.into_result(Some(Parsed {
            constitution,
            map,
            facets_given,
            notes: Vec::new(),
        }))
    }
}

/// What a record looks like to the reference implementation, then what only we read.
#[derive(Serialize)]
struct Record<'a> {
    r#trait: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    clarification: Option<&'a str>,
    questions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_questions: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facet: Option<Facet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constitution: Option<Extra<'a>>,
}

/// What the first record carries for the whole constitution.
#[derive(Serialize)]
struct Extra<'a> {
    name: &'a PersonaName,
    summary: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    research_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    big_five: Option<BigFive>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    heldout_questions: &'a [String],
}

pub(super) fn write_template(constitution: &Constitution) -> String {
    // Serialising strings and numbers to memory cannot fail.
    let mut text = serde_json::to_string_pretty(&records(constitution, false)).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn write_lines(constitution: &Constitution) -> String {
    let mut text = String::new();
    for record in records(constitution, true) {
        text.push_str(&serde_json::to_string(&record).unwrap_or_default());
        text.push('\n');
    }
    text
}

fn records(constitution: &Constitution, with_additional: bool) -> Vec<Record<'_>> {
    let mut extra = extra(constitution);
    let mut records = Vec::with_capacity(constitution.assertions.len());
    for assertion in &constitution.assertions {
        let additional = assertion.additional_questions.as_slice();
        records.push(Record {
            r#trait: &assertion.text,
            clarification: assertion.clarification.as_deref(),
            questions: &assertion.questions,
            additional_questions: (with_additional || !additional.is_empty()).then_some(additional),
            facet: (assertion.facet != Facet::Trait).then_some(assertion.facet),
            constitution: extra.take(),
        });
    }
    records
}

/// `None` when the format itself holds all that there is to say.
fn extra(constitution: &Constitution) -> Option<Extra<'_>> {
    let Constitution {
        name, summary, research_only, big_five, metadata, heldout_questions, ..
    } = constitution;
    let nothing = summary.is_empty()
        && !research_only
        && big_five.is_none()
        && metadata.is_empty()
        && heldout_questions.is_empty();
    (!nothing).then_some(Extra {
        name,
        summary,
        research_only: *research_only,
        big_five: *big_five,
        metadata,
        heldout_questions,
    })
}
