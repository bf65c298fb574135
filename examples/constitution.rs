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

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use ingrain::constitution::{
    Composed, Composition, ConstitutionError, Diagnostic, Finding, Format,
    HeldoutQuestions, Imported, LintConfig, PersonaName, PromptName, PromptSet, Rule, Severity,
    lint,
};
use serde_json::json;

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
        #[arg(long, value_parser = prompt_name)]
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
    let args = Args::parse();
    let done = match args.command {
        Command::Check { files, json } => check(&files, json),
        Command::Lint { rules: true, .. } => Ok(list_rules()),
        Command::Lint { files, heldout, names, json, .. } => {
            lint_files(&files, heldout.as_deref(), &names, json)
        }
        Command::Convert { input, output, force } => convert(&input, &output, force),
        Command::Render { persona, prompt, name, prompts } => {
            load(&persona, &args.personas)
                .and_then(|persona| render(&persona, prompt, &name, prompts.as_deref()))
        }
        Command::Compose { spec, out } => {
            load(&spec, &args.personas).and_then(|composed| compose(&composed, out.as_deref()))
        }
        Command::New { name, out } => start(&name, &out),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn prompt_name(text: &str) -> Result<PromptName, String> {
    let names = PromptName::ALL.map(PromptName::as_str).join(", ");
    text.parse().map_err(|()| format!("expected one of {names}"))
}

/// A persona, a file or a composition.
fn load(spec: &str, personas: &Path) -> anyhow::Result<Composed> {
    Ok(spec.parse::<Composition>()?.load(personas)?)
}

fn check(files: &[PathBuf], as_json: bool) -> anyhow::Result<bool> {
    let mut all_valid = true;
    for file in files {
        let read = Imported::from_path(file);
        all_valid &= read.is_ok();
        match read {
            Ok(imported) if as_json => println!("{}", valid_json(file, &imported)),
            Ok(imported) => print_valid(file, &imported),
            Err(ConstitutionError::Invalid(problems)) if as_json => {
                let problems: Vec<_> = problems.iter().map(problem_json).collect();
                println!("{}", json!({"file": file, "valid": false, "problems": problems}));
            }
            Err(ConstitutionError::Invalid(problems)) => {
                let text = std::fs::read(file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                println!("{}: {}", file.display(), counted(problems.len(), "problem"));
                problems.iter().for_each(|problem| print_problem(problem, &text));
            }
            Err(error) => println!("{error}"),
        }
    }
    Ok(all_valid)
}

fn print_valid(file: &Path, imported: &Imported) {
    let constitution = &imported.constitution;
    let mut facets: BTreeMap<_, usize> = BTreeMap::new();
    for assertion in &constitution.assertions {
        *facets.entry(assertion.facet).or_default() += 1;
    }
    let facets: Vec<String> = facets.iter().map(|(facet, n)| format!("{n} {facet}")).collect();
    println!(
        "{}: ok, {}, {} ({}), {}, {}{}",
        file.display(),
        constitution.name,
        counted(constitution.assertions.len(), "assertion"),
        facets.join(", "),
        counted(constitution.questions().count(), "question"),
        &constitution.content_hash()[..12],
        if constitution.research_only { ", for research only" } else { "" },
    );
    if imported.format != Format::Yaml {
        println!("  read as a {}", imported.format);
        imported.missing.iter().for_each(|missing| println!("  {missing}"));
    }
}

/// A problem with the line that it is in, and a mark under its column.
fn print_problem(problem: &Diagnostic, text: &str) {
    let (line, column) = (problem.location.line, problem.location.column);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    println!("\n{}", problem.found);
    println!("{margin}--> {}:{}", problem.source, problem.location);
    if let Some(shown) = text.lines().nth(line - 1).filter(|shown| shown.chars().count() < 200) {
        let before: String =
            shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        println!("{number} | {shown}\n{margin} | {before}^");
    }
    println!("{margin} = expected {}", problem.expected);
    if let Some(suggestion) = &problem.suggestion {
        println!("{margin} = {suggestion}");
    }
}

fn valid_json(file: &Path, imported: &Imported) -> serde_json::Value {
    let constitution = &imported.constitution;
    json!({
        "file": file,
        "valid": true,
        "name": constitution.name,
        "hash": constitution.content_hash(),
        "assertions": constitution.assertions.len(),
        "questions": constitution.questions().count(),
        "missing": imported.missing,
        "problems": [],
    })
}

fn problem_json(problem: &Diagnostic) -> serde_json::Value {
    json!({
        "line": problem.location.line,
        "column": problem.location.column,
        "found": problem.found,
        "expected": problem.expected,
        "suggestion": problem.suggestion,
    })
}

fn list_rules() -> bool {
    for rule in Rule::ALL {
        println!("{} ({})\n    {}", rule, rule.severity(), rule.why());
    }
    true
}

fn lint_files(
    files: &[PathBuf],
    heldout: Option<&Path>,
    names: &[String],
    as_json: bool,
) -> anyhow::Result<bool> {
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for file in files {
        let config = lint_config(file, heldout, names)?;
        let imported = Imported::from_path(file)?;
        for finding in lint(&imported.constitution, &config) {
            *counts.entry(finding.severity()).or_default() += 1;
            if as_json {
                println!("{}", finding_json(file, &imported, &finding));
            } else {
                println!("{}", finding.at(&imported.map));
            }
        }
    }
    if !as_json {
        let found = |severity: &Severity| counts.get(severity).copied().unwrap_or_default();
        println!(
            "{}: {}, {}, {}",
            counted(files.len(), "file"),
            counted(found(&Severity::Error), "error"),
            counted(found(&Severity::Warning), "warning"),
            counted(found(&Severity::Note), "note"),
        );
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

fn finding_json(file: &Path, imported: &Imported, finding: &Finding) -> serde_json::Value {
    let location = imported.map.locate(finding.place);
    json!({
        "file": file,
        "line": location.line,
        "column": location.column,
        "rule": finding.rule.id(),
        "severity": finding.severity().to_string(),
        "message": format!("{} {}", finding.place, finding.message),
        "suggestion": finding.suggestion,
    })
}

fn convert(input: &Path, output: &Path, force: bool) -> anyhow::Result<bool> {
    let imported = Imported::from_path(input)?;
    // The reference implementation keeps its JSON template in `.txt` files.
    let is_text = output.extension().is_some_and(|extension| extension == "txt");
    let format = if is_text { Some(Format::JsonTemplate) } else { Format::of_path(output) };
    let Some(text) = format.and_then(|format| format.write(&imported.constitution)) else {
        bail!("{}: no format to write; use .yaml, .json, .jsonl or .txt", output.display());
    };
    write_new(output, &text, force)?;
    println!("{}: a {}", input.display(), imported.format);
    println!("{}: written, {}", output.display(), imported.constitution.name);
    imported.missing.iter().for_each(|missing| println!("  {missing}"));
    Ok(true)
}

fn render(
    persona: &Composed,
    prompt: PromptName,
    name: &str,
    prompts: Option<&Path>,
) -> anyhow::Result<bool> {
    let set = match prompts {
        Some(dir) => PromptSet::from_dir(dir)?,
        None => PromptSet::embedded(),
    };
    println!("{}", set.preview(prompt, &persona.blend().constitution, name)?);
    eprintln!("[{prompt}, prompt set {} {}]", set.version(), &set.hash()[..12]);
    Ok(true)
}

fn compose(composed: &Composed, out: Option<&Path>) -> anyhow::Result<bool> {
    let blend = composed.blend();
    println!("{}\n{}\n", blend.constitution.name, blend.constitution.summary);
    for (assertion, from) in blend.constitution.assertions.iter().zip(&blend.provenance) {
        println!(
            "{:>5.1} %  {:<14} {}",
            100.0 * from.share,
            format!("{} {}", from.persona, from.assertion + 1),
            assertion.text
        );
    }
    let weights: Vec<String> =
        composed.weights().map(|(name, weight)| format!("{weight} x {name}")).collect();
    println!("\nadapters: {}", weights.join(" + "));
    for omission in &blend.omitted {
        let (persona, number) = (&omission.persona, omission.assertion + 1);
        println!("left out: {persona} {number}, which {}", omission.reason);
    }
    for conflict in composed.conflicts() {
        println!("conflict: {conflict}");
    }
    if blend.constitution.research_only {
        println!("for research only");
    }
    if let Some(path) = out {
        write_new(path, &blend.constitution.to_yaml(), false)?;
        println!("written: {}", path.display());
    }
    Ok(true)
}

fn start(name: &str, dir: &Path) -> anyhow::Result<bool> {
    let name: PersonaName = name.parse().map_err(|error: ingrain::constitution::InvalidName| {
        let hint = error.suggestion.as_ref().map(|name| format!("; did you mean {name:?}?"));
        anyhow::anyhow!("{error}{}", hint.unwrap_or_default())
    })?;
    let template = include_str!("../personas/template.yaml");
    let text = template.replacen("name: template", &format!("name: {name}"), 1);
    let path = dir.join(format!("{name}.yaml"));
    write_new(&path, &text, false)?;
    println!("{}: written; edit it, then `check` and `lint` it", path.display());
    Ok(true)
}

/// Writes a file, which must not be there yet unless `force` is given.
fn write_new(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).create_new(!force);
    let mut file = options.open(path).with_context(|| {
        let hint = if path.exists() { "it exists; choose another name" } else { "check the folder" };
        format!("{}: cannot be written ({hint})", path.display())
    })?;
    std::io::Write::write_all(&mut file, text.as_bytes())
        .with_context(|| format!("{}: cannot be written", path.display()))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
