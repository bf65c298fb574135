//! What the training pairs are like.

use ingrain_data::{QualityReport, TextReport};
use ingrain_run::{Cell, Chart, Estimate};

use super::{Section, by_run};
use crate::record::RunRecord;

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("data", "Training data");
    filter(runs, &mut section);
    texts(runs, &mut section);
    for run in runs {
        let Some(quality) = &run.quality else { continue };
        let suffix = if runs.len() == 1 { String::new() } else { format!(": {}", run.label) };
        if let Some(chart) = by_assertion(run, quality) {
            let id = format!("assertions-{}", run.label);
            section.figure(&id, &format!("Pairs by assertion{suffix}"), "", chart);
        }
        let openings: Vec<Vec<Cell>> =
            [("chosen", &quality.chosen), ("rejected", &quality.rejected)]
                .into_iter()
                .flat_map(|(side, texts)| texts.openings.iter().map(move |opening| (side, opening)))
                .map(|(side, opening)| {
                    vec![side.into(), opening.text.as_str().into(), (opening.count as f64).into()]
                })
                .collect();
        let columns = ["replies", "first four words", "times"].map(str::to_owned).to_vec();
        let id = format!("openings-{}", run.label);
        section.table(&id, &format!("Most frequent openings{suffix}"), columns, openings);
    }
    section
}

fn filter(runs: &[RunRecord], section: &mut Section) {
    let mut names: Vec<String> = Vec::new();
    let mut counts: Vec<Vec<(String, f64)>> = Vec::new();
    for run in runs {
        let mut of_run: Vec<(String, f64)> = Vec::new();
        if let Some(filter) = &run.filter {
            of_run.push(("candidates".into(), filter.candidates as f64));
            of_run.push(("kept".into(), filter.kept as f64));
            of_run.push(("of these cut back to a whole sentence".into(), filter.trimmed as f64));
            for (reason, count) in &filter.dropped {
                let reason = serde_json::to_value(reason).unwrap_or_default();
                of_run.push((format!("dropped: {}", super::in_words(&reason)), *count as f64));
            }
        }
        if let Some(quality) = &run.quality {
            of_run.push(("different prompts".into(), quality.prompts as f64));
            of_run.push(("repeated pairs".into(), quality.repeated as f64));
            let bias = &quality.length_bias;
            of_run.push(("chosen is the longer one, %".into(), 100.0 * bias.chosen_longer));
            of_run.push(("chosen less rejected, words".into(), bias.mean_difference));
        }
        for (name, _) in &of_run {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        counts.push(of_run);
    }
    let row = |name: &String| -> Vec<Cell> {
        let value = |of_run: &Vec<(String, f64)>| -> Cell {
            of_run.iter().find(|(other, _)| other == name).map(|(_, value)| *value).into()
        };
        std::iter::once(Cell::from(name.as_str())).chain(counts.iter().map(value)).collect()
    };
    section.table("pairs", "Preference pairs", by_run(runs), names.iter().map(row).collect());
}

fn texts(runs: &[RunRecord], section: &mut Section) {
    let measures: [(&str, fn(&TextReport) -> f64); 9] = [
        ("words, mean", |t| t.words.mean),
        ("words, shortest", |t| t.words.min as f64),
        ("words, median", |t| t.words.median as f64),
        ("words, longest", |t| t.words.max as f64),
        ("distinct words, share", |t| t.distinct_1),
        ("distinct word pairs, share", |t| t.distinct_2),
        ("distinct word triples, share", |t| t.distinct_3),
        ("refusals, %", |t| 100.0 * t.refusal_rate),
        ("most frequent opening, %", |t| 100.0 * t.top_opening_share),
    ];
    let of = |run: &RunRecord, quality: &QualityReport| -> Vec<(String, TextReport)> {
        let name = |side: &str| {
            if runs.len() == 1 { side.to_owned() } else { format!("{}: {side}", run.label) }
        };
        vec![(name("chosen"), quality.chosen.clone()), (name("rejected"), quality.rejected.clone())]
    };
    let sides: Vec<(String, TextReport)> =
        runs.iter().filter_map(|run| Some(of(run, run.quality.as_ref()?))).flatten().collect();
    if sides.is_empty() {
        return;
    }
    let columns = std::iter::once(String::new()).chain(sides.iter().map(|(name, _)| name.clone()));
    let rows = measures
        .iter()
        .map(|(name, measure)| {
            let values = sides.iter().map(|(_, texts)| Cell::from(measure(texts)));
            std::iter::once(Cell::from(*name)).chain(values).collect()
        })
        .collect();
    section.table("texts", "The replies on both sides", columns.collect(), rows);
}

/// Only where the counts differ; ten equal marks say nothing that the table does not.
fn by_assertion(run: &RunRecord, quality: &QualityReport) -> Option<Chart> {
    let constitution = run.constitution.as_ref()?;
    let counts = &quality.by_assertion;
    let first = counts.values().next()?;
    if counts.values().all(|count| count == first) {
        return None;
    }
    let estimates = counts
        .iter()
        .map(|(index, count)| {
            let text = constitution.assertions.get(*index).map_or("", |a| a.text.as_str());
            let label = format!("{}. {text}", index + 1);
            Estimate { label, value: *count as f64, ..Estimate::default() }
        })
        .collect();
    Some(Chart::Estimates { unit: "pairs".into(), reference: None, estimates })
}
