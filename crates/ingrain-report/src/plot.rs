//! Charts as SVG, for a page that is light or dark, wide or narrow, and for files.
//!
//! The drawing is kuva's. Colours in the page are CSS variables, so that one drawing serves both
//! schemes; files have colours of their own.

mod estimates;
mod lines;
mod matrix;
mod shifts;

use ingrain_run::Chart;
use kuva::backend::svg::SvgBackend;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::{Scene, render_multiple};
use kuva::render::theme::Theme;

/// Where a drawing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// In the page, on a screen with room.
    Wide,
    /// In the page, on a phone.
    Narrow,
    /// A file of its own.
    File,
}

/// Colours of one medium.
pub(crate) struct Ink {
    pub(crate) text: &'static str,
    pub(crate) muted: &'static str,
    series: [&'static str; 6],
}

impl Ink {
    /// The colour of a course; they repeat after the sixth.
    pub(crate) fn series(&self, index: usize) -> &'static str {
        self.series[index % self.series.len()]
    }
}

impl Medium {
    pub(crate) fn ink(self) -> Ink {
        match self {
            Self::Wide | Self::Narrow => Ink {
                text: "var(--ink)",
                muted: "var(--muted)",
                series: [
                    "var(--s1)",
                    "var(--s2)",
                    "var(--s3)",
                    "var(--s4)",
                    "var(--s5)",
                    "var(--s6)",
                ],
            },
            // The light scheme of the page.
            Self::File => Ink {
                text: "#1b1f24",
                muted: "#59636e",
                series: ["#6e7781", "#1f6fb2", "#b8470b", "#2b7a3d", "#7d4fb3", "#9a6700"],
            },
        }
    }

    /// Width in CSS pixels.
    fn width(self) -> f64 {
        if self == Self::Narrow { 380.0 } else { 720.0 }
    }

    /// Longest label of a row, in characters.
    pub(crate) fn label_length(self) -> usize {
        if self == Self::Narrow { 18 } else { 44 }
    }

    /// A text as a label: cut to length, and without the sign that begins a formula.
    pub(crate) fn label(self, text: &str) -> String {
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let longest = self.label_length();
        let cut = if flat.chars().count() > longest {
            let kept: String = flat.chars().take(longest - 1).collect();
            format!("{}\u{2026}", kept.trim_end())
        } else {
            flat
        };
        plain(&cut)
    }
}

/// A text in which nothing is a formula.
pub(crate) fn plain(text: &str) -> String {
    text.replace('$', "\\$")
}

/// A chart as an SVG element that scales with the box that it is in.
pub(crate) fn svg(chart: &Chart, medium: Medium) -> String {
    let scene = scene(chart, medium);
    let view_box = format!("<svg viewBox=\"0 0 {} {}\" ", scene.width, scene.height);
    SvgBackend::new().render_scene(&scene).replacen("<svg ", &view_box, 1)
}

/// A chart as a PNG file of 720 CSS pixels at 400 dots an inch (a CSS pixel is 1/96 inch).
#[cfg(feature = "png")]
pub(crate) fn png(chart: &Chart) -> Result<Vec<u8>, String> {
    const SCALE: f32 = 400.0 / 96.0;
    kuva::PngBackend::new().with_scale(SCALE).render_scene(&scene(chart, Medium::File))
}

fn scene(chart: &Chart, medium: Medium) -> Scene {
    let (plots, layout) = match chart {
        Chart::Estimates { unit, reference, estimates } => {
            estimates::draw(unit, *reference, estimates, medium)
        }
        Chart::Shifts { unit, before, after, shifts } => {
            shifts::draw(unit, [before, after], shifts, medium)
        }
        Chart::Matrix { row_axis, column_axis, rows, columns, values, diverging, .. } => {
            let names = matrix::Names { rows, columns, row_axis, column_axis };
            matrix::draw(&names, values, *diverging, medium)
        }
        Chart::Lines { x, y, series } => lines::draw(x, y, series, medium),
    };
    let mut scene = render_multiple(plots, layout);
    if matches!(chart, Chart::Matrix { .. }) {
        matrix::paint_numbers(&mut scene);
    }
    scene
}

/// What all drawings share.
fn layout(plots: &[Plot], height: f64, medium: Medium) -> Layout {
    let ink = medium.ink();
    let (background, grid) = match medium {
        Medium::Wide | Medium::Narrow => ("none", "var(--rule)"),
        Medium::File => ("white", "#d5dae0"),
    };
    let theme = Theme {
        background: background.into(),
        axis_color: ink.muted.into(),
        grid_color: grid.into(),
        tick_color: ink.muted.into(),
        text_color: ink.text.into(),
        legend_bg: "none".into(),
        legend_border: "none".into(),
        font_family: Some("system-ui, Segoe UI, Roboto, DejaVu Sans, sans-serif".into()),
        show_grid: true,
        ..Theme::light()
    };
    Layout::auto_from_plots(plots)
        .with_theme(theme)
        .with_width(medium.width())
        .with_height(height)
        .with_legend_box(false)
        .with_label_size(13)
        .with_tick_size(12)
        .with_body_size(12)
}
