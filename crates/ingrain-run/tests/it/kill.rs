//! Real processes: one killed while it writes, one that may not write as much as it wants.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ingrain_run::{JsonlStore, Keyed, RunDir, RunError, write_json_atomic};
use serde::{Deserialize, Serialize};

const DIR: &str = "INGRAIN_TEST_KILL_DIR";
/// Long enough that a write can be caught in the middle.
const TEXT_BYTES: usize = 100_000;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    n: u64,
    text: String,
}

impl Record {
    fn new(n: u64) -> Self {
        Self { n, text: char::from(b'a' + (n % 26) as u8).to_string().repeat(TEXT_BYTES) }
    }
}

impl Keyed for Record {
    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(self.n.to_string())
    }
}

#[test]
#[ignore = "the child that the test below starts and kills"]
fn child_writes_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    let run = RunDir::open(&dir).unwrap();
    let mut store = JsonlStore::open(run.file("records.jsonl")).unwrap();
    for n in store.len() as u64.. {
        store.append(&Record::new(n)).unwrap();
        write_json_atomic(run.file("state.json"), &Record::new(n)).unwrap();
    }
}

/// Returns once the child has the directory.
fn await_lock(dir: &Path, child: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(dir.join(".lock")).unwrap_or_default().trim() != child.to_string()
    {
        assert!(Instant::now() < deadline, "the child never locked the directory");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
#[test]
fn after_a_kill_the_lock_is_free_and_every_file_is_whole() {
    let tmp = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child_writes_until_it_is_killed", "--exact", "--ignored"])
            .env(DIR, tmp.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        await_lock(tmp.path(), child.id());
        // Not a wait for a result: any moment is a good moment to be killed.
        std::thread::sleep(Duration::from_millis(5 + 7 * round));
        let refused = RunDir::open(tmp.path());
        assert!(matches!(refused, Err(RunError::Locked { .. })), "the child lives");
        child.kill().unwrap();
        child.wait().unwrap();

        let run = RunDir::open(tmp.path()).unwrap();
        let store = JsonlStore::<Record>::open(run.file("records.jsonl")).unwrap();
        assert!(store.len() >= before, "records were lost");
        before = store.len();
        for (n, record) in store.iter().enumerate() {
            assert_eq!(record.unwrap(), Record::new(n as u64));
        }
        if let Ok(bytes) = std::fs::read(run.file("state.json")) {
            let state: Record = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(state, Record::new(state.n));
        }
        let left: Vec<_> = std::fs::read_dir(tmp.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("tmp"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(before > 0, "no child ever wrote anything");
}

const SMALL_BYTES: usize = 300;

#[test]
#[ignore = "the child that the test below starts with a limit on file sizes"]
fn child_writes_until_a_write_fails_half_way() {
    let path = PathBuf::from(std::env::var(DIR).unwrap()).join("records.jsonl");
    let mut store = JsonlStore::open(&path).unwrap();
    let small = |n| Record { n, text: "x".repeat(SMALL_BYTES) };
    store.append(&small(0)).unwrap();
    let before = std::fs::read(&path).unwrap();
    // The limit is below this record: the system takes a part of it and refuses the rest.
    let error = store.append(&Record::new(1)).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: cannot write", path.display()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    store.append(&small(2)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_half_way_is_taken_back_and_the_next_one_lands_on_a_whole_line() {
    let tmp = tempfile::tempdir().unwrap();
    // Without the trap, the system would end the process instead of failing the write.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["kill::child_writes_until_a_write_fails_half_way", "--exact", "--ignored"])
        .env(DIR, tmp.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let store = JsonlStore::<Record>::open(tmp.path().join("records.jsonl")).unwrap();
    let numbers: Vec<_> = store.iter().map(|r| r.unwrap().n).collect();
    assert_eq!(numbers, [0, 2]);
}
