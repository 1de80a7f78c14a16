//! The marks of a chart: a colour and a shape per category.

use super::svg::{Svg, number};

/// Colours that are distinguishable on white and on black, also with colour blindness (Okabe and Ito, with black and yellow
/// replaced).
const COLOURS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a6fd1", "#8c8c8c"];

/// Draws the mark of category `rank`: eight colours as circles, then the same colours in other shapes.
pub(super) fn shape(
    svg: &mut Svg,
    class: &str,
    rank: usize,
    [x, y]: [f64; 2],
    radius: f64,
    tip: Option<&str>,
) {
    let fill = COLOURS[rank % COLOURS.len()];
    let mut attributes = vec![
        ("class", class.to_string()),
        ("fill", fill.to_string()),
        ("fill-opacity", "0.85".into()),
        ("stroke", "#ffffff".into()),
        ("stroke-width", "1".into()),
    ];
    match rank / COLOURS.len() {
        0 => {
            attributes.extend([("cx", number(x)), ("cy", number(y)), ("r", number(radius))]);
            svg.element("circle", &attributes, tip);
        }
        round => {
            let side = radius * 0.9;
            let corners: [[f64; 2]; 4] = match round % 2 {
                1 => [[-side, -side], [side, -side], [side, side], [-side, side]],
                _ => [[0.0, -radius], [radius, 0.0], [0.0, radius], [-radius, 0.0]],
            };
            let points = corners.map(|[dx, dy]| format!("{},{}", number(x + dx), number(y + dy)));
            attributes.push(("points", points.join(" ")));
            svg.element("polygon", &attributes, tip);
        }
    }
}
