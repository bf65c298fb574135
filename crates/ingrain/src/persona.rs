//! A persona on disk: the constitution, its recorded teacher, its held-out pairs.

use std::path::{Path, PathBuf};

use ingrain_constitution::Constitution;
use ingrain_data::PreferencePair;
use ingrain_run::read_jsonl;

use crate::PipelineError;

/// A constitution with the files that lie beside it.
#[derive(Clone, Debug)]
pub struct Persona {
    /// Who the assistant should be.
    pub constitution: Constitution,
    /// Where that is written.
    pub path: PathBuf,
    /// Recorded replies of a teacher: `<name>.teacher.jsonl`.
    pub teacher: Option<PathBuf>,
    /// Pairs of replies to questions that nothing trains on: `<name>.heldout.jsonl`.
    pub heldout: Option<PathBuf>,
}

impl Persona {
    /// Finds a persona by name in one of `folders`, or by the path of its YAML file.
    ///
    /// # Errors
    /// [`PipelineError::Persona`] if there is none of that name, saying which there are;
    /// [`PipelineError::Constitution`] with every problem in the file.
    pub fn find(name: &str, folders: &[PathBuf]) -> Result<Self, PipelineError> {
        let as_file = Path::new(name);
        if as_file.is_file() {
            return Self::open(as_file);
        }
        match folders.iter().map(|f| f.join(format!("{name}.yaml"))).find(|p| p.is_file()) {
            Some(path) => Self::open(&path),
            None => Err(PipelineError::Persona {
                persona: name.to_owned(),
                reason: format!(
                    "no such file, and no constitution of that name; there are {}",
                    known_names(folders)
                ),
            }),
        }
    }

    fn open(path: &Path) -> Result<Self, PipelineError> {
        let constitution = Constitution::from_path(path)?;
        let beside = |kind: &str| {
            let file = path.with_extension(format!("{kind}.jsonl"));
            file.is_file().then_some(file)
        };
        Ok(Self {
            constitution,
            path: path.to_owned(),
            teacher: beside("teacher"),
            heldout: beside("heldout"),
        })
    }

    /// The persona's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.constitution.name.as_str()
    }

    /// The held-out pairs.
    ///
    /// # Errors
    /// [`PipelineError::Persona`] if there is no such file, [`PipelineError::Run`] if a line is wrong.
    pub fn heldout_pairs(&self) -> Result<Vec<PreferencePair>, PipelineError> {
        let path = self.heldout.as_ref().ok_or_else(|| PipelineError::Persona {
            persona: self.name().to_owned(),
            reason: format!(
                "{} is missing; it holds recorded chosen and rejected replies to held-out questions",
                self.path.with_extension("heldout.jsonl").display()
            ),
        })?;
        Ok(read_jsonl(path)?)
    }
}

fn known_names(folders: &[PathBuf]) -> String {
    let mut names: Vec<String> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let stem = name.strip_suffix(".yaml")?;
            (!["heldout", "template"].contains(&stem)).then(|| stem.to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
