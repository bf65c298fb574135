//! The shared everyday questions that no persona trains on.

use std::path::Path;

use crate::{
    decode::Decoder,
    diagnostic::{DiagnosticKind, Diagnostics, Location},
    error::ConstitutionError,
    read::parse_root,
    text::{decode_utf8, read_bounded},
};

/// Questions kept back from all training, shared by the personas that are compared
/// (`personas/heldout.yaml`).
///
/// # Examples
/// ```
/// use ingrain_constitution::HeldoutQuestions;
///
/// let heldout = HeldoutQuestions::parse("questions: [Why is the sky blue?]", "heldout.yaml")?;
/// assert_eq!(heldout.questions, ["Why is the sky blue?"]);
/// # Ok::<(), ingrain_constitution::Diagnostics>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldoutQuestions {
    /// Version of the list.
    pub version: Option<String>,
    /// Licence of the text.
    pub license: Option<String>,
    /// The questions, at least one, each given once.
    pub questions: Vec<String>,
}

impl HeldoutQuestions {
    /// Reads a list of held-out questions.
    ///
    /// # Errors
    /// [`ConstitutionError::Read`] when the file cannot be read, [`ConstitutionError::Invalid`]
    /// with every problem when it can.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConstitutionError> {
        let path = path.as_ref();
        let bytes = read_bounded(path)?;
        let source = path.display().to_string();
        Ok(Self::parse(decode_utf8(&bytes, &source)?, &source)?)
    }

    /// Reads a list of held-out questions; `source` names the text in messages.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn parse(text: &str, source: &str) -> Result<Self, Diagnostics> {
        let root = parse_root(decode_utf8(text.as_bytes(), source)?, source)?;
        let mut decoder = Decoder::new(source);
        let what = "a list of held-out questions";
        let read =
            decoder.mapping(&root, what, &["version", "license", "questions"]).map(|fields| {
                let text = |decoder: &mut Decoder, key| {
                    fields.optional(key).and_then(|node| decoder.text(node, key))
                };
                let (version, license) =
                    (text(&mut decoder, "version"), text(&mut decoder, "license"));
                let questions = decoder
                    .required(&fields, "questions", what, "a list of questions")
                    .map(|node| decoder.texts(node, "question"))
                    .unwrap_or_default();
                (version, license, questions)
            });
        let (version, license, questions) = read.unwrap_or_default();
        report_repeats(&mut decoder.diagnostics, &questions);
        let questions: Vec<String> = questions.into_iter().map(|(text, _)| text).collect();
        if questions.is_empty() && decoder.diagnostics.is_empty() {
            let (found, expected) = ("no questions", "at least one question");
            decoder.diagnostics.push(DiagnosticKind::Empty, root.location, found, expected, None);
        }
        decoder.diagnostics.into_result(Some(Self { version, license, questions }))
    }
}

fn report_repeats(diagnostics: &mut Diagnostics, questions: &[(String, Location)]) {
    let mut seen = std::collections::HashMap::new();
    for (text, location) in questions {
        if let Some(first) = seen.insert(text.to_lowercase(), *location) {
            diagnostics.push(
                DiagnosticKind::InvalidValue,
                *location,
                format!("the question {} a second time", crate::diagnostic::quoted(text)),
                "each question once",
                Some(format!("the first is in line {}", first.line)),
            );
        }
    }
}
