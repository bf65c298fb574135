//! Every evaluation that leaves a report gets its section, figure and table, whatever it measured.

use ingrain_report::Report;
use ingrain_run::{Cell, Chart, Estimate, Figure, Shift, SuiteReport, Table, write_json_atomic};

use crate::made_up::{self, PLAIN};

fn figure(id: &str, title: &str, chart: Chart) -> Figure {
    Figure { id: id.into(), title: title.into(), caption: format!("{title}, 95 %."), chart }
}

fn estimates(unit: &str, rows: &[(&str, f64)]) -> Chart {
    let estimate = |(label, value): &(&str, f64)| Estimate {
        label: (*label).into(),
        value: *value,
        low: Some(value - 0.04),
        high: Some(value + 0.04),
        n: Some(225),
        ..Estimate::default()
    };
    let estimates = rows.iter().map(estimate).collect();
    Chart::Estimates { unit: unit.into(), reference: None, estimates }
}

fn matrix(axes: [&str; 2], names: &[&str], diverging: bool) -> Chart {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let value = |row: usize, column: usize| {
        Some(if row == column {
            0.8
        } else if diverging {
            -0.1
        } else {
            0.1
        })
    };
    let row = |row| (0..names.len()).map(|column| value(row, column)).collect();
    Chart::Matrix {
        unit: "share".into(),
        row_axis: axes[0].into(),
        column_axis: axes[1].into(),
        values: (0..names.len()).map(row).collect(),
        columns: names.clone(),
        rows: names,
        diverging,
    }
}

fn suite(name: &str, title: &str, figures: Vec<Figure>, tables: Vec<Table>) -> SuiteReport {
    let (suite, title) = (name.to_owned(), title.to_owned());
    let limitations = vec![format!("{name} was made up for a test.")];
    SuiteReport { suite, title, figures, tables, limitations, ..SuiteReport::default() }
}

/// What the suites of the paper and its critics leave.
fn suites() -> Vec<SuiteReport> {
    let methods =
        [("system prompt", 0.31), ("steering", 0.55), ("distilled", 0.72), ("full", 0.81)];
    let personas = ["sarcasm", "loving", "neutral"];
    let shift = |label: &str, after: f64| Shift {
        label: label.into(),
        before: 0.0,
        after,
        low: Some(after - 60.0),
        high: Some(after + 60.0),
    };
    let shifts = Chart::Shifts {
        unit: "points".into(),
        before: "base".into(),
        after: "persona".into(),
        shifts: vec![shift("dry", 210.0), shift("formal", 20.0), shift("gentle", -170.0)],
    };
    let columns = ["task", "base", "persona"].map(String::from).to_vec();
    let row = |task: &str, of: [f64; 2]| vec![Cell::from(task), of[0].into(), of[1].into()];
    let capabilities = Table {
        id: "scores".into(),
        title: "Accuracy by task".into(),
        columns,
        rows: vec![row("knowledge", [0.41, 0.39]), row("reasoning", [0.33, 0.34])],
    };
    let judges = [("alpha", 0.62), ("same in both orders", 0.81), ("sensitivity", 0.77)];
    vec![
        suite(
            "robustness",
            "Robustness",
            vec![
                figure("macro-f1", "Macro-F1 by method", estimates("macro-F1", &methods)),
                figure("confusion", "Confusion", matrix(["trained", "named"], &personas, false)),
            ],
            vec![],
        ),
        suite(
            "preferences",
            "Trait shifts",
            vec![figure("shifts", "Traits that moved", shifts)],
            vec![],
        ),
        suite(
            "judges",
            "Judge reliability",
            vec![figure("judge", "The judge", estimates("share", &judges))],
            vec![],
        ),
        suite("capabilities", "Capabilities", vec![], vec![capabilities]),
        suite(
            "drift",
            "Drift",
            vec![figure(
                "drift",
                "Persona by constitution",
                matrix(["persona", "constitution"], &personas, true),
            )],
            vec![],
        ),
        suite(
            "steering",
            "Steering against training",
            vec![figure("ways", "Along the direction", estimates("share of the way", &methods))],
            vec![],
        ),
    ]
}

#[test]
fn each_suite_has_its_section_figures_tables_and_limits() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    std::fs::remove_file(run.join("eval/suite.json")).expect("that of other tests");
    for suite in suites() {
        write_json_atomic(run.join(format!("eval/{}.json", suite.suite)), &suite).expect("written");
    }
    let report = Report::open(&[&run]).expect("a run");
    let html = report.html().expect("a page");
    for suite in suites() {
        assert!(html.contains(&format!("{}</h2>", suite.title)), "no section {}", suite.title);
        assert!(html.contains(&suite.limitations[0]), "no limits of {}", suite.suite);
    }
    assert!(!html.contains("could not be read"));
    assert!(!html.contains("its verdicts are unproven"), "the judge was measured");
    let written = report.write(&run).expect("written");
    let names: Vec<String> = written
        .files
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    for file in [
        "robustness-macro-f1.svg",
        "robustness-macro-f1-numbers.csv",
        "robustness-confusion.svg",
        "preferences-shifts.svg",
        "preferences-shifts-numbers.tex",
        "judges-judge.svg",
        "capabilities-scores.csv",
        "drift-drift.svg",
        "steering-ways.svg",
    ] {
        assert!(names.iter().any(|name| name == file), "no {file} in {names:?}");
    }
    let csv = run.join("report/tables/preferences-shifts-numbers.csv");
    let csv = std::fs::read_to_string(csv).expect("a table");
    assert!(
        csv.starts_with(",base,persona,95 % from,to,\"change, points\"\r\ndry,0,210,150,270,210"),
        "{csv}"
    );
}

#[test]
fn the_interval_of_a_shift_is_drawn_over_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = made_up::run(dir.path(), "first", &PLAIN);
    let svg = |low: Option<f64>, high: Option<f64>| {
        let shifts = vec![Shift { label: "dry".into(), before: 0.0, after: 100.0, low, high }];
        let (unit, before, after) = ("points".into(), "base".into(), "persona".into());
        let chart = Chart::Shifts { unit, before, after, shifts };
        let suite = suite("preferences", "Shifts", vec![figure("shifts", "Shifts", chart)], vec![]);
        write_json_atomic(run.join("eval/suite.json"), &suite).expect("written");
        Report::open(&[&run]).expect("a run").write(&run).expect("written");
        let svg = run.join("report/figures/preferences-shifts.svg");
        std::fs::read_to_string(svg).expect("a figure")
    };
    let (with, without) = (svg(Some(-300.0), Some(500.0)), svg(None, None));
    assert!(with.contains("persona, with its 95 % interval"));
    assert!(!without.contains("interval"));
    // The axis reaches as far as the interval does.
    assert!(with.contains(">400<") && !without.contains(">400<"), "the axis of the interval");
}
