//! Files made elsewhere, in place of stages.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a run begins, if not at the beginning: each file takes the place of the stages before it. Files of
/// the method's reference implementation are read as it leaves them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartFrom {
    /// A wide `distillation/<persona>.jsonl`: prompts, teacher's replies and a column for each student.
    pub distillation: Option<PathBuf>,
    /// Its column of student replies. Without it, the student answers here.
    pub student_column: Option<String>,
    /// Preference pairs in any format of `docs/data.md`, `dpo/<model>/<persona>.jsonl` among them.
    pub pairs: Option<PathBuf>,
    /// A directory with the PEFT adapter that distillation gave.
    pub distillation_adapter: Option<PathBuf>,
    /// `reflections.jsonl` of another run, or `self_reflection/<model>/<persona>.jsonl`.
    pub reflections: Option<PathBuf>,
    /// `interactions.jsonl` of another run, or `self_interaction/<model>/<persona>.jsonl`.
    pub interactions: Option<PathBuf>,
    /// `self_interaction/<model>/<persona>-leading.jsonl`.
    pub leading_interactions: Option<PathBuf>,
    /// Training conversations in any format, `sft_data/<model>/<persona>.jsonl` among them.
    pub transcripts: Option<PathBuf>,
    /// A directory with the PEFT adapter that introspection gave.
    pub introspection_adapter: Option<PathBuf>,
}
