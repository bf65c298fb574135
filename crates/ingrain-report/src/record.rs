//! A run directory, read as far as it goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ingrain_constitution::Constitution;
use ingrain_data::{FilterReport, PreferencePair, QualityReport};
use ingrain_run::{
    ByModel, Heldout, Manifest, Sample, StageRecord, StageState, SuiteReport, Summary, read_jsonl,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ReportError;

/// Largest file that is read, in bytes. A page with more than this in it would open nowhere.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What a run directory holds, as far as it is there. What cannot be read is in `problems`.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The directory.
    pub dir: PathBuf,
    /// Its name, or what tells it from the other runs of a report.
    pub label: String,
    /// Facts of the manifest: persona, model, device.
    pub facts: BTreeMap<String, Value>,
    /// Versions of what took part.
    pub versions: BTreeMap<String, String>,
    /// The stages, in the order in which they began.
    pub stages: Vec<StageRecord>,
    /// `summary.json`, once the run is finished.
    pub summary: Option<Summary>,
    /// `recipe.yaml` as text.
    pub recipe_text: Option<String>,
    /// `recipe.yaml` as values.
    pub recipe: Value,
    /// `constitution.yaml`.
    pub constitution: Option<Constitution>,
    /// `quality.json`; measured anew for a run that has none.
    pub quality: Option<QualityReport>,
    /// `pairs.report.json`.
    pub filter: Option<FilterReport>,
    /// Training logs by stage: a map of metric to value for each step.
    pub training: Vec<(String, Vec<BTreeMap<String, f64>>)>,
    /// `eval/heldout.json`: margins by question.
    pub margins: Option<ByModel<Vec<f64>>>,
    /// `eval/heldout.json`: the summary of it.
    pub heldout: Option<ByModel<Heldout>>,
    /// `eval/perplexity.json`.
    pub perplexity: Option<ByModel<f64>>,
    /// `eval/samples.jsonl`: replies before and after.
    pub samples: Vec<Sample>,
    /// Suites in `eval/`.
    pub suites: Vec<SuiteReport>,
    /// Files that are there and cannot be read, with the reason.
    pub problems: Vec<String>,
}

#[derive(Deserialize)]
struct HeldoutFile {
    summary: ByModel<Heldout>,
    margins: ByModel<Vec<f64>>,
}

impl RunRecord {
    /// Whether the folder looks like a run directory.
    #[must_use]
    pub fn is_run(dir: &Path) -> bool {
        dir.join("manifest.json").is_file() || dir.join("summary.json").is_file()
    }

    /// Reads a run directory.
    ///
    /// # Errors
    /// [`ReportError::NoRun`] if it is none. Files that are missing or broken are no error.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, ReportError> {
        let dir = dir.as_ref();
        if !Self::is_run(dir) {
            return Err(ReportError::NoRun { path: dir.to_owned() });
        }
        let mut reader = Reader { dir, problems: Vec::new() };
        let manifest = reader.manifest();
        let recipe_text = reader.text("recipe.yaml");
        let recipe = recipe_text.as_deref().and_then(|text| reader.yaml("recipe.yaml", text));
        let heldout: Option<HeldoutFile> = reader.json("eval/heldout.json");
        let summary: Option<Summary> = reader.json("summary.json");
        let mut samples: Vec<Sample> = reader.jsonl("eval/samples.jsonl");
        if let (true, Some(summary)) = (samples.is_empty(), &summary) {
            samples.clone_from(&summary.samples);
        }
        let constitution = reader.constitution();
        let assertions = constitution.as_ref().map_or(0, |c| c.assertions.len());
        let pairs: Vec<PreferencePair> = reader.jsonl("pairs.jsonl");
        let absolute = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let label = absolute.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy());
        Ok(Self {
            label: label.into_owned(),
            facts: manifest.as_ref().map(|m| m.facts().clone()).unwrap_or_default(),
            versions: manifest.as_ref().map(|m| m.versions().clone()).unwrap_or_default(),
            stages: manifest.map(|m| m.stages().to_vec()).unwrap_or_default(),
            recipe: recipe.unwrap_or_default(),
            recipe_text,
            quality: reader.json("quality.json").or_else(|| {
                (!pairs.is_empty()).then(|| QualityReport::of_pairs(&pairs, assertions))
            }),
            filter: reader.json("pairs.report.json"),
            training: reader.training(),
            perplexity: reader
                .json("eval/perplexity.json")
                .or_else(|| summary.as_ref().map(|s| s.perplexity.clone())),
            heldout: heldout
                .as_ref()
                .map(|file| file.summary.clone())
                .or_else(|| summary.as_ref().map(|s| s.heldout.clone())),
            margins: heldout.map(|file| file.margins),
            suites: reader.suites(),
            constitution,
            summary,
            samples,
            problems: reader.problems,
            dir: dir.to_owned(),
        })
    }

    /// A fact of the manifest that is a text.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).and_then(Value::as_str)
    }

    /// What was trained: the persona's name.
    #[must_use]
    pub fn persona(&self) -> &str {
        let named = self.constitution.as_ref().map(|c| c.name.as_str());
        self.fact("persona").or(named).unwrap_or("unknown persona")
    }

    /// The base model, as the recipe calls it.
    #[must_use]
    pub fn model(&self) -> &str {
        let identity =
            self.facts.get("model").and_then(|m| m.get("source")).and_then(Value::as_str);
        identity
            .or_else(|| self.setting("/model").and_then(Value::as_str))
            .unwrap_or("unknown model")
    }

    /// A value of the recipe by JSON pointer: `/distillation/beta`.
    #[must_use]
    pub fn setting(&self, pointer: &str) -> Option<&Value> {
        self.recipe.pointer(pointer)
    }

    /// Whether every stage that began has finished, and the summary is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.summary.is_some() && self.stages.iter().all(|stage| stage.state == StageState::Done)
    }
}

