//! Training curves.

use std::collections::BTreeMap;

use ingrain_run::{Chart, Series};

use super::Section;
use crate::record::RunRecord;

/// A figure over the steps of a stage: its metrics by the names of the log and of the reader.
struct Curve {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    caption: &'static str,
    metrics: &'static [(&'static str, &'static str)],
}

/// What the recipe's monitor reads, where it has one.
const PROJECTION: Curve = Curve {
    id: "projection",
    title: "",
    unit: "position",
    caption: "Where the student's replies lie: 0 as the untrained model reads them, 1 as it does behind the \
              constitution.",
    metrics: &[("projection", "projection")],
};

const CURVES: &[(&str, &[Curve])] = &[
    (
        "distillation",
        &[
            Curve {
                id: "log-probability",
                title: "Distillation: what the model learns to write",
                unit: "log-probability, nats a token",
                caption: "Chosen should rise. A margin that grows while chosen falls means that the \
                          rejected reply is pushed away and the character is not learnt.",
                metrics: &[("logp_chosen", "chosen"), ("logp_rejected", "rejected")],
            },
            Curve {
                id: "margin",
                title: "Distillation: implicit reward margin",
                unit: "nats",
                caption: "Of chosen over rejected, against the base model, times beta.",
                metrics: &[("margin", "margin")],
            },
            Curve {
                id: "accuracy",
                title: "Distillation: pairs ranked right",
                unit: "share of the batch",
                caption: "Share of training pairs with a positive margin.",
                metrics: &[("accuracy", "accuracy")],
            },
            Curve {
                id: "loss",
                title: "Distillation: loss and its terms",
                unit: "loss",
                caption: "Each term with its weight.",
                metrics: &[
                    ("loss", "loss"),
                    ("loss_dpo", "dpo"),
                    ("loss_nll", "nll"),
                    ("loss_squared_log_ratio", "squared log-ratio"),
                ],
            },
            Curve { title: "Distillation: along the persona direction", ..PROJECTION },
        ],
    ),
    (
        "introspection",
        &[
            Curve {
                id: "loss",
                title: "Introspection: loss",
                unit: "nats a token",
                caption: "Cross-entropy on the turns that the model wrote itself.",
                metrics: &[("loss", "loss")],
            },
            Curve { title: "Introspection: along the persona direction", ..PROJECTION },
        ],
    ),
];

pub(super) fn section(runs: &[RunRecord]) -> Section {
    let mut section = Section::new("training", "Training");
    for (stage, curves) in CURVES {
        for curve in *curves {
            let mut series = Vec::new();
            for run in runs {
                let Some((_, steps)) = run.training.iter().find(|(name, _)| name == stage) else {
                    continue;
                };
                // Side by side, a figure has one metric: a line a run.
                let metrics = if runs.len() == 1 { curve.metrics } else { &curve.metrics[..1] };
                for (metric, name) in metrics {
                    let name = if runs.len() == 1 { (*name).to_owned() } else { run.label.clone() };
                    let points = course(steps, metric);
                    if !points.is_empty() {
                        series.push(Series { name, points });
                    }
                }
            }
            if !series.is_empty() {
                let chart = Chart::Lines { x: "step".into(), y: curve.unit.into(), series };
                section.figure(&format!("{stage}-{}", curve.id), curve.title, curve.caption, chart);
            }
        }
    }
    if !section.blocks.is_empty() {
        let text =
            "Thin lines are single steps, thick ones a moving mean over a twelfth of the course.";
        section.blocks.insert(0, super::Block::Text(text.into()));
    }
    section
}

fn course(steps: &[BTreeMap<String, f64>], metric: &str) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> =
        steps.iter().filter_map(|step| Some([*step.get("step")?, *step.get(metric)?])).collect();
    points.retain(|point| point.iter().all(|value| value.is_finite()));
    points.sort_by(|a, b| a[0].total_cmp(&b[0]));
    points
}
