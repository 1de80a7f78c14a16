//! The convolution of 5 x 5 pixels with a kernel of 3 x 3, step by step.

use super::lab::Lab;
use super::page::{Page, plain};
use super::{Lesson, LessonOptions, Picture};
use crate::device::Device;
use crate::error::Result;
use crate::model::Spec;
use crate::ops::Target;
use crate::report::{Canvas, Colour, Font};
use serde_json::json;

const NETWORK: &str = r#"
name = "convolution"
input = [1, 5, 5]
[recipe]
loss = "mse"
batch_size = 1
[[layer]]
name = "conv"
op = "conv2d"
out_channels = 1
kernel = 3
[[layer]]
op = "flatten"
"#;

const SIDE: usize = 5;
const KERNEL: usize = 3;
const OUT: usize = SIDE - KERNEL + 1;

const IMAGE: [f32; SIDE * SIDE] = [
    1.0, 1.0, 1.0, 0.0, 0.0, //
    0.0, 1.0, 1.0, 1.0, 0.0, //
    0.0, 0.0, 1.0, 1.0, 1.0, //
    0.0, 0.0, 1.0, 1.0, 0.0, //
    0.0, 1.0, 1.0, 0.0, 0.0, //
];
const WEIGHT: [f32; KERNEL * KERNEL] = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];

pub(super) fn lesson(options: &LessonOptions, device: &Device) -> Result<Lesson> {
    let texts = options.language.texts();
    let mut lab = Lab::new(Spec::parse(NETWORK, "convolution")?, device, 1, Target::Values, 0)?;
    lab.set("conv.weight", &WEIGHT)?;
    lab.set("conv.bias", &[0.0])?;
    let traced = lab.step(&IMAGE, &[0.0; OUT * OUT])?;
    let (x, w, y) = (traced.wide("input")?, traced.wide("parameter.conv.weight")?, traced.wide("conv.y")?);

    let mut page = Page::new();
    page.say(texts.convolution_intro, &[]);
    let side = |values: &[f64], columns: usize, row: usize| match values.chunks(columns).nth(row) {
        Some(row) => row.iter().map(|&value| plain(value)).collect::<Vec<_>>().join(" "),
        None => " ".repeat(2 * columns - 1),
    };
    let grids = (0..SIDE).map(|row| {
        let sign = |text: &'static str| if row == 1 { text } else { " " };
        let (x, w, y) = (side(&x, SIDE, row), side(&w, KERNEL, row), side(&y, OUT, row));
        format!("{x}   {}   {w}   {}   {y}", sign("*"), sign("="))
    });
    page.lines(&grids.collect::<Vec<_>>());
    page.lines(&["y[i,j] = sum over u, v of w[u,v] x[i+u, j+v]".into()]);
    page.heading(texts.convolution_steps);
    let rows: Vec<Vec<String>> = (0..OUT * OUT)
        .map(|at| {
            let (i, j) = (at / OUT, at % OUT);
            let product =
                |k: usize| format!("{}*{}", plain(w[k]), plain(x[(i + k / KERNEL) * SIDE + j + k % KERNEL]));
            let sum: Vec<String> = (0..KERNEL * KERNEL).map(product).collect();
            let place = format!("y[{},{}]", i + 1, j + 1);
            vec![(at + 1).to_string(), place, sum.join(" + "), plain(y[at])]
        })
        .collect();
    page.table(&[texts.step, "", texts.convolution_sum, "="], &rows);
    let count = |n: usize| n.to_string();
    page.say(
        texts.convolution_end,
        &[&count(WEIGHT.len()), &count(OUT * OUT * WEIGHT.len()), &count(SIDE * SIDE * OUT * OUT)],
    );
    let numbers = json!({ "input": x, "kernel": w, "output": y });
    let bytes = frames(&x, &w, &y)?.png()?;
    Ok(Lesson {
        text: page.finish(),
        numbers,
        pictures: vec![Picture { name: "convolution.png".into(), bytes }],
    })
}

/// Sides in pixels: of a cell, of the room around frames, and of the gap between the two grids of a frame.
const CELL: usize = 36;
const MARGIN: usize = 20;
const GAP: usize = 36;
const LETTERS: f32 = 20.0;
const SMALL: f32 = 12.0;

const PAPER: Colour = [255; 3];
const INK: Colour = [24, 24, 24];
const PALE: Colour = [110, 117, 126];
const EDGE: Colour = [196, 202, 210];
const CELL_COLOUR: Colour = [246, 247, 249];
const WINDOW: Colour = [255, 226, 168];
const DONE: Colour = [205, 228, 247];
const NOW: Colour = [141, 186, 232];

/// Nine frames: the window on the image with the weights in the corners of its cells, and the sums so far.
fn frames(x: &[f64], w: &[f64], y: &[f64]) -> Result<Canvas> {
    let (wide, high) = (SIDE * CELL + GAP + OUT * CELL, SIDE * CELL);
    let side = |length: usize| OUT * length + (OUT + 1) * 2 * MARGIN;
    let mut canvas = Canvas::new(side(wide), side(high), PAPER)?;
    let (font, small) = (Font::sans()?, Font::bold()?);
    for step in 0..OUT * OUT {
        let (i, j) = (step / OUT, step % OUT);
        let corner = [2 * MARGIN + j * (wide + 2 * MARGIN), 2 * MARGIN + i * (high + 2 * MARGIN)];
        for (at, &pixel) in x.iter().enumerate() {
            let (row, column) = (at / SIDE, at % SIDE);
            let inside = (i..i + KERNEL).contains(&row) && (j..j + KERNEL).contains(&column);
            let place = [corner[0] + column * CELL, corner[1] + row * CELL];
            cell(&mut canvas, place, if inside { WINDOW } else { CELL_COLOUR }, &plain(pixel), &font);
            if inside {
                let weight = format!("×{}", plain(w[(row - i) * KERNEL + column - j]));
                let under = [(place[0] + CELL - 18) as f32, (place[1] + CELL - 14) as f32];
                canvas.text(&small, &weight, under, SMALL, PALE);
            }
        }
        for (at, &sum) in y.iter().enumerate() {
            let (row, column) = (at / OUT, at % OUT);
            let place = [
                corner[0] + SIDE * CELL + GAP + column * CELL,
                corner[1] + (SIDE - OUT) * CELL / 2 + row * CELL,
            ];
            let colour = match at.cmp(&step) {
                std::cmp::Ordering::Less => DONE,
                std::cmp::Ordering::Equal => NOW,
                std::cmp::Ordering::Greater => PAPER,
            };
            let text = if at <= step { plain(sum) } else { String::new() };
            cell(&mut canvas, place, colour, &text, &font);
        }
    }
    Ok(canvas)
}

/// A square with a thin edge and a text in its middle.
fn cell(canvas: &mut Canvas, [x, y]: [usize; 2], colour: Colour, text: &str, font: &Font) {
    canvas.fill([x, y], [CELL + 1, CELL + 1], EDGE);
    canvas.fill([x + 1, y + 1], [CELL - 1, CELL - 1], colour);
    let top = y as f32 + (CELL as f32 - LETTERS) / 2.0;
    canvas.centred(font, text, [x as f32, top], CELL as f32, LETTERS, INK);
}
