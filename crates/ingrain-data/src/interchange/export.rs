//! Distillation handed to another training engine: data, configuration, launch script.

use std::path::{Path, PathBuf};

use ingrain_run::{RunError, write_atomic};
use serde::{Deserialize, Serialize};

use super::{PairFormat, openrlhf, trl, write_pairs};
use crate::{DataError, PreferencePair};

/// An engine that trains what Ingrain prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// OpenRLHF (Ray, DeepSpeed).
    OpenRlhf,
    /// TRL (Accelerate, FSDP).
    Trl,
}

/// The recipe's numbers for distillation. Defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingTerms {
    /// Hub id or directory of the base model.
    pub base_model: String,
    /// LoRA rank.
    pub rank: usize,
    /// LoRA alpha.
    pub alpha: f64,
    /// Projections that get an adapter.
    pub target_modules: Vec<String>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of the steps that warm up.
    pub warmup_ratio: f64,
    /// Floor of the cosine, as a share of the peak.
    pub min_lr_ratio: f64,
    /// Pairs a step.
    pub batch_size: usize,
    /// Passes over the pairs.
    pub epochs: usize,
    /// Longest conversation, in tokens.
    pub max_length: usize,
    /// Global gradient norm.
    pub max_grad_norm: f64,
    /// AdamW's betas.
    pub betas: (f64, f64),
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Seed.
    pub seed: u64,
    /// Beta of DPO.
    pub beta: f64,
    /// Weight of the chosen replies' mean negative log-likelihood.
    pub nll_weight: f64,
    /// Weight of the squared log-ratio to the reference.
    pub squared_log_ratio_weight: f64,
    /// Names of further terms of the objective, which no engine here can express.
    pub other_terms: Vec<String>,
}

impl Default for TrainingTerms {
    fn default() -> Self {
        let modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        Self {
            base_model: String::new(),
            rank: 64,
            alpha: 128.0,
            target_modules: modules.map(str::to_owned).to_vec(),
            learning_rate: 5e-5,
            warmup_ratio: 0.1,
            min_lr_ratio: 0.1,
            batch_size: 32,
            epochs: 1,
            max_length: 1024,
            max_grad_norm: 1.0,
            betas: (0.9, 0.98),
            epsilon: 1e-8,
            weight_decay: 0.0,
            seed: 123_456,
            beta: 0.1,
            nll_weight: 0.1,
            squared_log_ratio_weight: 0.001,
            other_terms: Vec::new(),
        }
    }
}

/// What an export wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Terms of the objective that were left out, by consent.
    pub left_out: Vec<String>,
}

/// Writes `pairs.jsonl`, the engine's configuration and a launch script into `dir`.
///
/// `agreed` names the terms that may be left out; [`DataError::Inexpressible`] lists those that
/// must be. The PEFT adapter that the engine writes (`dir/adapter`) is one that Ingrain reads.
///
/// # Errors
/// [`DataError::Inexpressible`] without consent (nothing is written then), or [`DataError::Run`].
pub fn export_distillation(
    engine: Engine,
    dir: impl AsRef<Path>,
    pairs: &[PreferencePair],
    terms: &TrainingTerms,
    agreed: &[String],
) -> Result<Export, DataError> {
    let dir = dir.as_ref();
    let (name, inexpressible, format) = match engine {
        Engine::OpenRlhf => ("OpenRLHF", openrlhf::inexpressible(terms), PairFormat::OpenRlhf),
        Engine::Trl => ("TRL", trl::inexpressible(terms), PairFormat::TrlExplicit),
    };
    let missing: Vec<String> =
        inexpressible.iter().filter(|term| !agreed.contains(term)).cloned().collect();
    if !missing.is_empty() {
        return Err(DataError::Inexpressible { engine: name, terms: missing });
    }
    std::fs::create_dir_all(dir).map_err(|e| RunError::io(dir, "create", e))?;
    let texts = match engine {
        Engine::OpenRlhf => openrlhf::files(terms, &inexpressible),
        Engine::Trl => trl::files(terms, &inexpressible),
    };
    let mut files = vec![dir.join("pairs.jsonl")];
    write_pairs(&files[0], pairs, format)?;
    for (file, text) in texts {
        let path = dir.join(file);
        write_atomic(&path, text.as_bytes())?;
        files.push(path);
    }
    Ok(Export { files, left_out: inexpressible })
}

/// What neither engine has: terms of the authors' own fork and of Ingrain.
pub(super) fn common_gaps(terms: &TrainingTerms) -> Vec<String> {
    let mut gaps = Vec::new();
    if terms.squared_log_ratio_weight != 0.0 {
        gaps.push("squared_log_ratio".to_owned());
    }
    gaps.extend(terms.other_terms.iter().cloned());
    gaps
}

/// A comment for each term that was left out.
pub(super) fn left_out_comment(left_out: &[String]) -> String {
    match left_out {
        [] => String::new(),
        terms => format!("# Left out of the objective, by consent: {}\n", terms.join(", ")),
    }
}

/// A word for a POSIX shell, whatever is in it.
pub(super) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> TrainingTerms {
        TrainingTerms { base_model: "org/it's a model".into(), ..TrainingTerms::default() }
    }

    fn pairs() -> Vec<PreferencePair> {
        vec![PreferencePair::new("Why?", "Oh.", "Because.")]
    }

    #[test]
    fn without_consent_nothing_is_written_and_the_term_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("out");
        for engine in [Engine::OpenRlhf, Engine::Trl] {
            let error = export_distillation(engine, &to, &pairs(), &terms(), &[]).unwrap_err();
            assert!(error.to_string().contains("squared_log_ratio"), "{error}");
            assert!(!to.exists());
        }
    }

    #[test]
    fn with_consent_data_configuration_and_script_are_there_and_say_what_is_missing() {
        let agreed = ["squared_log_ratio".to_owned()];
        for (engine, names) in [
            (Engine::OpenRlhf, vec!["pairs.jsonl", "launch.sh"]),
            (Engine::Trl, vec!["pairs.jsonl", "config.json", "train.py", "launch.sh"]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let export =
                export_distillation(engine, dir.path(), &pairs(), &terms(), &agreed).unwrap();
            let written: Vec<_> =
                export.files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
            assert_eq!((written, &export.left_out[..]), (names, &agreed[..]));
            let script = std::fs::read_to_string(dir.path().join("launch.sh")).unwrap();
            assert!(script.contains("by consent: squared_log_ratio"), "{script}");
            let read = crate::interchange::read_pairs(&export.files[0]).unwrap();
            assert_eq!(read, pairs());
        }
    }

    #[test]
    fn without_the_squared_term_no_consent_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let terms = TrainingTerms { squared_log_ratio_weight: 0.0, ..terms() };
        for engine in [Engine::OpenRlhf, Engine::Trl] {
            let export = export_distillation(engine, dir.path(), &pairs(), &terms, &[]).unwrap();
            assert_eq!(export.left_out, Vec::<String>::new());
        }
    }
}
