//! Time, tokens and memory.

use std::collections::BTreeMap;

use ingrain_run::Cell;

use super::{Section, by_run};
use crate::record::RunRecord;

/// A rate over less than this, in seconds, is no rate.
const SHORTEST: f64 = 0.5;

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("cost", "What it cost");
    match runs {
        [run] => single(run, &mut section),
        several => compared(several, &mut section),
    }
    section
}

fn single(run: &RunRecord, section: &mut Section) {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for stage in &run.stages {
        let rate = (stage.seconds >= SHORTEST && stage.tokens > 0)
            .then(|| (stage.tokens as f64 / stage.seconds).round());
        let tokens = (stage.tokens > 0).then_some(stage.tokens as f64);
        rows.push(vec![
            stage.name.as_str().into(),
            seconds(stage.seconds),
            tokens.into(),
            rate.into(),
        ]);
    }
    if !rows.is_empty() {
        let total: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
        let tokens: u64 = run.stages.iter().map(|stage| stage.tokens).sum();
        rows.push(vec!["all".into(), seconds(total), (tokens as f64).into(), Cell::Empty]);
    }
    let columns = ["stage", "seconds", "tokens", "tokens a second"].map(str::to_owned).to_vec();
    section.table("stages", "Stages", columns, rows);
    if let Some(bytes) = run.summary.as_ref().and_then(|summary| summary.peak_rss_bytes) {
        section.text(format!("Peak memory: {:.2} GiB.", bytes as f64 / f64::from(1 << 30)));
    }
}

fn compared(runs: &[RunRecord], section: &mut Section) {
    let mut names: Vec<&str> = Vec::new();
    for stage in runs.iter().flat_map(|run| &run.stages) {
        if !names.contains(&stage.name.as_str()) {
            names.push(&stage.name);
        }
    }
    let of: Vec<BTreeMap<&str, f64>> = runs
        .iter()
        .map(|run| run.stages.iter().map(|stage| (stage.name.as_str(), stage.seconds)).collect())
        .collect();
    let mut rows: Vec<Vec<Cell>> = names
        .iter()
        .map(|name| {
            let cells = of.iter().map(|run| run.get(name).map_or(Cell::Empty, |s| seconds(*s)));
            std::iter::once(Cell::from(format!("{name}, seconds"))).chain(cells).collect()
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let totals = of.iter().map(|run| seconds(run.values().sum()));
    rows.push(std::iter::once(Cell::from("all, seconds")).chain(totals).collect());
    let peak = |run: &RunRecord| -> Cell {
        let bytes = run.summary.as_ref().and_then(|summary| summary.peak_rss_bytes);
        bytes.map(|bytes| bytes as f64 / f64::from(1 << 30)).into()
    };
    rows.push(
        std::iter::once(Cell::from("peak memory, GiB")).chain(runs.iter().map(peak)).collect(),
    );
    section.table("stages", "Seconds by stage", by_run(runs), rows);
}

/// To a tenth.
fn seconds(value: f64) -> Cell {
    ((10.0 * value).round() / 10.0).into()
}
