//! What the templates are given: sections as plain values, texts not yet escaped, plots drawn.

use std::collections::BTreeSet;

use ingrain_run::{Cell, Figure, Table};
use serde::Serialize;

use crate::plot::{self, Medium};
use crate::sections::{Block, Section};
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
