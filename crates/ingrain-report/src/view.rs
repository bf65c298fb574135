//! What the templates are given: sections as plain values, texts not yet escaped, plots drawn.

use std::collections::BTreeSet;

use ingrain_run::{Cell, Figure, Table};
use serde::Serialize;

use crate::plot::{self, Medium};
use crate::record::RunRecord;
use crate::sections::{Block, Section, headline};
use crate::table;

/// More rows than this are thinned in the page; the CSV has all.
const MOST_ROWS: usize = 400;

#[derive(Serialize)]
pub(crate) struct SectionView {
    id: String,
    title: String,
    blocks: Vec<BlockView>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum BlockView {
    Text { text: String },
    List { items: Vec<String> },
    Table { table: TableView },
    Figure { figure: Box<FigureView> },
    Details { summary: String, body: String },
}

#[derive(Serialize)]
pub(crate) struct TableView {
    id: String,
    title: String,
    columns: Vec<ColumnView>,
    rows: Vec<Vec<CellView>>,
    note: Option<String>,
    csv: String,
    latex: String,
}

#[derive(Serialize)]
struct ColumnView {
    name: String,
    numeric: bool,
}

#[derive(Serialize)]
struct CellView {
    text: String,
    /// What a sort compares, where it is a number.
    sort: Option<f64>,
}

#[derive(Serialize)]
struct FigureView {
    id: String,
    title: String,
    caption: String,
    /// Safe: drawn here.
    wide: String,
    /// Safe: drawn here.
    narrow: String,
    /// A drawing of its own, to be saved.
    file: String,
    table: TableView,
}

/// Hands out ids of letters, digits and hyphens, each once.
#[derive(Default)]
pub(crate) struct Ids(BTreeSet<String>);

impl Ids {
    pub(crate) fn of(&mut self, parts: &[&str]) -> String {
        let mut id = String::new();
        for character in parts.join("-").chars() {
            if character.is_ascii_alphanumeric() {
                id.push(character.to_ascii_lowercase());
            } else if !id.ends_with('-') && !id.is_empty() {
                id.push('-');
            }
        }
        id.truncate(80);
        let stem = id.trim_end_matches('-');
        let stem = if stem.is_empty() { "item".to_owned() } else { stem.to_owned() };
        let (mut id, mut number) = (stem.clone(), 1);
        while !self.0.insert(id.clone()) {
            number += 1;
            id = format!("{stem}-{number}");
        }
        id
    }
}

/// A table or a figure with the name of its files.
pub(crate) enum Export {
    Table(String, Table),
    Figure(String, Figure),
}

/// Sections for the page, and everything in them that is a file too.
pub(crate) fn sections(
    sections: Vec<Section>,
    ids: &mut Ids,
    exports: &mut Vec<Export>,
) -> Vec<SectionView> {
    sections
        .into_iter()
        .map(|section| {
            let name = section.id.trim_start_matches("suite-").to_owned();
            let block = |block| match block {
                Block::Text(text) => BlockView::Text { text },
                Block::List(items) => BlockView::List { items },
                Block::Details { summary, body } => BlockView::Details { summary, body },
                Block::Table(of) => {
                    let id = ids.of(&[&name, &of.id]);
                    let table = table_view(id.clone(), &of);
                    exports.push(Export::Table(id, of));
                    BlockView::Table { table }
                }
                Block::Figure(of) => {
                    let id = ids.of(&[&name, &of.id]);
                    let figure = Box::new(figure_view(id.clone(), &of, ids, exports));
                    exports.push(Export::Figure(id, of));
                    BlockView::Figure { figure }
                }
            };
            let blocks = section.blocks.into_iter().map(block).collect();
            SectionView { id: ids.of(&["section", &section.id]), title: section.title, blocks }
        })
        .collect()
}

fn figure_view(
    id: String,
    figure: &Figure,
    ids: &mut Ids,
    exports: &mut Vec<Export>,
) -> FigureView {
    let numbers = table::of_chart(&figure.id, &figure.title, &figure.chart);
    let table_id = ids.of(&[&id, "numbers"]);
    let view = table_view(table_id.clone(), &numbers);
    exports.push(Export::Table(table_id, numbers));
    FigureView {
        title: figure.title.clone(),
        caption: figure.caption.clone(),
        wide: in_page(&plot::svg(&figure.chart, Medium::Wide)),
        narrow: in_page(&plot::svg(&figure.chart, Medium::Narrow)),
        file: plot::svg(&figure.chart, Medium::File),
        table: view,
        id,
    }
}

/// The drawing, scaling with its box. It is hidden from readers of the text: the figure has a title, a caption and a table.
fn in_page(svg: &str) -> String {
    svg.replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1)
}

fn table_view(id: String, table: &Table) -> TableView {
    let columns = table.columns.iter().enumerate().map(|(index, name)| ColumnView {
        name: name.clone(),
        numeric: table::is_numeric(table, index),
    });
    let stride = table.rows.len().div_ceil(MOST_ROWS).max(1);
    let note = (stride > 1)
        .then(|| format!("One row in {stride} of {}; the CSV file has all.", table.rows.len()));
    let row = |row: &Vec<Cell>| {
        let cell = |column: usize| {
            let cell = row.get(column).unwrap_or(&Cell::Empty);
            let sort = if let Cell::Number(value) = cell { Some(*value) } else { None };
            CellView { text: table::shown(cell), sort }
        };
        (0..table.columns.len()).map(cell).collect()
    };
    TableView {
        id,
        title: table.title.clone(),
        columns: columns.collect(),
        rows: table.rows.iter().step_by(stride).map(row).collect(),
        note,
        csv: table::csv(table),
        latex: table::latex(table),
    }
}

