//! The data of character training, without the training: prompts, replies, preference pairs, and if wished
//! reflections and conversations.
//!
//! Needs nothing prepared: with the defaults it takes the persona's recorded teacher and the built-in model as
//! student, some minutes on two CPU cores. Teacher and student may be servers instead; their replies are
//! cached in the run directory, so that nothing is asked, or paid for, twice, not even with `--resume false`.
//! `--dry-run` takes seconds and sends nothing. Every option of the data has a key in the recipe.
//!
//! ```sh
//! cargo run --release --example generate_data -- --dry-run
//! cargo run --release --example generate_data -- --teacher-url http://127.0.0.1:8000/v1 --teacher-model glm \
//!     --teacher-key-env GLM_KEY --expand 50 --general --prices prices.json --budget 5
//! ```
//!
//! Expect a table of what the pairs are like, and `pairs.jsonl`, `quality.json`, a dataset card and everything
//! that they were made of in the run directory. `character_training --out` goes on from there.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgGroup, Parser, ValueEnum};
use ingrain::chat::openai::{Dialect, EndpointConfig, Inexpressible, OpenAiConfig};
use ingrain::constitution::PromptSet;
use ingrain::data::{Expansion, StageEstimate, TurnFilter};
use ingrain::{
    Assumptions, ChosenReplies, DataRun, DataSummary, GeneralPrompts, IntrospectionAuthor, Recipe,
    RejectedReplies, ReplySource,
};

/// What --general stands for without a value.
const BUILT_IN: &str = "built-in";

/// Make preference pairs for a persona, and say beforehand what they cost
#[derive(Parser)]
#[command(group(ArgGroup::new("teacher_is").args(["teacher", "teacher_url"])))]
#[command(group(ArgGroup::new("student_is").args(["student", "student_url"])))]
struct Args {
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    #[command(flatten)]
    run: support::RunArgs,
    /// Model to be trained, the student unless it is a server: alias, HF directory or .gguf file
    #[arg(long)]
    model: Option<String>,
    /// Teacher: a .jsonl file of recorded replies, a .yaml file that describes a server, or a local model
    /// [default: the persona's recorded one]
    #[arg(long)]
    teacher: Option<String>,
    /// Teacher behind OpenAI-compatible servers: everything before /chat/completions; several share the load
    #[arg(long, value_delimiter = ',', requires = "teacher_model")]
    teacher_url: Vec<String>,
    /// Its model's name there
    #[arg(long)]
    teacher_model: Option<String>,
    /// Environment variable that holds its key
    #[arg(long)]
    teacher_key_env: Option<String>,
    /// Student: a .jsonl file of recorded replies, a .yaml file that describes a server, or another local model
    #[arg(long)]
    student: Option<String>,
    /// Student behind OpenAI-compatible servers
    #[arg(long, value_delimiter = ',', requires = "student_model")]
    student_url: Vec<String>,
    /// Its model's name there
    #[arg(long)]
    student_model: Option<String>,
    /// Environment variable that holds its key
    #[arg(long)]
    student_key_env: Option<String>,
    /// Sampling parameters that the servers know: those of OpenAI (others are left out), vLLM, llama.cpp
    #[arg(long, value_enum, default_value = "openai")]
    dialect: Server,
    /// Requests under way at one server model [default: 64]
    #[arg(long)]
    concurrency: Option<usize>,
    /// Replies a question
    #[arg(long)]
    samples: Option<usize>,
    /// Questions an assertion: the teacher writes what is missing
    #[arg(long)]
    expand: Option<usize>,
    /// Adds general prompts: a file in any known format; the 200 built-in ones without a value
    #[arg(long, num_args = 0..=1, default_missing_value = BUILT_IN)]
    general: Option<PathBuf>,
    /// At most so many general prompts
    #[arg(long, requires = "general")]
    general_limit: Option<usize>,
    /// Rejected replies by the teacher in the character of the opposite pole
    #[arg(long)]
    opposite: bool,
    /// Chosen replies by critique and revision of the student's
    #[arg(long)]
    revision: bool,
    /// Makes reflections and conversations too; by whom
    #[arg(long, value_enum)]
    introspection: Option<Writer>,
    /// PEFT adapter of the distilled student, for --introspection distilled
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Sends nothing; prints requests, tokens, time and cost
    #[arg(long)]
    dry_run: bool,
    /// JSON file of prices by model, for a million tokens
    #[arg(long)]
    prices: Option<PathBuf>,
    /// Stops cleanly before more is spent, in the currency of the prices; earlier processes count
    #[arg(long, requires = "prices")]
    budget: Option<f64>,
    /// Stops cleanly before more tokens are used
    #[arg(long)]
    budget_tokens: Option<u64>,
    /// For --dry-run: tokens of a usual reply [default: what is on disk, or 350]
    #[arg(long)]
    reply_tokens: Option<usize>,
    /// For --dry-run: reply tokens a second of a server, all requests together
    #[arg(long, default_value_t = 2000.0)]
    server_tokens_per_sec: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Server {
    Openai,
    Vllm,
    LlamaCpp,
}

#[derive(Clone, Copy, ValueEnum)]
enum Writer {
    Distilled,
    Base,
    Teacher,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = args.run.watch()?;
        let persona = args.persona.find()?;
        let out = args.run.dir(&format!("data-{}", persona.name()));
        let run = DataRun {
            recipe: recipe(&args)?,
            persona,
            allow_research_persona: args.persona.allow_research_persona,
            prompts: PromptSet::embedded(),
            device: args.run.device.clone(),
            out,
            resume: args.run.resume,
            introspection: args.introspection.is_some(),
            adapter: args.adapter.clone(),
            observer: &observer,
            interrupt: support::interrupt_on_ctrl_c()?,
        };
        if args.dry_run {
            let assumed = Assumptions {
                reply_tokens: args.reply_tokens,
                server_tokens_per_sec: args.server_tokens_per_sec,
                ..Assumptions::default()
            };
            return print_estimate(&run.estimate(&assumed)?, args.run.json);
        }
        eprintln!("Run directory: {}\n", run.out.display());
        let summary = run.run().context("what is finished stays; run the same command to go on")?;
        match args.run.json {
            true => println!("{}", serde_json::to_string_pretty(&summary)?),
            false => print_summary(&summary, &run.out),
        }
        Ok(())
    })
}

