//! Before and after: a circle, a line, and a square at its end with its interval over it.

use ingrain_run::Shift;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::plot::{ForestPlot, LinePlot, ScatterPlot};
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
        .with_whisker_width(2.5);
    let rows = shifts.len() as f64;
    let mut earlier: Vec<(f64, f64)> = Vec::new();
    let mut ways: Vec<Plot> = Vec::new();
    for (index, shift) in shifts.iter().enumerate() {
        let label = medium.label(&shift.label);
        let ends = (shift.low.unwrap_or(shift.after), shift.high.unwrap_or(shift.after));
        forest = forest.with_row(label, shift.after, ends.0, ends.1);
        // The forest's rows count from above, the axis from below.
        let height = rows - index as f64;
        earlier.push((shift.before, height));
        let way = LinePlot::new().with_data([(shift.before, height), (shift.after, height)]);
        ways.push(way.with_color(ink.muted).with_stroke_width(1.0).into());
    }
    let before = ScatterPlot::new().with_data(earlier).with_color(ink.series(0)).with_size(4.0);
    let entry = |name: &str, index: usize, shape: LegendShape| LegendEntry {
        label: plain(name),
        color: ink.series(index).into(),
        shape,
        dasharray: None,
    };
    let with_intervals = shifts.iter().any(|shift| shift.low.is_some() && shift.high.is_some());
    let after = match with_intervals {
        true => format!("{}, with its 95 % interval", names[1]),
        false => names[1].to_owned(),
    };
    let legend = vec![entry(names[0], 0, LegendShape::Circle), entry(&after, 2, LegendShape::Rect)];
    // The forest names the rows, so it comes first in the list; the lines lie over it.
    let plots: Vec<Plot> =
        std::iter::once(forest.into()).chain(ways).chain([before.into()]).collect();
    let layout = layout(&plots, estimates::height(shifts.len()) + 30.0, medium)
        .with_x_label(plain(unit))
        .with_legend_entries(legend)
        .with_legend_position(LegendPosition::OutsideBottomColumns);
    (plots, layout)
}
