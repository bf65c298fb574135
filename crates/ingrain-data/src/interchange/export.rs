//! Training handed to another engine: data, configuration, launch script.

use std::path::{Path, PathBuf};

use ingrain_chat::Role;
use ingrain_run::{RunError, write_atomic, write_jsonl};
use serde::{Deserialize, Serialize};

use super::{PairFormat, TranscriptFormat, openrlhf, trl, write_pairs, write_transcripts};
use crate::{DataError, PreferencePair, Transcript};

/// An engine that trains what Ingrain prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// OpenRLHF (Ray, DeepSpeed).
    OpenRlhf,
    /// TRL (Accelerate, FSDP).
    Trl,
}

/// The recipe's numbers for distillation; introspection takes those that are not about pairs. Defaults are
/// the paper's.
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
    /// Weight of the DPO term, above 0.
    pub dpo_weight: f64,
    /// Conservative label smoothing of the DPO term.
    pub label_smoothing: f64,
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
            dpo_weight: 1.0,
            label_smoothing: 0.0,
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
/// [`DataError::Inexpressible`] without consent (nothing is written then), [`DataError::Invalid`] for an
/// objective without a DPO term, which both engines are built around, or [`DataError::Run`].
pub fn export_distillation(
    engine: Engine,
    dir: impl AsRef<Path>,
    pairs: &[PreferencePair],
    terms: &TrainingTerms,
    agreed: &[String],
) -> Result<Export, DataError> {
    if terms.dpo_weight <= 0.0 {
        let reason = "the objective has no dpo term; an engine's DPO would train something else";
        return Err(DataError::Invalid { stage: "export".into(), reason: reason.into() });
    }
    let dir = dir.as_ref();
    let (left_out, format) = match engine {
        Engine::OpenRlhf => (openrlhf::inexpressible(terms), PairFormat::OpenRlhf),
        Engine::Trl => (trl::inexpressible(terms), PairFormat::TrlExplicit),
    };
    engine.consented(&left_out, agreed)?;
    std::fs::create_dir_all(dir).map_err(|e| RunError::io(dir, "create", e))?;
    let data = dir.join("pairs.jsonl");
    write_pairs(&data, pairs, format)?;
    let texts = match engine {
        Engine::OpenRlhf => openrlhf::distillation(terms, &left_out),
        Engine::Trl => trl::distillation(terms, &left_out),
    };
    write_texts(dir, data, texts, left_out)
}

/// A training conversation in tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledTokens {
    /// The whole conversation.
    pub input_ids: Vec<u32>,
    /// The same where a token is in the loss, and -100 elsewhere.
    pub labels: Vec<i64>,
}

/// Writes `introspection.jsonl`, the engine's configuration and a launch script into `dir`. `terms.base_model`
/// must be the model with the distillation folded in.
///
/// TRL gets `tokens`, so that exactly the turns of Ingrain's loss are in its loss. OpenRLHF gets `transcripts`
/// and trains on every assistant turn; where that is another loss, it is the term `loss_turns`.
///
/// # Errors
/// As [`export_distillation`].
pub fn export_introspection(
    engine: Engine,
    dir: impl AsRef<Path>,
    transcripts: &[Transcript],
    tokens: &[LabelledTokens],
    terms: &TrainingTerms,
    agreed: &[String],
) -> Result<Export, DataError> {
    let dir = dir.as_ref();
    let mut left_out = terms.other_terms.clone();
    if engine == Engine::OpenRlhf {
        left_out.extend(openrlhf::fraction_of_alpha(terms));
        if !transcripts.iter().all(trains_every_assistant_turn) {
            left_out.push("loss_turns".to_owned());
        }
    }
    engine.consented(&left_out, agreed)?;
    std::fs::create_dir_all(dir).map_err(|e| RunError::io(dir, "create", e))?;
    let data = dir.join("introspection.jsonl");
    let texts = match engine {
        Engine::OpenRlhf => {
            write_transcripts(&data, transcripts, TranscriptFormat::Ingrain)?;
            openrlhf::introspection(terms, &left_out)
        }
        Engine::Trl => {
            write_jsonl(&data, tokens)?;
            trl::introspection(terms, &left_out)
        }
    };
    write_texts(dir, data, texts, left_out)
}

fn trains_every_assistant_turn(transcript: &Transcript) -> bool {
    let assistant = transcript.messages.iter().map(|m| m.role == Role::Assistant);
    transcript.mask().into_iter().eq(assistant)
}

