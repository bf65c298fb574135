//! Every example on its smallest setting.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use ingrain::chat::{Cached, ChatModel, ChatRequest, Message, Sampling, Scripted};
use serde_json::Value;

use crate::bench::{bench, example, finished_run, run, succeeded};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[track_caller]
pub(crate) fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

/// Arguments for the tiny model and its persona; the path belongs to the last of the options.
fn tiny_args<'a>(options: &'a str, path: &'a str) -> Vec<&'a str> {
    let mut args = vec!["--model", &bench().model, "--persona", &bench().persona];
    args.extend(options.split_whitespace().chain([path]));
    args
}

#[test]
fn character_training_prints_what_changed_and_a_second_time_reuses_it() {
    let out = finished_run();
    let (persona, recipe) = (&bench().persona, &bench().recipe);
    let again = ["--persona", persona, "--recipe", recipe, "--out", out, "--json"];
    let output = example("character_training").args(again).output().expect("starts");
    let summary = json(&succeeded("character_training", &output));
    assert_eq!(summary["samples"].as_array().map(Vec::len), Some(2));
    holds(&String::from_utf8_lossy(&output.stderr), &["distillation: finished earlier, reused"]);
}

#[test]
fn constitution_checks_and_renders() {
    holds(&run("constitution", &["check", "personas/sarcasm.yaml"]), &["personas/sarcasm.yaml"]);
    let rendered = run("constitution", &["render", "sarcasm", "--prompt", "teacher_system"]);
    assert!(rendered.len() > 200, "{rendered}");
}

#[test]
fn inspect_describes_a_model_and_an_adapter() {
    let adapter = format!("{}/persona", finished_run());
    let shown =
        json(&run("inspect", &["--model", &bench().model, "--adapter", &adapter, "--json"]));
    assert_eq!(shown["config"]["family"], "llama");
    assert_eq!(shown["adapter on this model"], "self-test passed");
    assert!(shown["adapter weights"]["norm"].as_f64().is_some_and(|norm| norm > 0.0));
    let words = ["rank", "q_proj", "self-test passed", "<|im_start|>user"];
    holds(&run("inspect", &["--model", &bench().model, "--adapter", &adapter]), &words);
}

#[test]
fn generate_and_score_agree_on_tokens() {
    let model = ["--model", &bench().model, "--json"];
    let asked = ["--prompt", "Is tea good?", "--greedy", "--max-new-tokens", "4"];
    let reply = json(&run("generate", &[&model[..], &asked].concat()));
    assert_eq!(reply["token_ids"].as_array().map(Vec::len), Some(4));
    assert_eq!(reply["finish"], "length");
    let scored = ["--prompt", "Is tea good?", "--completion", "Yes."];
    let score = json(&run("score", &[&model[..], &scored].concat()));
    assert_eq!(score["prompt_token_ids"], reply["prompt_token_ids"]);
    assert!(score["total_logprob"].as_f64().is_some_and(|total| total < 0.0));
}

#[test]
fn chat_answers_line_by_line_and_ends_with_the_input() {
    let adapter = format!("{}/persona", finished_run());
    let args = ["--model", &bench().model, "--adapter", &adapter, "--max-new-tokens", "3"];
    let mut child = example("chat")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"/only trained\nHello.\n/history\n").expect("written");
    drop(input);
    let printed = succeeded("chat", &child.wait_with_output().expect("ends"));
    holds(&printed, &["[x] trained", "[trained]", "Hello."]);
}

