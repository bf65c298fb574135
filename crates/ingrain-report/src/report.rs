//! One page for one run or for several, and the files beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ingrain_run::write_atomic;
use serde::Serialize;

use crate::plot::{self, Medium};
use crate::view::{self, Export, Ids, QuestionView, SectionView, TileView};
use crate::{ReportError, RunRecord, page, sections, table};

/// A report of one run, or of several side by side.
#[derive(Clone, Debug)]
pub struct Report {
    runs: Vec<RunRecord>,
}

/// What [`Report::write`] left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Tables and figures as files.
    pub files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ReportView {
    title: String,
    subtitle: String,
    tiles: Vec<TileView>,
    before: Vec<SectionView>,
    questions: Vec<QuestionView>,
    after: Vec<SectionView>,
}

impl Report {
    /// Reads run directories.
    ///
    /// # Errors
    /// [`ReportError::NoRun`] for a folder that is none. Whatever else is wrong in a run directory
    /// is said in the page.
    pub fn open(dirs: &[impl AsRef<Path>]) -> Result<Self, ReportError> {
        let runs = dirs.iter().map(RunRecord::open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { runs: told_apart(runs) })
    }

    /// The runs.
    #[must_use]
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// The page.
    ///
    /// # Errors
    /// [`ReportError::Template`], which would be a mistake in this crate.
    pub fn html(&self) -> Result<String, ReportError> {
        Ok(self.render()?.0)
    }

    /// Writes `report.html` into a folder, and beside it `report/` with every table as CSV and
    /// LaTeX and every figure as SVG (and PNG, by the feature `png`). Files of an earlier report in
    /// `report/` are replaced.
    ///
    /// # Errors
    /// [`ReportError::Run`] or [`ReportError::Io`] if a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<Written, ReportError> {
        let folder = folder.as_ref();
        let (html, exports) = self.render()?;
        let (tables, figures) = (folder.join("report/tables"), folder.join("report/figures"));
        for dir in [&tables, &figures] {
            clear(dir)?;
        }
        let mut files = Vec::new();
        let mut write = |path: PathBuf, bytes: &[u8]| -> Result<(), ReportError> {
            write_atomic(&path, bytes)?;
            files.push(path);
            Ok(())
        };
        for export in &exports {
            match export {
                Export::Table(id, of) => {
                    write(tables.join(format!("{id}.csv")), table::csv(of).as_bytes())?;
                    write(tables.join(format!("{id}.tex")), table::latex(of).as_bytes())?;
                }
                Export::Figure(id, of) => {
                    let svg = plot::svg(&of.chart, Medium::File);
                    write(figures.join(format!("{id}.svg")), svg.as_bytes())?;
                    #[cfg(feature = "png")]
                    {
                        let png = plot::png(&of.chart)
                            .map_err(|reason| ReportError::Figure { figure: id.clone(), reason })?;
                        write(figures.join(format!("{id}.png")), &png)?;
                    }
                }
            }
        }
        let page = folder.join("report.html");
        write_atomic(&page, html.as_bytes())?;
        Ok(Written { page, files })
    }

    fn render(&self) -> Result<(String, Vec<Export>), ReportError> {
        let (mut ids, mut exports) = (Ids::default(), Vec::new());
        let (before, after) = match self.runs.as_slice() {
            [] => (Vec::new(), Vec::new()),
            runs => sections::all(runs),
        };
        let (title, subtitle) = self.title();
        let view = ReportView {
            title,
            subtitle,
            tiles: if let [run] = self.runs.as_slice() { view::tiles(run) } else { Vec::new() },
            before: view::sections(before, &mut ids, &mut exports),
            questions: view::questions(&self.runs),
            after: view::sections(after, &mut ids, &mut exports),
        };
        Ok((page::render("report.html", &view)?, exports))
    }

    fn title(&self) -> (String, String) {
        match self.runs.as_slice() {
            [run] => {
                let summary = run.constitution.as_ref().map(|c| c.summary.clone());
                (format!("{} in {}", run.persona(), run.model()), summary.unwrap_or_default())
            }
            runs => {
                let labels: Vec<&str> = runs.iter().map(|run| run.label.as_str()).collect();
                (format!("{} runs side by side", runs.len()), labels.join(", "))
            }
        }
    }
}

/// Runs of one folder name are told apart by their whole path.
fn told_apart(mut runs: Vec<RunRecord>) -> Vec<RunRecord> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for run in &runs {
        *counts.entry(run.label.clone()).or_default() += 1;
    }
    for run in &mut runs {
        if counts.get(&run.label).is_some_and(|count| *count > 1) {
            run.label = run.dir.display().to_string();
        }
    }
    runs
}

/// An empty folder, whatever was in it.
fn clear(dir: &Path) -> Result<(), ReportError> {
    let error = |source| ReportError::Io { path: dir.to_owned(), source };
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(error(source)),
        _ => {}
    }
    fs::create_dir_all(dir).map_err(error)
}
