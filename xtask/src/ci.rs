//! Runs the steps one after the other, all of them whatever fails, and sums up.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::steps::STEPS;
use crate::workspace::Workspace;

/// One check.
pub(crate) struct Step {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it holds the tree to.
    pub(crate) what: &'static str,
    /// Why it runs only when named; `None` for a step of every run.
    pub(crate) only_when_named: Option<&'static str>,
    /// The check itself.
    pub(crate) run: fn(&Workspace) -> Result<()>,
}

/// How a step ended.
#[derive(Debug, PartialEq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

struct Ended {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs the steps named, or all that need not be named, and fails if one of them did.
pub(crate) fn run(workspace: &Workspace, names: &[&str]) -> Result<()> {
    let ended: Vec<Ended> =
        selected(STEPS, names)?.into_iter().map(|step| run_step(workspace, step, names)).collect();
    println!("\n{}", summary(&ended));
    if ended.iter().any(|step| matches!(step.outcome, Outcome::Failed(_))) {
        bail!("not every check passed; `cargo xtask ci STEP` runs one again");
    }
    Ok(())
}

/// One line a step: its name and what it holds the tree to.
pub(crate) fn describe() -> String {
    STEPS
        .iter()
        .map(|step| format!("  {:<11} {}", step.name, step.what))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The steps of those names, in the order in which they run; all for no name.
fn selected<'a>(steps: &'a [Step], names: &[&str]) -> Result<Vec<&'a Step>> {
    if let Some(unknown) = names.iter().find(|name| steps.iter().all(|step| step.name != **name)) {
        let known: Vec<&str> = steps.iter().map(|step| step.name).collect();
        bail!("unknown step `{unknown}`; expected one of {}", known.join(", "));
    }
    Ok(steps.iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect())
}

fn run_step(workspace: &Workspace, step: &Step, names: &[&str]) -> Ended {
    println!("\n== {}: {}", step.name, step.what);
    let start = Instant::now();
    let outcome = match step.only_when_named.filter(|_| names.is_empty()) {
        Some(reason) => Outcome::Skipped(reason),
        None => match (step.run)(workspace) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        },
    };
    let ended = Ended { name: step.name, outcome, took: start.elapsed() };
    println!("-- {}", line(&ended).trim_end());
    ended
}

fn line(step: &Ended) -> String {
    let (word, why) = match &step.outcome {
        Outcome::Passed => ("ok", ""),
        Outcome::Failed(why) => ("FAILED", why.as_str()),
        Outcome::Skipped(why) => ("skipped", *why),
    };
    format!("{:<11} {word:<8} {:>7.1} s  {why}", step.name, step.took.as_secs_f64())
}

/// A line a step and a closing line that counts them.
fn summary(ended: &[Ended]) -> String {
    let mut text = String::from("== summary\n");
    for step in ended {
        let _ = writeln!(text, "{}", line(step).trim_end());
    }
    let count = |wanted: fn(&Outcome) -> bool| ended.iter().filter(|s| wanted(&s.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    let _ = write!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[Step] = &[
        Step { name: "bad", what: "", only_when_named: None, run: |_| bail!("broken") },
        Step { name: "good", what: "", only_when_named: None, run: |_| Ok(()) },
        Step { name: "far", what: "", only_when_named: Some("needs a network"), run: |_| Ok(()) },
    ];

    fn outcomes(names: &[&str]) -> Vec<Outcome> {
        let workspace = Workspace::here();
        let steps = selected(THREE, names).unwrap();
        steps.into_iter().map(|step| run_step(&workspace, step, names).outcome).collect()
    }

    #[test]
    fn a_failure_does_not_hide_the_steps_after_it() {
        let expected = [
            Outcome::Failed("broken".into()),
            Outcome::Passed,
            Outcome::Skipped("needs a network"),
        ];
        assert_eq!(outcomes(&[]), expected);
    }

    #[test]
    fn a_step_that_is_usually_skipped_runs_when_named() {
        assert_eq!(outcomes(&["far"]), [Outcome::Passed]);
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let error = selected(THREE, &["good", "fnt"]).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("unknown step `fnt`; expected one of bad, good, far"));
    }

    #[test]
    fn the_summary_names_every_step_and_counts_them() {
        let ended = |name, outcome| Ended { name, outcome, took: Duration::from_millis(1_260) };
        let text = summary(&[
            ended("fmt", Outcome::Passed),
            ended("clippy", Outcome::Failed("`cargo clippy`: exit status: 101".into())),
            ended("advisories", Outcome::Skipped("needs a network")),
        ]);
        let expected = "\
== summary
fmt         ok           1.3 s
clippy      FAILED       1.3 s  `cargo clippy`: exit status: 101
advisories  skipped      1.3 s  needs a network
1 passed, 1 failed, 1 skipped";
        assert_eq!(text, expected);
    }
}
