//! What the page says, in order. A section that has nothing to say is left out.

mod cost;
mod data;
mod heldout;
mod limits;
mod overview;
mod provenance;
mod suites;
mod training;

use ingrain_run::{Figure, Table};
use serde_json::Value;

use crate::record::RunRecord;

pub(crate) use heldout::headline;

/// A part of the page under a heading of its own.
pub(crate) struct Section {
    /// Names the anchor, and the files of its tables and figures.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// Something in a [`Section`].
pub(crate) enum Block {
    /// A paragraph.
    Text(String),
    /// A list of sentences.
    List(Vec<String>),
    Table(Table),
    Figure(Figure),
    /// Long text, folded away.
    Details {
        summary: String,
        body: String,
    },
}

impl Section {
    fn new(id: &str, title: &str) -> Self {
        Self { id: id.into(), title: title.into(), blocks: Vec::new() }
    }

    fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    fn table(
        &mut self,
        id: &str,
        title: &str,
        columns: Vec<String>,
        rows: Vec<Vec<ingrain_run::Cell>>,
    ) {
        if !rows.is_empty() {
            let (id, title) = (id.to_owned(), title.to_owned());
            self.blocks.push(Block::Table(Table { id, title, columns, rows }));
        }
    }

    fn figure(&mut self, id: &str, title: &str, caption: &str, chart: ingrain_run::Chart) {
        let (id, title, caption) = (id.to_owned(), title.to_owned(), caption.to_owned());
        self.blocks.push(Block::Figure(Figure { id, title, caption, chart }));
    }
}

/// The sections before the replies, and those after them.
pub(crate) fn all(runs: &[RunRecord]) -> (Vec<Section>, Vec<Section>) {
    let some = |sections: Vec<Section>| -> Vec<Section> {
        sections.into_iter().filter(|section| !section.blocks.is_empty()).collect()
    };
    let before = vec![overview::section(runs), heldout::section(runs)];
    let mut after = suites::sections(runs);
    after.extend([
        training::section(runs),
        data::section(runs),
        cost::section(runs),
        limits::section(runs),
        provenance::section(runs),
    ]);
    (some(before), some(after))
}

/// Column names: nothing for the first, then the runs.
fn by_run(runs: &[RunRecord]) -> Vec<String> {
    let first = if runs.len() == 1 { "value".into() } else { runs[0].label.clone() };
    let others = runs.iter().skip(1).map(|run| run.label.clone());
    [String::new(), first].into_iter().chain(others).collect()
}

/// A value of a recipe in words.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// `1 run`, `2 runs`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
