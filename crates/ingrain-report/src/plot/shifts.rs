//! Before and after: a ring, a line, and a mark at its end.

use ingrain_run::Shift;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::plot::{ForestPlot, ScatterPlot};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

use super::{Medium, estimates, layout, plain};

pub(super) fn draw(
    unit: &str,
    names: [&str; 2],
    shifts: &[Shift],
    medium: Medium,
) -> (Vec<Plot>, Layout) {
    let ink = medium.ink();
    let mut forest = ForestPlot::new()
        .with_null_value(0.0)
        .with_color(ink.series(2))
        .with_marker_size(4.5)
        .with_whisker_width(1.5);
    let rows = shifts.len() as f64;
    let mut earlier: Vec<(f64, f64)> = Vec::new();
    for (index, shift) in shifts.iter().enumerate() {
        let ends = (shift.before.min(shift.after), shift.before.max(shift.after));
        forest = forest.with_row(medium.label(&shift.label), shift.after, ends.0, ends.1);
        // The forest's rows count from above, the axis from below.
        earlier.push((shift.before, rows - index as f64));
    }
    let before = ScatterPlot::new().with_data(earlier).with_color(ink.series(0)).with_size(4.0);
    let entry = |name: &str, index: usize, shape: LegendShape| LegendEntry {
        label: plain(name),
        color: ink.series(index).into(),
        shape,
        dasharray: None,
    };
    let legend =
        vec![entry(names[0], 0, LegendShape::Circle), entry(names[1], 2, LegendShape::Rect)];
    let plots: Vec<Plot> = vec![forest.into(), before.into()];
    let layout = layout(&plots, estimates::height(shifts.len()) + 30.0, medium)
        .with_x_label(plain(unit))
        .with_legend_entries(legend)
        .with_legend_position(LegendPosition::OutsideBottomColumns);
    (plots, layout)
}
