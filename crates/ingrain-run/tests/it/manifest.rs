//! Reuse, resume, redo: what the manifest decides.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ingrain_run::{Begin, Manifest, Recorder, RunError, Silent, StagePlan, StageState};

/// teacher and student -> pairs -> train; report stands apart.
fn plans(temperature: f32) -> Vec<StagePlan> {
    vec![
        StagePlan::new("teacher").text("persona", "sarcasm").writes(["teacher.jsonl"]),
        StagePlan::new("student")
            .json("temperature", &temperature)
            .unwrap()
            .writes(["student.jsonl"]),
        StagePlan::new("pairs").after(["teacher", "student"]).writes(["pairs.jsonl"]),
        StagePlan::new("train").text("epochs", "3").after(["pairs"]).writes(["distillation"]),
        StagePlan::new("neutral").writes(["neutral.txt"]),
    ]
}

/// Does every stage that needs it, in order, with contents that follow from its inputs.
fn run_all(dir: &Path, temperature: f32, observer: &Recorder) -> Vec<(String, Begin)> {
    let mut manifest = Manifest::open(dir).unwrap();
    let mut begun = Vec::new();
    for plan in plans(temperature) {
        let begin = manifest.begin(&plan, observer).unwrap();
        begun.push((plan.name().to_owned(), begin));
        if begin != Begin::Reuse {
            let hash = manifest.stage(plan.name()).unwrap().input_hash.clone();
            write_outputs(dir, plan.name(), &hash);
            manifest.add(plan.name(), 2.0, 10).unwrap();
            manifest.finish(&plan, &BTreeMap::new()).unwrap();
        }
    }
    begun
}

fn write_outputs(dir: &Path, stage: &str, contents: &str) {
    match stage {
        "train" => {
            fs::create_dir_all(dir.join("distillation")).unwrap();
            fs::write(dir.join("distillation/adapter_config.json"), "{}").unwrap();
            fs::write(dir.join("distillation/adapter_model.safetensors"), contents).unwrap();
        }
        "neutral" => fs::write(dir.join("neutral.txt"), contents).unwrap(),
        name => fs::write(dir.join(format!("{name}.jsonl")), contents).unwrap(),
    }
}

fn of(begun: &[(String, Begin)], wanted: Begin) -> Vec<&str> {
    begun.iter().filter(|(_, b)| *b == wanted).map(|(n, _)| n.as_str()).collect()
}

#[test]
fn a_second_run_with_the_same_inputs_reuses_everything() {
    let tmp = tempfile::tempdir().unwrap();
    let first = run_all(tmp.path(), 0.7, &Recorder::default());
    assert_eq!(of(&first, Begin::Fresh).len(), 5);
    let recorder = Recorder::default();
    let second = run_all(tmp.path(), 0.7, &recorder);
    assert_eq!(of(&second, Begin::Reuse).len(), 5);
    assert_eq!(recorder.notes(), Vec::<String>::new());
    let manifest = Manifest::open(tmp.path()).unwrap();
    let train = manifest.stage("train").unwrap();
    let files: Vec<_> = train.outputs.iter().map(|o| o.path.as_str()).collect();
    assert_eq!(
        files,
        ["distillation/adapter_config.json", "distillation/adapter_model.safetensors"]
    );
    assert_eq!(manifest.summaries()[0].tokens_per_sec, 5.0);
}

#[test]
fn a_changed_input_redoes_its_stage_and_everything_downstream_and_says_why() {
    let tmp = tempfile::tempdir().unwrap();
    run_all(tmp.path(), 0.7, &Recorder::default());
    let old = fs::read(tmp.path().join("student.jsonl")).unwrap();
    let recorder = Recorder::default();
    let begun = run_all(tmp.path(), 0.9, &recorder);
    assert_eq!(of(&begun, Begin::Reuse), ["teacher", "neutral"]);
    assert_eq!(of(&begun, Begin::Fresh), ["student", "pairs", "train"]);
    assert_eq!(
        recorder.notes()[..2],
        [
            "student: redone: changed since the last run: temperature; \
             its old files are now in stale/student",
            "pairs: redone: changed since the last run: student: student.jsonl; \
             its old files are now in stale/pairs",
        ]
    );
    assert_eq!(fs::read(tmp.path().join("stale/student/student.jsonl")).unwrap(), old);
    assert_ne!(fs::read(tmp.path().join("student.jsonl")).unwrap(), old);
    assert!(tmp.path().join("stale/train/distillation/adapter_config.json").exists());
}

#[test]
fn downstream_stages_wait_while_a_stage_is_redone_and_survive_if_it_comes_out_the_same() {
    let tmp = tempfile::tempdir().unwrap();
    run_all(tmp.path(), 0.7, &Recorder::default());
    let student = fs::read(tmp.path().join("student.jsonl")).unwrap();
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    let changed = StagePlan::new("student").text("batch", "8").writes(["student.jsonl"]);
    assert_eq!(manifest.begin(&changed, &Silent).unwrap(), Begin::Fresh);
    assert!(!tmp.path().join("student.jsonl").exists(), "old records must not mix with new ones");
    let states: Vec<_> = manifest.stages().iter().map(|s| (s.name.as_str(), s.state)).collect();
    assert_eq!(
        states,
        [
            ("teacher", StageState::Done),
            ("student", StageState::Running),
            ("pairs", StageState::Pending),
            ("train", StageState::Pending),
            ("neutral", StageState::Done),
        ]
    );
    let pairs = &plans(0.7)[2];
    let error = manifest.begin(pairs, &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "stage pairs needs stage student, which is not done; run student first"
    );
    fs::write(tmp.path().join("student.jsonl"), student).unwrap();
    manifest.finish(&changed, &BTreeMap::new()).unwrap();
    assert_eq!(manifest.begin(pairs, &Silent).unwrap(), Begin::Reuse);
    assert_eq!(manifest.stage("pairs").unwrap().state, StageState::Done);
}

