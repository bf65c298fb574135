//! How the example shows what it found: for people, and as JSON.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use ingrain::constitution::{Diagnostic, Finding, Format, Imported};
use serde_json::json;

pub(crate) fn write_valid(file: &Path, imported: &Imported, out: &mut String) -> std::fmt::Result {
    let constitution = &imported.constitution;
    let mut facets: BTreeMap<_, usize> = BTreeMap::new();
    for assertion in &constitution.assertions {
        *facets.entry(assertion.facet).or_default() += 1;
    }
    let facets: Vec<String> = facets.iter().map(|(facet, n)| format!("{n} {facet}")).collect();
    writeln!(
        out,
        "{}: ok, {}, {} ({}), {}, {}{}",
        file.display(),
        constitution.name,
        counted(constitution.assertions.len(), "assertion"),
        facets.join(", "),
        counted(constitution.questions().count(), "question"),
        &constitution.content_hash()[..12],
        if constitution.research_only { ", for research only" } else { "" },
    )?;
    if imported.format != Format::Yaml {
        writeln!(out, "  read as a {}", imported.format)?;
        imported.missing.iter().try_for_each(|missing| writeln!(out, "  {missing}"))?;
    }
    Ok(())
}

/// A problem with the line that it is in, and a mark under its column.
pub(crate) fn write_problem(
    problem: &Diagnostic,
    text: &str,
    out: &mut String,
) -> std::fmt::Result {
    let (line, column) = (problem.location.line, problem.location.column);
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(out, "\n{}", problem.found)?;
    writeln!(out, "{margin}--> {}:{}", problem.source, problem.location)?;
    let shown = text.lines().nth(line - 1).filter(|shown| shown.chars().count() < 200);
    if let Some(shown) = shown {
        let shown = shown.trim_start_matches('\u{feff}');
        let before: String =
            shown.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(out, "{number} | {shown}\n{margin} | {before}^")?;
    }
    writeln!(out, "{margin} = expected {}", problem.expected)?;
    match &problem.suggestion {
        Some(suggestion) => writeln!(out, "{margin} = {suggestion}"),
        None => Ok(()),
    }
}

pub(crate) fn valid_json(file: &Path, imported: &Imported) -> serde_json::Value {
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

pub(crate) fn problem_json(problem: &Diagnostic) -> serde_json::Value {
    json!({
        "line": problem.location.line,
        "column": problem.location.column,
        "found": problem.found,
        "expected": problem.expected,
        "suggestion": problem.suggestion,
    })
}

pub(crate) fn finding_json(
    file: &Path,
    imported: &Imported,
    finding: &Finding,
) -> serde_json::Value {
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

pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
