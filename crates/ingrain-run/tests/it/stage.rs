//! A stage at work under the manifest.

use ingrain_run::{
    Event, Manifest, Observer, Recorder, RunError, StagePlan, StageState, write_atomic,
};

fn progress(tokens: u64) -> Event {
    Event::Progress { stage: "student".into(), done: 1, tokens }
}

#[test]
fn tokens_are_taken_from_events_and_added_up_over_interruptions() {
    let tmp = tempfile::tempdir().unwrap();
    let plan = StagePlan::new("student").writes(["student.jsonl"]);
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    let recorder = Recorder::default();
    let stopped = manifest.run_stage(&plan, &recorder, |stage| {
        assert!(!stage.is_resumed());
        stage.on_event(&progress(10));
        stage.on_event(&progress(25));
        Err(RunError::StageOrder { stage: "student".into(), needs: "patience".into() })
    });
    assert!(stopped.unwrap_err().to_string().contains("patience"));
    let record = manifest.stage("student").unwrap();
    assert_eq!((record.state, record.tokens), (StageState::Running, 25));
    assert!(record.seconds > 0.0);
    let seconds_before = record.seconds;

    let mut manifest = Manifest::open(tmp.path()).unwrap();
    let record = manifest
        .run_stage(&plan, &recorder, |stage| {
            assert!(stage.is_resumed());
            stage.on_event(&progress(5));
            stage.add_tokens(70);
            stage.count("student.jsonl", 1);
            write_atomic(stage.file("student.jsonl"), b"{}\n")
        })
        .unwrap();
    assert_eq!((record.state, record.tokens), (StageState::Done, 100));
    assert!(record.seconds > seconds_before);
    assert_eq!(recorder.events(), [progress(10), progress(25), progress(5)]);
}

#[test]
fn a_reused_stage_does_no_work_and_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let plan = StagePlan::new("student").writes(["student.jsonl"]);
    let mut manifest = Manifest::open(tmp.path()).unwrap();
    let first = manifest
        .run_stage(&plan, &Recorder::default(), |stage| {
            stage.count("student.jsonl", 3);
            write_atomic(stage.file("student.jsonl"), b"{}\n{}\n{}\n")
        })
        .unwrap();
    let recorder = Recorder::default();
    let again = manifest
        .run_stage::<RunError>(&plan, &recorder, |_| panic!("there is nothing to do"))
        .unwrap();
    assert_eq!(again, first);
    let finished = Event::StageFinished {
        stage: "student".into(),
        done: 3,
        tokens: 0,
        seconds: 0.0,
        reused: true,
    };
    assert_eq!(recorder.events(), [finished]);
}
