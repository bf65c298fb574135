//! What people said: files of human labels.

use std::collections::BTreeMap;
use std::path::Path;

use ingrain_run::{RunError, write_atomic_with};
use serde::{Deserialize, Serialize};

use crate::{JudgeError, Panel, Verdict};

/// One person's verdict on one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Key of the case.
    pub case: String,
    /// Who said it.
    pub rater: String,
    /// What.
    pub verdict: Verdict,
}

/// A label as it stands in a file.
#[derive(Serialize, Deserialize)]
struct Row {
    case: String,
    rater: String,
    verdict: Word,
}

/// `first`, `second`, `tie`, or a grade as text or number.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(u8),
}

/// Reads labels from `.csv` (with a header that names `case`, `rater` and `verdict`) or `.jsonl`.
///
/// A verdict is `first`, `second`, `tie` or a grade. Where a rater labelled a case twice, the last
/// label counts.
///
/// # Errors
/// [`JudgeError::Label`] naming file and line, also for a file that cannot be read.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<Label>, JudgeError> {
    let path = path.as_ref();
    let wrong = |line, reason| JudgeError::Label { path: path.into(), line, reason };
    let bytes =
        std::fs::read(path).map_err(|error| wrong(0, format!("cannot be read ({error})")))?;
    let rows = if path.extension().is_some_and(|extension| extension == "csv") {
        csv_rows(&bytes, &wrong)?
    } else {
        jsonl_rows(&bytes, &wrong)?
    };
    let mut labels: BTreeMap<(String, String), Verdict> = BTreeMap::new();
    for (line, row) in rows {
        let verdict = verdict(&row.verdict).ok_or_else(|| {
            let found = match &row.verdict {
                Word::Text(text) => text.chars().take(40).collect(),
                Word::Number(number) => number.to_string(),
            };
            wrong(
                line,
                format!("unknown verdict {found:?}; expected first, second, tie or a grade"),
            )
        })?;
        if row.case.is_empty() || row.rater.is_empty() {
            return Err(wrong(line, "case and rater must not be empty".into()));
        }
        labels.insert((row.case, row.rater), verdict);
    }
    Ok(labels.into_iter().map(|((case, rater), verdict)| Label { case, rater, verdict }).collect())
}

/// Writes labels as CSV or JSONL, by the ending of `path`, in one step.
///
/// # Errors
/// [`JudgeError::Store`].
pub fn write_labels(path: impl AsRef<Path>, labels: &[Label]) -> Result<(), JudgeError> {
    let path = path.as_ref();
    let rows: Vec<Row> = labels.iter().map(row).collect();
    if path.extension().is_none_or(|extension| extension != "csv") {
        return Ok(ingrain_run::write_jsonl(path, &rows)?);
    }
    write_atomic_with(path, |out| {
        let mut writer = csv::Writer::from_writer(out);
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(std::io::Error::other)?;
        writer.flush()
    })
    .map_err(|error: RunError| error.into())
}

/// One verdict a case: what more than half of the raters say, else a tie; of grades, the lower
/// middle one.
#[must_use]
pub fn consensus(labels: &[Label]) -> BTreeMap<String, Verdict> {
    let mut by_case: BTreeMap<&str, Vec<Verdict>> = BTreeMap::new();
    for label in labels {
        by_case.entry(&label.case).or_default().push(label.verdict);
    }
    let one = |verdicts: Vec<Verdict>| {
        let grades = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Grade(_)));
        if grades { Panel::Median } else { Panel::Vote }.settle(verdicts)
    };
    let agreed = by_case.into_iter();
    agreed.filter_map(|(case, verdicts)| Some((case.to_owned(), one(verdicts)?))).collect()
}

fn row(label: &Label) -> Row {
    let verdict = match label.verdict {
        Verdict::First => Word::Text("first".into()),
        Verdict::Second => Word::Text("second".into()),
        Verdict::Tie => Word::Text("tie".into()),
        Verdict::Grade(grade) => Word::Number(grade),
    };
    Row { case: label.case.clone(), rater: label.rater.clone(), verdict }
}

