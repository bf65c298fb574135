//! One number a row: a mark on its interval, or a bar where there is no interval.

use ingrain_run::Estimate;
use kuva::plot::ForestPlot;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

use super::{Medium, layout, plain};

pub(super) fn draw(
    unit: &str,
    reference: Option<f64>,
    estimates: &[Estimate],
    medium: Medium,
) -> (Vec<Plot>, Layout) {
    let ink = medium.ink();
    let mut forest = ForestPlot::new().with_marker_size(5.0).with_whisker_width(2.5);
    forest = match reference {
        Some(value) => forest.with_null_value(value),
        None => forest.with_show_null_line(false),
    };
    let mut groups: Vec<&str> = Vec::new();
    for estimate in estimates {
        let (value, low, high) = (estimate.value, estimate.low, estimate.high);
        let ends = (low.unwrap_or(value), high.unwrap_or(value));
        let label = medium.label(&estimate.label);
        let group = estimate.group.as_deref().unwrap_or(&estimate.label);
        let index = groups.iter().position(|other| *other == group).unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        // Colours that repeat would join what does not belong together.
        let color =
            ink.series(if estimates.iter().any(|e| e.group.is_some()) || estimates.len() <= 6 {
                index
            } else {
                1
            });
        forest = forest.with_colored_row(label, value, ends.0, ends.1, color);
    }
    let plots: Vec<Plot> = vec![forest.into()];
    let layout = layout(&plots, height(estimates.len()), medium).with_x_label(plain(unit));
    (plots, layout)
}

/// Room for the rows and for the axis below them.
pub(super) fn height(rows: usize) -> f64 {
    90.0 + 26.0 * rows.clamp(2, 400) as f64
}
