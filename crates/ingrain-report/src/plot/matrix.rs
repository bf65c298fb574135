//! A number for each pair, as a colour with the number in it.

use std::sync::Arc;

use kuva::plot::{ColorMap, Heatmap};
use kuva::render::annotations::TextAnnotation;
use kuva::render::color::Color;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use kuva::render::render::{Primitive, Scene};

use super::{Medium, layout, plain};

/// What the rows and columns are.
pub(super) struct Names<'a> {
    pub(super) rows: &'a [String],
    pub(super) columns: &'a [String],
    pub(super) row_axis: &'a str,
    pub(super) column_axis: &'a str,
}

pub(super) fn draw(
    names: &Names<'_>,
    values: &[Vec<Option<f64>>],
    diverging: bool,
    medium: Medium,
) -> (Vec<Plot>, Layout) {
    let width = names.columns.len();
    let mut filled: Vec<Vec<f64>> = (0..names.rows.len())
        .map(|row| {
            let cell = |c| values.get(row).and_then(|r| r.get(c)).copied().flatten();
            (0..width).map(|column| cell(column).unwrap_or(f64::NAN)).collect()
        })
        .collect();
    // The axis counts rows from below, readers from above.
    filled.reverse();
    let label = |text: &String| medium.label(text);
    let scale = Scale::of(&filled, diverging);
    let numbers = numbers(&filled, scale, medium);
    let colors = Arc::new(move |share: f64| scale.color(share));
    let heatmap = Heatmap::new().with_color_map(ColorMap::Custom(colors)).with_data(filled);
    let plots: Vec<Plot> = vec![heatmap.into()];
    let height = 130.0 + 30.0 * names.rows.len().clamp(2, 200) as f64;
    let mut layout = layout(&plots, height, medium)
        .with_x_categories(names.columns.iter().map(label).collect())
        .with_y_categories(names.rows.iter().rev().map(label).collect())
        .with_x_label(plain(names.column_axis))
        .with_y_label(plain(names.row_axis))
        .with_show_grid(false);
    let room = medium.width() / names.columns.len().max(1) as f64;
    let longest = names.columns.iter().map(|name| medium.label(name).chars().count()).max();
    if 8.0 * longest.unwrap_or(0) as f64 > 0.8 * room {
        layout = layout.with_x_tick_rotate(-40.0);
    }
    for number in numbers {
        layout = layout.with_annotation(number);
    }
    (plots, layout)
}

/// Colours of the numbers, each with the invisible character that stands for it until the drawing
/// is done: annotations are all drawn in the colour of the theme, and cells have colours of their own.
const LIGHT: (char, &str) = ('\u{200b}', "#ffffff");
const DARK: (char, &str) = ('\u{2060}', "#1b1f24");

/// Gives the numbers of a drawn matrix their colours.
pub(super) fn paint_numbers(scene: &mut Scene) {
    for element in &mut scene.elements {
        let Primitive::Text { content, color, .. } = element else { continue };
        for (mark, paint) in [LIGHT, DARK] {
            if let Some(number) = content.strip_prefix(mark) {
                *color = Some(Color::from(paint));
                *content = number.to_owned();
                break;
            }
        }
    }
}

/// The numbers in their cells, where they have room.
fn numbers(values: &[Vec<f64>], scale: Scale, medium: Medium) -> Vec<TextAnnotation> {
    let widest = if medium == Medium::Narrow { 5 } else { 14 };
    // An annotation stands a third of a cell above its place.
    const DOWN: f64 = 0.33;
    let mut numbers = Vec::new();
    if values.first().is_none_or(|row| row.len() > widest) {
        return numbers;
    }
    for (row, cells) in values.iter().enumerate() {
        for (column, value) in cells.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let place = (column as f64 + 1.0, row as f64 + 1.0 - DOWN);
            let share = (value - scale.low) / (scale.high - scale.low + f64::EPSILON);
            let paint = if scale.is_dark(share) { LIGHT } else { DARK };
            let text = format!("{}{value:.2}", paint.0);
            numbers.push(TextAnnotation::new(text, place.0, place.1).with_font_size(12));
        }
    }
    numbers
}

/// Blue for more; with a middle, orange for less. Grey where nothing was measured.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    diverging: bool,
}

impl Scale {
    fn of(values: &[Vec<f64>], diverging: bool) -> Self {
        let finite = || values.iter().flatten().copied().filter(|value| value.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min);
        let high = finite().fold(f64::NEG_INFINITY, f64::max);
        Self { low, high, diverging }
    }

    /// From -1 to 1, for a share of the way from the lowest to the highest value.
    fn position(&self, share: f64) -> f64 {
        let reach = self.low.abs().max(self.high.abs()).max(f64::MIN_POSITIVE);
        let value = self.low + share * (self.high - self.low);
        (if self.diverging { value / reach } else { share }).clamp(-1.0, 1.0)
    }

    fn color(&self, share: f64) -> String {
        if !share.is_finite() {
            return "#8c959f".into();
        }
        let position = self.position(share);
        let end = if position < 0.0 { [184.0, 71.0, 11.0] } else { [31.0, 111.0, 178.0] };
        let paper = [246.0, 248.0, 250.0];
        let mix = |i: usize| (paper[i] + position.abs() * (end[i] - paper[i])).round() as u8;
        format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
    }

    /// Whether white reads better on the colour than black.
    fn is_dark(&self, share: f64) -> bool {
        self.position(share).abs() > 0.7
    }
}