/// A number that a reader wants first, before and after.
#[derive(Serialize)]
pub(crate) struct TileView {
    name: &'static str,
    before: Option<String>,
    value: String,
    note: String,
}

/// The tiles of a single run.
pub(crate) fn tiles(run: &RunRecord) -> Vec<TileView> {
    let mut tiles = Vec::new();
    if let Some(headline) = headline(run) {
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let n = run.margins.as_ref().map_or(run.samples.len(), |m| m.base.len());
        tiles.push(TileView {
            name: "held-out accuracy",
            before: Some(percent(headline.accuracy[0])),
            value: percent(headline.accuracy[1]),
            note: format!("of {n} questions"),
        });
        let signed = |value: f64| format!("{value:+.2}").replace('-', "\u{2212}");
        tiles.push(TileView {
            name: "held-out margin",
            before: Some(signed(headline.margin[0])),
            value: signed(headline.margin[1]),
            note: "nats a token".into(),
        });
        if let Some([before, after]) = headline.perplexity {
            tiles.push(TileView {
                name: "perplexity",
                before: Some(format!("{before:.1}")),
                value: format!("{after:.1}"),
                note: "neutral text, lower is better".into(),
            });
        }
    }
    if let Some(quality) = &run.quality {
        tiles.push(TileView {
            name: "preference pairs",
            before: None,
            value: table::number(quality.pairs as f64),
            note: format!("from {} questions", quality.prompts),
        });
    }
    let seconds: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    if seconds > 0.0 {
        let value = if seconds < 90.0 {
            format!("{seconds:.0} s")
        } else if seconds < 5400.0 {
            format!("{:.1} min", seconds / 60.0)
        } else {
            format!("{:.1} h", seconds / 3600.0)
        };
        let device = run.fact("device").unwrap_or("an unknown device");
        tiles.push(TileView { name: "time", before: None, value, note: format!("on {device}") });
    }
    tiles
}

/// One question with the replies of every model to it.
#[derive(Serialize)]
pub(crate) struct QuestionView {
    question: String,
    replies: Vec<ReplyView>,
    /// By how much training moved the margin, at most over the runs.
    change: Option<f64>,
    change_text: Option<String>,
    /// Everything in it in lower case, for the search.
    text: String,
}

#[derive(Serialize)]
struct ReplyView {
    who: String,
    is_base: bool,
    text: String,
    words: usize,
    margin: Option<String>,
}

/// The replies of all runs, by question.
pub(crate) fn questions(runs: &[RunRecord]) -> Vec<QuestionView> {
    let mut asked: Vec<&str> = Vec::new();
    for sample in runs.iter().flat_map(|run| &run.samples) {
        if !asked.contains(&sample.question.as_str()) {
            asked.push(&sample.question);
        }
    }
    asked.into_iter().map(|question| of_question(question, runs)).collect()
}

fn of_question(question: &str, runs: &[RunRecord]) -> QuestionView {
    let mut replies: Vec<ReplyView> = Vec::new();
    let mut change: Option<f64> = None;
    for run in runs {
        let Some(at) = run.samples.iter().position(|s| s.question == question) else { continue };
        let sample = &run.samples[at];
        let margins =
            run.margins.as_ref().and_then(|m| Some([*m.base.get(at)?, *m.persona.get(at)?]));
        if let Some([before, after]) = margins {
            change = Some(change.map_or(after - before, |most: f64| most.max(after - before)));
        }
        let named = |what: &str| {
            if runs.len() == 1 { what.to_owned() } else { format!("{what}, {}", run.label) }
        };
        // Runs from one base model share its replies.
        if !replies.iter().any(|reply| reply.is_base && reply.text == sample.base) {
            replies.push(reply(named("base"), true, &sample.base, margins.map(|m| m[0])));
        }
        replies.push(reply(named(run.persona()), false, &sample.persona, margins.map(|m| m[1])));
    }
    let texts = replies.iter().map(|reply| reply.text.as_str());
    let text = std::iter::once(question).chain(texts).collect::<Vec<_>>().join(" ").to_lowercase();
    let change_text = change.map(|change| {
        format!("margin {} by {:.2}", if change < 0.0 { "fell" } else { "rose" }, change.abs())
    });
    QuestionView { question: question.to_owned(), replies, change, change_text, text }
}

fn reply(who: String, is_base: bool, text: &str, margin: Option<f64>) -> ReplyView {
    ReplyView {
        who,
        is_base,
        text: text.to_owned(),
        words: text.split_whitespace().count(),
        margin: margin.map(|margin| format!("{margin:+.2}").replace('-', "\u{2212}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_harmless_and_never_repeat() {
        let mut ids = Ids::default();
        assert_eq!(ids.of(&["Trait shift", "../../<x>"]), "trait-shift-x");
        assert_eq!(ids.of(&["trait shift", "x"]), "trait-shift-x-2");
        assert_eq!(ids.of(&["\"'"]), "item");
        assert_eq!(ids.of(&["'"]), "item-2");
    }
}
