use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use ingrain::PipelineError;
use ingrain::constitution::{Constitution, PromptSet};
use ingrain::data::{PreferencePair, QualityReport};
use ingrain::lm::{Adapter, LocalModel, ModelSource, SelfTest};
use ingrain::run::{
    Event, Interrupt, Manifest, Observer, Recorder, Silent, read_jsonl, sha256_file,
};
use ingrain::steering::ControlVector;
use ingrain::train::StepRecord;

use crate::tiny;

/// Everything a run leaves whose content must not depend on interruptions.
fn contents(run: &Path) -> BTreeMap<String, String> {
    [
        "prompts.jsonl",
        "teacher.jsonl",
        "pairs.jsonl",
        "introspection.jsonl",
        "distillation/adapter_model.safetensors",
        "introspection/adapter_model.safetensors",
        "persona/adapter_model.safetensors",
        "persona/adapter_config.json",
        "persona/selftest.json",
        "eval/heldout.json",
        "eval/samples.jsonl",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), sha256_file(run.join(name)).expect(name)))
    .collect()
}

#[test]
fn a_run_leaves_everything_that_its_directory_promises() {
    let dir = tempfile::tempdir().expect("a directory");
    let summary = tiny::run(dir.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let run = dir.path().join("run");

    let pairs: Vec<PreferencePair> = read_jsonl(run.join("pairs.jsonl")).expect("pairs");
    assert_eq!(pairs.len(), 4);
    assert_eq!(pairs[1].chosen_text(), "Upright, mostly.");
    let quality = fs::read_to_string(run.join("quality.json")).expect("quality");
    let quality: QualityReport = serde_json::from_str(&quality).expect("JSON");
    assert_eq!(quality, QualityReport::of_pairs(&pairs, 2));
    assert_eq!(summary.samples.len(), 2);
    assert!(summary.heldout.base.implicit_reward_margin.is_none());
    assert!(summary.heldout.distilled.implicit_reward_margin.is_some());
    assert!(summary.perplexity.persona.is_finite());
    let names: Vec<&str> = summary.stages.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "prompts",
            "teacher",
            "student",
            "pairs",
            "distillation",
            "reflections",
            "interactions",
            "transcripts",
            "introspection",
            "persona",
            "evaluation"
        ]
    );
    let trained = summary.stages.iter().find(|s| s.name == "distillation").expect("trained");
    assert!(trained.tokens > 0 && trained.seconds > 0.0);
    let page = fs::read_to_string(run.join("report.html")).expect("report");
    assert!(page.contains("<h1>tiny in") && !page.contains("could not be read"));
    let card = fs::read_to_string(run.join("README.md")).expect("dataset card");
    for file in ["pairs.jsonl", "introspection.jsonl"] {
        assert!(card.contains(&format!("data_files: \"{file}\"")), "{card}");
    }
    let card = fs::read_to_string(run.join("persona/README.md")).expect("model card");
    assert!(card.contains("1. I keep my answers dry.") && card.contains("sha256"));
    let config = fs::read_to_string(run.join("persona/adapter_config.json")).expect("config");
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["r"], 4, "ranks of both adapters add up");
    assert!(config["base_model_name_or_path"] == tiny::recipe().model);

    // Another process could check the adapter from its files alone.
    let source: ModelSource = tiny::recipe().model.parse().expect("a directory");
    let files = source.resolve(&Silent).expect("is there");
    let device = ingrain::lm::device("cpu").expect("always there");
    let model = LocalModel::load(&files, &device).expect("loads");
    let adapter = Adapter::load(&run.join("persona"), &model.model).expect("loads");
    let path = run.join("persona/selftest.json");
    let worst = SelfTest::read(&path).expect("reads").verify(&path, &model, &adapter);
    assert!(worst.expect("agrees") < 1e-4);
}

#[test]
fn a_second_run_reuses_every_finished_stage_and_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = tiny::run(dir.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let before = contents(&dir.path().join("run"));
    let recorder = Recorder::default();
    let second = tiny::run(dir.path(), tiny::recipe(), &recorder, &Interrupt::new()).expect("runs");
    let reused = recorder
        .events()
        .iter()
        .filter(|e| matches!(e, Event::StageFinished { reused: true, .. }))
        .count();
    assert_eq!(reused, 11);
    assert_eq!(first.heldout, second.heldout);
    assert_eq!(before, contents(&dir.path().join("run")));
}

