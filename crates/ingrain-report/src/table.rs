//! Tables as text: numbers for people, CSV for programs, LaTeX for papers.

use ingrain_run::{Cell, Chart, Table};

/// A number with about four significant digits, as a person writes it.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e15 {
        return grouped(value);
    }
    let text = match size {
        s if s >= 1000.0 => format!("{value:.0}"),
        s if s >= 100.0 => format!("{value:.1}"),
        s if s >= 10.0 => format!("{value:.2}"),
        s if s >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    };
    minus(&text)
}

/// An integer with a thin space between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 && digits.len() > 4 {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

/// A true minus sign, which is as wide as a plus.
fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// A cell as a person reads it.
pub(crate) fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Number(value) => number(*value),
        Cell::Text(text) => text.clone(),
        Cell::Empty => "\u{2013}".into(),
    }
}

/// Whether a column holds numbers and nothing else.
pub(crate) fn is_numeric(table: &Table, column: usize) -> bool {
    let cells = || table.rows.iter().filter_map(|row| row.get(column));
    cells().any(|cell| matches!(cell, Cell::Number(_)))
        && !cells().any(|cell| matches!(cell, Cell::Text(_)))
}

/// Comma-separated values by RFC 4180, numbers in full precision.
///
/// A text that a spreadsheet would take for a formula gets an apostrophe before it.
pub(crate) fn csv(table: &Table) -> String {
    let mut out = String::new();
    let quoted = |text: &str| {
        let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
        if guard.is_empty() && !text.contains([',', '"', '\n', '\r']) {
            text.to_owned()
        } else {
            format!("\"{guard}{}\"", text.replace('"', "\"\""))
        }
    };
    let names: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
    out.push_str(&names.join(","));
    for row in &table.rows {
        let cells: Vec<String> = (0..table.columns.len())
            .map(|column| match row.get(column) {
                Some(Cell::Number(value)) => value.to_string(),
                Some(Cell::Text(text)) => quoted(text),
                Some(Cell::Empty) | None => String::new(),
            })
            .collect();
        out.push_str("\r\n");
        out.push_str(&cells.join(","));
    }
    out + "\r\n"
}

/// A LaTeX `table` that needs the package booktabs.
pub(crate) fn latex(table: &Table) -> String {
    let columns: String =
        (0..table.columns.len()).map(|c| if is_numeric(table, c) { 'r' } else { 'l' }).collect();
    let line = |cells: Vec<String>| cells.join(" & ") + " \\\\\n";
    let mut out = format!(
        "% \\usepackage{{booktabs}}\n\\begin{{table}}\n\\centering\n\\caption{{{}}}\n\
         \\begin{{tabular}}{{{columns}}}\n\\toprule\n",
        escaped(&table.title)
    );
    out += &line(table.columns.iter().map(|name| escaped(name)).collect());
    out += "\\midrule\n";
    for row in &table.rows {
        let cell = |column: usize| match row.get(column) {
            Some(Cell::Number(value)) => {
                format!("${}$", number(*value).replace('\u{2009}', "\\,").replace('\u{2212}', "-"))
            }
            Some(Cell::Text(text)) => escaped(text),
            Some(Cell::Empty) | None => "--".into(),
        };
        out += &line((0..table.columns.len()).map(cell).collect());
    }
    out + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
}

/// Text without any meaning to LaTeX.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', character]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '<' => out.push_str("\\textless{}"),
            '>' => out.push_str("\\textgreater{}"),
            '\u{2212}' => out.push_str("$-$"),
            '\u{2009}' => out.push_str("\\,"),
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// The numbers of a chart.
pub(crate) fn of_chart(id: &str, title: &str, chart: &Chart) -> Table {
    let (columns, rows): (Vec<String>, Vec<Vec<Cell>>) = match chart {
        Chart::Estimates { unit, estimates, .. } => (
            vec!["".into(), unit.clone(), "95 % from".into(), "to".into(), "n".into()],
            estimates
                .iter()
                .map(|e| {
                    let n = e.n.map(|n| n as f64);
                    vec![
                        e.label.as_str().into(),
                        e.value.into(),
                        e.low.into(),
                        e.high.into(),
                        n.into(),
                    ]
                })
                .collect(),
        ),
        Chart::Shifts { unit, before, after, shifts } => (
            vec![
                "".into(),
                before.clone(),
                after.clone(),
                "95 % from".into(),
                "to".into(),
                format!("change, {unit}"),
            ],
            shifts
                .iter()
                .map(|s| {
                    let change = s.after - s.before;
                    vec![
                        s.label.as_str().into(),
                        s.before.into(),
                        s.after.into(),
                        s.low.into(),
                        s.high.into(),
                        change.into(),
                    ]
                })
                .collect(),
        ),
        Chart::Matrix { row_axis, column_axis, rows, columns, values, .. } => (
            std::iter::once(format!("{row_axis} by {column_axis}"))
                .chain(columns.clone())
                .collect(),
            rows.iter()
                .zip(values)
                .map(|(name, values)| {
                    let values = values.iter().map(|value| Cell::from(*value));
                    std::iter::once(name.as_str().into()).chain(values).collect()
                })
                .collect(),
        ),
        Chart::Lines { x, series, .. } => lines(x, series),
    };
    // Columns in which nothing stands say nothing.
    let used: Vec<bool> = (0..columns.len())
        .map(|c| c == 0 || rows.iter().any(|row| !matches!(row.get(c), None | Some(Cell::Empty))))
        .collect();
    let keep = |cells: Vec<Cell>| {
        cells.into_iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect()
    };
    Table {
        id: id.to_owned(),
        title: title.to_owned(),
        columns: columns.into_iter().zip(&used).filter(|(_, u)| **u).map(|(c, _)| c).collect(),
        rows: rows.into_iter().map(keep).collect(),
    }
}

