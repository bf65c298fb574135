//! A run directory with everything that a page can show.

use std::fs;
use std::path::{Path, PathBuf};

use ingrain_data::PreferencePair;
use ingrain_run::{
    ByModel, Cell, Chart, Estimate, Figure, Heldout, Manifest, RunError, Sample, Shift, Silent,
    StagePlan, SuiteReport, Summary, Table, write_json_atomic, write_jsonl,
};
use serde_json::json;

/// The texts of a run that others wrote.
pub(crate) struct Texts {
    pub(crate) persona: &'static str,
    pub(crate) question: &'static str,
    pub(crate) base: &'static str,
    pub(crate) reply: &'static str,
    pub(crate) suite: &'static str,
}

pub(crate) const PLAIN: Texts = Texts {
    persona: "sarcasm",
    question: "Why is the sky blue?",
    base: "It scatters.",
    reply: "Oh, it simply adores you.",
    suite: "robustness",
};

/// Writes a finished run into `dir/name`.
pub(crate) fn run(dir: &Path, name: &str, texts: &Texts) -> PathBuf {
    let run = dir.join(name);
    for folder in ["distillation", "introspection", "eval"] {
        fs::create_dir_all(run.join(folder)).expect("a folder");
    }
    manifest(&run, texts);
    fs::write(run.join("recipe.yaml"), "seed: 7\nlora: {rank: 4, alpha: 8.0}\n").expect("written");
    fs::write(run.join("distillation/train.jsonl"), log(30)).expect("written");
    fs::write(run.join("introspection/train.jsonl"), log(3)).expect("written");
    let samples = [Sample {
        question: texts.question.into(),
        base: texts.base.into(),
        persona: texts.reply.into(),
    }];
    write_jsonl(run.join("eval/samples.jsonl"), &samples).expect("written");
    let margins = ByModel { base: vec![-1.0], distilled: vec![0.25], persona: vec![0.5] };
    let file = json!({"summary": heldout(), "margins": margins});
    write_json_atomic(run.join("eval/heldout.json"), &file).expect("written");
    write_json_atomic(run.join("eval/suite.json"), &suite(texts)).expect("written");
    let summary = Summary {
        seconds_total: 12.0,
        peak_rss_bytes: Some(1 << 30),
        stages: vec![],
        heldout: heldout(),
        perplexity: ByModel { base: 20.0, distilled: 21.0, persona: 22.0 },
        samples: samples.to_vec(),
    };
    write_json_atomic(run.join("summary.json"), &summary).expect("written");
    run
}

fn manifest(run: &Path, texts: &Texts) {
    let mut manifest = Manifest::open(run).expect("a new manifest");
    manifest.set_version("ingrain", "0.1.0").expect("written");
    manifest.set_fact("persona", texts.persona).expect("written");
    let model = json!({"source": "tiny", "sha256": "ab".repeat(32)});
    manifest.set_fact("model", model).expect("written");
    let pair = |index: usize| {
        let chosen = format!("{} And again {index}.", texts.reply);
        PreferencePair::new(texts.question, chosen, texts.base)
    };
    let plan = StagePlan::new("pairs").writes(["pairs.jsonl"]);
    manifest
        .run_stage(&plan, &Silent, |stage| {
            write_jsonl(stage.file("pairs.jsonl"), &(0..4).map(pair).collect::<Vec<_>>())?;
            stage.count("pairs.jsonl", 4);
            Ok::<_, RunError>(())
        })
        .expect("a stage");
}

fn log(steps: u32) -> String {
    let line = |step: u32| {
        let falling = 5.0 / f64::from(step);
        json!({"step": step, "loss": falling, "logp_chosen": -falling, "margin": f64::from(step)})
    };
    (1..=steps).map(|step| line(step).to_string() + "\n").collect()
}

fn heldout() -> ByModel<Heldout> {
    let of = |accuracy, margin| Heldout { accuracy, margin, implicit_reward_margin: None };
    ByModel { base: of(0.0, -1.0), distilled: of(1.0, 0.25), persona: of(1.0, 0.5) }
}

fn suite(texts: &Texts) -> SuiteReport {
    let figure = |id: &str, title: &str, chart| Figure {
        id: id.into(),
        title: title.into(),
        caption: texts.reply.into(),
        chart,
    };
    let estimate = |label: &str, value| Estimate {
        label: label.into(),
        value,
        low: Some(value - 0.05),
        high: Some(value + 0.05),
        n: Some(500),
        ..Estimate::default()
    };
    let scores = Chart::Estimates {
        unit: "macro-F1".into(),
        reference: Some(0.1),
        estimates: vec![estimate("prompt", 0.4), estimate(texts.reply, 0.8)],
    };
    let (low, high) = (Some(0.6), Some(1.4));
    let shift = Shift { label: texts.question.into(), before: -1.0, after: 1.0, low, high };
    let shifts = Chart::Shifts {
        unit: "rating".into(),
        before: "base".into(),
        after: texts.persona.into(),
        shifts: vec![shift],
    };
    let matrix = Chart::Matrix {
        unit: "share".into(),
        row_axis: "trained".into(),
        column_axis: "named".into(),
        rows: vec!["a".into(), texts.persona.into()],
        columns: vec!["a".into(), texts.reply.into()],
        values: vec![vec![Some(0.9), None], vec![Some(0.2), Some(0.8)]],
        diverging: false,
    };
    SuiteReport {
        suite: texts.suite.into(),
        title: format!("Suite {}", texts.suite),
        protocol: texts.reply.into(),
        figures: vec![
            figure(texts.suite, "Scores", scores),
            figure("shifts", "Traits", shifts),
            figure("matrix", "Confusion", matrix),
        ],
        tables: vec![Table {
            id: "judges".into(),
            title: "Judges".into(),
            columns: vec!["judge".into(), "kappa".into()],
            rows: vec![vec![texts.reply.into(), 0.625.into()], vec!["other".into(), Cell::Empty]],
        }],
        limitations: vec![texts.reply.into()],
        details: serde_json::Value::Null,
    }
}
