//! The few numbers at the top of a run's page.

use serde::Serialize;

use crate::record::RunRecord;
use crate::sections::headline;
use crate::table;

/// A number that a reader wants first, before and after.
#[derive(Serialize)]
pub(crate) struct TileView {
    name: &'static str,
    before: Option<String>,
    value: String,
    note: String,
}

/// The tiles of a single run.
pub(crate) fn of_run(run: &RunRecord) -> Vec<TileView> {
    let mut tiles = Vec::new();
    if let Some(headline) = headline(run) {
        let signed = |value: f64| format!("{value:+.2}").replace('-', "\u{2212}");
        tiles.push(TileView {
            name: "held-out margin",
            before: Some(signed(headline.margin[0])),
            value: signed(headline.margin[1]),
            note: "nats a token".into(),
        });
        let percent = |share: f64| format!("{:.0} %", 100.0 * share);
        let n = run.margins.as_ref().map_or(run.samples.len(), |m| m.base.len());
        tiles.push(TileView {
            name: "held-out accuracy",
            before: Some(percent(headline.accuracy[0])),
            value: percent(headline.accuracy[1]),
            note: format!("of {n} questions"),
        });
        if let Some([before, after]) = headline.perplexity {
            tiles.push(TileView {
                name: "perplexity",
                before: Some(format!("{before:.1}")),
                value: format!("{after:.1}"),
                note: "neutral text, lower is better".into(),
            });
        }
    }
    if let Some(quality) = &run.quality {
        tiles.push(TileView {
            name: "preference pairs",
            before: None,
            value: table::number(quality.pairs as f64),
            note: format!("from {} questions", quality.prompts),
        });
    }
    let seconds: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    if seconds > 0.0 {
        let value = if seconds < 90.0 {
            format!("{seconds:.0} s")
        } else if seconds < 5400.0 {
            format!("{:.1} min", seconds / 60.0)
        } else {
            format!("{:.1} h", seconds / 3600.0)
        };
        let device = run.fact("device").unwrap_or("an unknown device");
        tiles.push(TileView { name: "time", before: None, value, note: format!("on {device}") });
    }
    tiles
}
