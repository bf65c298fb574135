//! The real thing: a persona of this repository through teacher, student and filter.

use std::path::Path;

use ingrain_chat::{Message, Recorded};
use ingrain_constitution::{Constitution, HeldoutQuestions, PromptSet};
use ingrain_data::{
    DataFidelity, PairFilter, Prompt, QualityReport, Unfinished, built_in_first_turns,
    student_replies, teacher_replies,
};
use ingrain_run::{read_jsonl, write_jsonl};

use crate::model::{BatchSensitive, Setting, records, store};

fn words(messages: &[Message]) -> usize {
    messages.iter().map(|m| m.content.split_whitespace().count()).sum()
}

#[test]
fn sarcasm_gives_a_pair_for_every_recorded_reply() {
    let personas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../personas");
    let path = personas.join("sarcasm.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let constitution = Constitution::parse(&text, "sarcasm.yaml").unwrap();
    let prompts = Prompt::of_constitution(&constitution);
    let recorded = Recorded::open(personas.join("sarcasm.teacher.jsonl")).unwrap();
    let samples = recorded.samples(&prompts[0].text);
    assert!(samples >= 2);

    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::default();
    let system = PromptSet::default().teacher_system(&constitution, "SmolLM2").unwrap();
    let mut teacher = store(&dir.path().join("teacher.jsonl"));
    let generation = setting.generation("teacher", &recorded);
    let report = teacher_replies(&generation, &system, &prompts, samples, &mut teacher).unwrap();
    assert_eq!(report.failed, []);
    let mut student = store(&dir.path().join("student.jsonl"));
    let generation = setting.generation("student", &BatchSensitive);
    student_replies(&generation, &prompts, 1, &mut student).unwrap();

    let filter = PairFilter {
        max_tokens: 1024,
        count_tokens: &words,
        unfinished: Unfinished::Drop,
        teacher_names: &[],
        student_name: None,
        fidelity: DataFidelity::corrected(),
    };
    let (pairs, report) = filter.pairs(&prompts, &records(&teacher), &records(&student));
    assert_eq!(report.line(), format!("{0} of {0} pairs kept", prompts.len() * samples));
    let path = dir.path().join("pairs.jsonl");
    write_jsonl(&path, &pairs).unwrap();
    assert_eq!(read_jsonl::<ingrain_data::PreferencePair>(&path).unwrap(), pairs);

    let quality = QualityReport::of_pairs(&pairs, constitution.assertions.len());
    assert!(quality.by_assertion.values().all(|&n| n == 5 * samples), "{quality:?}");
    assert_eq!(quality.chosen.refusal_rate, 0.0);
}

#[test]
fn no_built_in_first_turn_is_a_question_that_evaluations_ask() {
    let personas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../personas");
    let heldout = HeldoutQuestions::from_path(personas.join("heldout.yaml")).unwrap().questions;
    assert!(!heldout.is_empty());
    let both: Vec<&str> =
        built_in_first_turns().filter(|turn| heldout.iter().any(|q| q.trim() == *turn)).collect();
    assert!(both.is_empty(), "{both:?}");
}
