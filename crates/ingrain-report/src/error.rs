//! What can go wrong between a run directory and its page.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A folder that is to be reported on is not a run directory.
    #[error("{}: no run directory; it has neither manifest.json nor summary.json", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is to be listed holds no run.
    #[error("{}: no run directory in it or in its folders", path.display())]
    NoRuns {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file of the run cannot be written.
    #[error(transparent)]
    Run(#[from] ingrain_run::RunError),
    /// The page's template does not go with its values: a mistake in this crate.
    #[error("the page cannot be rendered: {0}")]
    Template(#[from] minijinja::Error),
    /// A figure cannot be rasterised.
    #[error("the figure {figure} cannot be drawn: {reason}")]
    Figure {
        /// Its id.
        figure: String,
        /// What the rasteriser said.
        reason: String,
    },
}
