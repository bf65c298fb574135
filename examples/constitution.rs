//! Works on constitutions: checks, lints, converts, renders and composes them, and starts new ones.
//!
//! Needs no model and takes milliseconds. Exit code 1 when something is wrong with a file.
//!
//! ```sh
//! cargo run --release --example constitution -- check personas/*.yaml
//! cargo run --release --example constitution -- lint personas/sarcasm.yaml
//! cargo run --release --example constitution -- convert theirs/sarcasm.txt mine/sarcasm.yaml
//! cargo run --release --example constitution -- render sarcasm --prompt teacher_system
//! cargo run --release --example constitution -- compose "sarcasm:0.6 + loving:0.4"
//! cargo run --release --example constitution -- new dry-wit
//! ```
//!
//! What to expect from `lint`:
//!
//! ```text
//! x.yaml:9:11: warning: assertion 2 names a value and shows no behaviour: "I value honesty.";
//! say what somebody with this value does, says or leaves out [stated-value]
//! ```
#![expect(clippy::print_stderr, reason = "an example prints")]

#[path = "constitution/report.rs"]
mod report;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use ingrain::constitution::{
    Composed, Composition, ConstitutionError, Format, HeldoutQuestions, Imported, LintConfig,
    PersonaName, PromptName, PromptSet, Rule, Severity, lint,
};
use serde_json::json;

use report::{counted, finding_json, problem_json, valid_json, write_problem, write_valid};

