//! Run directories to one page that explains itself: `report.html`.
//!
//! A [`Report`] is of one run or of several side by side. The page is a single file without a
//! reference to any other, so it opens offline, on a phone, in ten years. Beside it lie the same
//! numbers for papers: every table as CSV and LaTeX, every figure as SVG (and, by the feature `png`,
//! as PNG at 400 dots an inch). An [`Index`] lists all runs of a folder.
//!
//! # What is trusted
//!
//! Nothing in a run directory is. Replies, names and evaluation files hold what models and other
//! people wrote. Texts reach the page through templates that escape them, plots through a writer
//! that does, and the page forbids by a content security policy all scripts and styles but its own
//! two, which are named by their hashes.
//!
//! # What is shown
//!
//! Whatever is there. A run that is not finished gives a page that says so; an evaluation gets its
//! section when it leaves a [`SuiteReport`](ingrain_run::SuiteReport) in `eval/`; a file that cannot
//! be read is named in the page instead of ending it. Every figure has its numbers in a table below.
//!
//! ```no_run
//! use ingrain_report::Report;
//!
//! let written = Report::open(&["runs/sarcasm"])?.write("runs/sarcasm")?;
//! println!("{}", written.page.display());
//! # Ok::<(), ingrain_report::ReportError>(())
//! ```

mod error;
mod index;
mod interval;
mod page;
mod plot;
mod record;
mod replies;
mod report;
mod sections;
mod table;
mod tiles;
mod view;

pub use error::ReportError;
pub use index::Index;
pub use record::RunRecord;
pub use report::{Report, Written};

/// The example of the crate's page on a registry.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
