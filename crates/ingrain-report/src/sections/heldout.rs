//! Preference on questions that nothing trained on, and perplexity of a neutral text.

use ingrain_run::{ByModel, Cell, Chart, Estimate, Heldout, Shift};
use ingrain_stats::Interval;

use super::Section;
use crate::interval;
use crate::record::RunRecord;

/// The three models of a run, as the page calls them.
const MODELS: [&str; 3] = ["base", "distilled", "persona"];

/// What a reader wants to know first.
pub(crate) struct Headline {
    pub(crate) accuracy: [f64; 2],
    pub(crate) margin: [f64; 2],
    pub(crate) perplexity: Option<[f64; 2]>,
}

/// Base and persona of a finished run.
pub(crate) fn headline(run: &RunRecord) -> Option<Headline> {
    let heldout = run.heldout.as_ref()?;
    Some(Headline {
        accuracy: [heldout.base.accuracy, heldout.persona.accuracy],
        margin: [heldout.base.margin, heldout.persona.margin],
        perplexity: run.perplexity.as_ref().map(|p| [p.base, p.persona]),
    })
}

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("heldout", "Held-out preference");
    if runs.iter().all(|run| run.heldout.is_none()) {
        return section;
    }
    section.text(
        "For questions that nothing trained on, a recorded reply in character (chosen) stands \
         against the base model's own (rejected). The margin is the difference of their \
         log-probabilities a token; accuracy is the share of questions with a positive one. \
         \u{201c}Distilled\u{201d} is the model after preference training, \u{201c}persona\u{201d} \
         the exact merge of both adapters, which is what a run publishes.",
    );
    if let Some(chart) = estimates(runs, "nats a token", Some(0.0), margins) {
        let caption = "Mean over questions, with its 95 % interval. To the right of the dashed line \
                       the model would sooner write the reply in character.";
        section.figure("margin", "Margin of the reply in character", caption, chart);
    }
    if let Some(chart) = estimates(runs, "share of questions, %", Some(50.0), accuracies) {
        let caption = "Wilson intervals, 95 %. The dashed line is a coin toss.";
        section.figure(
            "accuracy",
            "Questions where the reply in character is likelier",
            caption,
            chart,
        );
    }
    // Side by side, the browser below shows the questions.
    if let Some(chart) = runs.first().filter(|_| runs.len() == 1).and_then(by_question) {
        let caption = "Margin before (circle) and after (square), sorted.";
        section.figure("by-question", "What training moved, by question", caption, chart);
    }
    let several = runs.len() > 1;
    for (id, title, columns, cells) in TABLES {
        let first = if several { vec!["run", "model"] } else { vec!["model"] };
        let columns = first.iter().chain(columns).map(|name| (*name).to_owned()).collect();
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for (run, index) in runs.iter().flat_map(|run| (0..MODELS.len()).map(move |i| (run, i))) {
            let Some(model) = Measured::of(run, index) else { continue };
            let mut row: Vec<Cell> = Vec::new();
            if several {
                row.push(run.label.as_str().into());
            }
            row.push(MODELS[index].into());
            row.extend(cells(&model));
            rows.push(row);
        }
        section.table(id, title, columns, rows);
    }
    section
}

/// Id, title, columns after the model, and the cells in them.
type Layout = (&'static str, &'static str, &'static [&'static str], fn(&Measured) -> Vec<Cell>);

const TABLES: [Layout; 2] = [
    (
        "preference",
        "Held-out preference and perplexity",
        &[
            "questions",
            "accuracy, %",
            "95 % from",
            "to",
            "implicit reward margin, nats",
            "perplexity",
        ],
        |of| {
            let mut cells = vec![(of.n as f64).into(), (100.0 * of.heldout.accuracy).into()];
            cells.extend(ends(of.share, 100.0));
            cells.extend([of.heldout.implicit_reward_margin.into(), of.perplexity.into()]);
            cells
        },
    ),
    (
        "margins",
        "Margins, nats a token",
        &["margin", "95 % from", "to", "change against base", "95 % from", "to"],
        |of| {
            let mut cells = vec![of.heldout.margin.into()];
            cells.extend(ends(of.mean, 1.0));
            cells.push(of.change.map(|change| change.estimate).into());
            cells.extend(ends(of.change, 1.0));
            cells
        },
    ),
];