#[test]
fn what_is_longer_than_the_context_is_said_and_a_chat_goes_on() {
    let model = ["--model", &bench().model];
    let long = "tea ".repeat(9000);
    let output = example("generate").args(model).args(["--prompt", &long]).output();
    let output = output.expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the model's context holds"), "{said}");

    let mut child = example("chat")
        .args(model)
        .args(["--max-new-tokens", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    let lines = format!("{long}\n/base\nHello?\n/all\nHello!\n/history\n");
    input.write_all(lines.as_bytes()).expect("written");
    drop(input);
    let printed = succeeded("chat", &child.wait_with_output().expect("ends"));
    holds(
        &printed,
        &["the model's context holds", "/clear", "every guise is switched off", "you: Hello!"],
    );
    assert!(!printed.contains("you: tea") && !printed.contains("you: Hello?"), "{printed}");
}

#[test]
fn export_writes_a_directory_that_loads() {
    let out = bench().path("exported");
    let adapter = format!("{}/persona", finished_run());
    run("export", &["--model", &bench().model, "--adapter", &adapter, "--merged", "--out", &out]);
    let shown = json(&run("inspect", &["--model", &out, "--json"]));
    assert!(shown["weights"]["parameters"].as_u64().is_some_and(|count| count > 1000));
}

#[test]
fn generate_data_says_what_is_left_makes_pairs_and_export_hands_them_on() {
    let out = bench().path("data");
    let (persona, recipe) = (&bench().persona, &bench().recipe);
    let args = ["--persona", persona, "--recipe", recipe, "--out", &out, "--json"];
    let dry = [&args[..], &["--dry-run"]].concat();
    let left = |text: &str| json(text)["total"]["requests"].as_u64();
    assert_eq!(left(&run("generate_data", &dry)), Some(4));
    let summary = json(&run("generate_data", &args));
    assert_eq!(summary["pairs"], summary["filter"]["kept"]);
    let card = fs::read_to_string(Path::new(&out).join("README.md")).expect("a dataset card");
    assert!(card.starts_with("---\nlicense: "), "{card}");
    assert_eq!(left(&run("generate_data", &dry)), Some(0));

    let to = bench().path("axolotl");
    let axolotl = run("export", &["--data", "axolotl", "--run", &out, "--out", &to]);
    holds(&axolotl, &["4 pairs and 0 conversations"]);
    let (to, trl) = (bench().path("trl"), ["--to", "trl", "--run", &out, "--out"]);
    let refused = example("export").args(trl).arg(&to).output().expect("starts");
    holds(&String::from_utf8_lossy(&refused.stderr), &["--leave-out squared_log_ratio"]);
    let agreed = [&trl[..], &[to.as_str(), "--leave-out", "squared_log_ratio"]].concat();
    holds(&run("export", &agreed), &["pairs.jsonl", "config.json", "launch.sh"]);
}

#[test]
fn cache_counts_what_a_journal_holds() {
    let journal = bench().path("cache.jsonl");
    let cached = Cached::open(Scripted::replies(["umbrella"]), "m", &journal).expect("opens");
    let request = ChatRequest::new(vec![Message::user("Rain?")], Sampling::default());
    cached.complete_one(&request).expect("scripted");
    drop(cached);
    let stats = run("cache", &["stats", &journal]);
    holds(&stats, &["m", "1"]);
    holds(&run("cache", &["show", &journal, "--text", "UMBRELLA"]), &["Rain?"]);
    run("cache", &["compact", &journal]);
}

#[test]
fn train_dpo_trains_on_the_pairs_of_a_run() {
    let (pairs, out) = (format!("{}/pairs.jsonl", finished_run()), bench().path("train-dpo"));
    let (model, recipe) = (&bench().model, &bench().recipe);
    let args =
        [pairs.as_str(), "--model", model, "--recipe", recipe, "--epochs", "1", "--out", &out];
    holds(&run("train_dpo", &args), &["4 pairs, 0 too long", "2 steps", "Adapter: "]);
    assert!(Path::new(&out).join("adapter/adapter_model.safetensors").is_file());
}

#[test]
fn train_introspection_merges_what_it_trains_with_the_distillation() {
    let (dir, out) = (finished_run(), bench().path("train-introspection"));
    let (transcripts, distillation) =
        (format!("{dir}/introspection.jsonl"), format!("{dir}/distillation"));
    let (model, recipe) = (&bench().model, &bench().recipe);
    let args = [
        transcripts.as_str(),
        "--distillation",
        &distillation,
        "--model",
        model,
        "--recipe",
        recipe,
        "--out",
        &out,
    ];
    holds(&run("train_introspection", &args), &["12 transcripts", "Adapter: ", "Persona: "]);
    let persona = format!("{out}/persona");
    let shown = json(&run("inspect", &["--model", model, "--adapter", &persona, "--json"]));
    assert_eq!(shown["adapter"]["rank"], 4, "two ranks of 2 side by side");
}

#[test]
fn whole_models_train_stage_after_stage_and_every_example_takes_them() {
    let (dir, recipe) = (finished_run(), &bench().recipe);
    let data = ["pairs", "introspection"].map(|name| format!("{dir}/{name}.jsonl"));
    let outs = ["full-dpo", "full-introspection"].map(|name| bench().path(name));
    let board = bench().path("full-board");
    let full = ["--recipe", recipe, "--epochs", "1", "--full"];

    let refused = example("train_dpo").arg(&data[0]).args(full).output().expect("starts");
    assert!(!refused.status.success());
    holds(&String::from_utf8_lossy(&refused.stderr), &["--learning-rate"]);

    let full = [&full[..], &["--learning-rate", "1e-3", "--tensorboard", &board]].concat();
    let args = [&[&*data[0], "--model", &bench().model, "--out", &outs[0]], &full[..]].concat();
    holds(&run("train_dpo", &args), &["4 pairs", "2 steps", "Model: "]);
    let distilled = format!("{}/model", outs[0]);
    assert!(!Path::new(&outs[0]).join("adapter").exists());
    assert_eq!(fs::read_dir(format!("{board}/train_dpo")).expect("a folder").count(), 1);
    // The same command again has nothing to do, and leaves what it wrote.
    let written = || fs::metadata(format!("{distilled}/model.safetensors")).expect("weights");
    let before = written().modified().expect("a time");
    holds(&run("train_dpo", &args), &["Model: "]);
    assert_eq!(written().modified().expect("a time"), before);

    let args = [&[&*data[1], "--model", &distilled, "--out", &outs[1]], &full[..]].concat();
    holds(&run("train_introspection", &args), &["12 transcripts", "Model: "]);
    let whole = format!("{}/model", outs[1]);
    let total = |model: &str| {
        let asked = ["--prompt", "Is tea good?", "--completion", "It is wet and warm.", "--json"];
        let score = json(&run("score", &[&["--model", model], &asked[..]].concat()));
        score["total_logprob"].as_f64().expect("a number")
    };
    let [base, distilled, whole] = [&bench().model, &distilled, &whole].map(|model| total(model));
    assert!((distilled - base).abs() > 1e-3, "{base} {distilled}");
    assert!((whole - distilled).abs() > 1e-3, "{distilled} {whole}");
}

#[test]
fn compose_personas_merges_compresses_and_answers() {
    let (dir, out) = (finished_run(), bench().path("mix"));
    let parts = [format!("{dir}/distillation:0.6"), format!("{dir}/introspection:0.4")];
    let args = [
        parts[0].as_str(),
        &parts[1],
        "--model",
        &bench().model,
        "--out",
        &out,
        "--rank",
        "2",
        "--prompt",
        "Is tea good?",
        "--max-new-tokens",
        "3",
    ];
    holds(
        &run("compose_personas", &args),
        &["0.6 x", "cosine with", "rank 4", "rank 2:", "[the mix]"],
    );
    assert!(Path::new(&out).join("adapter_config.json").is_file());
}

#[test]
fn judge_reports_how_far_it_can_be_believed() {
    let args = [finished_run(), "--judge", &bench().model, "--repeats", "1", "--json"];
    let found = json(&run("judge", &args));
    // Two questions, two orders, each asked twice.
    assert_eq!((&found["cases"], &found["rulings"]), (&2.into(), &8.into()));
    assert_eq!(found["standing"]["standing"], "unknown", "nobody has labelled anything");
}

#[test]
fn evaluate_compares_an_adapter_with_its_base() {
    let adapter = format!("{}/persona", finished_run());
    let args = tiny_args("--replies 1 --max-new-tokens 3 --adapter", &adapter);
    let table = run("evaluate", &args);
    holds(&table, &["2 held-out questions about tiny", "perplexity", "[adapter]"]);
    let found = json(&run("evaluate", &[&args[..], &["--json"]].concat()));
    let change = found["adapter"]["margin"].as_f64().zip(found["base"]["margin"].as_f64());
    let change = change.map(|(after, before)| after - before).expect("numbers");
    let estimate = found["margin_change"]["estimate"].as_f64().expect("a number");
    assert!((change - estimate).abs() < 1e-9, "{change} and {estimate}");
}

#[test]
fn custom_objective_and_custom_loss_train() {
    let (one, other) = (bench().path("objective"), bench().path("loss"));
    holds(&run("custom_objective", &tiny_args("--epochs 2 --out", &one)), &["Adapter: "]);
    let printed = run("custom_loss", &tiny_args("--epochs 2 --out", &other));
    holds(&printed, &["reward_chosen", "loss_cal_dpo", "Adapter: "]);
}

#[test]
fn custom_judge_is_held_against_what_is_known() {
    let printed = run("custom_judge", &["--persona", "sarcasm"]);
    holds(&printed, &["pairs of sarcasm", "agreement", "in both orders:    1.00", "NotReliable"]);
}

#[test]
fn custom_stage_is_done_once() {
    let out = bench().path("stage");
    let args = tiny_args("--questions 2 --max-new-tokens 3 --out", &out);
    let first = run("custom_stage", &args);
    assert_eq!(first.matches("> ").count(), 2, "{first}");
    let again = example("custom_stage").args(&args).output().expect("starts");
    holds(&String::from_utf8_lossy(&again.stderr), &["rephrase: finished earlier, reused"]);
    assert_eq!(succeeded("custom_stage", &again), first);
}

#[test]
fn steer_finds_a_vector_and_compares() {
    let out = bench().path("tiny.gguf");
    let options = "--questions 2 --continuation-tokens 3 --heldout 1 --max-new-tokens 3 --out";
    let args = tiny_args(options, &out);
    holds(&run("steer", &args), &["[steering]", "along the direction"]);
    assert!(Path::new(&out).is_file());
}

#[test]
fn compare_prints_a_row_a_method() {
    let (persona, recipe, out) = (&bench().persona, &bench().recipe, bench().path("compare"));
    let args = [
        "--persona",
        persona,
        "--recipe",
        recipe,
        "--quick",
        "--methods",
        "sft,orpo",
        "--control",
        "none",
        "--out",
        &out,
        "--json",
    ];
    let rows = json(&run("compare", &args));
    assert!(rows.as_array().is_some_and(|rows| rows.len() >= 3), "{rows}");
}

#[test]
fn classify_says_what_it_is_worth_and_answers() {
    let out = bench().path("classifier");
    let sources = ["personas/sarcasm.teacher.jsonl", "personas/humor.teacher.jsonl"];
    let args = ["--encoder", "fixtures/encoders/bert", "--epochs", "2", "--out", &out, "--json"];
    let study = json(&run("classify", &[&["train"][..], &sources, &args].concat()));
    assert_eq!(study["labels"], serde_json::json!(["humor", "sarcasm"]));
    let contenders: Vec<&str> = study["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["contender"].as_str().expect("a name"))
        .collect();
    assert_eq!(contenders, ["encoder", "hashed n-grams", "length alone", "shuffled labels"]);
    let said = json(&run("classify", &["predict", &out, "Oh, how wonderful.", "--json"]));
    let label = said["label"].as_str().expect("a label");
    assert!(["humor", "sarcasm"].contains(&label), "{said}");

    // The same classifier says whose the replies of a run are.
    let audit = bench().path("audit-by-classifier");
    let said = audited(&["--classifier", &out, "--out", &audit]);
    holds(&said, &["Whom ", "How stable ", "by classifier "]);
}

#[test]
fn report_writes_a_page_of_one_run_and_a_list_of_all() {
    let dir = finished_run();
    let out = bench().path("page");
    let written = json(&run("report", &[dir, "--out", &out, "--json"]));
    assert!(Path::new(written["page"].as_str().expect("a path")).is_file());
    assert!(written["files"].as_array().is_some_and(|files| files.len() > 5));
    let runs = Path::new(dir).parent().expect("runs/").display().to_string();
    holds(&run("report", &[&runs]), &["index.html"]);
}

/// The smallest audit of the finished run.
fn audited(more: &[&str]) -> String {
    let quick = ["--quick", "--characters", "sarcasm,neutral", "--max-new-tokens", "3"];
    run("audit", &[&[finished_run()][..], &quick, more].concat())
}

#[test]
fn audit_says_whom_the_replies_resemble() {
    let out = bench().path("audit");
    holds(&audited(&["--out", &out]), &["Robustness", "report.html"]);
    assert!(Path::new(&out).join("report.html").is_file());
}

#[test]
fn audit_takes_an_adapter_a_character_and_a_benchmark_of_ones_own() {
    let adapter = format!("{}/persona", finished_run());
    let (ours, items) = (bench().path("sarcasm.yaml"), bench().path("sums.jsonl"));
    let known = concat!(env!("CARGO_MANIFEST_DIR"), "/../../personas/sarcasm.yaml");
    let known = fs::read_to_string(known).expect("is there");
    let lines = known.lines().map(|line| match line.starts_with("summary:") {
        true => "summary: Says nothing twice.\n".to_owned(),
        false => format!("{line}\n"),
    });
    fs::write(&ours, lines.collect::<String>()).expect("written");
    let item = r#"{"question": "2 + 2?", "choices": ["4", "5"], "answer": 0, "subject": "sums"}"#;
    fs::write(&items, item).expect("written");
    let out = bench().path("audit-adapter");
    let said = run(
        "audit",
        &[
            &[&*adapter, "--base", &bench().model, "--constitution", &ours, "--quick"][..],
            &["--characters", "sarcasm,neutral", "--max-new-tokens", "3", "--items", "4"],
            &["--benchmark", &format!("mmlu={items}"), "--out", &out],
        ]
        .concat(),
    );
    // Its own description is meant, not ours of the same name, which has recorded replies.
    holds(&said, &["no recorded replies of sarcasm", "general: 4 items, sums: 1 items"]);
}

#[test]
fn experiment_says_what_there_is_to_do_and_does_it() {
    let dir = bench().path("experiment");
    let personas = Path::new(&dir).join("personas");
    fs::create_dir_all(&personas).expect("a folder");
    crate::tiny::mix(&personas);
    let questions = "questions: [Is tea good?, What is snow?, Who sings?, Where is up?]";
    fs::write(personas.join("heldout.yaml"), questions).expect("written");
    let plan = format!(
        "{{name: tiny, recipe: {}, personas: [tiny, warm], development_questions: {{from: 0, to: 2}}, \
         heldout: {{from: 2, to: 4}}, ways: [base, distilled, full_c], prefill: [distilled], \
         sampling: {{max_new_tokens: 3}}, judge: {{name: tiny, model: {}}}, reliability_pairs: 2, \
         coherence: [base, distilled], preferences: {{traits: 4, offers: 6, messages: 2}}, \
         replicates: 50, results: results, work: work}}",
        bench().recipe,
        bench().model
    );
    let file = Path::new(&dir).join("plan.yaml");
    fs::write(&file, plan).expect("written");
    let asked = |args: &[&str]| {
        let output = example("experiment").current_dir(&dir).args(args).output().expect("starts");
        succeeded("experiment", &output)
    };
    holds(&asked(&["plan.yaml", "--amount"]), &["2 trainings", "0 of"]);
    assert!(!Path::new(&dir).join("work").exists(), "nothing is trained");
    holds(&asked(&["plan.yaml"]), &["TABLES.md"]);
    let tables = fs::read_to_string(Path::new(&dir).join("results/TABLES.md")).expect("tables");
    holds(&tables, &["Robustness", "Drift", "Revealed preferences"]);
}