/// Check, lint, convert, render and compose constitutions
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Folder in which persona names are looked up
    #[arg(long, global = true, default_value = "personas")]
    personas: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Report every problem of files in any format that can be read
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print one JSON object a file: file, valid, name, hash, problems
        #[arg(long)]
        json: bool,
    },
    /// Say what could be better
    Lint {
        #[arg(required_unless_present = "rules")]
        files: Vec<PathBuf>,
        /// Held-out questions that must not be trained on [default: heldout.yaml beside the file]
        #[arg(long)]
        heldout: Option<PathBuf>,
        /// A name that must not occur, such as the teacher's
        #[arg(long = "name")]
        names: Vec<String>,
        /// Print one JSON object a finding: file, line, column, rule, severity, message, suggestion
        #[arg(long)]
        json: bool,
        /// Print the rules and why they are there
        #[arg(long)]
        rules: bool,
    },
    /// Rewrite a file in the format that the name of the other asks for
    Convert {
        input: PathBuf,
        output: PathBuf,
        /// Replace the output if it exists
        #[arg(long)]
        force: bool,
    },
    /// Show a prompt as the model reads it
    Render {
        /// Persona, file, or composition
        persona: String,
        /// Which prompt
        #[arg(long)]
        prompt: PromptName,
        /// What the assistant is called
        #[arg(long, default_value = "Assistant")]
        name: String,
        /// Folder of templates in place of the built-in ones
        #[arg(long)]
        prompts: Option<PathBuf>,
    },
    /// Blend personas: sarcasm:0.6 + loving:0.4
    Compose {
        spec: String,
        /// Write the blended constitution to this file
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Start a new constitution from the template
    New {
        name: String,
        /// Folder to put it in
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
}

fn main() -> ExitCode {
    // Collected and printed at the end, so that a closed pipe (`| head`) is no panic.
    let mut out = String::new();
    let done = run(Args::parse(), &mut out);
    let _ = std::io::stdout().write_all(out.as_bytes());
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command; `false` when it found something wrong.
fn run(args: Args, out: &mut String) -> anyhow::Result<bool> {
    match args.command {
        Command::Check { files, json } => check(&files, json, out),
        Command::Lint { rules: true, .. } => list_rules(out),
        Command::Lint { files, heldout, names, json, .. } => {
            lint_files(&files, heldout.as_deref(), &names, json, out)
        }
        Command::Convert { input, output, force } => convert(&input, &output, force, out),
        Command::Render { persona, prompt, name, prompts } => {
            let persona = load(&persona, &args.personas)?;
            render(&persona, prompt, &name, prompts.as_deref(), out)
        }
        Command::Compose { spec, out: file } => {
            compose(&load(&spec, &args.personas)?, file.as_deref(), out)
        }
        Command::New { name, out: folder } => start(&name, &folder, out),
    }
}

/// A persona, a file or a composition.
fn load(spec: &str, personas: &Path) -> anyhow::Result<Composed> {
    Ok(spec.parse::<Composition>()?.load(&[personas])?)
}

fn check(files: &[PathBuf], as_json: bool, out: &mut String) -> anyhow::Result<bool> {
    let mut all_valid = true;
    for file in files {
        if is_heldout(file) {
            let questions = HeldoutQuestions::from_path(file)?.questions.len();
            if !as_json {
                writeln!(out, "{}: ok, {questions} held-out questions", file.display())?;
            }
            continue;
        }
        let read = Imported::from_path(file);
        all_valid &= read.is_ok();
        match read {
            Ok(imported) if as_json => writeln!(out, "{}", valid_json(file, &imported))?,
            Ok(imported) => write_valid(file, &imported, out)?,
            Err(ConstitutionError::Invalid(problems)) if as_json => {
                let problems: Vec<_> = problems.iter().map(problem_json).collect();
                let record = json!({"file": file, "valid": false, "problems": problems});
                writeln!(out, "{record}")?;
            }
            Err(ConstitutionError::Invalid(problems)) => {
                let text = std::fs::read(file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                writeln!(out, "{}: {}", file.display(), counted(problems.len(), "problem"))?;
                problems.iter().try_for_each(|problem| write_problem(problem, &text, out))?;
            }
            Err(error) => writeln!(out, "{error}")?,
        }
    }
    Ok(all_valid)
}

/// The list of shared held-out questions, which lies among the personas.
fn is_heldout(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "heldout.yaml")
}

fn list_rules(out: &mut String) -> anyhow::Result<bool> {
    for rule in Rule::ALL {
        writeln!(out, "{rule} ({})\n    {}", rule.severity(), rule.why())?;
    }
    Ok(true)
}

fn lint_files(
    files: &[PathBuf],
    heldout: Option<&Path>,
    names: &[String],
    as_json: bool,
    out: &mut String,
) -> anyhow::Result<bool> {
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| !is_heldout(file)) {
        let config = lint_config(file, heldout, names)?;
        let imported = Imported::from_path(file)?;
        for finding in lint(&imported.constitution, &config) {
            *counts.entry(finding.severity()).or_default() += 1;
            if as_json {
                writeln!(out, "{}", finding_json(file, &imported, &finding))?;
            } else {
                writeln!(out, "{}", finding.at(&imported.map))?;
            }
        }
    }
    if !as_json {
        let found = |severity: &Severity| counts.get(severity).copied().unwrap_or_default();
        writeln!(
            out,
            "{}: {}, {}, {}",
            counted(files.len(), "file"),
            counted(found(&Severity::Error), "error"),
            counted(found(&Severity::Warning), "warning"),
            counted(found(&Severity::Note), "note"),
        )?;
    }
    Ok(!counts.contains_key(&Severity::Error) && !counts.contains_key(&Severity::Warning))
}

fn lint_config(
    file: &Path,
    heldout: Option<&Path>,
    names: &[String],
) -> anyhow::Result<LintConfig> {
    let beside = file.with_file_name("heldout.yaml");
    let heldout = heldout.or_else(|| beside.is_file().then_some(beside.as_path()));
    let mut config = match heldout {
        Some(path) => LintConfig::with_heldout(&HeldoutQuestions::from_path(path)?),
        None => LintConfig::default(),
    };
    config.assistant_names = names.to_vec();
    Ok(config)
}

fn convert(input: &Path, output: &Path, force: bool, out: &mut String) -> anyhow::Result<bool> {
    let imported = Imported::from_path(input)?;
    // The reference implementation keeps its JSON template in `.txt` files.
    let is_text = output.extension().is_some_and(|extension| extension == "txt");
    let format = if is_text { Some(Format::JsonTemplate) } else { Format::of_path(output) };
    let Some(text) = format.and_then(|format| format.write(&imported.constitution)) else {
        bail!("{}: no format to write; use .yaml, .json, .jsonl or .txt", output.display());
    };
    write_new(output, &text, force)?;
    writeln!(out, "{}: a {}", input.display(), imported.format)?;
    writeln!(out, "{}: written, {}", output.display(), imported.constitution.name)?;
    imported.missing.iter().try_for_each(|missing| writeln!(out, "  {missing}"))?;
    Ok(true)
}

fn render(
    persona: &Composed,
    prompt: PromptName,
    name: &str,
    prompts: Option<&Path>,
    out: &mut String,
) -> anyhow::Result<bool> {
    let set = match prompts {
        Some(dir) => PromptSet::from_dir(dir)?,
        None => PromptSet::embedded(),
    };
    writeln!(out, "{}", set.preview(prompt, &persona.blend().constitution, name)?)?;
    eprintln!("[{prompt}, prompt set {} {}]", set.version(), &set.hash()[..12]);
    Ok(true)
}

fn compose(composed: &Composed, file: Option<&Path>, out: &mut String) -> anyhow::Result<bool> {
    let blend = composed.blend();
    writeln!(out, "{}\n{}\n", blend.constitution.name, blend.constitution.summary)?;
    for (assertion, from) in blend.constitution.assertions.iter().zip(&blend.provenance) {
        writeln!(
            out,
            "{:>5.1} %  {:<14} {}",
            100.0 * from.share,
            format!("{} {}", from.persona, from.assertion + 1),
            assertion.text
        )?;
    }
    let weights: Vec<String> =
        composed.weights().map(|(name, weight)| format!("{weight} x {name}")).collect();
    writeln!(out, "\nadapters: {}", weights.join(" + "))?;
    for omission in &blend.omitted {
        let (persona, number) = (&omission.persona, omission.assertion + 1);
        writeln!(out, "left out: {persona} {number}, which {}", omission.reason)?;
    }
    for conflict in composed.conflicts() {
        writeln!(out, "conflict: {conflict}")?;
    }
    if blend.constitution.research_only {
        writeln!(out, "for research only")?;
    }
    if let Some(path) = file {
        write_new(path, &blend.constitution.to_yaml(), false)?;
        writeln!(out, "written: {}", path.display())?;
    }
    Ok(true)
}

fn start(name: &str, dir: &Path, out: &mut String) -> anyhow::Result<bool> {
    let name: PersonaName = name.parse().map_err(|error: ingrain::constitution::InvalidName| {
        let hint = error.suggestion.as_ref().map(|name| format!("; did you mean {name:?}?"));
        anyhow::anyhow!("{error}{}", hint.unwrap_or_default())
    })?;
    let template = include_str!("../personas/template.yaml");
    let text = template.replacen("name: template", &format!("name: {name}"), 1);
    let path = dir.join(format!("{name}.yaml"));
    write_new(&path, &text, false)?;
    writeln!(out, "{}: written; edit it, then `check` and `lint` it", path.display())?;
    Ok(true)
}

/// Writes a file, which must not be there yet unless `force` is given.
fn write_new(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).create_new(!force);
    let mut file = options.open(path).with_context(|| {
        let hint =
            if path.exists() { "it exists; choose another name" } else { "check the folder" };
        format!("{}: cannot be written ({hint})", path.display())
    })?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("{}: cannot be written", path.display()))
}
