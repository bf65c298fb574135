//! Evaluations that left a report of their own: a section each, the runs below one another.

use super::{Block, Section};
use crate::record::RunRecord;

pub(super) fn sections(runs: &[RunRecord]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for run in runs {
        for suite in &run.suites {
            let id = format!("suite-{}", suite.suite);
            let at = sections.iter().position(|section| section.id == id).unwrap_or_else(|| {
                let mut section = Section::new(&id, &suite.title);
                if !suite.protocol.is_empty() {
                    section.text(&suite.protocol);
                }
                sections.push(section);
                sections.len() - 1
            });
            let section = &mut sections[at];
            let several = runs.len() > 1;
            let titled = |title: &str| {
                if several { format!("{title}: {}", run.label) } else { title.to_owned() }
            };
            let named =
                |id: &str| if several { format!("{id}-{}", run.label) } else { id.to_owned() };
            for figure in &suite.figures {
                let mut figure = figure.clone();
                (figure.id, figure.title) = (named(&figure.id), titled(&figure.title));
                section.blocks.push(Block::Figure(figure));
            }
            for table in &suite.tables {
                let mut table = table.clone();
                (table.id, table.title) = (named(&table.id), titled(&table.title));
                section.blocks.push(Block::Table(table));
            }
            if !suite.limitations.is_empty() {
                section.text(titled("What this does not show"));
                section.blocks.push(Block::List(suite.limitations.clone()));
            }
        }
    }
    sections
}