fn verdict(word: &Word) -> Option<Verdict> {
    let text = match word {
        Word::Number(grade) => return Some(Verdict::Grade(*grade)),
        Word::Text(text) => text.trim(),
    };
    match text {
        "first" => Some(Verdict::First),
        "second" => Some(Verdict::Second),
        "tie" => Some(Verdict::Tie),
        digits => digits.parse().ok().map(Verdict::Grade),
    }
}

type Rows = Vec<(usize, Row)>;
type Wrong<'a> = dyn Fn(usize, String) -> JudgeError + 'a;

fn csv_rows(bytes: &[u8], wrong: &Wrong<'_>) -> Result<Rows, JudgeError> {
    // Spreadsheets put a byte order mark first.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    for needed in ["case", "rater", "verdict"] {
        if !header.iter().any(|name| name == needed) {
            let found: Vec<&str> = header.iter().collect();
            let reason = format!("no column {needed:?}; the header has {}", found.join(", "));
            return Err(wrong(1, reason));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            wrong(error.position().map_or(0, |p| p.line() as usize), error.to_string())
        })?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        let row = record.deserialize(Some(&header));
        rows.push((line, row.map_err(|error: csv::Error| wrong(line, error.to_string()))?));
    }
    Ok(rows)
}

fn jsonl_rows(bytes: &[u8], wrong: &Wrong<'_>) -> Result<Rows, JudgeError> {
    let mut rows = Vec::new();
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() {
            let row = serde_json::from_slice(line);
            rows.push((at + 1, row.map_err(|error| wrong(at + 1, error.to_string()))?));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(case: &str, rater: &str, verdict: Verdict) -> Label {
        Label { case: case.into(), rater: rater.into(), verdict }
    }

    fn read(name: &str, text: &str) -> Result<Vec<Label>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        read_labels(&path).map_err(|error| {
            let error = error.to_string();
            error.split_once(name).map_or(error.clone(), |(_, place)| place.to_owned())
        })
    }

    #[test]
    fn what_was_written_is_read_in_both_formats() {
        let labels = [
            label("a, \"b\"\nc", "Ann", Verdict::First),
            label("d", "Ben", Verdict::Tie),
            label("d", "Cy", Verdict::Grade(4)),
        ];
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["labels.csv", "labels.jsonl"] {
            let path = dir.path().join(name);
            write_labels(&path, &labels).expect("written");
            assert_eq!(read_labels(&path).expect("read"), labels);
        }
    }

    #[test]
    fn columns_may_stand_in_any_order_and_the_last_word_counts() {
        let text = "\u{feff}verdict, note ,rater,case\nfirst,x,Ann,k\n second ,y,Ann,k\n";
        assert_eq!(read("x.csv", text), Ok(vec![label("k", "Ann", Verdict::Second)]));
    }

    #[test]
    fn what_is_no_label_is_named_with_its_line() {
        for (name, text, expected) in [
            ("x.csv", "case,verdict\nk,first\n", ":1: no column \"rater\""),
            ("x.csv", "case,rater,verdict\nk,Ann,A\n", ":2: unknown verdict \"A\""),
            ("x.csv", "case,rater,verdict\nk,Ann\n", ":2: "),
            ("x.csv", "case,rater,verdict\n,Ann,tie\n", ":2: case and rater"),
            ("x.jsonl", "\n{\"case\":\"k\"}\n", ":2: missing field"),
            ("x.jsonl", "{\"case\":\"k\",\"rater\":\"A\",\"verdict\":999}", ":1: "),
        ] {
            let error = read(name, text).expect_err(text);
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn raters_without_a_majority_are_a_tie() {
        let labels = [
            label("a", "1", Verdict::First),
            label("a", "2", Verdict::Second),
            label("b", "1", Verdict::First),
            label("b", "2", Verdict::First),
            label("b", "3", Verdict::Second),
        ];
        let agreed = consensus(&labels);
        assert_eq!(agreed["a"], Verdict::Tie);
        assert_eq!(agreed["b"], Verdict::First);
    }
}
