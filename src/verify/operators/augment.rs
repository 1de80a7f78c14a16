//! Stored images transformed by every kind of view, one kind per row of the batch.

use super::OperatorCheck;
use crate::ops::{Augment, Op};
use crate::random::Stream;
use crate::verify::cases::{Case, Data};
use crate::view::{View, Window};

pub fn augment(d: &Augment) -> OperatorCheck<'_> {
    OperatorCheck::new(
        None,
        |_, inputs, outputs| augment_reference(d, inputs, outputs),
        |run| vec![error_scale(d, run.before, &run.outputs[0])],
    )
}

/// Word `i` of the view that begins at `at`, as a float.
fn float(views: &[f64], at: usize, i: usize) -> f64 {
    f64::from(f32::from_bits(views[at + i] as u32))
}

/// The same as a signed number.
fn signed(views: &[f64], at: usize, i: usize) -> i64 {
    i64::from(views[at + i] as u32 as i32)
}

/// A place along one axis for element (oy, ox), in pixels: words `i` to `i + 2`. What does not fit into 32 bits wraps.
fn place(views: &[f64], at: usize, i: usize, oy: usize, ox: usize) -> f64 {
    let whole =
        signed(views, at, i) * ox as i64 + signed(views, at, i + 1) * oy as i64 + signed(views, at, i + 2);
    f64::from(whole as i32) / 65536.0
}

fn augment_reference(d: &Augment, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (pixels, views) = (&inputs[0], &inputs[1]);
    let words = pixels.len() / d.batch;
    for n in 0..d.batch {
        let view = n * 32;
        let word = |i: usize| views[view + i] as usize;
        let pixel = |c: usize, row: f64, column: f64| {
            let row = row.clamp(0.0, d.h_in as f64 - 1.0) as usize;
            let column = column.clamp(0.0, d.w_in as f64 - 1.0) as usize;
            let byte = (c * d.h_in + row) * d.w_in + column;
            let word = pixels[n * words + byte / 4] as u32;
            f64::from(word.to_le_bytes()[byte % 4])
        };
        for oy in 0..d.h_out {
            for ox in 0..d.w_out {
                let sx = place(views, view, 0, oy, ox);
                let sy = place(views, view, 3, oy, ox);
                let (column, row) = (sx.floor(), sy.floor());
                let (fx, fy) = (sx - column, sy - row);
                let mut p = [0.0; 3];
                for k in 0..3 {
                    let c = if d.c_in == 1 { 0 } else { k };
                    p[k] = (1.0 - fy) * (1.0 - fx) * pixel(c, row, column)
                        + (1.0 - fy) * fx * pixel(c, row, column + 1.0)
                        + fy * (1.0 - fx) * pixel(c, row + 1.0, column)
                        + fy * fx * pixel(c, row + 1.0, column + 1.0);
                }
                let covered = oy >= word(6) && ox >= word(7) && oy < word(8) && ox < word(9);
                for c in 0..d.c_out {
                    let mut v = p[c];
                    if word(28) != 0 || d.c_in != d.c_out {
                        v = float(views, view, 10 + 4 * c + 3);
                        for k in 0..3 {
                            v += float(views, view, 10 + 4 * c + k) * p[k];
                        }
                        v = v.clamp(0.0, 255.0);
                    }
                    let value = float(views, view, 22 + c) * v + float(views, view, 25 + c);
                    let at = ((n * d.c_out + c) * d.h_out + oy) * d.w_out + ox;
                    outputs[0][at] = if covered { 0.0 } else { value };
                }
            }
        }
    }
}

/// The largest colour, 255, through colour, gain and bias; cut-out pixels are exactly 0.
fn error_scale(d: &Augment, before: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let words: Vec<u32> = before[1].iter().map(|&word| word as u32).collect();
    let views: &[View] = bytemuck::cast_slice(&words);
    let plane = d.h_out * d.w_out;
    let size = |(i, &x): (usize, &f64)| {
        let (view, c) = (&views[i / plane / d.c_out], i / plane % d.c_out);
        let size = |v: f32| f64::from(v.abs());
        let [r, g, b, shift] = view.colour[c].map(size);
        let colour = if d.recolours() || view.recolour != 0 { 255.0 * (r + g + b) + shift } else { 0.0 };
        if x == 0.0 { 0.0 } else { size(view.gain[c]) * colour.max(255.0) + size(view.bias[c]) }
    };
    x.iter().enumerate().map(size).collect()
}

/// Number of kinds of [`view`].
const WAYS: usize = 13;

fn between(stream: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * f64::from(stream.uniform())
}

/// A window of the input's own size at a whole pixel; beyond the border where the image is smaller.
fn crop(d: &Augment, stream: &mut Stream) -> Window {
    let mut first = |stored: usize, wanted: usize| {
        let room = stored as f64 - wanted as f64;
        if room < 0.0 { (room / 2.0).floor() } else { f64::from(stream.below(room as u32 + 1)) }
    };
    let (top, left) = (first(d.h_in, d.h_out), first(d.w_in, d.w_out));
    Window { top, left, height: d.h_out as f64, width: d.w_out as f64, angle: 0.0, mirror: false }
}