fn write_texts(
    dir: &Path,
    data: PathBuf,
    texts: Vec<(&'static str, String)>,
    left_out: Vec<String>,
) -> Result<Export, DataError> {
    let mut files = vec![data];
    for (file, text) in texts {
        let path = dir.join(file);
        write_atomic(&path, text.as_bytes())?;
        files.push(path);
    }
    Ok(Export { files, left_out })
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::OpenRlhf => "OpenRLHF",
            Self::Trl => "TRL",
        }
    }

    fn consented(self, left_out: &[String], agreed: &[String]) -> Result<(), DataError> {
        let terms: Vec<String> =
            left_out.iter().filter(|term| !agreed.contains(term)).cloned().collect();
        match terms.is_empty() {
            true => Ok(()),
            false => Err(DataError::Inexpressible { engine: self.name(), terms }),
        }
    }
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
    fn an_objective_without_dpo_is_refused_whatever_is_agreed() {
        let dir = tempfile::tempdir().unwrap();
        let terms = TrainingTerms {
            dpo_weight: 0.0,
            squared_log_ratio_weight: 0.0,
            other_terms: vec!["simpo".into()],
            ..terms()
        };
        let agreed = ["simpo".to_owned()];
        for engine in [Engine::OpenRlhf, Engine::Trl] {
            let error = export_distillation(engine, dir.path(), &pairs(), &terms, &agreed);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("no dpo term"), "{error}");
        }
    }

    fn talk(trainable: Vec<usize>) -> Transcript {
        let messages = ["Hi.", "Hello.", "So?", "So."].into_iter().enumerate();
        let message = |(i, text): (usize, &str)| match i % 2 {
            0 => ingrain_chat::Message::user(text),
            _ => ingrain_chat::Message::assistant(text),
        };
        Transcript {
            id: "free-00000".into(),
            kind: crate::TranscriptKind::Interaction,
            messages: messages.map(message).collect(),
            trainable,
        }
    }

    #[test]
    fn a_masked_greeting_needs_consent_where_an_engine_trains_on_every_turn() {
        let tokens = [LabelledTokens { input_ids: vec![1, 2], labels: vec![-100, 2] }];
        let export = |engine, trainable, agreed: &[String]| {
            let dir = tempfile::tempdir().unwrap();
            let talks = [talk(trainable)];
            let export = export_introspection(engine, &dir, &talks, &tokens, &terms(), agreed)?;
            Ok::<_, DataError>((export.left_out.clone(), std::fs::read(&export.files[0]).unwrap()))
        };
        let error = export(Engine::OpenRlhf, vec![3], &[]).unwrap_err().to_string();
        assert!(error.contains("loss_turns"), "{error}");
        let agreed = ["loss_turns".to_owned()];
        assert_eq!(export(Engine::OpenRlhf, vec![3], &agreed).unwrap().0, agreed);
        assert!(export(Engine::OpenRlhf, vec![1, 3], &[]).unwrap().0.is_empty());
        let (left_out, data) = export(Engine::Trl, vec![3], &[]).unwrap();
        assert!(left_out.is_empty());
        assert_eq!(data, b"{\"input_ids\":[1,2],\"labels\":[-100,2]}\n");
    }

    #[test]
    fn openrlhf_is_called_with_options_that_its_parsers_have() {
        // Of `openrlhf/cli/train_dpo.py` and, the last five, `train_sft.py`; release 0.10.
        let known: Vec<&str> = include_str!("openrlhf_options.txt").lines().collect();
        let terms = TrainingTerms { squared_log_ratio_weight: 0.0, ..terms() };
        let [pairs_dir, talks_dir] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        export_distillation(Engine::OpenRlhf, &pairs_dir, &pairs(), &terms, &[]).unwrap();
        let talks = [talk(vec![1, 3])];
        export_introspection(Engine::OpenRlhf, &talks_dir, &talks, &[], &terms, &[]).unwrap();
        for dir in [pairs_dir, talks_dir] {
            let script = std::fs::read_to_string(dir.path().join("launch.sh")).unwrap();
            let command = script.split_once("openrlhf.cli.train_").unwrap().1;
            let options: Vec<&str> =
                command.split_whitespace().filter(|word| word.starts_with("--")).collect();
            assert!(options.len() > 20, "{options:?}");
            for option in options {
                assert!(known.contains(&option), "{option} is no option of OpenRLHF's");
            }
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
