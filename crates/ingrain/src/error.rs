//! What can go wrong in a run.

use std::path::PathBuf;

/// An error of this crate: its own, or one of the stage that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A recipe that cannot be used.
    #[error("{}: {reason}", path.display())]
    Recipe {
        /// The recipe's name or file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// A persona that is not there or not complete.
    #[error("persona {persona:?}: {reason}")]
    Persona {
        /// As the user named it.
        persona: String,
        /// What is missing, and the way out.
        reason: String,
    },
    /// A persona that is marked `research_only`, and nobody said that training it is meant.
    #[error("{persona} is a persona for research only; pass --allow-research-persona to train it")]
    ResearchOnly {
        /// Its name.
        persona: String,
    },
    /// Somebody asked to stop; everything finished is on disk.
    #[error("interrupted; run the same command again to go on")]
    Interrupted,
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A trained adapter does not do on disk what it did in memory.
    #[error("{}: {reason}", path.display())]
    SelfTest {
        /// The adapter.
        path: PathBuf,
        /// The difference found.
        reason: String,
    },
    /// The run directory.
    #[error(transparent)]
    Run(#[from] ingrain_run::RunError),
    /// The constitution or the prompts.
    #[error(transparent)]
    Constitution(#[from] ingrain_constitution::ConstitutionError),
    /// The data stages.
    #[error(transparent)]
    Data(#[from] ingrain_data::DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ingrain_lm::LmError),
    /// Distillation.
    #[error(transparent)]
    Distillation(#[from] ingrain_dpo::DpoError),
    /// Introspection training.
    #[error(transparent)]
    Introspection(#[from] ingrain_introspection::IntrospectionError),
    /// Evaluation.
    #[error(transparent)]
    Eval(#[from] ingrain_eval::EvalError),
    /// Steering.
    #[error(transparent)]
    Steering(#[from] ingrain_steering::SteeringError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ingrain_report::ReportError),
    /// The persona classifier.
    #[error(transparent)]
    Classifier(#[from] ingrain_classifier::ClassifierError),
    /// Recorded replies.
    #[error(transparent)]
    Chat(#[from] ingrain_chat::ChatError),
}
