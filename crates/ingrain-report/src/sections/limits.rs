//! What the figures of these runs do not show, in words.

use std::collections::BTreeSet;

use super::{Block, Section, counted, in_words};
use crate::interval;
use crate::record::RunRecord;

/// Fewer observations than this, and an interval is wide.
const FEW: usize = 200;

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("limits", "Limitations");
    let mut sentences: Vec<String> = Vec::new();
    for run in runs.iter().filter(|run| !run.is_finished()) {
        sentences.push(format!("{} is not finished; its figures are of what is there.", run.label));
    }
    sample_sizes(runs, &mut sentences);
    seeds(runs, &mut sentences);
    if runs.iter().any(|run| run.heldout.is_some()) {
        sentences.push(
            "The margin compares the likelihood of two replies that others wrote. It says which one \
             the model would sooner write, and not that what it writes is good, true or kind."
                .into(),
        );
        sentences.push(
            "Chosen replies in training and in the held-out pairs come from the same teacher, so \
             held-out preference measures likeness to that teacher."
                .into(),
        );
    }
    if runs.iter().any(|run| run.perplexity.is_some()) {
        sentences.push(
            "Perplexity is of one short neutral text. It notices broken language; it does not notice \
             lost knowledge or skill."
                .into(),
        );
    }
    judges(runs, &mut sentences);
    for run in runs {
        sentences.extend(trimmed(run, runs.len() > 1));
        if run.constitution.as_ref().is_some_and(|c| c.research_only) {
            sentences
                .push(format!("{} is for research only and must not be deployed.", run.persona()));
        }
    }
    sentences.push(
        "Nothing here tests safety. Whoever serves the adapter to people has that test ahead."
            .into(),
    );
    section.blocks.push(Block::List(sentences));
    section
}

fn sample_sizes(runs: &[RunRecord], sentences: &mut Vec<String>) {
    let sizes: BTreeSet<usize> =
        runs.iter().filter_map(|run| run.margins.as_ref()).map(|m| m.base.len()).collect();
    for n in sizes.into_iter().filter(|n| (1..FEW).contains(n)) {
        let Some(half) = interval::share(n / 2, n) else { continue };
        sentences.push(format!(
            "Held-out preference rests on {}. At that size a share near one half is known to about \
             \u{b1}{:.0} points, and smaller differences are no evidence.",
            counted(n, "question"),
            50.0 * (half.high - half.low)
        ));
    }
}

fn seeds(runs: &[RunRecord], sentences: &mut Vec<String>) {
    let seeds: BTreeSet<String> =
        runs.iter().filter_map(|run| run.setting("/seed").map(in_words)).collect();
    if seeds.len() == 1 {
        sentences.push(format!(
            "{} with one seed ({}): how much the figures vary from seed to seed is not measured. The \
             intervals are over questions only.",
            if runs.len() == 1 { "One run" } else { "All runs are" },
            seeds.iter().next().map_or("", String::as_str),
        ));
    }
}

fn judges(runs: &[RunRecord], sentences: &mut Vec<String>) {
    let suites = || runs.iter().flat_map(|run| &run.suites).map(|suite| suite.suite.as_str());
    if suites().next().is_none() {
        sentences.push(
            "No judge, human or model, has rated the replies. Whether they are in character is for \
             the reader to say, who finds all of them below the figures."
                .into(),
        );
    } else if !suites().any(|suite| suite.contains("judge") || suite.contains("reliability")) {
        sentences.push(
            "Where a model judges, its agreement with people was not measured in these runs; its \
             verdicts are unproven."
                .into(),
        );
    }
}

/// Among several runs, the sentence begins with the one that it is about.
fn trimmed(run: &RunRecord, named: bool) -> Option<String> {
    let filter = run.filter.as_ref().filter(|filter| 2 * filter.trimmed > filter.kept)?;
    let name = if named { format!("{}: ", run.label) } else { String::new() };
    Some(format!(
        "{name}{} of {} pairs hold a reply that was cut back to its last whole sentence, so length may tell \
         chosen from rejected.",
        filter.trimmed, filter.kept
    ))
}
