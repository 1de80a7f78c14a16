//! Line charts: losses, accuracies and learning rates over epochs, one or several side by side. Drawn by `plotters`; the size of
//! a text is estimated, as SVG leaves it to the viewer.

use super::palette::{self, Rgb};
use crate::error::{Error, Result};
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::prelude::SVGBackend;
use plotters::series::LineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle};

/// What charts are drawn on.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Width of a row of line charts and height of one in pixels.
const WIDTH: u32 = 1152;
const HEIGHT: u32 = 320;
/// Curves with at most so many points have a mark at each.
const MARKED: usize = 40;

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend; empty for none.
    pub label: String,
    pub colour: Rgb,
    /// Whether it is drawn thin and pale, without marks.
    pub is_faint: bool,
    /// Points in the order of x. Values that are not finite are left out.
    pub points: Vec<[f64; 2]>,
}

/// A line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    pub title: String,
    /// The name of the horizontal axis.
    pub x: String,
    pub curves: Vec<Curve>,
}

/// An SVG file of charts, two or three in a row; an empty text without charts that have a point.
pub fn line_charts(charts: &[LineChart]) -> Result<String> {
    drawn(charts, short)
}

/// As [`line_charts`], with powers of ten on the vertical axes: values that are not positive are left out.
pub fn line_charts_in_powers(charts: &[LineChart]) -> Result<String> {
    let exponent = |point: &[f64; 2]| [point[0], if point[1] > 0.0 { point[1].log10() } else { f64::NAN }];
    let mut charts = charts.to_vec();
    for curve in charts.iter_mut().flat_map(|chart| &mut chart.curves) {
        curve.points = curve.points.iter().map(exponent).collect();
    }
    drawn(&charts, |exponent| format!("1e{}", short(exponent)))
}

/// The charts, where `label` writes the numbers of the vertical axes.
fn drawn(charts: &[LineChart], label: fn(f64) -> String) -> Result<String> {
    let drawn: Vec<&LineChart> = charts.iter().filter(|chart| chart.points().next().is_some()).collect();
    if drawn.is_empty() {
        return Ok(String::new());
    }
    let columns = if drawn.len() == 3 { 3 } else { drawn.len().min(2) };
    let rows = drawn.len().div_ceil(columns);
    svg((WIDTH, HEIGHT * rows as u32), |area| {
        for (chart, area) in drawn.iter().zip(area.split_evenly((rows, columns))) {
            chart.draw(&area, label)?;
        }
        Ok(())
    })
}

/// An SVG file of this size with a white ground.
pub(super) fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String> {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&palette::WHITE.rgb())
            .map_err(failure)
            .and_then(|()| draw(&area))
            .and_then(|()| area.present().map_err(failure))
    };
    drawn.map_err(|what| Error::Internal(format!("chart: {what}")))?;
    Ok(text)
}

/// The result of drawing.
pub(super) type Drawn = std::result::Result<(), String>;

/// An error of the library as text.
pub(super) fn failure(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Text of `size` pixels in `colour`, placed at its point as `horizontal` and `vertical` say.
pub(super) fn letters(size: u32, colour: Rgb, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // The library writes letters smaller by this factor.
    let mut style = TextStyle::from(("sans-serif", f64::from(size) * 1.24));
    style.color = colour.rgb().to_backend_color();
    style.pos = Pos::new(horizontal, vertical);
    style
}

/// Writes `text` at the pixel `at`.
pub(super) fn write(area: &Area<'_>, text: &str, at: (i32, i32), style: &TextStyle<'_>) -> Drawn {
    area.draw(&Text::new(text.to_string(), at, style.clone())).map_err(failure)
}

/// Fills the rectangle from the pixel `from` to the pixel `to`.
pub(super) fn fill(area: &Area<'_>, from: (i32, i32), to: (i32, i32), colour: Rgb) -> Drawn {
    area.draw(&Rectangle::new([from, to], colour.rgb().filled())).map_err(failure)
}

/// Draws a line of `width` pixels.
pub(super) fn line(area: &Area<'_>, from: (i32, i32), to: (i32, i32), colour: Rgb, width: u32) -> Drawn {
    area.draw(&PathElement::new(vec![from, to], colour.rgb().stroke_width(width))).map_err(failure)
}

impl LineChart {
    fn points(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        self.curves.iter().flat_map(|curve| finite(&curve.points))
    }

    fn draw(&self, area: &Area<'_>, label: fn(f64) -> String) -> Drawn {
        let (x, y) = (span(self.points().map(|p| p[0]), 0.0), span(self.points().map(|p| p[1]), 0.05));
        write(area, &self.title, (14, 12), &letters(16, palette::INK, HPos::Left, VPos::Top))?;
        self.legend(area)?;
        let mut chart = ChartBuilder::on(area);
        let chart = chart.margin_top(44).margin_right(18).margin_bottom(6).margin_left(4);
        let chart = chart.x_label_area_size(40).y_label_area_size(54);
        let mut chart = chart.build_cartesian_2d(x[0]..x[1], y[0]..y[1]).map_err(failure)?;
        let small = letters(13, palette::SOFT, HPos::Left, VPos::Top);
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .light_line_style(RGBColor(255, 255, 255).mix(0.0))
            .bold_line_style(palette::GRID.rgb());
        mesh.axis_style(palette::GRID.rgb()).x_desc(self.x.as_str()).x_labels(7).y_labels(6);
        mesh.x_label_style(small.clone()).y_label_style(small.clone()).axis_desc_style(small);
        let (short_x, short_y) = (|value: &f64| short(*value), |value: &f64| label(*value));
        mesh.x_label_formatter(&short_x).y_label_formatter(&short_y).draw().map_err(failure)?;
        // Faint lines lie under the others.
        let mut curves: Vec<&Curve> = self.curves.iter().collect();
        curves.sort_by_key(|curve| !curve.is_faint);
        for curve in curves {
            let points: Vec<(f64, f64)> = finite(&curve.points).map(|[x, y]| (x, y)).collect();
            let style = curve.style();
            if curve.is_faint && points.len() > 1 {
                chart.draw_series(LineSeries::new(points, style)).map_err(failure)?;
                continue;
            }
            if points.len() <= MARKED {
                let marks = points.iter().map(|&point| Circle::new(point, 3, curve.colour.rgb().filled()));
                chart.draw_series(marks).map_err(failure)?;
            }
            chart.draw_series(LineSeries::new(points, style)).map_err(failure)?;
        }
        Ok(())
    }

    /// The names of the curves, from the right end of the line of the title.
    fn legend(&self, area: &Area<'_>) -> Drawn {
        let style = letters(13, palette::SOFT, HPos::Left, VPos::Center);
        let mut right = area.dim_in_pixel().0 as i32 - 18;
        for curve in self.curves.iter().rev().filter(|curve| !curve.label.is_empty()) {
            // The width of sans-serif letters is about 0.55 of their size, that of Chinese ones all of it.
            let widths = curve.label.chars().map(|c| if c < '\u{2e80}' { 0.55 } else { 1.0 });
            let left = right - (widths.sum::<f64>() * 13.0) as i32;
            write(area, &curve.label, (left, 21), &style)?;
            let sample = PathElement::new(vec![(left - 26, 21), (left - 6, 21)], curve.style());
            area.draw(&sample).map_err(failure)?;
            right = left - 42;
        }
        Ok(())
    }
}

impl Curve {
    fn style(&self) -> ShapeStyle {
        let (opacity, width) = if self.is_faint { (0.45, 1) } else { (1.0, 2) };
        self.colour.rgb().mix(opacity).stroke_width(width)
    }
}

fn finite(points: &[[f64; 2]]) -> impl Iterator<Item = [f64; 2]> + '_ {
    points.iter().copied().filter(|point| point.iter().all(|value| value.is_finite()))
}

