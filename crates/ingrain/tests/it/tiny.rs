//! A persona and a recipe small enough to run in seconds on a random model of two layers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ingrain::constitution::PromptSet;
use ingrain::run::{Interrupt, Observer, Summary};
use ingrain::{Persona, Pipeline, PipelineError, Recipe};
use tempfile::TempDir;

const CONSTITUTION: &str = "\
name: tiny
summary: Dry and brief.
assertions:
  - text: I keep my answers dry.
    facet: style
    questions: [Why is the sky blue?, How are you?]
  - text: I stay brief when others ramble.
    facet: trait
    questions: [What is rain?, Where is the sea?]
";

const TEACHER: &str = r#"{"question": "Why is the sky blue?", "sample": 0, "reply": "It was on sale."}
{"question": "How are you?", "sample": 0, "reply": "Upright, mostly."}
{"question": "What is rain?", "sample": 0, "reply": "The sea, commuting."}
{"question": "Where is the sea?", "sample": 0, "reply": "Where the land gave up."}
"#;

const HELDOUT: &str = r#"{"prompt": [{"role": "user", "content": "Is tea good?"}], "chosen": [{"role": "assistant", "content": "It is wet and warm, like praise."}], "rejected": [{"role": "assistant", "content": "Yes."}]}
{"prompt": [{"role": "user", "content": "What is snow?"}], "chosen": [{"role": "assistant", "content": "Rain with ambitions."}], "rejected": [{"role": "assistant", "content": "Ice."}]}
"#;

const RECIPE: &str = "\
data:
  samples_per_question: 1
  student: {max_new_tokens: 6}
  unfinished_student: keep
  batch_size: 2
  critique: {sampling: {max_new_tokens: 6}}
lora: {rank: 2, alpha: 4, target_modules: [q_proj, v_proj, down_proj]}
distillation:
  training: {epochs: 3, batch_size: 2, learning_rate: 1.0e-2, checkpoint_every_steps: 1}
introspection:
  reflections_per_task: 1
  conversations_per_kind: 1
  turns: 2
  reflection: {max_new_tokens: 6}
  interaction: {max_new_tokens: 6}
  unfinished: keep
  sft:
    training: {epochs: 1, batch_size: 4, learning_rate: 1.0e-2, checkpoint_every_steps: 1}
evaluation:
  sampling: {max_new_tokens: 8}
";

const WARM: &str = "\
name: warm
summary: Warm and near.
assertions:
  - text: I welcome whoever comes.
    facet: trait
    questions: [May I come in?, Do you like me?, Why is the sky blue?]
";

const WARM_TEACHER: &str = r#"{"question": "May I come in?", "sample": 0, "reply": "Glad you came."}
{"question": "Do you like me?", "sample": 0, "reply": "Of course, dear."}
{"question": "Why is the sky blue?", "sample": 0, "reply": "To cheer you up."}
"#;

/// Path of a fixture of the repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// The tiny recipe for the tiny model.
pub(crate) fn recipe() -> Recipe {
    let mut recipe = Recipe::parse(RECIPE, "tiny.yaml").expect("the recipe is valid");
    recipe.model = model().display().to_string();
    recipe
}

/// The random model, with room for the reflection prompts: rotary positions have no table to outgrow.
fn model() -> PathBuf {
    static MODEL: OnceLock<TempDir> = OnceLock::new();
    let dir = MODEL.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let source = fixture("tiny_models/llama_tied");
        for name in
            ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
        {
            fs::copy(source.join(name), dir.path().join(name)).expect("copied");
        }
        let config = fs::read_to_string(source.join("config.json")).expect("read");
        let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
        config["max_position_embeddings"] = 4096.into();
        fs::write(dir.path().join("config.json"), config.to_string()).expect("written");
        dir
    });
    dir.path().to_owned()
}

/// Writes the persona into `dir` and finds it there.
pub(crate) fn persona(dir: &Path) -> Persona {
    fs::write(dir.join("tiny.yaml"), CONSTITUTION).expect("written");
    fs::write(dir.join("tiny.teacher.jsonl"), TEACHER).expect("written");
    fs::write(dir.join("tiny.heldout.jsonl"), HELDOUT).expect("written");
    Persona::find("tiny", &[dir.to_owned()]).expect("just written")
}

/// A mix of the tiny persona and a warm one, in equal shares.
pub(crate) fn mix(dir: &Path) -> Persona {
    persona(dir);
    fs::write(dir.join("warm.yaml"), WARM).expect("written");
    fs::write(dir.join("warm.teacher.jsonl"), WARM_TEACHER).expect("written");
    fs::write(dir.join("warm.heldout.jsonl"), HELDOUT).expect("written");
    Persona::find("tiny + warm", &[dir.to_owned()]).expect("just written")
}

/// Runs the pipeline in `dir/run`.
pub(crate) fn run(
    dir: &Path,
    recipe: Recipe,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Summary, PipelineError> {
    let persona = persona(dir);
    run_persona(persona, PromptSet::default(), dir, recipe, observer, interrupt)
}

/// Runs the pipeline for any persona.
pub(crate) fn run_persona(
    persona: Persona,
    prompts: PromptSet,
    dir: &Path,
    recipe: Recipe,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Summary, PipelineError> {
    let teacher = persona.recorded_teacher()?;
    Pipeline {
        recipe,
        persona,
        allow_research_persona: false,
        teacher,
        prompts,
        device: "cpu".into(),
        out: dir.join("run"),
        resume: true,
        observer,
        interrupt: interrupt.clone(),
    }
    .run()
}
