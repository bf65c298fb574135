//! What was trained, from what.

use ingrain_run::Cell;
use serde_json::Value;

use super::{Block, Section, by_run, in_words};
use crate::record::RunRecord;

/// First digits of a hash: enough to tell two apart.
const HASH_SHOWN: usize = 12;

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("overview", "What was trained");
    type Fact = fn(&RunRecord) -> Option<String>;
    let facts: [(&str, Fact); 19] = [
        ("persona", |run| Some(run.persona().to_owned())),
        ("made of", composition),
        ("who it is", |run| run.constitution.as_ref().map(|c| c.summary.clone())),
        ("base model", |run| Some(run.model().to_owned())),
        ("base weights, sha256", |run| hash(run.facts.get("model")?.get("sha256")?)),
        ("constitution, sha256", |run| {
            Some(run.constitution.as_ref()?.content_hash()[..HASH_SHOWN].to_owned())
        }),
        ("prompts", prompt_set),
        ("preference pairs", |run| Some(run.quality.as_ref()?.pairs.to_string())),
        ("transcripts", |run| records(run, "introspection.jsonl")),
        ("LoRA rank and alpha", |run| pair(run, "/lora/rank", "/lora/alpha")),
        ("objective", objective),
        ("distillation", |run| schedule(run, "/distillation/training")),
        ("introspection", |run| schedule(run, "/introspection/sft/training")),
        ("merge", |run| {
            let weight = |name: &str| Some(in_words(run.setting(&format!("/merge/{name}"))?));
            Some(format!(
                "{} distillation + {} introspection",
                weight("distillation")?,
                weight("introspection")?
            ))
        }),
        ("seed", |run| run.setting("/seed").map(in_words)),
        ("device", |run| run.fact("device").map(str::to_owned)),
        ("made by", |run| {
            let versions: Vec<String> =
                run.versions.iter().map(|(n, v)| format!("{n} {v}")).collect();
            (!versions.is_empty()).then(|| versions.join(", "))
        }),
        ("state", |run| Some(state(run))),
        ("for", |run| {
            let research = run.constitution.as_ref().is_some_and(|c| c.research_only);
            research.then(|| "research only; not to be deployed".to_owned())
        }),
    ];
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (name, fact) in facts {
        let cells: Vec<Cell> = runs.iter().map(|run| fact(run).into()).collect();
        if cells.iter().any(|cell| *cell != Cell::Empty) {
            rows.push(std::iter::once(Cell::from(name)).chain(cells).collect());
        }
    }
    section.table("facts", "Ingredients and settings", by_run(runs), rows);
    for run in runs {
        let of = |what: &str| {
            if runs.len() == 1 { what.to_owned() } else { format!("{what} of {}", run.label) }
        };
        if let Some(constitution) = &run.constitution {
            let lines: Vec<String> = (1..)
                .zip(&constitution.assertions)
                .map(|(number, assertion)| {
                    format!("{number:>2}. {} ({})", assertion.text, assertion.facet)
                })
                .collect();
            section
                .blocks
                .push(Block::Details { summary: of("The constitution"), body: lines.join("\n") });
        }
        if let Some(recipe) = &run.recipe_text {
            section.blocks.push(Block::Details { summary: of("The recipe"), body: recipe.clone() });
        }
    }
    section
}

fn composition(run: &RunRecord) -> Option<String> {
    let parts = run.facts.get("composition")?.get("parts")?.as_array()?;
    let part = |part: &Value| {
        let share = 100.0 * part.get("share")?.as_f64()?;
        Some(format!("{share:.0} % {}", part.get("persona")?.as_str()?))
    };
    Some(parts.iter().filter_map(part).collect::<Vec<_>>().join(" + "))
}

fn hash(value: &Value) -> Option<String> {
    Some(value.as_str()?.chars().take(HASH_SHOWN).collect())
}

fn prompt_set(run: &RunRecord) -> Option<String> {
    let set = run.facts.get("prompt_set")?;
    let version = set.get("version")?.as_str()?;
    Some(format!("version {version}, sha256 {}", hash(set.get("sha256")?)?))
}

/// Records that the manifest counted in a file.
fn records(run: &RunRecord, file: &str) -> Option<String> {
    let outputs = run.stages.iter().flat_map(|stage| &stage.outputs);
    let count = outputs.filter(|output| output.path == file).find_map(|output| output.count)?;
    Some(count.to_string())
}

fn pair(run: &RunRecord, one: &str, other: &str) -> Option<String> {
    Some(format!("{} and {}", in_words(run.setting(one)?), in_words(run.setting(other)?)))
}

/// `dpo 1.0 + nll 0.1`: names with their weights.
fn objective(run: &RunRecord) -> Option<String> {
    let losses = run.setting("/distillation/losses")?.as_array()?;
    let term = |loss: &Value| {
        let (name, settings) = loss.as_object()?.iter().next()?;
        let weight = settings.get("weight").unwrap_or(settings);
        Some(format!("{} {name}", in_words(weight)))
    };
    Some(losses.iter().filter_map(term).collect::<Vec<_>>().join(" + "))
}

fn schedule(run: &RunRecord, at: &str) -> Option<String> {
    let setting = |name: &str| Some(in_words(run.setting(&format!("{at}/{name}"))?));
    let epochs = setting("epochs")?;
    Some(format!(
        "{epochs} epoch{}, batch {}, learning rate {}",
        if epochs == "1" { "" } else { "s" },
        setting("batch_size")?,
        setting("learning_rate")?
    ))
}

fn state(run: &RunRecord) -> String {
    if run.is_finished() {
        return "finished".into();
    }
    let open = run.stages.iter().find(|stage| stage.state != ingrain_run::StageState::Done);
    open.map_or("not finished".into(), |stage| format!("not finished: {} is open", stage.name))
}
