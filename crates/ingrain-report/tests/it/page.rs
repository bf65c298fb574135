//! One run, one page.

use std::fs;

use ingrain_report::{Report, ReportError};

use crate::made_up::{self, PLAIN};

/// Every one of these is in the page.
fn check(html: &str, parts: &[&str]) {
    for part in parts {
        assert!(html.contains(part), "{part:?} is not in the page");
    }
}

#[test]
fn a_finished_run_is_shown_with_all_that_it_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let html = Report::open(&[&run]).expect("a run").html().expect("a page");
    check(
        &html,
        &[
            "<h1>sarcasm in tiny</h1>",
            "held-out accuracy",
            "Why is the sky blue?",
            "Oh, it simply adores you.",
            "Suite robustness",
            "Distillation: loss and its terms",
            "Preference pairs",
            "Limitations",
            "rests on 1 question.",
            "0.625",
        ],
    );
    assert!(!html.contains("could not be read"));
}

#[test]
fn a_monitored_run_shows_where_its_replies_lay() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let title = "Distillation: along the persona direction";
    let page = || Report::open(&[&run]).expect("a run").html().expect("a page");
    assert!(!page().contains(title), "nothing was read");
    let lines: Vec<String> = (1..=20)
        .map(|step| match step % 10 {
            0 => format!(r#"{{"step": {step}, "loss": 0.5, "projection": 0.{step}}}"#),
            _ => format!(r#"{{"step": {step}, "loss": 0.5}}"#),
        })
        .collect();
    fs::write(run.join("distillation/train.jsonl"), lines.join("\n") + "\n").expect("written");
    check(&page(), &[title]);
}

#[test]
fn the_page_is_one_file_that_loads_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let html = Report::open(&[&run]).expect("a run").html().expect("a page");
    check(&html, &["default-src ", "style-src ", "script-src "]);
    assert!(!html.contains("unsafe-inline"));
    // A figure may name a shape of its own.
    let html = html.replace("url(#", "");
    for outside in ["<link", "<img", "<iframe", " src=", "@import", "url(", "style=\""] {
        assert!(!html.contains(outside), "{outside} is in the page");
    }
}

#[test]
fn every_figure_has_a_title_a_caption_and_its_numbers_in_a_table() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let html = Report::open(&[&run]).expect("a run").html().expect("a page");
    let figures: Vec<&str> = html.split("<figure ").skip(1).collect();
    assert!(figures.len() >= 7, "{}", figures.len());
    for figure in figures {
        let figure = figure.split("</figure>").next().expect("an end");
        check(figure, &["aria-labelledby=", "<h3 id=", "<figcaption>", "<table id=", "<caption"]);
        assert_eq!(figure.matches("<svg aria-hidden=\"true\"").count(), 2, "wide and narrow");
    }
    let ids = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut ids: Vec<&str> = ids.collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "no id twice");
}

#[test]
fn tables_and_figures_are_files_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let written = Report::open(&[&run]).expect("a run").write(&run).expect("written");
    assert_eq!(written.page, run.join("report.html"));
    let tables = run.join("report/tables");
    let csv = fs::read_to_string(tables.join("robustness-judges.csv")).expect("a table");
    assert_eq!(csv, "judge,kappa\r\n\"Oh, it simply adores you.\",0.625\r\nother,\r\n");
    let tex = fs::read_to_string(tables.join("robustness-judges.tex")).expect("a table");
    assert!(tex.contains("other & -- \\\\"));
    let file = run.join("report/figures/robustness-matrix.svg");
    let svg = fs::read_to_string(file).expect("a figure");
    assert!(svg.starts_with("<svg viewBox=") && !svg.contains("var(--") && !svg.contains("NaN"));
    #[cfg(feature = "png")]
    {
        let png = fs::read(run.join("report/figures/robustness-matrix.png")).expect("a figure");
        assert!(png.starts_with(b"\x89PNG"));
        let width = u32::from_be_bytes([png[16], png[17], png[18], png[19]]);
        assert_eq!(width, 3000, "720 CSS pixels at 400 dots an inch");
    }
    // A second report leaves nothing of the first.
    fs::write(tables.join("stale.csv"), "old").expect("written");
    Report::open(&[&run]).expect("a run").write(&run).expect("written");
    assert!(!tables.join("stale.csv").exists());
}

#[test]
fn a_run_that_has_just_begun_gives_a_page_that_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = made_up::run(dir.path(), "whole", &PLAIN);
    let begun = dir.path().join("begun");
    fs::create_dir(&begun).expect("a folder");
    fs::copy(whole.join("manifest.json"), begun.join("manifest.json")).expect("copied");
    let html = Report::open(&[&begun]).expect("a run").html().expect("a page");
    check(&html, &["begun is not finished; its figures are of what is there."]);
    assert!(!html.contains("Held-out preference</h2>"));
}

#[test]
fn files_that_cannot_be_read_are_named_and_do_not_end_the_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    for (file, text) in [
        ("eval/heldout.json", "{\"summary\": 5"),
        ("eval/broken.json", "{\"suite\": \"x\", \"figures\": 3}"),
        ("eval/other.json", "{\"unrelated\": true}"),
        ("pairs.jsonl", "not json\n"),
        ("recipe.yaml", ": ["),
    ] {
        fs::write(run.join(file), text).expect("written");
    }
    let html = Report::open(&[&run]).expect("a run").html().expect("a page");
    let list = html.split("could not be read").nth(1).expect("the list of problems");
    let list = list.split("</ul>").next().expect("an end");
    for file in ["heldout.json", "broken.json", "pairs.jsonl", "recipe.yaml"] {
        assert!(list.contains(file), "{file} is not in {list}");
    }
    assert!(!list.contains("other.json"));
}

#[test]
fn a_folder_that_is_no_run_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = Report::open(&[dir.path()]).expect_err("no run");
    assert!(matches!(error, ReportError::NoRun { .. }));
    assert!(error.to_string().ends_with("it has neither manifest.json nor summary.json"));
}

#[test]
fn the_guide_shows_a_suite_that_is_drawn() {
    let guide = include_str!("../../../../docs/report.md");
    let suite = guide.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    fs::write(run.join("eval/greetings.json"), suite.expect("an example")).expect("written");
    let html = Report::open(&[&run]).expect("a run").html().expect("a page");
    check(&html, &["Greetings</h2>", "Replies called warm", "Both judges knew the persona."]);
    assert!(!html.contains("could not be read"));
}
