//! Pictures looked at through views, the words of a view taken apart by their numbers.

use crate::ops::Augment;

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

pub(super) fn augment(d: &Augment, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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
