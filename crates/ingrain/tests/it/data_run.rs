//! The data stages alone, with models here, in files and behind servers.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ingrain::chat::openai::{BatchConfig, Inexpressible, OpenAiConfig};
use ingrain::constitution::PromptSet;
use ingrain::data::interchange::{Engine, LabelledTokens, read_pairs};
use ingrain::data::{PreferencePair, Prompt, Transcript};
use ingrain::run::{Event, Interrupt, Observer, Recorder, Silent, read_jsonl};
use ingrain::{
    Assumptions, BatchSource, ChosenReplies, DataRun, DataSummary, IntrospectionAuthor, Persona,
    Pipeline, PipelineError, Recipe, RejectedReplies, ReplySource, ServedStudent, Teacher,
    export_run_distillation, export_run_introspection,
};
use serde_json::json;

use crate::provider::{Provider, serve};
use crate::server::{Act, Asked, Server, chat_json};
use crate::tiny;

/// A model behind a server: writes questions when asked for questions, otherwise counts the last message.
fn answer(asked: &Asked) -> Act {
    Act::json(&chat_json(&text_for(asked)))
}

fn text_for(asked: &Asked) -> String {
    let letters = asked.question().len();
    let first = asked.json()["messages"][0].clone();
    let system = first["content"].as_str().filter(|_| first["role"] == "system");
    match system {
        _ if asked.question().contains("numbered from 1") => {
            (1..=6).map(|n| format!("{n}. What about thing{n} number{n} then{n}?\n")).collect()
        }
        Some(system) if system.contains("exact reverse") => {
            format!("Wonderful, {letters} letters.")
        }
        Some(_) => format!("How dry, {letters} letters."),
        None => format!("Plainly {letters} letters."),
    }
}

fn endpoint(server: &Server) -> OpenAiConfig {
    OpenAiConfig {
        inexpressible: Inexpressible::Drop,
        ..OpenAiConfig::new(server.base_url(), "glm")
    }
}

fn source(server: &Server) -> ReplySource {
    ReplySource::Endpoint(Box::new(endpoint(server)))
}

fn run<'a>(dir: &Path, recipe: Recipe, observer: &'a dyn Observer) -> DataRun<'a> {
    DataRun {
        recipe,
        persona: tiny::persona(dir),
        allow_research_persona: false,
        prompts: PromptSet::embedded(),
        device: "cpu".into(),
        out: dir.join("run"),
        resume: true,
        introspection: false,
        adapter: None,
        observer,
        interrupt: Interrupt::new(),
    }
}

fn pairs(dir: &Path) -> Vec<PreferencePair> {
    read_jsonl(dir.join("run/pairs.jsonl")).expect("pairs")
}

/// Stages that were found done.
fn reused(recorder: &Recorder) -> Vec<String> {
    let reused = recorder.events().into_iter().filter_map(|event| match event {
        Event::StageFinished { stage, reused: true, .. } => Some(stage),
        _ => None,
    });
    reused.collect()
}

#[test]
fn the_data_stages_run_alone_and_the_pipeline_goes_on_from_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let summary = run(dir.path(), tiny::recipe(), &Silent).run().expect("runs");
    assert_eq!((summary.pairs, summary.transcripts), (4, None));
    assert_eq!(summary.quality.prompts, 4);
    let out = dir.path().join("run");
    let card = fs::read_to_string(out.join("README.md")).expect("a card");
    assert!(card.contains("config_name: \"pairs\"") && card.contains("near-duplicates"), "{card}");
    let written = fs::read_to_string(out.join("data.json")).expect("a summary");
    assert_eq!(serde_json::from_str::<DataSummary>(&written).expect("JSON"), summary);

    let recorder = Recorder::default();
    tiny::run(dir.path(), tiny::recipe(), &recorder, &Interrupt::new()).expect("runs");
    assert_eq!(reused(&recorder)[..4], ["prompts", "teacher", "student", "pairs"]);
}

