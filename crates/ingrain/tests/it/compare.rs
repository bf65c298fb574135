//! Comparisons, ablations and subsets on the tiny model.

use std::path::Path;

use ingrain::constitution::PromptSet;
use ingrain::data::{Transcript, TranscriptKind};
use ingrain::run::{Event, Interrupt, Observer, Recorder, Silent, read_jsonl};
use ingrain::{
    Comparison, IntrospectionAuthor, IntrospectionBase, IntrospectionTexts, Method, Pipeline,
    PipelineError, Recipe, Row,
};

use crate::tiny;

fn recipe() -> Recipe {
    let mut recipe = tiny::recipe();
    recipe.on_policy.sampling.max_new_tokens = 4;
    recipe.on_policy.training.batch_size = 2;
    recipe.on_policy.training.learning_rate = 1e-2;
    recipe
}

fn compare(
    dir: &Path,
    recipe: Recipe,
    methods: Vec<Method>,
    observer: &dyn Observer,
) -> Result<Vec<Row>, PipelineError> {
    let persona = tiny::persona(dir);
    let teacher = || persona.recorded_teacher().expect("written beside");
    Comparison {
        pipeline: Pipeline {
            recipe,
            prompts: PromptSet::embedded(),
            persona: persona.clone(),
            allow_research_persona: false,
            teacher: teacher(),
            device: "cpu".into(),
            out: dir.join("run"),
            resume: true,
            observer,
            interrupt: Interrupt::new(),
        },
        methods,
        author: Some(tiny::recipe().model),
        subsets: vec![2],
        transcript_subsets: vec![3],
        control: Some((persona.clone(), teacher())),
    }
    .run()
}

/// The stage whose training begins.
fn first_step(event: Event) -> Option<String> {
    match event {
        Event::Step { stage, step: 1, .. } => Some(stage),
        _ => None,
    }
}

#[test]
fn every_method_trains_on_the_same_data_and_gets_a_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let not_here = [Method::FromTeacher];
    let methods: Vec<Method> = Method::ALL.into_iter().filter(|m| !not_here.contains(m)).collect();
    let recorder = Recorder::default();
    let rows = compare(dir.path(), recipe(), methods.clone(), &recorder).expect("runs");
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let mut expected = vec!["base"];
    expected.extend(methods.iter().map(|method| method.name()));
    expected.extend([
        "from_other",
        "dpo, 2 pairs",
        "introspection, 3 transcripts",
        "control: tiny",
    ]);
    assert_eq!(names, expected);
    let row = |name: &str| rows.iter().find(|row| row.name == name).expect("a row");
    assert_eq!(row("dpo").examples, 4);
    assert_eq!(row("kto").examples, 8, "both replies of a pair");
    assert_eq!(row("dpo, 2 pairs").examples, 2);
    assert_eq!(row("introspection, 3 transcripts").examples, 3);
    assert!(row("control: tiny").own_margin.is_some());
    for row in &rows[1..] {
        assert!(row.perplexity.is_finite() && row.margin.is_finite());
        assert_ne!(row.margin, rows[0].margin, "{} changed nothing", row.name);
    }
    assert_ne!(row("reflections_only").margin, row("interactions_only").margin);

    // No two trainings go by one name, under which an observer would take them for one.
    let mut trained: Vec<String> = recorder.events().into_iter().filter_map(first_step).collect();
    assert!(trained.iter().any(|stage| stage == "control/distillation"), "{trained:?}");
    trained.sort();
    let all = trained.len();
    trained.dedup();
    assert_eq!(trained.len(), all, "{trained:?}");

    // A second run reads every row back, and one more method costs its own training only.
    let recorder = Recorder::default();
    let again = compare(dir.path(), recipe(), methods, &recorder).expect("runs");
    assert_eq!(again, rows);
    let steps = recorder.events().iter().filter(|e| matches!(e, Event::Step { .. })).count();
    assert_eq!(steps, 0);
}

#[test]
fn a_bound_on_the_pairs_holds_for_every_method_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recipe = recipe();
    recipe.data.max_pairs = Some(3);
    let methods = vec![Method::Sft, Method::CritiqueSft, Method::Orpo, Method::Kto];
    let rows = compare(dir.path(), recipe, methods, &Silent).expect("runs");
    let examples: Vec<usize> = rows[1..5].iter().map(|row| row.examples).collect();
    assert_eq!(examples, [3, 3, 3, 6], "{rows:?}");
}

#[test]
fn a_method_without_its_data_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recipe = recipe();
    recipe.introspection.author = IntrospectionAuthor::Teacher;
    let error = tiny::run(dir.path(), recipe, &Silent, &Interrupt::new());
    let message = error.expect_err("recorded replies").to_string();
    assert!(message.contains("give a model as teacher"), "{message}");
}

fn kinds(dir: &Path) -> Vec<TranscriptKind> {
    let transcripts: Vec<Transcript> =
        read_jsonl(dir.join("run/introspection.jsonl")).expect("transcripts");
    transcripts.into_iter().map(|transcript| transcript.kind).collect()
}

#[test]
fn the_ablations_are_switches_of_the_recipe() {
    for (texts, only) in [
        (IntrospectionTexts::Reflections, TranscriptKind::Reflection),
        (IntrospectionTexts::Interactions, TranscriptKind::Interaction),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let mut recipe = recipe();
        recipe.introspection.texts = texts;
        tiny::run(dir.path(), recipe, &Silent, &Interrupt::new()).expect("runs");
        let kinds = kinds(dir.path());
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == only), "{kinds:?}");
    }
    let yaml = "introspection: {texts: reflections, author: {model: some.gguf}, base: adapter}";
    let parsed = Recipe::parse(yaml, "mine.yaml").expect("valid").introspection;
    assert_eq!(parsed.author, IntrospectionAuthor::Model("some.gguf".into()));
    assert_eq!(parsed.base, IntrospectionBase::Adapter);
    let both_off = "introspection: {texts: reflections, reflections_per_task: 0}";
    assert!(Recipe::parse(both_off, "mine.yaml").is_err());
}

#[test]
fn introspection_on_the_adapter_itself_merges_to_what_it_learnt_since() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut recipe = recipe();
    recipe.introspection.base = IntrospectionBase::Adapter;
    recipe.introspection.max_transcripts = Some(3);
    recipe.data.max_pairs = Some(3);
    // With both weights 1 the persona is the introspection adapter, which holds the distilled one.
    recipe.merge.introspection = 1.0;
    let summary = tiny::run(dir.path(), recipe, &Silent, &Interrupt::new()).expect("runs");
    let run = dir.path().join("run");
    let source: ingrain::lm::ModelSource = tiny::recipe().model.parse().expect("a directory");
    let files = source.resolve(&Silent).expect("is there");
    let device = ingrain::lm::device("cpu").expect("always there");
    let model = ingrain::lm::CausalLm::load(&files, &device).expect("loads");
    let load = |name: &str| ingrain::lm::Adapter::load(&run.join(name), &model).expect("loads");
    let logits = |name: &str| {
        let tokens = burn::tensor::Tensor::from_ints([[5, 99, 200, 17]], model.device());
        model.logits(tokens, Some(&load(name)))
    };
    let off = |a: &str, b: &str| (logits(a) - logits(b)).abs().max().into_scalar::<f32>();
    assert!(off("persona", "introspection") < 1e-4);
    assert!(off("persona", "distillation") > 1e-3);
    assert!(summary.perplexity.persona.is_finite());
}