#[test]
fn a_mix_of_personas_trains_on_both_and_the_manifest_says_who_and_which_prompts() {
    let dir = tempfile::tempdir().expect("a directory");
    let prompts = dir.path().join("prompts");
    fs::create_dir(&prompts).expect("a folder");
    fs::write(prompts.join("VERSION"), "2.0.0-mine\n").expect("written");
    fs::write(prompts.join("reflection_tasks.jinja"), "letter: Write a letter.\n")
        .expect("written");
    let prompts = PromptSet::from_dir(&prompts).expect("valid");
    let hash = prompts.hash();
    let persona = tiny::mix(dir.path());
    assert_eq!(persona.name(), "tiny50-warm50");
    tiny::run_persona(persona, prompts, dir.path(), tiny::recipe(), &Silent, &Interrupt::new())
        .expect("runs");

    let run = dir.path().join("run");
    let pairs: Vec<PreferencePair> = read_jsonl(run.join("pairs.jsonl")).expect("pairs");
    let chosen: Vec<&str> = pairs.iter().map(PreferencePair::chosen_text).collect();
    // The question that both have is asked once and answered by the first.
    assert_eq!(
        chosen,
        ["It was on sale.", "Upright, mostly.", "Glad you came.", "Of course, dear."]
    );
    let manifest = Manifest::open(&run).expect("a manifest");
    let facts = manifest.facts();
    assert_eq!(facts["prompt_set"]["version"], "2.0.0-mine");
    assert_eq!(facts["prompt_set"]["sha256"], hash);
    assert_eq!(facts["composition"]["parts"][1]["share"], 0.5);
    assert_eq!(facts["composition"]["provenance"][1]["persona"], "warm");
    let blended = Constitution::from_path(run.join("constitution.yaml")).expect("a constitution");
    assert_eq!(blended.name.as_str(), "tiny50-warm50");
    let heldout: Vec<serde_json::Value> = read_jsonl(run.join("eval/samples.jsonl")).expect("two");
    assert_eq!(heldout.len(), 2, "each question once");
}

#[test]
fn a_persona_for_research_trains_only_when_that_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut persona = tiny::mix(dir.path());
    persona.permit_training(false).expect("not for research");
    persona.blend.constitution.research_only = true;
    persona.permit_training(true).expect("said");
    let (prompts, interrupt) = (PromptSet::default(), Interrupt::new());
    let error =
        tiny::run_persona(persona, prompts, dir.path(), tiny::recipe(), &Silent, &interrupt)
            .expect_err("not said");
    assert!(matches!(error, PipelineError::ResearchOnly { .. }), "{error}");
    assert!(error.to_string().contains("--allow-research-persona"), "{error}");
    assert!(!dir.path().join("run").exists(), "nothing was written");
}

#[test]
fn a_persona_without_heldout_pairs_is_told_before_anything_is_trained() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut persona = tiny::mix(dir.path());
    persona.parts[0].heldout = None;
    let (prompts, interrupt) = (PromptSet::default(), Interrupt::new());
    let error =
        tiny::run_persona(persona, prompts, dir.path(), tiny::recipe(), &Silent, &interrupt)
            .expect_err("nothing to measure on");
    assert!(error.to_string().contains("heldout.jsonl is missing"), "{error}");
    assert!(error.to_string().contains("give a model as teacher"), "{error}");
    assert!(!dir.path().join("run").exists(), "nothing was written");
}

/// Raises the interrupt when the n-th piece of new work is done.
struct StopAt {
    left: AtomicU64,
    interrupt: Interrupt,
}

impl Observer for StopAt {
    fn on_event(&self, event: &Event) {
        let is_work = matches!(event, Event::Progress { .. } | Event::Step { .. });
        if is_work && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.interrupt.request();
        }
    }
}