/// A row for each place on the axis, a column for each course.
fn lines(x: &str, series: &[ingrain_run::Series]) -> (Vec<String>, Vec<Vec<Cell>>) {
    let mut places: Vec<f64> = series.iter().flat_map(|s| &s.points).map(|p| p[0]).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let columns = std::iter::once(x.to_owned()).chain(series.iter().map(|s| s.name.clone()));
    let at = |points: &[[f64; 2]], place: f64| -> Cell {
        let found = points.binary_search_by(|point| point[0].total_cmp(&place)).ok();
        found.map(|index| points[index][1]).into()
    };
    let row = |place: &f64| -> Vec<Cell> {
        let values = series.iter().map(|s| at(&s.points, *place));
        std::iter::once(Cell::from(*place)).chain(values).collect()
    };
    let rows = places.iter().map(row).collect();
    (columns.collect(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            id: "t".into(),
            title: "50 % & more".into(),
            columns: vec!["name".into(), "nats".into()],
            rows: vec![
                vec!["a, \"b\"".into(), (-1.234_567).into()],
                vec!["=1+1".into(), Cell::Empty],
                vec!["x_y\\z".into()],
            ],
        }
    }

    #[test]
    fn csv_quotes_what_needs_it_and_defuses_formulas() {
        assert_eq!(
            csv(&table()),
            "name,nats\r\n\"a, \"\"b\"\"\",-1.234567\r\n\"'=1+1\",\r\nx_y\\z,\r\n"
        );
    }

    #[test]
    fn latex_escapes_every_special_character() {
        assert_eq!(
            latex(&table()),
            "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\caption{50 \\% \\& more}\n\
             \\begin{tabular}{lr}\n\\toprule\nname & nats \\\\\n\\midrule\n\
             a, \"b\" & $-1.235$ \\\\\n=1+1 & -- \\\\\nx\\_y\\textbackslash{}z & -- \\\\\n\
             \\bottomrule\n\\end{tabular}\n\\end{table}\n"
        );
    }

    #[test]
    fn numbers_keep_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (98_362_432.0, "98\u{2009}362\u{2009}432"),
            (1234.5, "1234"),
            (40.077, "40.08"),
            (-0.05, "\u{2212}0.050"),
            (8e-4, "8.00e\u{2212}4"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn shifts_have_their_interval_in_the_table_where_they_have_one() {
        let chart = |low, high| Chart::Shifts {
            unit: "points".into(),
            before: "base".into(),
            after: "persona".into(),
            shifts: vec![ingrain_run::Shift {
                label: "dry".into(),
                before: 10.0,
                after: 40.0,
                low,
                high,
            }],
        };
        let with = of_chart("t", "T", &chart(Some(30.0), Some(50.0)));
        assert_eq!(with.columns, ["", "base", "persona", "95 % from", "to", "change, points"]);
        assert_eq!(with.rows[0][3..], [30.0.into(), 50.0.into(), 30.0.into()]);
        let without = of_chart("t", "T", &chart(None, None));
        assert_eq!(without.columns, ["", "base", "persona", "change, points"]);
    }

    #[test]
    fn courses_of_different_length_share_a_table() {
        let series = |name: &str, points: &[[f64; 2]]| ingrain_run::Series {
            name: name.into(),
            points: points.to_vec(),
        };
        let chart = Chart::Lines {
            x: "step".into(),
            y: "loss".into(),
            series: vec![series("a", &[[1.0, 5.0], [2.0, 4.0]]), series("b", &[[2.0, 3.0]])],
        };
        let table = of_chart("loss", "Loss", &chart);
        assert_eq!(table.columns, ["step", "a", "b"]);
        assert_eq!(table.rows[0], [1.0.into(), 5.0.into(), Cell::Empty]);
        assert_eq!(table.rows[1], [2.0.into(), 4.0.into(), 3.0.into()]);
    }
}