/// Reads files of one directory and remembers what it could not read.
struct Reader<'a> {
    dir: &'a Path,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn problem(&mut self, file: &str, reason: impl std::fmt::Display) {
        self.problems.push(format!("{file}: {reason}"));
    }

    /// The file's path, if it is there and not too large.
    fn path(&mut self, file: &str) -> Option<PathBuf> {
        let path = self.dir.join(file);
        let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        if size > MAX_BYTES {
            self.problem(file, format!("{size} bytes are more than the {MAX_BYTES} that are read"));
            return None;
        }
        Some(path)
    }

    fn text(&mut self, file: &str) -> Option<String> {
        let path = self.path(file)?;
        fs::read_to_string(path).map_err(|error| self.problem(file, error)).ok()
    }

    fn json<T: DeserializeOwned>(&mut self, file: &str) -> Option<T> {
        let text = self.text(file)?;
        serde_json::from_str(&text).map_err(|error| self.problem(file, error)).ok()
    }

    fn yaml(&mut self, file: &str, text: &str) -> Option<Value> {
        serde_yaml::from_str(text).map_err(|error| self.problem(file, error)).ok()
    }

    fn jsonl<T: DeserializeOwned>(&mut self, file: &str) -> Vec<T> {
        let Some(path) = self.path(file) else { return Vec::new() };
        read_jsonl(path).map_err(|error| self.problem(file, error)).unwrap_or_default()
    }

    fn manifest(&mut self) -> Option<Manifest> {
        self.path("manifest.json")?;
        Manifest::open(self.dir).map_err(|error| self.problem("manifest.json", error)).ok()
    }

    fn constitution(&mut self) -> Option<Constitution> {
        let path = self.path("constitution.yaml")?;
        Constitution::from_path(path).map_err(|e| self.problem("constitution.yaml", e)).ok()
    }

    /// The logs of the two training stages, numbers only.
    fn training(&mut self) -> Vec<(String, Vec<BTreeMap<String, f64>>)> {
        let mut logs = Vec::new();
        for stage in ["distillation", "introspection"] {
            let steps: Vec<BTreeMap<String, Value>> = self.jsonl(&format!("{stage}/train.jsonl"));
            let numbers = |step: BTreeMap<String, Value>| -> BTreeMap<String, f64> {
                step.into_iter().filter_map(|(name, v)| Some((name, v.as_f64()?))).collect()
            };
            if !steps.is_empty() {
                logs.push((stage.to_owned(), steps.into_iter().map(numbers).collect()));
            }
        }
        logs
    }

    /// Every file in `eval/` that is a suite, by name.
    fn suites(&mut self) -> Vec<SuiteReport> {
        let Ok(entries) = fs::read_dir(self.dir.join("eval")) else { return Vec::new() };
        let mut files: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|file| file.ends_with(".json"))
            .collect();
        files.sort();
        let mut suites = Vec::new();
        for file in files {
            let file = format!("eval/{file}");
            let Some(value) = self.json::<Value>(&file) else { continue };
            if value.get("suite").is_none() {
                continue;
            }
            match serde_json::from_value(value) {
                Ok(suite) => suites.push(suite),
                Err(error) => self.problem(&file, error),
            }
        }
        suites
    }
}
