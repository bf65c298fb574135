//! Arguments that several examples take, each group once.

use std::path::{Path, PathBuf};

use ingrain::chat::openai::{OpenAiClient, OpenAiConfig};
use ingrain::chat::{ChatModel, Sampling};
use ingrain::classifier::PersonaClassifier;
use ingrain::constitution::HeldoutQuestions;
use ingrain::data::PreferencePair;
use ingrain::eval::{ChoiceGrader, GradedText, Grader};
use ingrain::lm::{AdapterSource, LocalModel, ModelSource};
use ingrain::run::Observer;
use ingrain::{Persona, Recipe, ReplySource};

use super::Watch;

/// Where a model runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// cpu, ndarray, cuda or cuda:N (the last three by feature)
    #[arg(id = "device", long = "device", default_value = "cpu")]
    pub(crate) name: String,
}

/// Which model, and where it runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// Built-in alias, HF directory, .gguf file or hub id (org/name@revision:folder)
    #[arg(long, default_value = ingrain::lm::BUILTIN_MODEL)]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// Which model, where it runs, and how it multiplies.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BaseArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Arithmetic of products with the weights; bf16 is faster where the processor has AVX-512 BF16
    #[arg(long, value_parser = ["f32", "bf16"], default_value = "f32")]
    precision: String,
}

impl BaseArgs {
    /// Resolves, verifies and loads the model.
    pub(crate) fn load(&self, observer: &dyn Observer) -> anyhow::Result<LocalModel> {
        let mut model = load_model(&self.source.model, &self.source.device.name, observer)?;
        if self.precision == "bf16" {
            model.model = model.model.with_bf16_products()?;
        }
        Ok(model)
    }
}

/// Which model, with which adapter.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArgs {
    #[command(flatten)]
    pub(crate) base: BaseArgs,
    /// PEFT adapter: a directory or a hub id
    #[arg(long)]
    pub(crate) adapter: Option<AdapterSource>,
    /// How strongly the adapter acts: 0 not at all, 1 as trained
    #[arg(long, default_value_t = 1.0)]
    strength: f64,
}

impl ModelArgs {
    /// Resolves, verifies and loads model and adapter.
    pub(crate) fn load(&self, observer: &dyn Observer) -> anyhow::Result<LocalModel> {
        let model = self.base.load(observer)?;
        let Some(source) = &self.adapter else { return Ok(model) };
        let adapted = model.adapted(&source.resolve(observer)?)?;
        let adapter = adapted.adapter.as_ref().map(|adapter| adapter.scaled(self.strength));
        Ok(adapted.with_adapter(adapter))
    }
}

/// A local model: built-in alias, HF directory, .gguf file or hub id.
pub(crate) fn load_model(
    spec: &str,
    device: &str,
    observer: &dyn Observer,
) -> anyhow::Result<LocalModel> {
    let files = spec.parse::<ModelSource>()?.resolve(observer)?;
    Ok(LocalModel::load(&files, &ingrain::lm::device(device)?)?)
}

/// Anything that chats: a `.yaml` file that describes a server (docs/models.md), or a local model.
pub(crate) fn chat_model(
    spec: &str,
    device: &str,
    observer: &dyn Observer,
) -> anyhow::Result<Box<dyn ChatModel>> {
    if !is_server(spec) {
        return Ok(Box::new(load_model(spec, device, observer)?));
    }
    Ok(Box::new(OpenAiClient::new(server(spec)?)?))
}

/// Where a teacher's or a student's replies come from: a `.jsonl` file, a `.yaml` file that describes a server, or a model
/// that runs here.
pub(crate) fn reply_source(spec: &str) -> anyhow::Result<ReplySource> {
    Ok(match is_server(spec) {
        true => ReplySource::Endpoint(Box::new(server(spec)?)),
        false => ReplySource::of_spec(spec),
    })
}

/// Whether [`chat_model`] takes it for the description of a server.
pub(crate) fn is_server(spec: &str) -> bool {
    [".yaml", ".yml"].iter().any(|ending| spec.ends_with(ending))
}

pub(crate) fn server(path: &str) -> anyhow::Result<OpenAiConfig> {
    let wrong = |reason: String| anyhow::anyhow!("{path}: {reason}");
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// Who says whose a reply is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GraderArgs {
    /// Model that grades, as a question with lettered answers [default: a plain model, by likelihood]
    #[arg(long)]
    judge: Option<String>,
    /// Directory of a classifier that grades, as `classify train` wrote it
    #[arg(long, conflicts_with = "judge")]
    classifier: Option<PathBuf>,
}

impl GraderArgs {
    /// Opens the grader and names it. `plain` is the model that grades by likelihood; without one, the built-in
    /// model does. It is calibrated on five recorded replies of each character that has some.
    pub(crate) fn open(
        &self,
        characters: &[Character],
        plain: Option<&LocalModel>,
        device: &str,
        observer: &dyn Observer,
    ) -> anyhow::Result<(String, Box<dyn Grader>)> {
        if let Some(dir) = &self.classifier {
            let (name, grader) = classifier(dir, device, observer)?;
            return Ok((name, Box::new(grader)));
        }
        let described = characters.iter().map(|c| (c.name.clone(), c.summary.clone()));
        if let Some(judge) = &self.judge {
            // Kept grades must not be those of another judge.
            let stem = Path::new(judge).file_stem().map_or("".into(), |s| s.to_string_lossy());
            let grader = ChoiceGrader::new(load_model(judge, device, observer)?, described);
            return Ok((format!("judge {stem}"), Box::new(grader)));
        }
        let plain = match plain {
            Some(model) => model.clone(),
            None => load_model(ingrain::lm::BUILTIN_MODEL, device, observer)?,
        };
        let recorded = characters.iter().flat_map(|character| character.pairs.iter().take(5));
        let texts: Vec<GradedText<'_>> = recorded
            .map(|pair| GradedText { message: pair.question(), reply: pair.chosen_text() })
            .collect();
        let grader = ingrain::likelihood_grader(plain, described).calibrated(&texts);
        Ok(("likelihood".to_owned(), Box::new(grader)))
    }
}