/// The recipe with what the command line says in place of its own.
fn recipe(args: &Args) -> anyhow::Result<Recipe> {
    let mut recipe = args.run.recipe()?;
    if let Some(model) = &args.model {
        recipe.model.clone_from(model);
    }
    let data = &mut recipe.data;
    if let Some(teacher) = &args.teacher {
        data.teacher_source = Some(support::reply_source(teacher)?);
    }
    if let Some(model) = args.teacher_model.as_ref().filter(|_| !args.teacher_url.is_empty()) {
        let server = server(args, &args.teacher_url, model, args.teacher_key_env.as_ref());
        data.teacher_source = Some(server);
    }
    if let Some(student) = &args.student {
        data.student_source = Some(support::reply_source(student)?);
    }
    if let Some(model) = args.student_model.as_ref().filter(|_| !args.student_url.is_empty()) {
        let server = server(args, &args.student_url, model, args.student_key_env.as_ref());
        data.student_source = Some(server);
    }
    for source in [&mut data.teacher_source, &mut data.student_source].into_iter().flatten() {
        if let (ReplySource::Endpoint(config), Some(count)) = (source, args.concurrency) {
            config.max_in_flight = count;
        }
    }
    data.samples_per_question = args.samples.unwrap_or(data.samples_per_question);
    if let Some(questions) = args.expand {
        let own = data.expansion.unwrap_or_default();
        data.expansion = Some(Expansion { questions_per_assertion: questions, ..own });
    }
    if let Some(file) = &args.general {
        let filter = TurnFilter { limit: args.general_limit.unwrap_or(0), ..TurnFilter::default() };
        let file = Some(file.clone()).filter(|file| file.as_os_str() != BUILT_IN);
        data.general = Some(GeneralPrompts { file, filter, ..GeneralPrompts::default() });
    }
    if args.opposite {
        data.rejected = RejectedReplies::Opposite;
    }
    if args.revision {
        data.chosen = ChosenReplies::Revision;
    }
    match args.introspection {
        Some(Writer::Base) => recipe.introspection.author = IntrospectionAuthor::Base,
        Some(Writer::Teacher) => recipe.introspection.author = IntrospectionAuthor::Teacher,
        Some(Writer::Distilled) | None => {}
    }
    if let Some(prices) = &args.prices {
        recipe.prices = Some(prices.clone());
    }
    recipe.budget.max_cost = args.budget.or(recipe.budget.max_cost);
    recipe.budget.max_tokens = args.budget_tokens.or(recipe.budget.max_tokens);
    Ok(recipe)
}

fn server(args: &Args, urls: &[String], model: &str, key_env: Option<&String>) -> ReplySource {
    let endpoint =
        |url: &String| EndpointConfig { base_url: url.clone(), api_key_env: key_env.cloned() };
    let mut config = OpenAiConfig {
        model: model.to_owned(),
        endpoints: urls.iter().map(endpoint).collect(),
        ..OpenAiConfig::default()
    };
    match args.dialect {
        Server::Openai => config.inexpressible = Inexpressible::Drop,
        Server::Vllm => config.dialect = Dialect::Vllm,
        Server::LlamaCpp => config.dialect = Dialect::LlamaCpp,
    }
    ReplySource::Endpoint(Box::new(config))
}

fn print_estimate(stages: &[StageEstimate], as_json: bool) -> anyhow::Result<()> {
    let total = StageEstimate::total(stages);
    if as_json {
        let object = serde_json::json!({"stages": stages, "total": total});
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(());
    }
    println!("Nothing was sent. Left to do:");
    for stage in stages.iter().chain([&total]) {
        println!("  {stage}");
    }
    Ok(())
}

fn print_summary(summary: &DataSummary, out: &std::path::Path) {
    println!("\n{}\n", summary.quality);
    if let Some(filter) = &summary.filter {
        println!("{}", filter.line());
    }
    if let Some(transcripts) = summary.transcripts {
        println!("{transcripts} transcripts for introspection");
    }
    let spent = &summary.spent;
    if spent.replies > 0 {
        println!(
            "{} replies of servers so far: {} + {} tokens, cost {:.4}",
            spent.replies, spent.prompt_tokens, spent.completion_tokens, spent.cost
        );
    }
    println!("Pairs: {}", out.join("pairs.jsonl").display());
}
