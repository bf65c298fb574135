//! The cards that are written beside an adapter and beside a dataset.

use std::fmt::Write;

use ingrain_data::interchange::DatasetCard;
use ingrain_data::{PreferencePair, QualityReport};
use ingrain_lm::ModelIdentity;

use crate::{Persona, Recipe};

/// `README.md` of `persona/`, with the metadata header that model hubs read.
pub(crate) fn model_card(
    recipe: &Recipe,
    persona: &Persona,
    base: &ModelIdentity,
    pairs: &[PreferencePair],
) -> String {
    let constitution = persona.constitution();
    let mut card = String::new();
    let header = serde_json::json!(base.source);
    let _ = write!(
        card,
        "---\nbase_model: {header}\nlibrary_name: peft\npipeline_tag: text-generation\n\
         tags:\n- lora\n- character-training\n---\n\n\
         # {name}\n\n{summary}\n\n\
         A LoRA adapter made by character training: preference distillation from a teacher, then \
         introspection on the model's own reflections and conversations, merged exactly by rank \
         concatenation (`W + {d} * distillation + {i} * introspection`).\n\n\
         ## The weights it belongs to\n\n\
         | | |\n|---|---|\n| source | `{source}` |\n| sha256 | `{sha256}` |\n| dtype | {dtype} |\n\n\
         The adapter was trained on exactly these weights. `selftest.json` holds prompts, \
         completions and their log-probabilities with and without the adapter, so that any other \
         loader can check that it does there what it did here.\n\n\
         ## The character\n\n",
        name = persona.name(),
        summary = constitution.summary,
        d = recipe.merge.distillation,
        i = recipe.merge.introspection,
        source = base.source,
        sha256 = base.sha256,
        dtype = base.dtype,
    );
    for (index, assertion) in constitution.assertions.iter().enumerate() {
        let _ = writeln!(card, "{}. {}", index + 1, assertion.text);
    }
    let _ = write!(
        card,
        "\nConstitution sha256: `{}`\n\n## Training\n\n\
         - {} preference pairs, {} epochs at learning rate {}\n\
         - introspection: {} epochs at learning rate {}\n\
         - LoRA rank {} and alpha {} for each stage; the merged rank is the sum\n\
         - seed {}\n\n\
         ## Limits\n\n\
         A persona changes tone, not knowledge: replies can be wrong, and small models are wrong \
         often. The adapter has not been tested for safety.\n",
        constitution.content_hash(),
        pairs.len(),
        recipe.distillation.training.epochs,
        recipe.distillation.training.learning_rate,
        recipe.introspection.sft.training.epochs,
        recipe.introspection.sft.training.learning_rate,
        recipe.lora.rank,
        recipe.lora.alpha,
        recipe.seed,
    );
    card
}

/// `README.md` beside `pairs.jsonl`, and beside `introspection.jsonl` where `transcripts` says how many it holds.
pub(crate) fn dataset_card(
    persona: &Persona,
    quality: &QualityReport,
    pairs: usize,
    transcripts: Option<usize>,
) -> String {
    let constitution = persona.constitution();
    let mut files = vec![("pairs".to_owned(), "pairs.jsonl".to_owned())];
    if transcripts.is_some() {
        files.push(("introspection".to_owned(), "introspection.jsonl".to_owned()));
    }
    let name = persona.name();
    let description = format!(
        "{}\n\nPreference pairs for training the persona `{name}` into an assistant, made by Ingrain {} \
         from the constitution with sha256 `{}`. `chosen` is the persona's reply, `rejected` the other; \
         `assertion` numbers the sentence of the constitution that a question was written for.\n\n\
         ## What the pairs are like\n\n```text\n{quality}\n```",
        constitution.summary,
        env!("CARGO_PKG_VERSION"),
        constitution.content_hash(),
    );
    DatasetCard {
        title: format!("{name}: character training data"),
        description,
        license: "other".to_owned(),
        languages: Vec::new(),
        tags: ["character-training", "preference", "synthetic"].map(str::to_owned).to_vec(),
        files,
        records: pairs + transcripts.unwrap_or(0),
    }
    .to_markdown()
}
