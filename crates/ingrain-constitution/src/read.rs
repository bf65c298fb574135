//! The YAML format of constitutions: its keys, what each must hold, and where it stands.

use std::{path::Path, rc::Rc};

use crate::{
    constitution::{Assertion, BigFive, Constitution, Facet, Metadata},
    decode::{Decoder, Fields},
    diagnostic::{DiagnosticKind, Diagnostics, Location, quoted},
    error::ConstitutionError,
    name::{EXPECTED_NAME, PersonaName},
    near_miss::near_miss,
    node::{Node, Value, parse_tree},
    place::{Place, SourceMap},
    text::{decode_utf8, read_bounded},
};

const KEYS: [&str; 7] =
    ["name", "summary", "research_only", "big_five", "metadata", "assertions", "heldout_questions"];
/// [`KEYS`] without the assertions.
const EXTRA_KEYS: [&str; 6] =
    ["name", "summary", "research_only", "big_five", "metadata", "heldout_questions"];
const ASSERTION_KEYS: [&str; 5] =
    ["text", "facet", "clarification", "questions", "additional_questions"];
const METADATA_KEYS: [&str; 3] = ["license", "authors", "version"];

impl Constitution {
    /// Reads a constitution in the YAML format.
    ///
    /// # Errors
    /// [`ConstitutionError::Read`] when the file cannot be read, [`ConstitutionError::Invalid`]
    /// with every problem when it can.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConstitutionError> {
        Ok(Self::from_path_with_locations(path)?.0)
    }

    /// [`Constitution::from_path`], with the place of every part, which lint findings need.
    ///
    /// # Errors
    /// As [`Constitution::from_path`].
    pub fn from_path_with_locations(
        path: impl AsRef<Path>,
    ) -> Result<(Self, SourceMap), ConstitutionError> {
        let path = path.as_ref();
        let bytes = read_bounded(path)?;
        let source = path.display().to_string();
        let text = decode_utf8(&bytes, &source)?;
        Ok(Self::parse_with_locations(text, &source)?)
    }

    /// Reads a constitution in the YAML format from bytes that may be anything.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn parse_bytes(bytes: &[u8], source: &str) -> Result<Self, Diagnostics> {
        Self::parse(decode_utf8(bytes, source)?, source)
    }

    /// Reads a constitution in the YAML format; `source` names the text in messages.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn parse(text: &str, source: &str) -> Result<Self, Diagnostics> {
        Ok(Self::parse_with_locations(text, source)?.0)
    }

    /// [`Constitution::parse`], with the place of every part.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn parse_with_locations(
        text: &str,
        source: &str,
    ) -> Result<(Self, SourceMap), Diagnostics> {
        let text = decode_utf8(text.as_bytes(), source)?;
        let root = parse_root(text, source)?;
        let mut reader = Reader::new(source);
        let constitution = reader.constitution(&root);
        let map = reader.map;
        reader.decoder.diagnostics.into_result(constitution.map(|constitution| (constitution, map)))
    }
}

/// The one value of a document; an empty text is a problem.
pub(crate) fn parse_root(text: &str, source: &str) -> Result<Rc<Node>, Diagnostics> {
    match parse_tree(text, source, 0)? {
        Some(root) if !root.is_null() => Ok(root),
        _ => {
            let mut diagnostics = Diagnostics::new(source);
            diagnostics.push(
                DiagnosticKind::Empty,
                Location::START,
                "an empty file",
                "a constitution with name, summary and assertions",
                Some("personas/template.yaml starts a new one".into()),
            );
            Err(diagnostics)
        }
    }
}

/// Reads the parts that constitutions have in every format.
pub(crate) struct Reader {
    pub(crate) decoder: Decoder,
    pub(crate) map: SourceMap,
}

impl Reader {
    pub(crate) fn new(source: &str) -> Self {
        Self { decoder: Decoder::new(source), map: SourceMap::new(source) }
    }

    fn constitution(&mut self, root: &Node) -> Option<Constitution> {
        let what = "a constitution";
        let fields = self.decoder.mapping(root, what, &KEYS)?;
        let name = self.decoder.required(&fields, "name", what, "a-short-name");
        let name = name.and_then(|node| self.name(node));
        let summary =
            self.decoder.required(&fields, "summary", what, "One sentence that says who this is.");
        let summary = summary.and_then(|node| {
            self.map.insert(Place::Summary, node.location);
            self.decoder.any_text(node, "summary")
        });
        let assertions = self.decoder.required(&fields, "assertions", what, "a list of assertions");
        let assertions = assertions.map(|node| self.assertions(node));
        let mut constitution = Constitution {
            name: name.unwrap_or_else(PersonaName::placeholder),
            summary: summary.unwrap_or_default(),
            research_only: false,
            big_five: None,
            metadata: Metadata::default(),
            assertions: assertions.unwrap_or_default(),
            heldout_questions: Vec::new(),
        };
        self.optional_parts(&fields, &mut constitution);
        // Whatever was replaced by a default above has a diagnostic, so this is never returned.
        Some(constitution)
    }

    fn optional_parts(&mut self, fields: &Fields<'_>, constitution: &mut Constitution) {
        constitution.research_only = fields
            .optional("research_only")
            .and_then(|node| self.decoder.boolean(node, "research_only"))
            .unwrap_or_default();
        constitution.big_five = fields.optional("big_five").and_then(|node| self.big_five(node));
        constitution.metadata =
            fields.optional("metadata").map(|node| self.metadata(node)).unwrap_or_default();
        constitution.heldout_questions =
            self.questions(fields, "heldout_questions", 0, |_, index| {
                Place::HeldoutQuestion(index)
            });
    }

