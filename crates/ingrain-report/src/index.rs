//! All runs of a folder in one sortable table.

use std::fs;
use std::path::{Path, PathBuf};

use ingrain_run::{Cell, Table, write_atomic};
use serde::Serialize;

use crate::sections::headline;
use crate::{Report, ReportError, RunRecord, page, table};

/// How deep runs are looked for.
const DEPTH: usize = 3;

/// The runs of a folder.
#[derive(Clone, Debug)]
pub struct Index {
    folder: PathBuf,
    runs: Vec<RunRecord>,
}

#[derive(Serialize)]
struct IndexView {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<RowView>,
    csv: String,
}

#[derive(Serialize)]
struct RowView {
    /// Where the run's page is, from here.
    link: String,
    label: String,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    text: String,
    sort: Option<f64>,
}

/// The columns after the run's name.
const COLUMNS: [&str; 14] = [
    "persona",
    "base model",
    "state",
    "seed",
    "pairs",
    "accuracy before, %",
    "accuracy, %",
    "margin before",
    "margin",
    "margin gained",
    "perplexity before",
    "perplexity",
    "minutes",
    "memory, GiB",
];

impl Index {
    /// Finds the run directories in a folder, up to three levels down.
    ///
    /// # Errors
    /// [`ReportError::NoRuns`] if there is none, [`ReportError::Io`] if the folder cannot be read.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ReportError> {
        let folder = folder.as_ref();
        let mut dirs = Vec::new();
        find(folder, DEPTH, &mut dirs)
            .map_err(|source| ReportError::Io { path: folder.to_owned(), source })?;
        dirs.sort();
        if dirs.is_empty() {
            return Err(ReportError::NoRuns { path: folder.to_owned() });
        }
        let mut runs = Vec::with_capacity(dirs.len());
        for dir in dirs {
            let mut run = RunRecord::open(&dir)?;
            run.label = dir.strip_prefix(folder).unwrap_or(&dir).display().to_string();
            runs.push(run);
        }
        Ok(Self { folder: folder.to_owned(), runs })
    }

    /// The runs, by name.
    #[must_use]
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// The page, with links to the runs' own.
    ///
    /// # Errors
    /// [`ReportError::Template`], which would be a mistake in this crate.
    pub fn html(&self) -> Result<String, ReportError> {
        let rows: Vec<RowView> = self.runs.iter().map(row).collect();
        let numbers = Table {
            id: "runs".into(),
            title: "Runs".into(),
            columns: std::iter::once("run").chain(COLUMNS).map(str::to_owned).collect(),
            rows: self.runs.iter().map(|run| named(run).collect()).collect(),
        };
        let view = IndexView {
            title: format!("Runs in {}", self.folder.display()),
            columns: COLUMNS.to_vec(),
            rows,
            csv: table::csv(&numbers),
        };
        page::render("index.html", &view)
    }

    /// Writes `index.html` into the folder, and into every run a page of its own.
    ///
    /// # Errors
    /// As [`Report::write`].
    pub fn write(&self) -> Result<PathBuf, ReportError> {
        for run in &self.runs {
            Report::open(&[&run.dir])?.write(&run.dir)?;
        }
        let path = self.folder.join("index.html");
        write_atomic(&path, self.html()?.as_bytes())?;
        Ok(path)
    }
}

fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if RunRecord::is_run(&path) {
            found.push(path);
        } else if depth > 1 {
            find(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

fn named(run: &RunRecord) -> impl Iterator<Item = Cell> {
    std::iter::once(Cell::from(run.label.as_str())).chain(cells(run))
}

fn row(run: &RunRecord) -> RowView {
    let cell = |cell: Cell| {
        let sort = if let Cell::Number(value) = cell { Some(value) } else { None };
        CellView { text: table::shown(&cell), sort }
    };
    let parts: Vec<String> =
        run.label.split(std::path::MAIN_SEPARATOR).map(percent_encoded).collect();
    RowView {
        link: format!("./{}/report.html", parts.join("/")),
        label: run.label.clone(),
        cells: cells(run).map(cell).collect(),
    }
}

fn cells(run: &RunRecord) -> impl Iterator<Item = Cell> {
    let headline = headline(run);
    let accuracy = headline.as_ref().map(|h| h.accuracy.map(|share| 100.0 * share));
    let margin = headline.as_ref().map(|h| h.margin);
    let perplexity = headline.as_ref().and_then(|h| h.perplexity);
    let seconds: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    let bytes = run.summary.as_ref().and_then(|summary| summary.peak_rss_bytes);
    let hundredth = |value: f64| (100.0 * value).round() / 100.0;
    let seed = run.setting("/seed").map(serde_json::Value::to_string);
    let state = if run.is_finished() { "finished" } else { "not finished" };
    [
        run.persona().into(),
        run.model().into(),
        state.into(),
        seed.into(),
        run.quality.as_ref().map(|quality| quality.pairs as f64).into(),
        accuracy.map(|of| of[0]).into(),
        accuracy.map(|of| of[1]).into(),
        margin.map(|of| of[0]).into(),
        margin.map(|of| of[1]).into(),
        margin.map(|of| of[1] - of[0]).into(),
        perplexity.map(|of| of[0]).into(),
        perplexity.map(|of| of[1]).into(),
        hundredth(seconds / 60.0).into(),
        bytes.map(|bytes| hundredth(bytes as f64 / f64::from(1 << 30))).into(),
    ]
    .into_iter()
}

/// A folder's name as a part of an address.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