/// Colours moved so far that many values reach both clamps.
fn recoloured(view: View, stream: &mut Stream) -> View {
    let mut colour = [[0.0; 4]; 3];
    for row in &mut colour {
        *row = [1.5, 1.5, 1.5, 90.0].map(|most| between(stream, -0.7 * most, most) as f32);
    }
    View { colour, ..view }
}

/// The view of kind number `way`.
fn view(d: &Augment, way: usize, stream: &mut Stream) -> View {
    let (height, width) = (d.h_in as f64, d.w_in as f64);
    let whole = Window { top: 0.0, left: 0.0, height, width, angle: 0.0, mirror: false };
    let crop = crop(d, stream);
    let window = match way {
        // The corner, mirrored; a whole-pixel crop, unchanged and mirrored; everything, stretched or shrunk.
        0 => Window { top: 0.0, left: 0.0, mirror: true, ..crop },
        1 => crop,
        2 => Window { mirror: true, ..crop },
        3 => whole,
        // Near and far.
        4 => Window {
            top: 0.3 * height,
            left: 0.2 * width,
            height: 0.41 * height,
            width: 0.37 * width,
            ..whole
        },
        5 => Window { top: -0.9 * height, left: -height, height: 3.1 * height, width: 2.7 * width, ..whole },
        // Turned.
        6 => Window { angle: between(stream, -180.0, 180.0), ..whole },
        7 => Window { angle: 90.0, mirror: true, ..crop },
        // Between pixels, over the border, and far away from the image.
        8 => Window { top: crop.top + 0.25, left: crop.left + 0.5, ..crop },
        9 => Window { top: -0.4 * d.h_out as f64 - 1.0, left: 0.6 * width, ..crop },
        10 => Window { top: 2.0 * height, left: -3.0 * width, angle: 10.0, ..whole },
        _ => Window { mirror: true, ..crop },
    };
    let mut view = View::new(&window, [d.h_out, d.w_out]).normalised(
        1.0 / 255.0,
        &[0.485, 0.456, 0.406],
        &[0.229, 0.224, 0.225],
    );
    // Part of the input is cut out, once beyond its border.
    if way == 11 {
        let [bottom, right] = [d.h_out.div_ceil(2), d.w_out.div_ceil(2)].map(|side| side as u32);
        view.cut = [bottom / 3, right / 3, bottom, right];
    } else if way == 4 {
        view.cut = [d.h_out as u32 - 1, 0, u32::MAX, 2];
    }
    // Half of the rows keep their colours; the colour matrices of the others are ignored.
    View { recolour: u32::from(way % 3 == 2), ..recoloured(view, stream) }
}

/// The operand `views` of `case`; every view in turn, the last ways being blank rows.
pub fn words(case: &Case, stream: &mut Stream) -> Vec<f32> {
    let Op::Augment(d) = &case.op else { return Vec::new() };
    let views: Vec<View> = (0..d.batch)
        .map(|n| match case.data {
            Data::Crops => {
                let window = Window { mirror: n % 2 == 1, ..crop(d, stream) };
                View::new(&window, [d.h_out, d.w_out]).normalised(1.0 / 255.0, &[0.5; 3], &[0.25; 3])
            }
            _ if n % WAYS == WAYS - 1 => View::blank(),
            _ => view(d, n % WAYS, stream),
        })
        .collect();
    View::as_words(&views).to_vec()
}

fn geometry(batch: usize, stored: [usize; 3], input: [usize; 3]) -> Augment {
    let ([c_in, h_in, w_in], [c_out, h_out, w_out]) = (stored, input);
    Augment { batch, c_in, h_in, w_in, c_out, h_out, w_out }
}

pub fn cases() -> Vec<Case> {
    // Odd widths, so that no row of an image begins at a word.
    let geometries = [
        ("one_pixel", 13, [1, 1, 1], [1, 1, 1]),
        ("from_one_pixel", 13, [3, 1, 1], [3, 5, 4]),
        ("to_one_pixel", 13, [3, 6, 7], [1, 1, 1]),
        ("colour", 26, [3, 13, 11], [3, 9, 7]),
        ("grey", 26, [1, 17, 19], [1, 16, 15]),
        ("grey_to_colour", 13, [1, 9, 7], [3, 8, 9]),
        ("colour_to_grey", 13, [3, 15, 9], [1, 11, 13]),
        ("larger", 14, [3, 5, 3], [3, 21, 33]),
        ("column", 13, [1, 31, 1], [1, 29, 3]),
        ("row", 13, [3, 1, 37], [3, 2, 32]),
        ("one_of_a_batch", 1, [3, 32, 32], [3, 32, 32]),
    ];
    let case = |(what, batch, stored, input)| Case::new(Op::Augment(geometry(batch, stored, input)), what, 4);
    let mut cases: Vec<Case> = geometries.into_iter().map(case).collect();
    cases.push(case(("crops", 7, [3, 23, 29], [3, 16, 21])).with_data(Data::Crops));
    cases
}