/// The least and the greatest of `values` with the share `room` of their distance around them; never a single point.
fn span(values: impl Iterator<Item = f64>, room: f64) -> [f64; 2] {
    let (low, high) = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    // So that a distance is a number too.
    let (low, high) = (low.clamp(-1e150, 1e150), high.clamp(-1e150, 1e150));
    if high - low <= 1e-9 * high.abs().max(low.abs()) {
        let around = if high == 0.0 { 1.0 } else { 0.5 * high.abs() };
        return [low - around, high + around];
    }
    [low - room * (high - low), high + room * (high - low)]
}

/// A number of an axis in few digits.
fn short(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".into(),
        _ if size < 1e-12 => return "0".into(),
        _ if !(1e-4..1e6).contains(&size) => return format!("{value:.1e}"),
        _ if size < 1.0 => format!("{value:.5}"),
        _ => format!("{value:.2}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[[f64; 2]]) -> Curve {
        Curve {
            label: "a <b> & \"c\"".into(),
            colour: palette::FIRST,
            is_faint: false,
            points: points.to_vec(),
        }
    }

    fn chart(points: &[[f64; 2]]) -> LineChart {
        LineChart { title: "loss".into(), x: "epoch".into(), curves: vec![curve(points)] }
    }

    #[test]
    fn names_are_escaped_and_every_finite_point_has_a_mark() {
        let text = line_charts(&[chart(&[[1.0, 2.0], [2.0, f64::NAN], [3.0, 1.0]])]).unwrap();
        assert!(text.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !text.contains("<b>"), "{text}");
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(text.trim_start().starts_with("<svg") && text.trim_end().ends_with("</svg>"), "{text}");
    }

    #[test]
    fn one_point_equal_points_and_huge_values_can_be_drawn_and_nothing_draws_nothing() {
        for points in
            [&[[1.0, 0.0]][..], &[[1.0, 5.0], [2.0, 5.0]], &[[0.0, -1e300], [1.0, 1e300]], &[[3.0, 1e-300]]]
        {
            let text = line_charts(&[chart(points)]).unwrap();
            assert!(text.contains("<circle"), "{points:?}: {text}");
        }
        assert_eq!(line_charts(&[chart(&[]), chart(&[[f64::NAN, 1.0]])]).unwrap(), "");
    }

    #[test]
    fn an_axis_in_powers_of_ten_has_them_as_labels_and_no_values_below() {
        let points = [[1.0, 1e-20], [2.0, 0.0], [3.0, -1.0], [4.0, 1.0]];
        let text = line_charts_in_powers(&[chart(&points)]).unwrap();
        assert_eq!(text.matches("<circle").count(), 2);
        for label in ["1e-20", "1e-10", "1e0"] {
            assert!(text.lines().any(|line| line.trim() == label), "{label}: {text}");
        }
    }

    #[test]
    fn numbers_of_an_axis_are_short() {
        let cases = [
            (0.0, "0"),
            (0.5, "0.5"),
            (92.5, "92.5"),
            (100.0, "100"),
            (0.00005, "5.0e-5"),
            (2_000_000.0, "2.0e6"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }
}