/// One model of a run.
struct Measured {
    heldout: Heldout,
    n: usize,
    share: Option<Interval>,
    mean: Option<Interval>,
    /// Against the base model, question by question.
    change: Option<Interval>,
    perplexity: Option<f64>,
}

impl Measured {
    fn of(run: &RunRecord, index: usize) -> Option<Self> {
        let heldout = *each(run.heldout.as_ref()?)[index];
        let margins = run.margins.as_ref().map(|margins| each(margins)[index].as_slice());
        let base = run.margins.as_ref().map(|margins| margins.base.as_slice());
        let change = margins.zip(base).filter(|_| index > 0).and_then(|(of, base)| {
            let changes: Vec<f64> = of.iter().zip(base).map(|(of, base)| of - base).collect();
            interval::mean(&changes)
        });
        let n = margins.map_or(run.samples.len(), <[f64]>::len);
        Some(Self {
            share: interval::share((heldout.accuracy * n as f64).round() as usize, n),
            mean: margins.and_then(interval::mean),
            change,
            perplexity: run.perplexity.as_ref().map(|perplexity| *each(perplexity)[index]),
            heldout,
            n,
        })
    }
}

fn ends(interval: Option<Interval>, scale: f64) -> [Cell; 2] {
    [interval.map(|i| scale * i.low).into(), interval.map(|i| scale * i.high).into()]
}

fn each<T>(of: &ByModel<T>) -> [&T; 3] {
    [&of.base, &of.distilled, &of.persona]
}

fn estimates(
    runs: &[RunRecord],
    unit: &str,
    reference: Option<f64>,
    of: fn(&[f64]) -> Option<Interval>,
) -> Option<Chart> {
    let mut estimates = Vec::new();
    for run in runs {
        let Some(margins) = &run.margins else { continue };
        for (model, margins) in MODELS.into_iter().zip(each(margins)) {
            let Some(interval) = of(margins) else { continue };
            let label =
                if runs.len() == 1 { model.to_owned() } else { format!("{}: {model}", run.label) };
            estimates.push(Estimate {
                label,
                group: Some(model.to_owned()),
                value: interval.estimate,
                low: Some(interval.low),
                high: Some(interval.high),
                n: Some(margins.len() as u64),
            });
        }
    }
    (!estimates.is_empty()).then(|| Chart::Estimates { unit: unit.into(), reference, estimates })
}

fn margins(values: &[f64]) -> Option<Interval> {
    interval::mean(values)
}

fn accuracies(values: &[f64]) -> Option<Interval> {
    let share =
        interval::share(values.iter().filter(|margin| **margin > 0.0).count(), values.len())?;
    let percent = |value: f64| 100.0 * value;
    Some(Interval {
        estimate: percent(share.estimate),
        low: percent(share.low),
        high: percent(share.high),
        ..share
    })
}

fn by_question(run: &RunRecord) -> Option<Chart> {
    let margins = run.margins.as_ref()?;
    let pairs = run.samples.iter().zip(margins.base.iter().zip(&margins.persona));
    let mut shifts: Vec<Shift> = pairs
        .map(|(sample, (before, after))| Shift {
            label: sample.question.clone(),
            before: *before,
            after: *after,
            ..Shift::default()
        })
        .collect();
    shifts.sort_by(|a, b| b.after.total_cmp(&a.after));
    let (before, after) = (MODELS[0].to_owned(), MODELS[2].to_owned());
    (!shifts.is_empty()).then(|| Chart::Shifts {
        unit: "nats a token".into(),
        before,
        after,
        shifts,
    })
}