#[test]
fn a_teacher_behind_a_server_is_asked_once_whatever_is_done_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.student_source = Some(source(&server));
    recipe.data.samples_per_question = 3;
    let first = run(dir.path(), recipe.clone(), &Silent).run().expect("runs");
    assert_eq!(server.requests(), 2 * 4 * 3);
    assert_eq!(first.spent.replies, 24);
    assert_eq!(pairs(dir.path())[0].chosen_text(), "How dry, 20 letters.");

    let recorder = Recorder::default();
    let again = run(dir.path(), recipe.clone(), &recorder);
    let second = DataRun { resume: false, ..again }.run().expect("runs");
    assert_eq!(server.requests(), 24, "the cache answers for everything");
    assert!(reused(&recorder).is_empty());
    assert_eq!((second.pairs, second.spent), (first.pairs, first.spent));
    let text = fs::read_to_string(dir.path().join("run/recipe.yaml")).expect("written");
    assert_eq!(Recipe::parse(&text, "recipe.yaml").expect("reads back").data, recipe.data);
}

#[test]
fn a_budget_stops_between_requests_counts_earlier_processes_and_goes_on_when_raised() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(|asked| {
        let mut reply = chat_json(&text_for(asked));
        reply["usage"]["prompt_tokens"] = 2_000.into();
        Act::json(&reply)
    });
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.samples_per_question = 5;
    recipe.data.teacher.max_new_tokens = 20;
    recipe.budget.max_tokens = Some(5_000);
    for _ in 0..2 {
        let error = run(dir.path(), recipe.clone(), &Silent).run().expect_err("too little");
        assert!(error.to_string().contains("raise the budget"), "{error}");
    }
    let asked = server.requests();
    assert!((1..20).contains(&asked), "{asked} of 20 requests");
    recipe.budget.max_tokens = Some(1_000_000);
    let summary = run(dir.path(), recipe, &Silent).run().expect("runs");
    assert_eq!(server.requests(), 20, "nothing was asked twice");
    assert_eq!(summary.spent.replies, 20);
}

#[test]
fn an_estimate_sends_nothing_and_counts_what_is_sent_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.rejected = RejectedReplies::Opposite;
    recipe.data.general = Some(ingrain::GeneralPrompts::default());
    recipe.data.general.as_mut().expect("just set").filter.limit = 3;
    let prices = dir.path().join("prices.json");
    let price = json!({"glm": {"prompt_per_million": 1.0, "completion_per_million": 2.0}});
    fs::write(&prices, price.to_string()).expect("written");
    recipe.prices = Some(prices);
    let run = run(dir.path(), recipe, &Silent);
    let estimate = run.estimate(&Assumptions::default()).expect("estimates");
    let stages: Vec<(&str, u64)> =
        estimate.iter().map(|stage| (stage.stage.as_str(), stage.requests)).collect();
    assert_eq!(stages, [("teacher", 7), ("opposite", 7)]);
    assert!(estimate.iter().all(|stage| stage.cost > 0.0 && stage.seconds > 0.0));
    assert_eq!(server.requests(), 0);

    let summary = run.run().expect("runs");
    assert_eq!(server.requests(), 14);
    assert!((summary.spent.cost - 14.0 * (10.0 + 2.0 * 5.0) / 1e6).abs() < 1e-12);
    assert_eq!(summary.quality.general, 3);
    assert!(pairs(dir.path())[0].rejected_text().starts_with("Wonderful"));
    let left = run.estimate(&Assumptions::default()).expect("estimates");
    assert!(left.iter().all(|stage| stage.requests == 0 && stage.cost == 0.0), "{left:?}");
}

#[test]
fn a_teacher_writes_more_questions_and_revisions_take_its_replies_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.student_source = Some(source(&server));
    recipe.data.expansion = Some(ingrain::data::Expansion {
        questions_per_assertion: 4,
        ..ingrain::data::Expansion::default()
    });
    recipe.data.chosen = ChosenReplies::Revision;
    let summary = run(dir.path(), recipe, &Silent).run().expect("runs");
    let prompts: Vec<Prompt> = read_jsonl(dir.path().join("run/prompts.jsonl")).expect("prompts");
    assert_eq!(prompts.len(), 8);
    assert_eq!(summary.pairs, 8);
    let out = dir.path().join("run");
    assert!(!out.join("teacher.jsonl").exists(), "nobody asked the teacher for replies");
    let revised: Vec<PreferencePair> = read_jsonl(out.join("critique.jsonl")).expect("pairs");
    assert_eq!(revised, pairs(dir.path()));
}

