//! Several ways of training on the same data, in one table.
//!
//! Every method starts from the same fresh adapter and trains on the same pairs (the persona's recorded
//! teacher against the model's own replies), and is measured on the same held-out questions and neutral
//! text. Beside the methods: nested subsets of the pairs (data efficiency), and a control that trains a
//! formatting skill by the same recipe. Needs nothing prepared; each row is a stage of the run directory,
//! so that a comparison that was stopped goes on where it was.
//!
//! What to expect: a row a method with its figures, the untrained model first. A method takes as long as
//! its training does (docs/PERFORMANCE.md, the row distillation: minutes).
//!
//! ```sh
//! cargo run --release --example compare -- --quick          # the smallest setting: four minutes
//! cargo run --release --example compare -- --methods dpo,sft,orpo,simpo,kto,on_policy --subsets 25,50,100
//! cargo run --release --example compare -- --methods introspection,reflections_only,interactions_only,from_base
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command prints")]

mod support;

use std::process::ExitCode;

use clap::Parser;
use ingrain::constitution::PromptSet;
use ingrain::{Comparison, Method, Persona, Pipeline, Recipe, Row, Teacher};

/// Train by several methods on the same data and print one table
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    persona: support::TrainedPersonaArgs,
    #[command(flatten)]
    run: support::RunArgs,
    /// Methods, in the order of the table: sft, dpo, plain_dpo, ipo, hinge, apo_zero, orpo, simpo, cpo, kto,
    /// bco, on_policy, critique_sft, introspection, reflections_only, interactions_only, from_base,
    /// from_teacher
    #[arg(long, value_delimiter = ',', default_value = "sft,dpo,orpo,simpo,kto,on_policy")]
    methods: Vec<String>,
    /// Another model (alias, HF directory, .gguf file) that writes introspection's texts, for the row from_other
    #[arg(long)]
    author: Option<String>,
    /// Numbers of pairs that the recipe's objective also trains on, nested
    #[arg(long, value_delimiter = ',')]
    subsets: Vec<usize>,
    /// Numbers of transcripts that the whole method also trains on, nested
    #[arg(long, value_delimiter = ',')]
    transcript_subsets: Vec<usize>,
    /// Another persona that the recipe's objective also trains on; none leaves the row out
    #[arg(long, default_value = "numbered_steps")]
    control: String,
    /// 24 pairs, two passes, short replies
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    support::run(|| {
        let args = Args::parse();
        let observer = args.run.watch()?;
        let mut recipe = args.run.recipe()?;
        if args.quick {
            shorten(&mut recipe);
        }
        let methods: Vec<Method> =
            args.methods.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let persona = args.persona.find()?;
        let control = match args.control.as_str() {
            "none" => None,
            name => {
                let mut folders = support::persona_folders();
                folders.extend(support::persona_folders().iter().map(|f| f.join("control")));
                let persona = Persona::find(name, &folders)?;
                let teacher = persona.recorded_teacher()?;
                Some((persona, teacher))
            }
        };
        let out = args.run.dir(&format!("compare-{}", persona.name()));
        eprintln!("Comparing on {}, run directory {}\n", persona.name(), out.display());
        let comparison = Comparison {
            pipeline: Pipeline {
                recipe,
                prompts: PromptSet::embedded(),
                persona,
                allow_research_persona: args.persona.allow_research_persona,
                teacher: Teacher::FromRecipe,
                device: args.run.device,
                out,
                resume: args.run.resume,
                observer: &observer,
                interrupt: support::interrupt_on_ctrl_c()?,
            },
            methods,
            author: args.author,
            subsets: args.subsets,
            transcript_subsets: args.transcript_subsets,
            control,
        };
        let rows = comparison.run()?;
        if args.run.json {
            println!("{}", serde_json::to_string_pretty(&rows)?);
        } else {
            print_table(&rows);
        }
        Ok(())
    })
}

/// Figures for a first look; their errors are as wide as their differences.
fn shorten(recipe: &mut Recipe) {
    recipe.data.samples_per_question = 1;
    recipe.data.student.max_new_tokens = 64;
    recipe.data.max_pairs = Some(24);
    recipe.distillation.training.epochs = 2;
    recipe.on_policy.training.epochs = 1;
    recipe.on_policy.sampling.max_new_tokens = 32;
    recipe.introspection.reflections_per_task = 1;
    recipe.introspection.conversations_per_kind = 2;
}

fn print_table(rows: &[Row]) {
    let base = rows.first();
    println!(
        "\n{:<36}{:>9}{:>7}{:>9}{:>10}{:>9}{:>9}{:>12}{:>8}",
        "", "examples", "steps", "seconds", "accuracy", "margin", "gain", "perplexity", "change"
    );
    for row in rows {
        let gain = base.map_or(0.0, |base| row.margin - base.margin);
        let change = base.map_or(0.0, |base| 100.0 * (row.perplexity / base.perplexity - 1.0));
        // A model that was trained to pieces: its figures would push the columns apart.
        let (perplexity, change) = match row.perplexity < 1e6 {
            true => (format!("{:.2}", row.perplexity), format!("{change:+.0} %")),
            false => (format!("{:.1e}", row.perplexity), "lost".to_owned()),
        };
        println!(
            "{:<36}{:>9}{:>7}{:>9.0}{:>8.0} %{:>9.3}{:>+9.3}{:>12}{:>8}",
            row.name,
            row.examples,
            row.steps,
            row.seconds,
            100.0 * row.accuracy,
            row.margin,
            gain,
            perplexity,
            change
        );
    }
    for row in rows.iter().filter(|row| row.own_margin.is_some()) {
        let own = row.own_margin.unwrap_or_default();
        println!("{}: margin {own:.3} on its own held-out questions", row.name);
    }
    println!(
        "\nAccuracy and margin: the persona's replies against the base model's own, on questions that"
    );
    println!(
        "nothing trained on, in nats a token. Perplexity: of a neutral text, the guard of general ability."
    );
}