#[test]
fn a_run_interrupted_again_and_again_ends_like_an_undisturbed_one() {
    let undisturbed = tempfile::tempdir().expect("a directory");
    tiny::run(undisturbed.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let disturbed = tempfile::tempdir().expect("a directory");
    let mut interruptions = 0;
    loop {
        let interrupt = Interrupt::new();
        let observer = StopAt { left: AtomicU64::new(2), interrupt: interrupt.clone() };
        match tiny::run(disturbed.path(), tiny::recipe(), &observer, &interrupt) {
            Ok(_) => break,
            Err(PipelineError::Interrupted) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(interruptions < 200, "no progress between interruptions");
    }
    assert!(interruptions >= 3, "only {interruptions} interruptions");
    let run = |dir: &tempfile::TempDir| contents(&dir.path().join("run"));
    assert_eq!(run(&undisturbed), run(&disturbed));
}

#[test]
fn a_changed_setting_redoes_what_depends_on_it_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    tiny::run(dir.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let mut recipe = tiny::recipe();
    recipe.merge.introspection = 0.5;
    let recorder = Recorder::default();
    tiny::run(dir.path(), recipe, &recorder, &Interrupt::new()).expect("runs");
    let reused: Vec<String> = recorder
        .events()
        .iter()
        .filter_map(|e| match e {
            Event::StageFinished { stage, reused: true, .. } => Some(stage.clone()),
            _ => None,
        })
        .collect();
    assert!(reused.contains(&"introspection".to_owned()));
    assert!(!reused.contains(&"persona".to_owned()) && !reused.contains(&"evaluation".to_owned()));
}

/// The tiny recipe with a monitor along a direction of `width` values behind the second block.
fn watched(dir: &Path, width: usize) -> ingrain::Recipe {
    let path = dir.join("direction.gguf");
    let direction = (0..width).map(|at| if at % 3 == 0 { 0.4 } else { -0.1 }).collect();
    let directions = [(1, direction)].into();
    ControlVector { model_hint: "llama".into(), directions }.save(&path).expect("written");
    let mut recipe = tiny::recipe();
    recipe.monitor.vector = Some(path);
    recipe.monitor.every_steps = 4;
    recipe
}

#[test]
fn a_monitored_run_logs_projections_and_trains_the_same_adapters() {
    let plain = tempfile::tempdir().expect("a directory");
    tiny::run(plain.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let dir = tempfile::tempdir().expect("a directory");
    let config = fs::read_to_string(Path::new(&tiny::recipe().model).join("config.json"));
    let config: serde_json::Value = serde_json::from_str(&config.expect("read")).expect("JSON");
    let width = config["hidden_size"].as_u64().expect("a number") as usize;
    let recorder = Recorder::default();
    let recipe = watched(dir.path(), width);
    tiny::run(dir.path(), recipe, &recorder, &Interrupt::new()).expect("runs");
    let run = dir.path().join("run");
    assert_eq!(contents(&plain.path().join("run")), contents(&run));

    let read = |stage: &str| -> Vec<(u64, f64)> {
        let steps: Vec<StepRecord> = read_jsonl(run.join(stage).join("train.jsonl")).expect(stage);
        let found = |step: &StepRecord| Some((step.step, *step.metrics.get("projection")?));
        steps.iter().filter_map(found).collect()
    };
    let distillation = read("distillation");
    let steps: Vec<u64> = distillation.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [4, 6], "every fourth step and the last of six");
    assert!(distillation.iter().all(|(_, at)| at.is_finite() && *at != 0.0), "{distillation:?}");
    // Introspection goes on from the distilled weights, on the same marks.
    let introspection = read("introspection");
    assert!(introspection.last().is_some_and(|(_, at)| at.is_finite() && *at != 0.0));
    let shown = recorder.events().iter().any(
        |event| matches!(event, Event::Step { metrics, .. } if metrics.contains_key("projection")),
    );
    assert!(shown, "observers see it too, TensorBoard among them");
}

#[test]
fn a_control_vector_of_another_model_is_refused_before_anything_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let recipe = watched(dir.path(), 7);
    let error = tiny::run(dir.path(), recipe, &Silent, &Interrupt::new()).expect_err("too narrow");
    assert!(error.to_string().contains("7 values"), "{error}");
    assert!(!dir.path().join("run/prompts.jsonl").exists(), "no stage ran");
    let zero = ingrain::Recipe::parse("monitor: {every_steps: 0}", "my.yaml").expect_err("zero");
    assert!(zero.to_string().contains("monitor.every_steps"), "{zero}");
}

#[test]
fn errors_name_the_thing_and_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |error: PipelineError, parts: &[&str]| {
        let message = error.to_string();
        assert!(!message.contains('\n'), "{message}");
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    };
    let mut recipe = tiny::recipe();
    recipe.model = "no-such-model".into();
    let error = tiny::run(dir.path(), recipe, &Silent, &Interrupt::new()).expect_err("unknown");
    check(error, &["no-such-model", "smollm2-135m-instruct"]);
    let error =
        ingrain::Persona::find("sarcsm", &[tiny::fixture("../personas")]).expect_err("typo");
    check(error, &["sarcsm", "sarcasm"]);
}
