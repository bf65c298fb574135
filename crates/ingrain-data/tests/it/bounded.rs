//! Filter and assembly over files that are many times what they may hold in memory.

use std::path::Path;
use std::process::Command;

use ingrain_chat::{FinishReason, Message};
use ingrain_constitution::InteractionKind;
use ingrain_data::{
    Assembly, Conversation, DataError, DataFidelity, PairFilter, Prompt, Replies, Reply, Unfinished,
};
use ingrain_run::{JsonlFile, RunError, peak_rss_bytes, read_jsonl, rss_bytes, write_jsonl_with};

const FOLDER: &str = "INGRAIN_TEST_BOUNDED_FOLDER";
const PROMPTS: usize = 1_000;
const SAMPLES: usize = 4;
/// A text is eight kilobytes, a file of replies 32 megabytes; three of them are read.
const SENTENCES: usize = 256;
const SENTENCE: &str = "It is what it is, says no. 1234.";
/// What filter and assembly may take together, on top of what the process has before.
const ALLOWED_BYTES: u64 = 12 << 20;

fn text(number: usize) -> String {
    format!("Reply {number}: {}", [SENTENCE; SENTENCES].join(" "))
}

fn reply(side: usize, number: usize) -> Reply {
    let (prompt, sample) = (number / SAMPLES, number % SAMPLES);
    Reply {
        id: format!("g{prompt:05}#{sample}"),
        prompt: format!("g{prompt:05}"),
        question: format!("Question {prompt}?"),
        sample,
        reply: text(2 * number + side),
        finish: FinishReason::Stop,
        prompt_tokens: 0,
        completion_tokens: 0,
    }
}

fn write(folder: &Path) -> Result<(), RunError> {
    for (side, name) in ["teacher.jsonl", "student.jsonl"].into_iter().enumerate() {
        write_jsonl_with(folder.join(name), |put| {
            // Backwards: the order of arrival means nothing.
            (0..PROMPTS * SAMPLES).rev().try_for_each(|number| put(&reply(side, number)))
        })?;
    }
    write_jsonl_with(folder.join("talks.jsonl"), |put| {
        (0..PROMPTS).try_for_each(|number| {
            put(&Conversation {
                id: format!("free-{number:05}"),
                kind: InteractionKind::Free,
                turns: (0..4).map(|turn| text(4 * number + turn)).collect(),
                complete: true,
            })
        })
    })
}

fn prompts() -> Vec<Prompt> {
    Prompt::general((0..PROMPTS).map(|i| format!("Question {i}?")))
}

fn filter(count_tokens: &dyn Fn(&[Message]) -> usize) -> PairFilter<'_> {
    PairFilter {
        max_tokens: usize::MAX,
        count_tokens,
        unfinished: Unfinished::Drop,
        teacher_names: &[],
        student_name: None,
        fidelity: DataFidelity::default(),
    }
}

fn assembly(count_tokens: &dyn Fn(&[Message]) -> usize) -> Assembly<'_> {
    Assembly {
        saved_system: "S",
        max_tokens: usize::MAX,
        count_tokens,
        unfinished: Unfinished::Drop,
        fidelity: DataFidelity::default(),
    }
}

fn run(folder: &Path) -> Result<[usize; 2], DataError> {
    let none = |_: &[Message]| 0;
    let open = |name: &str| JsonlFile::<Reply>::open(folder.join(name));
    let (teacher, student) = (open("teacher.jsonl")?, open("student.jsonl")?);
    let mut counts = [0; 2];
    write_jsonl_with(folder.join("pairs.jsonl"), |put| {
        let report = filter(&none)
            .each_pair(&prompts(), &teacher, &student, |pair| Ok::<_, DataError>(put(&pair)?))?;
        counts[0] = report.kept;
        Ok::<_, DataError>(())
    })?;
    write_jsonl_with(folder.join("introspection.jsonl"), |put| {
        let talks = JsonlFile::<Conversation>::open(folder.join("talks.jsonl"))?;
        let report = assembly(&none).each_transcript(&teacher, talks.iter(), |transcript| {
            Ok::<_, DataError>(put(&transcript)?)
        })?;
        counts[1] = report.reflections + report.free;
        Ok::<_, DataError>(())
    })?;
    Ok(counts)
}

/// The process whose memory is looked at.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let folder = std::env::var(FOLDER).expect("run the test below instead");
    let before = rss_bytes().expect("the system tells");
    let counts = run(Path::new(&folder)).unwrap();
    assert_eq!(counts, [PROMPTS * SAMPLES, PROMPTS * SAMPLES + PROMPTS]);
    let grown = peak_rss_bytes().expect("the system tells").saturating_sub(before);
    assert!(grown < ALLOWED_BYTES, "{} MiB", grown >> 20);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "memory is read from /proc")]
fn filter_and_assembly_hold_no_files_texts() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path()).unwrap();
    let bytes: u64 = ["teacher.jsonl", "student.jsonl", "talks.jsonl"]
        .iter()
        .map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len())
        .sum();
    assert!(bytes > 7 * ALLOWED_BYTES, "{bytes} bytes are not many times what is allowed");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bounded::child", "--ignored"])
        .env(FOLDER, dir.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

#[test]
fn what_comes_from_files_is_what_comes_from_memory() {
    let dir = tempfile::tempdir().unwrap();
    let some = [3, 0, 9, 5, 4].map(|number| reply(0, number));
    let other = [9, 1, 3, 5].map(|number| reply(1, number));
    let open = |name: &str, replies: &[Reply]| {
        let path = dir.path().join(name);
        ingrain_run::write_jsonl(&path, replies).unwrap();
        JsonlFile::<Reply>::open(path).unwrap()
    };
    let (teacher, student) = (open("teacher.jsonl", &some), open("student.jsonl", &other));
    assert_eq!((teacher.count(), student.count()), (5, 4));
    let words = |m: &[Message]| m.iter().map(|m| m.content.split_whitespace().count()).sum();
    let mut pairs = Vec::new();
    let report = filter(&words).each_pair(&prompts(), &teacher, &student, |pair| {
        pairs.push(pair);
        Ok::<_, RunError>(())
    });
    assert_eq!((pairs.clone(), report.unwrap()), filter(&words).pairs(&prompts(), &some, &other));
    assert_eq!(pairs.len(), 5);

    let mut set = Vec::new();
    let report = assembly(&words).each_transcript(&teacher, [], |transcript| {
        set.push(transcript);
        Ok::<_, RunError>(())
    });
    assert_eq!((set, report.unwrap()), assembly(&words).transcripts(&some, &[]));
}

#[test]
fn a_broken_line_is_named_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("teacher.jsonl");
    let good = serde_json::to_string(&reply(0, 0)).unwrap();
    std::fs::write(&path, format!("{good}\n\n{{\"id\": 1}}\n")).unwrap();
    let replies = JsonlFile::<Reply>::open(&path).unwrap();
    let out = dir.path().join("pairs.jsonl");
    let none = |_: &[Message]| 0;
    let error = write_jsonl_with(&out, |put| {
        let take = |pair| put(&pair);
        filter(&none).each_pair(&prompts(), &replies, &replies, take).map(|_| ())
    });
    let message = error.unwrap_err().to_string();
    assert!(message.contains("teacher.jsonl:3:"), "{message}");
    assert!(!out.exists() && read_jsonl::<Reply>(&out).is_err());
}
