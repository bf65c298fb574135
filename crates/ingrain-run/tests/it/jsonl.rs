//! The append-only store: torn writes, corruption, duplicates.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use ingrain_run::{JsonlStore, Keyed, RunError, read_jsonl, write_jsonl};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: String,
    text: String,
    tokens: u32,
}

impl Keyed for Record {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

fn record(id: &str, text: &str) -> Record {
    Record { id: id.into(), text: text.into(), tokens: text.len() as u32 }
}

fn open(path: &Path) -> JsonlStore<Record> {
    JsonlStore::open(path).unwrap()
}

fn all(store: &JsonlStore<Record>) -> Vec<Record> {
    store.iter().collect::<Result<_, _>>().unwrap()
}

fn write_all(path: &Path, records: &[Record]) -> Vec<u8> {
    let mut store = open(path);
    for record in records {
        store.append(record).unwrap();
    }
    fs::read(path).unwrap()
}

#[test]
fn a_kill_at_any_byte_of_the_last_record_loses_only_that_record() {
    let dir = tempfile::tempdir().unwrap();
    let records =
        [record("a", "one"), record("b", "two \"quoted\"\nlines"), record("c", "drei – 三 😄")];
    let whole = write_all(&dir.path().join("whole.jsonl"), &records);
    let last = whole[..whole.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    for cut in last..=whole.len() {
        let path = dir.path().join(format!("cut-{cut}.jsonl"));
        fs::write(&path, &whole[..cut]).unwrap();
        let mut store = open(&path);
        // Only the newline is missing: the record is all there.
        let kept = if cut + 1 >= whole.len() { 3 } else { 2 };
        assert_eq!(all(&store), records[..kept], "cut at {cut}");
        let torn = if kept == 3 { 0 } else { cut - last };
        assert_eq!(store.cut_bytes(), torn as u64, "cut at {cut}");
        for record in &records {
            store.append(record).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        assert_eq!(all(&open(&path)), records);
    }
}

#[test]
fn a_damaged_line_in_the_middle_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("student.jsonl");
    let whole = write_all(&path, &[record("a", "x"), record("b", "y"), record("c", "z")]);
    let text = String::from_utf8(whole).unwrap().replacen("\"text\":\"y\"", "\"text\":y", 1);
    fs::write(&path, &text).unwrap();
    let error = JsonlStore::<Record>::open(&path).unwrap_err();
    let message = error.to_string();
    let place = format!("{}:2: not a valid record (column 18:", path.display());
    assert!(message.starts_with(&place), "{message}");
    assert!(message.ends_with("repair or delete this line"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "the damaged file is left as it was");
}

#[test]
fn a_whole_last_line_that_is_no_record_is_damage_and_not_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    fs::write(&path, "{\"id\":\"a\"}\n").unwrap();
    let error = JsonlStore::<Record>::open(&path).unwrap_err();
    assert!(matches!(error, RunError::Corrupt { line: 1, .. }), "{error}");
}

#[test]
fn the_first_record_of_a_key_wins_in_memory_and_in_a_file_written_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    write_jsonl(&path, &[record("a", "first"), record("a", "second"), record("b", "other")])
        .unwrap();
    let mut store = open(&path);
    assert_eq!(all(&store), [record("a", "first"), record("b", "other")]);
    assert!(!store.append(&record("b", "again")).unwrap());
    assert_eq!(store.get("b").unwrap(), Some(record("b", "other")));
    assert_eq!(store.get("c").unwrap(), None);
    assert_eq!(store.len(), 2);
}

#[test]
fn blank_lines_and_windows_line_ends_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    let line = serde_json::to_string(&record("a", "x")).unwrap();
    fs::write(&path, format!("\n{line}\r\n  \n")).unwrap();
    assert_eq!(read_jsonl::<Record>(&path).unwrap(), [record("a", "x")]);
    let mut store = open(&path);
    store.append(&record("b", "y")).unwrap();
    assert_eq!(all(&open(&path)), [record("a", "x"), record("b", "y")]);
}

#[test]
fn a_missing_file_is_named_when_read_and_created_when_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    let error = read_jsonl::<Record>(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: cannot read", path.display()));
    assert!(open(&path).is_empty());
    assert!(path.exists());
}

#[derive(Serialize, Deserialize)]
struct Unwritable {
    #[serde(serialize_with = "refuse")]
    id: String,
}

fn refuse<S: serde::Serializer>(_: &str, _: S) -> Result<S::Ok, S::Error> {
    Err(serde::ser::Error::custom("not today"))
}

impl Keyed for Unwritable {
    fn key(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.id)
    }
}

#[test]
fn a_record_that_json_cannot_hold_leaves_both_kinds_of_file_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (store_path, file_path) = (dir.path().join("store.jsonl"), dir.path().join("file.jsonl"));
    let mut store = JsonlStore::open(&store_path).unwrap();
    let error = store.append(&Unwritable { id: "a".into() }).unwrap_err();
    assert!(error.to_string().contains("cannot be written as JSON (not today)"), "{error}");
    fs::write(&file_path, "old").unwrap();
    write_jsonl(&file_path, &[Unwritable { id: "a".into() }]).unwrap_err();
    assert_eq!(fs::read(&store_path).unwrap(), b"");
    assert_eq!(fs::read(&file_path).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
}

proptest! {
    #[test]
    fn whatever_was_written_is_read_back_and_any_cut_resumes_to_the_same_bytes(
        texts in proptest::collection::vec(("[a-d]{1,2}", any::<String>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let records: Vec<_> = texts.iter().map(|(id, text)| record(id, text)).collect();
        let whole = write_all(&dir.path().join("whole.jsonl"), &records);
        let mut first: Vec<Record> = Vec::new();
        for record in &records {
            if !first.iter().any(|r| r.id == record.id) {
                first.push(record.clone());
            }
        }
        prop_assert_eq!(all(&open(&dir.path().join("whole.jsonl"))), first.clone());

        let path = dir.path().join("cut.jsonl");
        fs::write(&path, &whole[..cut.index(whole.len() + 1)]).unwrap();
        let survived = all(&open(&path));
        prop_assert_eq!(&survived[..], &first[..survived.len()]);
        prop_assert_eq!(write_all(&path, &records), whole);
    }
}
