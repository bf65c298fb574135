//! Courses over a common axis: each value pale, and a moving mean over it.

use ingrain_run::Series;
use kuva::plot::LinePlot;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;

use super::{Medium, layout, plain};

/// More points than this are thinned: no screen shows them.
const MOST_POINTS: usize = 600;
/// Courses shorter than this are drawn as they are.
const FEWEST_TO_SMOOTH: usize = 24;

/// Height of a row of the legend, in CSS pixels.
const LEGEND_ROW: f64 = 18.0;

pub(super) fn draw(x: &str, y: &str, series: &[Series], medium: Medium) -> (Vec<Plot>, Layout) {
    let ink = medium.ink();
    let mut plots: Vec<Plot> = Vec::new();
    let mut legend: Vec<LegendEntry> = Vec::new();
    for (index, course) in series.iter().enumerate() {
        legend.push(LegendEntry {
            label: medium.label(&course.name),
            color: ink.series(index).to_owned(),
            shape: LegendShape::Line,
            dasharray: None,
        });
        let points = thinned(&course.points);
        let line = |points: Vec<(f64, f64)>| {
            LinePlot::new().with_data(points).with_color(ink.series(index)).with_stroke_width(2.0)
        };
        if points.len() < FEWEST_TO_SMOOTH {
            plots.push(line(points).into());
            continue;
        }
        let pale = line(points.clone()).with_stroke_width(0.6);
        plots.push(pale.into());
        plots.push(line(smoothed(&points)).into());
    }
    // The legend takes its room from the plot.
    let columns = legend_columns(&legend, medium);
    let rows = legend.len().max(1).div_ceil(columns);
    let height = if medium == Medium::Narrow { 300.0 } else { 320.0 };
    let height = height + LEGEND_ROW * (rows - 1) as f64;
    let layout = layout(&plots, height, medium)
        .with_x_label(plain(x))
        .with_y_label(plain(y))
        .with_legend_entries(legend)
        .with_legend_col_limit(columns)
        .with_legend_position(LegendPosition::OutsideBottomColumns);
    (plots, layout)
}

/// Names that fit side by side: a letter is 7 CSS pixels wide, mark and gap 38, the axis beside the plot 90.
fn legend_columns(legend: &[LegendEntry], medium: Medium) -> usize {
    let longest = legend.iter().map(|entry| entry.label.chars().count()).max().unwrap_or(0);
    (((medium.width() - 90.0) / (38.0 + 7.0 * longest as f64)) as usize).max(1)
}

fn thinned(points: &[[f64; 2]]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(MOST_POINTS).max(1);
    let finite = points.iter().filter(|point| point.iter().all(|value| value.is_finite()));
    finite.step_by(stride).map(|point| (point[0], point[1])).collect()
}

/// A centred mean over a twelfth of the course.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = (points.len() / 24).max(1);
    (0..points.len())
        .map(|middle| {
            let window =
                &points[middle.saturating_sub(reach)..(middle + reach + 1).min(points.len())];
            let mean = window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64;
            (points[middle].0, mean)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ingrain_run::Chart;

    use super::*;

    #[test]
    fn a_straight_course_stays_straight_when_smoothed() {
        let points: Vec<(f64, f64)> =
            (0..100).map(|i| (f64::from(i), 2.0 * f64::from(i))).collect();
        let smooth = smoothed(&points);
        assert_eq!(smooth.len(), 100);
        assert_eq!(smooth[50], (50.0, 100.0));
    }

    #[test]
    fn every_course_has_its_name_inside_the_drawing() {
        let names = ["loss", "dpo", "nll", "squared log-ratio", "another term of the objective"];
        let course = |name: &&str| Series {
            name: (*name).to_owned(),
            points: (0..40).map(|i| [f64::from(i), 1.0]).collect(),
        };
        let series: Vec<Series> = names.iter().map(course).collect();
        let chart = Chart::Lines { x: "step".into(), y: "nats".into(), series };
        for medium in [Medium::Narrow, Medium::Wide] {
            let svg = crate::plot::svg(&chart, medium);
            let number = |text: &str| text.split(['"', ' ']).next().unwrap_or("").parse::<f64>();
            let after = |text: &str, mark: &str| number(text.split(mark).nth(1).unwrap_or(""));
            let view = svg.split("viewBox=\"0 0 ").nth(1).expect("a box");
            let height = after(view, " ").expect("its height");
            for name in names {
                let label = medium.label(name);
                let text = svg.split("<text").find(|text| text.contains(&format!(">{label}<")));
                let text = text.unwrap_or_else(|| panic!("no {label:?} in {svg}"));
                let y = after(text, " y=\"").expect("a place");
                assert!(y < height, "{label:?} at {y} of {height}, {medium:?}");
            }
        }
    }

    #[test]
    fn long_courses_are_thinned_and_gaps_left_out() {
        let mut points: Vec<[f64; 2]> = (0..10_000).map(|i| [f64::from(i), 1.0]).collect();
        points[5][1] = f64::NAN;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS && thin.len() > MOST_POINTS / 2);
        assert!(thin.iter().all(|point| point.1.is_finite()));
    }
}