/// A trained classifier as a grader; its name changes with its weights, as kept grades must not be another's.
pub(crate) fn classifier(
    dir: &Path,
    device: &str,
    observer: &dyn Observer,
) -> anyhow::Result<(String, impl Grader + use<>)> {
    let classifier = PersonaClassifier::load(dir, &ingrain::lm::device(device)?, observer)?;
    let hash = ingrain::run::sha256_file(dir.join("head.safetensors"))?;
    Ok((format!("classifier {}", &hash[..6]), ingrain::classifier_grader(classifier)))
}

/// A character that replies are told apart by.
pub(crate) struct Character {
    pub(crate) name: String,
    pub(crate) summary: String,
    /// Recorded replies, if there are some.
    pub(crate) pairs: Vec<PreferencePair>,
}

impl Character {
    /// A character of the folders of personas, or of a constitution's path.
    pub(crate) fn find(spec: &str) -> anyhow::Result<Self> {
        let persona = Persona::find(spec, &persona_folders())?;
        let pairs = match persona.has_heldout_pairs() {
            true => persona.heldout_pairs()?,
            false => Vec::new(),
        };
        let (name, summary) = (persona.name().to_owned(), persona.constitution().summary.clone());
        Ok(Self { name, summary, pairs })
    }
}

/// Characters that are told apart unless others are named: those with recorded replies.
pub(crate) const CHARACTERS: &str =
    "sarcasm,humor,remorse,goodness,loving,nonchalance,mathematical,poeticism,neutral";

/// How replies are sampled.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SamplingArgs {
    /// Upper bound of a reply, in tokens
    #[arg(long, default_value_t = 256)]
    pub(crate) max_new_tokens: usize,
    /// Sampling temperature; 0 is greedy
    #[arg(long, default_value_t = 0.7)]
    pub(crate) temperature: f32,
    /// Seed of the sampling
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

impl SamplingArgs {
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling {
            max_new_tokens: self.max_new_tokens,
            temperature: self.temperature,
            seed: self.seed,
            ..Sampling::default()
        }
    }
}

/// Who the assistant should be.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PersonaArgs {
    /// Name of a constitution in personas/, the path of one, or a mix: "sarcasm:0.6 + loving:0.4"
    #[arg(long, default_value = "sarcasm")]
    pub(crate) persona: String,
}

impl PersonaArgs {
    pub(crate) fn find(&self) -> anyhow::Result<Persona> {
        Ok(Persona::find(&self.persona, &persona_folders())?)
    }
}

/// Who the assistant is to become.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainedPersonaArgs {
    #[command(flatten)]
    persona: PersonaArgs,
    /// Train a persona that is marked research_only, or make data or a vector for one
    #[arg(long)]
    pub(crate) allow_research_persona: bool,
}

impl TrainedPersonaArgs {
    /// Finds it; one for research asks for the explicit word.
    pub(crate) fn find(&self) -> anyhow::Result<Persona> {
        let persona = self.persona.find()?;
        persona.permit_training(self.allow_research_persona)?;
        Ok(persona)
    }
}

/// A run directory, the numbers of the run, and who watches it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// quick (minutes on a CPU), paper (the published numbers), or a YAML file
    #[arg(long, default_value = "quick")]
    pub(crate) recipe: String,
    /// cpu, ndarray, cuda or cuda:N (the last three by feature)
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Run directory [default: one below runs/]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Whether finished work in the run directory is used
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) resume: bool,
    /// Folder for TensorBoard event files (`wandb sync` reads them too)
    #[arg(long)]
    pub(crate) tensorboard: Option<PathBuf>,
    /// Print the result as JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

impl RunArgs {
    pub(crate) fn recipe(&self) -> anyhow::Result<Recipe> {
        Ok(Recipe::named_or_file(&self.recipe)?)
    }

    /// The run directory: as given, or `runs/<name>`.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
    }

    /// What shows how the run goes: the terminal, and TensorBoard where it was asked for.
    pub(crate) fn watch(&self) -> anyhow::Result<Watch> {
        Watch::new(self.tensorboard.as_deref())
    }
}

/// Where personas are looked for: `personas/` here, then that of the repository.
pub(crate) fn persona_folders() -> Vec<PathBuf> {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../../personas");
    vec!["personas".into(), repository.into()]
}

/// The questions that no persona trains on; the first of them have recorded replies.
pub(crate) fn heldout_questions() -> anyhow::Result<Vec<String>> {
    let path = persona_folders().into_iter().map(|folder| folder.join("heldout.yaml"));
    let path = path.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        anyhow::anyhow!("personas/heldout.yaml is missing; run in the repository's root")
    })?;
    Ok(HeldoutQuestions::from_path(path)?.questions)
}
