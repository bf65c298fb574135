//! Several runs in a page, and all runs in a list.

use std::fs;

use ingrain_report::{Index, Report, ReportError};

use crate::made_up::{self, PLAIN, Texts};

#[test]
fn several_runs_share_figures_tables_and_base_replies() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = made_up::run(dir.path(), "one", &PLAIN);
    let other = Texts { reply: "Riveting, the sky.", persona: "nonchalance", ..PLAIN };
    let two = made_up::run(dir.path(), "two", &other);
    let html = Report::open(&[&one, &two]).expect("runs").html().expect("a page");
    assert!(html.contains("<h1>2 runs side by side</h1>"));
    for part in ["Riveting, the sky.", "one: persona", "Scores: one", "Scores: two"] {
        assert!(html.contains(part), "{part:?} is not in the page");
    }
    let browser = html.split("id=\"questions\"").nth(1).expect("the browser");
    assert_eq!(browser.matches("<p>It scatters.</p>").count(), 1, "one base reply for both");
    assert_eq!(html.matches("Suite robustness</h2>").count(), 1, "one section for the suite");
}

#[test]
fn runs_of_one_name_are_told_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let one = made_up::run(&dir.path().join("a"), "run", &PLAIN);
    let two = made_up::run(&dir.path().join("b"), "run", &PLAIN);
    let report = Report::open(&[&one, &two]).expect("runs");
    assert_ne!(report.runs()[0].label, report.runs()[1].label);
}

#[test]
fn the_index_lists_every_run_with_a_page_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    made_up::run(dir.path(), "b", &PLAIN);
    made_up::run(&dir.path().join("sweep"), "a", &PLAIN);
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    let index = Index::open(dir.path()).expect("runs");
    let labels: Vec<String> = index.runs().iter().map(|run| run.label.replace('\\', "/")).collect();
    assert_eq!(labels, ["b", "sweep/a"]);
    let html = fs::read_to_string(index.write().expect("written")).expect("the index");
    assert!(html.contains("data-sort=\"1.5\""), "the margin gained can be sorted by");
    assert!(dir.path().join("sweep/a/report.html").is_file());
}

#[test]
fn a_folder_without_runs_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(matches!(Index::open(dir.path()), Err(ReportError::NoRuns { .. })));
    assert!(matches!(Index::open(dir.path().join("none")), Err(ReportError::Io { .. })));
}
