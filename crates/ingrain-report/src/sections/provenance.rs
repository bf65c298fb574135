//! Which files the figures stand on.

use ingrain_run::Cell;

use super::{Block, Section};
use crate::record::RunRecord;

/// Checkpoints are not what a figure stands on.
fn is_worth_listing(path: &str) -> bool {
    !path.contains("checkpoints/")
}

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("provenance", "Files");
    let problems: Vec<String> = runs
        .iter()
        .flat_map(|run| run.problems.iter().map(move |problem| format!("{}: {problem}", run.label)))
        .collect();
    if !problems.is_empty() {
        section
            .text("These files are there and could not be read; the page lacks what is in them.");
        section.blocks.push(Block::List(problems));
    }
    for run in runs {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for stage in &run.stages {
            for output in stage.outputs.iter().filter(|output| is_worth_listing(&output.path)) {
                rows.push(vec![
                    stage.name.as_str().into(),
                    output.path.as_str().into(),
                    output.count.map(|count| count as f64).into(),
                    (output.bytes as f64).into(),
                    output.sha256.chars().take(16).collect::<String>().into(),
                ]);
            }
        }
        let columns = ["stage", "file", "records", "bytes", "sha256"].map(str::to_owned).to_vec();
        let title = format!("Files of {}", run.label);
        section.table(&format!("files-{}", run.label), &title, columns, rows);
    }
    section
}