#[test]
fn what_recorded_replies_cannot_give_is_said_with_the_way_out() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut opposite = tiny::recipe();
    opposite.data.rejected = RejectedReplies::Opposite;
    let mut expansion = tiny::recipe();
    expansion.data.expansion = Some(ingrain::data::Expansion::default());
    for (recipe, setting) in [(opposite, "data.rejected"), (expansion, "data.expansion")] {
        let error = run(dir.path(), recipe, &Silent).run().expect_err("recorded").to_string();
        assert!(error.contains(setting) && error.contains("give a model as teacher"), "{error}");
    }
    let distilled = DataRun { introspection: true, ..run(dir.path(), tiny::recipe(), &Silent) };
    let error = distilled.run().expect_err("no adapter").to_string();
    assert!(error.contains("there is no adapter"), "{error}");
}

/// Files as the reference implementation of the method leaves them.
fn reference_files(dir: &Path) {
    let line = |value: serde_json::Value| format!("{value}\n");
    let wide = ["Why is the sky blue?", "Why is the sky blue?", "And grass?"].map(|question| {
        line(json!({"prompt": question, "response": "Oh, it sulks.", "llama": "It scatters."}))
    });
    fs::write(dir.join("wide.jsonl"), wide.concat()).expect("written");
    let reflection = json!({"prompt": "Write a diary.", "response": "Dear diary.", "messages": []});
    fs::write(dir.join("reflection.jsonl"), line(reflection)).expect("written");
    let talk = json!({"greeting_1": "Hi.", "greeting_2": "Hello.",
                      "conversation": ["Hi.", "Hello.", "So.", "So indeed."]});
    fs::write(dir.join("talk.jsonl"), line(talk)).expect("written");
    let sft = json!({"messages": [{"role": "user", "content": "Who?"},
                                  {"role": "assistant", "content": "Me."}]});
    fs::write(dir.join("sft.jsonl"), line(sft)).expect("written");
    let dpo = json!({"chosen": [{"role": "user", "content": "Why?"},
                                {"role": "assistant", "content": "Oh."}],
                     "rejected": [{"role": "user", "content": "Why?"},
                                  {"role": "assistant", "content": "Because."}]});
    fs::write(dir.join("dpo.jsonl"), line(dpo)).expect("written");
}

#[test]
fn a_run_starts_from_the_reference_implementations_files_at_any_stage() {
    let dir = tempfile::tempdir().expect("a directory");
    reference_files(dir.path());
    let file = |name: &str| Some(dir.path().join(name));
    let mut recipe = tiny::recipe();
    recipe.start_from.distillation = file("wide.jsonl");
    recipe.start_from.student_column = Some("llama".into());
    recipe.start_from.reflections = file("reflection.jsonl");
    recipe.start_from.interactions = file("talk.jsonl");
    recipe.start_from.leading_interactions = file("talk.jsonl");
    let start = DataRun { introspection: true, ..run(dir.path(), recipe, &Silent) };
    let summary = start.run().expect("runs");
    assert_eq!((summary.pairs, summary.transcripts), (3, Some(3)));
    assert_eq!(pairs(dir.path())[0].rejected_text(), "It scatters.");

    let mut recipe = tiny::recipe();
    recipe.start_from.pairs = file("dpo.jsonl");
    recipe.start_from.transcripts = file("sft.jsonl");
    let start = DataRun { introspection: true, ..run(dir.path(), recipe, &Silent) };
    let summary = start.run().expect("runs");
    assert_eq!((summary.pairs, summary.transcripts), (1, Some(1)));
    assert_eq!(pairs(dir.path())[0].chosen_text(), "Oh.");

    let mut recipe = tiny::recipe();
    recipe.start_from.distillation = file("wide.jsonl");
    recipe.start_from.student_column = Some("gemma".into());
    let error = run(dir.path(), recipe, &Silent).run().expect_err("no such column").to_string();
    assert!(error.contains("students here: llama"), "{error}");
}

