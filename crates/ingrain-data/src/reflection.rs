//! Self-reflection: the distilled model writes about itself.

use ingrain_constitution::ReflectionTask;
use ingrain_run::JsonlStore;

use crate::collect::collect;
use crate::replies::Asking;
use crate::{DataError, Generation, Prompt, Reply, StageReport};

/// Has the model write `samples` texts on each introspective task, with the constitution in the
/// system prompt. The records do not hold the system prompt; nor will the training data.
///
/// Paper: 10 tasks, 1,000 samples each, at most 2,048 new tokens.
///
/// # Errors
/// As [`crate::teacher_replies`].
pub fn self_reflection(
    generation: &Generation<'_>,
    system: &str,
    tasks: &[ReflectionTask],
    samples: usize,
    store: &mut JsonlStore<Reply>,
) -> Result<StageReport, DataError> {
    let prompt = |task: &ReflectionTask| Prompt {
        id: task.name.clone(),
        text: task.prompt.clone(),
        assertion: None,
    };
    let prompts: Vec<_> = tasks.iter().map(prompt).collect();
    let system = Some(system);
    let asking =
        Asking { system, prompts: &prompts, samples, samples_together: false, reasoning: None };
    collect(generation, &asking, store, "replies")
}
