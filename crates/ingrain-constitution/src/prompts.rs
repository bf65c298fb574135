//! The prompts of every stage: one versioned set of templates, with typed inputs.
//!
//! A [`PromptSet`] knows what each prompt is given and renders it. It does not know which model
//! reads the result, nor what a reply looks like.

mod input;
mod name;
mod render;

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use sha2::{Digest, Sha256};

pub use input::{InteractionKind, PreferenceStance, ReflectionTask, Wording};
pub use name::PromptName;

use crate::{
    constitution::{Assertion, Constitution, Facet, Metadata, hex},
    error::ConstitutionError,
    name::PersonaName,
    text::{decode_utf8, read_bounded},
};

/// The templates of all prompts.
///
/// The default set is compiled in (the files in `prompts/` of this crate); a folder can replace
/// all of it or single files, which are called `<prompt>.jinja` as in [`PromptName::file_name`].
/// A file `VERSION` in the folder names the version.
///
/// Templates are [minijinja](https://docs.rs/minijinja). A variable that a prompt does not have is
/// an error, never an empty string; a folder is checked when it is loaded. What each template is
/// given is written at the method that renders it.
///
/// # Examples
/// ```
/// use ingrain_constitution::{Constitution, PromptSet};
///
/// let constitution = Constitution::parse(
///     "{name: dry, summary: Dry., assertions: [{text: I stay dry., facet: style}]}",
///     "dry.yaml",
/// )?;
/// let system = PromptSet::default().teacher_system(&constitution, "Smol")?;
/// assert!(system.contains("You are Smol"));
/// assert!(system.contains("1. I stay dry."));
/// # Ok::<(), ingrain_constitution::ConstitutionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptSet {
    version: String,
    templates: BTreeMap<PromptName, Cow<'static, str>>,
}

impl Default for PromptSet {
    fn default() -> Self {
        Self::embedded()
    }
}

impl PromptSet {
    /// The set that is compiled in.
    pub fn embedded() -> Self {
        let templates = PromptName::ALL.map(|name| (name, Cow::Borrowed(name.embedded())));
        Self {
            version: include_str!("../prompts/VERSION").trim().to_owned(),
            templates: templates.into_iter().collect(),
        }
    }

    /// The embedded set with the `.jinja` files of a folder in place of its own, each of them
    /// checked by rendering it once.
    ///
    /// # Errors
    /// [`ConstitutionError::Read`] when the folder or a file cannot be read,
    /// [`ConstitutionError::Invalid`] when a file is too large or not UTF-8,
    /// [`ConstitutionError::UnknownTemplate`] when a `.jinja` file belongs to no prompt, and
    /// [`ConstitutionError::Template`] when one does not compile or asks for an unknown variable.
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self, ConstitutionError> {
        let dir = dir.as_ref();
        let read_error = |source| ConstitutionError::Read { path: dir.to_owned(), source };
        let mut set = Self::embedded();
        set.version = "custom".into();
        for entry in std::fs::read_dir(dir).map_err(read_error)? {
            let path = entry.map_err(read_error)?.path();
            let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if file == "VERSION" {
                set.version = read_text(&path)?.trim().to_owned();
            } else if let Some(stem) = file.strip_suffix(".jinja") {
                let name = stem.parse().map_err(|error| in_folder(dir, error))?;
                set.templates.insert(name, Cow::Owned(read_text(&path)?));
            }
        }
        set.check(&dir.display().to_string())?;
        Ok(set)
    }

    /// The version of the set: what its `VERSION` file says.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The source of a template.
    pub fn template(&self, name: PromptName) -> &str {
        self.templates.get(&name).map_or("", AsRef::as_ref)
    }

    /// SHA-256 over the names and sources of all templates, as 64 hexadecimal digits. It belongs
    /// into the manifest of everything made with this set.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, source) in &self.templates {
            for part in [name.as_str(), source] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hex(&hasher.finalize())
    }

    /// Renders every prompt once with example values.
    fn check(&self, origin: &str) -> Result<(), ConstitutionError> {
        let example = example_constitution();
        for name in PromptName::ALL {
            self.preview(name, &example, "Assistant").map_err(|error| match error {
                ConstitutionError::Template { origin: file, message } => {
                    let file = file.trim_start_matches("prompts/");
                    ConstitutionError::Template { origin: format!("{origin}/{file}"), message }
                }
                other => other,
            })?;
        }
        Ok(())
    }
}

/// A constitution that uses every optional part, to try templates with.
fn example_constitution() -> Constitution {
    let assertion = Assertion {
        text: "I answer in the first sentence.".into(),
        facet: Facet::Style,
        clarification: Some("The background comes after it.".into()),
        questions: vec!["Why is the sky blue?".into()],
        additional_questions: vec!["What is a leap year?".into()],
    };
    Constitution {
        name: PersonaName::slug("example").unwrap_or_else(PersonaName::placeholder),
        summary: "An assistant to try templates with.".into(),
        research_only: false,
        big_five: None,
        metadata: Metadata::default(),
        assertions: vec![assertion],
        heldout_questions: Vec::new(),
    }
}

fn read_text(path: &Path) -> Result<String, ConstitutionError> {
    let bytes = read_bounded(path)?;
    Ok(decode_utf8(&bytes, &path.display().to_string())?.to_owned())
}

/// A file that no prompt is called after, with the folder that it is in.
fn in_folder(dir: &Path, error: ConstitutionError) -> ConstitutionError {
    match error {
        ConstitutionError::UnknownPrompt { found, suggestion, expected } => {
            ConstitutionError::UnknownTemplate { dir: dir.to_owned(), found, suggestion, expected }
        }
        other => other,
    }
}