#[test]
fn a_killed_stage_resumes_with_its_files_and_its_seconds() {
    let tmp = tempfile::tempdir().unwrap();
    let plan = StagePlan::new("student").text("model", "m").writes(["student.jsonl"]);
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    assert_eq!(manifest.begin(&plan, &Silent).unwrap(), Begin::Fresh);
    fs::write(tmp.path().join("student.jsonl"), "half").unwrap();
    manifest.add("student", 3.5, 100).unwrap();
    drop(manifest); // a kill: nothing more is written

    let mut manifest = Manifest::open(tmp.path()).unwrap();
    assert_eq!(manifest.begin(&plan, &Silent).unwrap(), Begin::Resume);
    assert_eq!(fs::read(tmp.path().join("student.jsonl")).unwrap(), b"half");
    manifest.add("student", 1.5, 20).unwrap();
    let record = manifest.finish(&plan, &BTreeMap::from([("student.jsonl".into(), 7)])).unwrap();
    assert_eq!((record.seconds, record.tokens), (5.0, 120));
    assert_eq!(record.outputs[0].count, Some(7));
    assert_eq!(record.outputs[0].bytes, 4);
}

#[test]
fn half_done_files_of_other_inputs_are_moved_aside_too() {
    let tmp = tempfile::tempdir().unwrap();
    let plan = |model| StagePlan::new("student").text("model", model).writes(["student.jsonl"]);
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    manifest.begin(&plan("m"), &Silent).unwrap();
    fs::write(tmp.path().join("student.jsonl"), "half of m").unwrap();
    assert_eq!(manifest.begin(&plan("n"), &Silent).unwrap(), Begin::Fresh);
    assert!(!tmp.path().join("student.jsonl").exists());
    assert_eq!(fs::read(tmp.path().join("stale/student/student.jsonl")).unwrap(), b"half of m");
}

#[test]
fn an_output_that_was_edited_or_deleted_is_made_again() {
    for damage in ["edit", "delete"] {
        let tmp = tempfile::tempdir().unwrap();
        run_all(tmp.path(), 0.7, &Recorder::default());
        let file = tmp.path().join("neutral.txt");
        match damage {
            "edit" => fs::write(&file, "edited").unwrap(),
            _ => fs::remove_file(&file).unwrap(),
        }
        let recorder = Recorder::default();
        let begun = run_all(tmp.path(), 0.7, &recorder);
        assert_eq!(of(&begun, Begin::Fresh), ["neutral"], "{damage}");
        let note = &recorder.notes()[0];
        assert!(
            note.starts_with("neutral: redone: neutral.txt is missing or was changed"),
            "{note}"
        );
    }
}

#[test]
fn files_that_nobody_recorded_are_not_taken_for_the_stages_own() {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("neutral.txt"), "from somewhere").unwrap();
    let recorder = Recorder::default();
    run_all(tmp.path(), 0.7, &recorder);
    assert_eq!(
        recorder.notes(),
        ["neutral: found files that no earlier run recorded; they are now in stale/neutral"]
    );
}

#[test]
fn forgetting_moves_finished_and_half_done_files_aside() {
    let tmp = tempfile::tempdir().unwrap();
    run_all(tmp.path(), 0.7, &Recorder::default());
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    let extra = StagePlan::new("extra").writes(["extra.jsonl"]);
    manifest.begin(&extra, &Silent).unwrap();
    fs::write(tmp.path().join("extra.jsonl"), "half").unwrap();
    manifest.forget_all().unwrap();
    assert!(manifest.stages().is_empty());
    let mut left: Vec<_> = fs::read_dir(tmp.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["manifest.json", "stale"]);
}

#[test]
fn a_stage_that_did_not_write_what_it_promised_is_not_done() {
    let tmp = tempfile::tempdir().unwrap();
    let plan = StagePlan::new("pairs").writes(["pairs.jsonl"]);
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    manifest.begin(&plan, &Silent).unwrap();
    let error = manifest.finish(&plan, &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, RunError::MissingOutput { .. }), "{error}");
    assert_eq!(manifest.stage("pairs").unwrap().state, StageState::Running);
}

#[test]
fn facts_and_versions_are_kept_and_stages_carry_the_versions() {
    let tmp = tempfile::tempdir().unwrap();
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    manifest.set_fact("seed", 7).unwrap();
    manifest.set_version("ingrain", "0.1.0").unwrap();
    manifest.begin(&StagePlan::new("a"), &Silent).unwrap();
    let manifest = Manifest::open(tmp.path()).unwrap();
    assert_eq!(manifest.facts()["seed"], 7);
    assert_eq!(manifest.stage("a").unwrap().versions["ingrain"], "0.1.0");
}

#[test]
fn a_manifest_that_cannot_be_read_is_named_with_the_way_out() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("manifest.json");
    for (text, reason) in [
        ("{\"schema\": 1, \"stagse\": []}", "unknown field `stagse`"),
        ("{\"schema\": 9}", "schema 9, expected 1"),
        ("{", "EOF"),
    ] {
        fs::write(&path, text).unwrap();
        let message = Manifest::open(tmp.path()).unwrap_err().to_string();
        assert!(message.contains("manifest.json: not a valid manifest"), "{message}");
        assert!(message.contains(reason), "{message}");
        assert!(message.ends_with("repair or delete the file"), "{message}");
    }
}