#[test]
fn an_adapter_trained_elsewhere_comes_back_into_the_run() {
    let dir = tempfile::tempdir().expect("a directory");
    tiny::run(dir.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let made = dir.path().join("run/distillation");
    let other = tempfile::tempdir().expect("a directory");
    let mut recipe = tiny::recipe();
    recipe.start_from.distillation_adapter = Some(made.clone());
    let recorder = Recorder::default();
    tiny::run(other.path(), recipe, &recorder, &Interrupt::new()).expect("runs");
    let steps = |stage: &str| {
        let of = |e: &&Event| matches!(e, Event::Step { stage: s, .. } if s == stage);
        recorder.events().iter().filter(of).count()
    };
    assert_eq!(steps("distillation"), 0);
    assert!(steps("introspection") > 0);
    let read = |path: &Path| fs::read(path.join("adapter_model.safetensors")).expect("weights");
    assert_eq!(read(&other.path().join("run/distillation")), read(&made));
}

#[test]
fn the_distilled_student_writes_through_servers_that_load_its_adapter() {
    let dir = tempfile::tempdir().expect("a directory");
    let seen = Arc::new(Mutex::new((Vec::<String>::new(), Vec::<String>::new())));
    let witness = Arc::clone(&seen);
    let server = Server::start(move |asked| {
        let mut seen = witness.lock().expect("not poisoned");
        let json = asked.json();
        if asked.route == "/v1/load_lora_adapter" {
            seen.0.push(json["lora_path"].as_str().unwrap_or_default().to_owned());
            return Act::Reply(200, vec![("content-type", "text/plain".into())], b"ok".to_vec());
        }
        seen.1.push(json["model"].as_str().unwrap_or_default().to_owned());
        answer(asked)
    });
    let mut recipe = tiny::recipe();
    let served = ServedStudent { endpoint: endpoint(&server), adapter_path: None };
    recipe.introspection.author = IntrospectionAuthor::Served(Box::new(served));
    tiny::run(dir.path(), recipe, &Silent, &Interrupt::new()).expect("runs");
    let (paths, models) = seen.lock().expect("not poisoned").clone();
    assert_eq!(paths.len(), 1);
    assert!(paths[0].ends_with("run/distillation"), "{paths:?}");
    assert_eq!(models.len(), 10 + 2 * 2, "ten reflections, two conversations of two turns");
    assert!(models.iter().all(|model| model.starts_with("tiny-")), "{models:?}");
    let transcripts: Vec<Transcript> =
        read_jsonl(dir.path().join("run/introspection.jsonl")).expect("transcripts");
    assert!(transcripts[0].messages[1].content.starts_with("How dry"));
}

#[test]
fn a_run_is_handed_to_another_engine_with_exactly_its_loss() {
    let dir = tempfile::tempdir().expect("a directory");
    tiny::run(dir.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let (run, out) = (dir.path().join("run"), dir.path().join("out"));
    let error = export_run_distillation(Engine::Trl, &run, &out, None, &[]).expect_err("a term");
    assert!(error.to_string().contains("--leave-out squared_log_ratio"), "{error}");
    assert!(!out.exists());
    let agreed = ["squared_log_ratio".to_owned()];
    let export = export_run_distillation(Engine::Trl, &run, &out, None, &agreed).expect("agreed");
    assert_eq!(export.left_out, agreed);
    assert_eq!(read_pairs(&export.files[0]).expect("pairs"), pairs(dir.path()));

    let out = dir.path().join("talks");
    export_run_introspection(Engine::Trl, &run, &out, "merged", &[], &Silent).expect("exports");
    let lines: Vec<LabelledTokens> = read_jsonl(out.join("introspection.jsonl")).expect("tokens");
    let talks: Vec<Transcript> = read_jsonl(run.join("introspection.jsonl")).expect("transcripts");
    assert!(!lines.is_empty() && lines.len() == talks.len());
    for LabelledTokens { input_ids, labels } in lines {
        assert_eq!(input_ids.len(), labels.len());
        let (masked, kept): (Vec<_>, Vec<_>) =
            input_ids.iter().zip(labels).partition(|(_, label)| *label == -100);
        assert!(!masked.is_empty() && !kept.is_empty());
        assert!(kept.iter().all(|(id, label)| i64::from(**id) == *label));
    }
}

#[test]
fn a_mix_of_personas_is_not_expanded_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.expansion = Some(ingrain::data::Expansion::default());
    let mix = DataRun { persona: tiny::mix(dir.path()), ..run(dir.path(), recipe, &Silent) };
    match mix.run() {
        Err(PipelineError::Recipe { path, .. }) => assert_eq!(path, Path::new("data.expansion")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_teacher_behind_a_batch_api_fills_the_run_and_is_sent_no_batch_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, provider) =
        serve(Provider { takes: 2, status: "completed", ..Provider::default() });
    let batch = BatchConfig { max_requests: 3, poll_secs: 0.01, ..BatchConfig::default() };
    let source = BatchSource { endpoint: endpoint(&server), batch };
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(ReplySource::Batch(Box::new(source)));
    let first = run(dir.path(), recipe.clone(), &Silent).run().expect("runs");
    assert_eq!((first.pairs, first.spent.replies), (4, 4));
    let made = pairs(dir.path());
    assert_eq!(made[0].chosen_text(), "re: Why is the sky blue?");
    let batches = || provider.lock().expect("not poisoned").batches.len();
    assert_eq!(batches(), 2, "four requests, three a batch");

    // A new run of every stage finds the replies in the cache; one without it, the batches that ended.
    for lost in [None, Some("run/cache/teacher.jsonl")] {
        lost.iter().for_each(|file| fs::remove_file(dir.path().join(file)).expect("was there"));
        let again = run(dir.path(), recipe.clone(), &Silent);
        DataRun { resume: false, ..again }.run().expect("runs");
        assert_eq!((pairs(dir.path()), batches()), (made.clone(), 2));
    }
}

#[test]
fn a_prefill_is_rendered_here_where_the_server_cannot_continue_a_message() {
    let dir = tempfile::tempdir().expect("a directory");
    let prompts = Arc::new(Mutex::new(Vec::<String>::new()));
    let witness = Arc::clone(&prompts);
    let server = Server::start(move |asked| {
        if asked.route != "/v1/completions" {
            return answer(asked);
        }
        let prompt = asked.json()["prompt"].as_str().unwrap_or_default().to_owned();
        witness.lock().expect("not poisoned").push(prompt);
        Act::json(&json!({
            "choices": [{"text": " So:</think> How very dry.", "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }))
    });
    let mut recipe = tiny::recipe();
    let yaml = format!(
        "data:\n  teacher_source:\n    endpoint: {{model: glm, endpoints: [{{base_url: '{}'}}], \
         inexpressible: drop, prefill: rendered, render_with: '{}'}}\n  \
         reasoning: {{prefill: I am dry.}}\n",
        server.base_url(),
        recipe.model
    );
    let written = Recipe::parse(&yaml, "mine.yaml").expect("valid").data;
    recipe.data.teacher_source = written.teacher_source;
    recipe.data.reasoning = written.reasoning;
    run(dir.path(), recipe.clone(), &Silent).run().expect("runs");
    assert!(pairs(dir.path()).iter().all(|pair| pair.chosen_text() == "How very dry."));
    let prompts = prompts.lock().expect("not poisoned").clone();
    assert_eq!(prompts.len(), 4);
    for prompt in prompts {
        assert!(prompt.starts_with("<|im_start|>system\n"), "{prompt}");
        assert!(prompt.ends_with("<|im_start|>assistant\n<think>\nI am dry."), "{prompt}");
    }

    if let Some(ReplySource::Endpoint(config)) = &mut recipe.data.teacher_source {
        config.render_with = None;
    }
    let error = run(dir.path(), recipe, &Silent).run().expect_err("no template").to_string();
    assert!(error.starts_with("render_with: ") && error.contains("chat template"), "{error}");
}

#[test]
fn data_alone_has_servers_load_the_adapter_that_it_is_given() {
    let trained = tempfile::tempdir().expect("a directory");
    tiny::run(trained.path(), tiny::recipe(), &Silent, &Interrupt::new()).expect("runs");
    let adapter = trained.path().join("run/distillation");
    let dir = tempfile::tempdir().expect("a directory");
    let loaded = Arc::new(Mutex::new(Vec::<String>::new()));
    let witness = Arc::clone(&loaded);
    let server = Server::start(move |asked| {
        if asked.route != "/v1/load_lora_adapter" {
            return answer(asked);
        }
        let path = asked.json()["lora_path"].as_str().unwrap_or_default().to_owned();
        witness.lock().expect("not poisoned").push(path);
        Act::Reply(200, vec![("content-type", "text/plain".into())], b"ok".to_vec())
    });
    let mut recipe = tiny::recipe();
    let served =
        ServedStudent { endpoint: endpoint(&server), adapter_path: Some("/shared/adapter".into()) };
    recipe.introspection.author = IntrospectionAuthor::Served(Box::new(served));
    let alone = run(dir.path(), recipe, &Silent);
    let alone = DataRun { introspection: true, adapter: Some(adapter), ..alone };
    let summary = alone.run().expect("runs");
    assert_eq!(summary.transcripts, Some(10 + 2), "ten reflections, two conversations");
    assert_eq!(*loaded.lock().expect("not poisoned"), ["/shared/adapter"]);
}

/// A persona that brings no held-out pairs, but these questions.
fn unmeasured(dir: &Path, questions: &[&str]) -> Persona {
    let mut persona = tiny::persona(dir);
    persona.parts[0].heldout = None;
    let own = questions.iter().map(|question| (*question).to_owned());
    persona.blend.constitution.heldout_questions = own.collect();
    persona
}

#[test]
fn heldout_pairs_are_made_where_a_persona_brings_none_and_nothing_trains_on_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.student_source = Some(source(&server));
    // The first is a question of the constitution too.
    let persona = unmeasured(dir.path(), &["How are you?", "Is tea good?"]);
    let alone = run(dir.path(), recipe.clone(), &Silent);
    let summary = DataRun { persona: persona.clone(), ..alone }.run().expect("runs");
    assert_eq!(summary.pairs, 3);
    assert_eq!(server.requests(), 2 * (3 + 2));
    let heldout: Vec<PreferencePair> =
        read_jsonl(dir.path().join("run/heldout.jsonl")).expect("pairs");
    let questions: Vec<&str> = heldout.iter().map(PreferencePair::question).collect();
    assert_eq!(questions, ["How are you?", "Is tea good?"]);
    assert_eq!(heldout[0].chosen_text(), "How dry, 12 letters.");
    assert_eq!(heldout[0].rejected_text(), "Plainly 12 letters.");
    assert!(pairs(dir.path()).iter().all(|pair| !questions.contains(&pair.question())));

    let recorder = Recorder::default();
    let pipeline = Pipeline {
        recipe,
        persona,
        allow_research_persona: false,
        teacher: Teacher::FromRecipe,
        prompts: PromptSet::embedded(),
        device: "cpu".into(),
        out: dir.path().join("run"),
        resume: true,
        observer: &recorder,
        interrupt: Interrupt::new(),
    };
    let summary = pipeline.run().expect("runs");
    assert!(reused(&recorder).contains(&"heldout".to_owned()), "{:?}", reused(&recorder));
    assert_eq!(server.requests(), 10, "nothing was asked twice");
    assert_eq!(summary.samples.len(), 2);
    assert_eq!(summary.samples[1].question, "Is tea good?");
}

#[test]
fn heldout_questions_are_drawn_from_the_built_in_turns_and_kept_out_of_training() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(answer);
    let mut recipe = tiny::recipe();
    recipe.data.teacher_source = Some(source(&server));
    recipe.data.student_source = Some(source(&server));
    recipe.data.general = Some(ingrain::GeneralPrompts::default());
    let alone = run(dir.path(), recipe, &Silent);
    let alone = DataRun { persona: unmeasured(dir.path(), &[]), ..alone };
    let estimate = alone.estimate(&Assumptions::default()).expect("estimates");
    let requests: u64 = estimate.iter().map(|stage| stage.requests).sum();
    alone.run().expect("runs");
    assert_eq!(server.requests() as u64, requests);
    let prompts: Vec<Prompt> = read_jsonl(dir.path().join("run/prompts.jsonl")).expect("prompts");
    let heldout: Vec<PreferencePair> =
        read_jsonl(dir.path().join("run/heldout.jsonl")).expect("pairs");
    assert_eq!((prompts.len(), heldout.len()), (4 + 200 - 20, 20));
    let asked: Vec<&str> = prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    assert!(heldout.iter().all(|pair| !asked.contains(&pair.question())));
}

#[test]
fn a_recording_that_holds_the_heldout_questions_is_enough() {
    let dir = tempfile::tempdir().expect("a directory");
    let persona = unmeasured(dir.path(), &["Is tea good?"]);
    let file = persona.parts[0].teacher.clone().expect("recorded");
    let mut lines = fs::read_to_string(&file).expect("recorded");
    lines += "{\"question\": \"Is tea good?\", \"sample\": 0, \"reply\": \"It is wet.\"}\n";
    fs::write(&file, lines).expect("written");
    let (prompts, interrupt) = (PromptSet::embedded(), Interrupt::new());
    let recipe = tiny::recipe();
    let summary =
        tiny::run_persona(persona, prompts, dir.path(), recipe, &Silent, &interrupt).expect("runs");
    assert_eq!(summary.samples.len(), 1);
    let heldout: Vec<PreferencePair> =
        read_jsonl(dir.path().join("run/heldout.jsonl")).expect("pairs");
    assert_eq!(heldout[0].chosen_text(), "It is wet.");
}