    fn name(&mut self, node: &Node) -> Option<PersonaName> {
        let text = self.decoder.text(node, "name")?;
        match text.parse::<PersonaName>() {
            Ok(name) => Some(name),
            Err(error) => {
                self.decoder.diagnostics.push(
                    DiagnosticKind::InvalidValue,
                    node.location,
                    format!("the name {}", quoted(&text)),
                    EXPECTED_NAME,
                    error.suggestion.map(|name| format!("did you mean {name:?}?")),
                );
                None
            }
        }
    }

    fn big_five(&mut self, node: &Node) -> Option<BigFive> {
        let fields = self.decoder.mapping(node, "big_five", &BigFive::FACTORS)?;
        let values = BigFive::FACTORS.map(|factor| {
            fields.optional(factor).and_then(|node| self.decoder.score(node, factor))
        });
        Some(BigFive::from_values(values))
    }

    fn metadata(&mut self, node: &Node) -> Metadata {
        self.map.insert(Place::Metadata, node.location);
        let Some(fields) = self.decoder.mapping(node, "metadata", &METADATA_KEYS) else {
            return Metadata::default();
        };
        let decoder = &mut self.decoder;
        let license = fields.optional("license").and_then(|node| decoder.text(node, "license"));
        let version = fields.optional("version").and_then(|node| decoder.text(node, "version"));
        let authors = match fields.optional("authors") {
            Some(node) => decoder.texts(node, "author"),
            None => Vec::new(),
        };
        let authors = authors.into_iter().map(|(author, _)| author).collect();
        Metadata { license, authors, version }
    }

    fn assertions(&mut self, node: &Node) -> Vec<Assertion> {
        let Value::Sequence(items) = &node.value else {
            let expected = "a list of assertions (entries that start with `- text:`)";
            self.decoder.wrong_type(node, "assertions", expected);
            return Vec::new();
        };
        if items.is_empty() {
            self.decoder.diagnostics.push(
                DiagnosticKind::Empty,
                node.location,
                "no assertions",
                "at least one assertion, better ten",
                None,
            );
        }
        items.iter().enumerate().filter_map(|(index, item)| self.assertion(index, item)).collect()
    }

    fn assertion(&mut self, index: usize, node: &Node) -> Option<Assertion> {
        let what = format!("assertion {}", index + 1);
        let fields = self.decoder.mapping(node, &what, &ASSERTION_KEYS)?;
        self.map.insert(Place::Assertion(index), node.location);
        let text = self.decoder.required(&fields, "text", &what, "I ...").and_then(|node| {
            self.map.insert(Place::Assertion(index), node.location);
            self.decoder.text(node, "assertion text")
        });
        let facet = self
            .decoder
            .required(&fields, "facet", &what, "trait, style, value, role or identity")
            .and_then(|node| self.facet(node));
        let (clarification, questions, additional_questions) =
            self.clarification_and_questions(&fields, index);
        Some(Assertion {
            text: text?,
            facet: facet?,
            clarification,
            questions,
            additional_questions,
        })
    }

    /// The parts of an assertion that are called the same in every format.
    pub(crate) fn clarification_and_questions(
        &mut self,
        fields: &Fields<'_>,
        index: usize,
    ) -> (Option<String>, Vec<String>, Vec<String>) {
        let clarification = fields.optional("clarification").and_then(|node| {
            self.map.insert(Place::Clarification(index), node.location);
            self.decoder.text(node, "clarification")
        });
        let place = |assertion, question| Place::Question { assertion, question };
        let questions = self.questions(fields, "questions", index, place);
        let kept = questions.len();
        let additional_questions =
            self.questions(fields, "additional_questions", index, |assertion, question| {
                place(assertion, kept + question)
            });
        (clarification, questions, additional_questions)
    }

    /// What a format without a place for it carries beside the assertions.
    pub(crate) fn extra(&mut self, node: &Node, constitution: &mut Constitution) {
        let what = "the constitution's own record";
        let Some(fields) = self.decoder.mapping(node, what, &EXTRA_KEYS) else { return };
        if let Some(name) = fields.optional("name").and_then(|node| self.name(node)) {
            constitution.name = name;
        }
        if let Some(node) = fields.optional("summary") {
            self.map.insert(Place::Summary, node.location);
            constitution.summary = self.decoder.any_text(node, "summary").unwrap_or_default();
        }
        self.optional_parts(&fields, constitution);
    }

    pub(crate) fn facet(&mut self, node: &Node) -> Option<Facet> {
        let text = self.decoder.text(node, "facet")?;
        let found = Facet::ALL.into_iter().find(|facet| facet.as_str() == text);
        if found.is_none() {
            let words = Facet::ALL.map(Facet::as_str);
            self.decoder.diagnostics.push(
                DiagnosticKind::InvalidValue,
                node.location,
                format!("unknown facet {}", quoted(&text)),
                format!("one of {}", words.join(", ")),
                near_miss(&text, words).map(|word| format!("did you mean {word:?}?")),
            );
        }
        found
    }

    fn questions(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        assertion: usize,
        place: impl Fn(usize, usize) -> Place,
    ) -> Vec<String> {
        let Some(node) = fields.optional(key) else { return Vec::new() };
        let texts = self.decoder.texts(node, "question");
        for (index, (_, location)) in texts.iter().enumerate() {
            self.map.insert(place(assertion, index), *location);
        }
        texts.into_iter().map(|(text, _)| text).collect()
    }
}
