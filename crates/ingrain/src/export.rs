//! A run's training in the words of other engines.

use std::path::Path;

use ingrain_data::interchange::{
    Engine, Export, LabelledTokens, TrainingTerms, export_distillation, export_introspection,
    read_pairs, read_transcripts,
};
use ingrain_dpo::{LabelNoise, LossSpec};
use ingrain_introspection::tokenize_transcripts;
use ingrain_lm::ModelSource;
use ingrain_run::Observer;
use ingrain_train::{Decay, TrainConfig};

use crate::data_run::tokenizer;
use crate::pipeline::nested;
use crate::{PipelineError, Recipe};

/// Writes the distillation of a run for another engine: data, configuration, launch script. The run's data
/// stages must be done. `base` is the model as the engine is to load it; default the recipe's.
///
/// # Errors
/// [`PipelineError::Data`] naming the terms that the engine cannot express and that `agreed` does not hold.
pub fn export_run_distillation(
    engine: Engine,
    run: &Path,
    out: &Path,
    base: Option<&str>,
    agreed: &[String],
) -> Result<Export, PipelineError> {
    let recipe = recipe_of(run)?;
    let pairs = read_pairs(run.join("pairs.jsonl"))?;
    let pairs = nested(pairs, recipe.data.max_pairs, recipe.seed);
    let terms = training_terms(&recipe, base.unwrap_or(&recipe.model));
    Ok(export_distillation(engine, out, &pairs, &terms, agreed)?)
}

/// The same for introspection. `base` is the model with the distillation folded in (`export --adapter
/// RUN/distillation --merged`).
///
/// # Errors
/// As [`export_run_distillation`].
pub fn export_run_introspection(
    engine: Engine,
    run: &Path,
    out: &Path,
    base: &str,
    agreed: &[String],
    observer: &dyn Observer,
) -> Result<Export, PipelineError> {
    let recipe = recipe_of(run)?;
    let own = &recipe.introspection;
    let transcripts = read_transcripts(run.join("introspection.jsonl"))?;
    let transcripts = nested(transcripts, own.max_transcripts, recipe.seed);
    let files = recipe.model.parse::<ModelSource>()?.resolve(observer)?;
    let tokenizer = tokenizer(&files)?;
    let limit = own.sft.max_length;
    let (tokens, _) = tokenize_transcripts(&transcripts, &tokenizer, own.sft.turns, limit)?;
    let labelled = |ids: Vec<u32>, in_loss: Vec<bool>| {
        let label = |(&id, is): (&u32, bool)| if is { i64::from(id) } else { -100 };
        LabelledTokens { labels: ids.iter().zip(in_loss).map(label).collect(), input_ids: ids }
    };
    let tokens: Vec<LabelledTokens> =
        tokens.into_iter().map(|t| labelled(t.sequence.ids, t.sequence.completion)).collect();
    let terms = terms_of(&recipe, &own.sft.training, limit, base);
    Ok(export_introspection(engine, out, &transcripts, &tokens, &terms, agreed)?)
}

fn recipe_of(run: &Path) -> Result<Recipe, PipelineError> {
    Recipe::named_or_file(&run.join("recipe.yaml").display().to_string())
}

/// The numbers of a recipe's distillation, for
/// [`export_distillation`](ingrain_data::interchange::export_distillation). What an engine has no place for
/// stands in `other_terms` by name.
///
/// # Examples
/// ```
/// use ingrain::{Recipe, training_terms};
///
/// let terms = training_terms(&Recipe::named_or_file("paper")?, "org/model");
/// assert_eq!((terms.rank, terms.nll_weight, terms.squared_log_ratio_weight), (64, 0.1, 0.001));
/// assert!(terms.other_terms.is_empty());
/// # Ok::<(), ingrain::PipelineError>(())
/// ```
#[must_use]
pub fn training_terms(recipe: &Recipe, base_model: &str) -> TrainingTerms {
    let config = &recipe.distillation;
    let mut terms = terms_of(recipe, &config.training, config.max_length, base_model);
    for spec in &config.losses {
        add(&mut terms, &spec.clone().resolved(config.beta));
    }
    terms
}

fn terms_of(
    recipe: &Recipe,
    training: &TrainConfig,
    max_length: usize,
    base_model: &str,
) -> TrainingTerms {
    let mut terms = TrainingTerms {
        base_model: base_model.to_owned(),
        rank: recipe.lora.rank,
        alpha: recipe.lora.alpha,
        target_modules: recipe.lora.target_modules.clone(),
        learning_rate: training.learning_rate,
        warmup_ratio: training.warmup_ratio,
        min_lr_ratio: training.min_lr_ratio,
        batch_size: training.batch_size,
        epochs: training.epochs as usize,
        max_length,
        max_grad_norm: training.max_grad_norm,
        betas: (training.adamw.beta1, training.adamw.beta2),
        epsilon: training.adamw.epsilon,
        weight_decay: training.adamw.weight_decay,
        seed: training.seed,
        beta: recipe.distillation.beta,
        dpo_weight: 0.0,
        label_smoothing: 0.0,
        nll_weight: 0.0,
        squared_log_ratio_weight: 0.0,
        other_terms: Vec::new(),
    };
    if training.decay != Decay::Cosine {
        terms.other_terms.push("decay".to_owned());
    }
    terms
}

fn add(terms: &mut TrainingTerms, spec: &LossSpec) {
    match spec {
        LossSpec::Dpo(term) if terms.dpo_weight == 0.0 => {
            terms.dpo_weight = term.weight;
            terms.beta = term.loss.beta;
            terms.label_smoothing = term.loss.label_smoothing;
            if term.loss.label_smoothing > 0.0 && term.loss.label_noise != LabelNoise::Conservative
            {
                terms.other_terms.push("label_noise".to_owned());
            }
            if term.loss.length_normalized {
                terms.other_terms.push("length_normalized".to_owned());
            }
        }
        LossSpec::Nll(term) => terms.nll_weight += term.weight,
        LossSpec::SquaredLogRatio(term) => terms.squared_log_ratio_weight += term.weight,
        other => terms.other_terms.push(other.name().to_owned()),
    }
}
