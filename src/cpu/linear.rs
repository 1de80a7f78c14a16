//! Fully connected layers. The weights are by far the largest operand, so they are read where they lie, once; the
//! batch is what gets transposed and put together.

use super::memory::Memory;
use super::product::{Onto, View, product};
use crate::ops::Linear;
use rayon::prelude::*;

/// Columns of one product with a long row: 8 register tiles of the kernel, a factor that stays in the cache.
const COLUMNS: usize = 768;

/// Rows and columns that are transposed at once: a cache line of each.
const SQUARE: usize = 16;

/// y = x w^T (+ b) (then max(0, .)).
///
/// Computed as y^T = w x^T: batch rows are what the product's registers run along, and no weight is copied.
pub fn linear_forward(
    d: &Linear,
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    let Linear { batch, inputs, outputs, .. } = *d;
    let (columns, result) = workspace.reserve(batch * (inputs + outputs)).split_at_mut(batch * inputs);
    // Each task would otherwise transpose x for itself.
    let rows = outputs.div_ceil(16).next_multiple_of(4).clamp(32, 256);
    let shared = outputs > rows;
    if shared {
        transpose(x, batch, inputs, columns);
    }
    let x = if shared {
        View::new(columns, inputs, batch, batch)
    } else {
        View::new(x, batch, inputs, inputs).transposed()
    };
    result.par_chunks_mut(rows * batch).zip(w.par_chunks(rows * inputs)).for_each(|(result, w)| {
        let w = View::new(w, result.len() / batch, inputs, inputs);
        product(result, batch, Onto::Nothing, w, x);
    });
    transpose(result, outputs, batch, y);
    if b.is_some() || d.relu {
        y.par_chunks_mut(outputs).for_each(|y| finish(b, d.relu, y));
    }
}

/// y += b, then max(0, .) if `relu`.
fn finish(b: Option<&[f32]>, relu: bool, y: &mut [f32]) {
    if let Some(b) = b {
        for (y, &b) in y.iter_mut().zip(b) {
            *y += b;
        }
    }
    if relu {
        for y in y {
            // Not f32::max, which would turn a NaN into 0.
            *y = if *y < 0.0 { 0.0 } else { *y };
        }
    }
}

/// y `[cols, rows]` = the transpose of x `[rows, cols]`.
fn transpose(x: &[f32], rows: usize, cols: usize, y: &mut [f32]) {
    y.par_chunks_mut(SQUARE * rows).enumerate().for_each(|(i, y)| {
        let first = i * SQUARE;
        let count = y.len() / rows;
        for (j, block) in x.chunks(SQUARE * cols).enumerate() {
            let mut square = [[0.0f32; SQUARE]; SQUARE];
            for (square, line) in square.iter_mut().zip(block.chunks_exact(cols)) {
                square[..count].copy_from_slice(&line[first..first + count]);
            }
            for (c, line) in y.chunks_exact_mut(rows).enumerate() {
                for (v, square) in line[j * SQUARE..].iter_mut().zip(&square) {
                    *v = square[c % SQUARE];
                }
            }
        }
    });
}

/// dx = dy w.
pub fn linear_grad_input(d: &Linear, dy: &[f32], w: &[f32], workspace: &mut Memory, dx: &mut [f32]) {
    let Linear { batch, inputs, outputs, .. } = *d;
    // Tasks are blocks of columns; each needs its own place before the rows are put together.
    let columns = inputs.div_ceil(16).next_multiple_of(96).min(COLUMNS / 2).min(inputs);
    let result = workspace.reserve(inputs.div_ceil(columns) * batch * columns);
    let dy = View::new(dy, batch, outputs, outputs);
    result.par_chunks_mut(batch * columns).enumerate().for_each(|(i, result)| {
        let begin = i * columns;
        let w = View::new(&w[begin..], outputs, columns.min(inputs - begin), inputs);
        product(result, columns, Onto::Nothing, dy, w);
    });
    dx.par_chunks_mut(inputs).enumerate().for_each(|(n, dx)| {
        for (i, dx) in dx.chunks_mut(columns).enumerate() {
            dx.copy_from_slice(&result[(i * batch + n) * columns..][..dx.len()]);
        }
    });
}

/// dw = dy^T x.
pub fn linear_grad_weight(d: &Linear, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let Linear { batch, inputs, outputs, .. } = *d;
    let rows = outputs.div_ceil(16).next_multiple_of(4).clamp(16, 64);
    dw.par_chunks_mut(rows * inputs).enumerate().for_each(|(i, dw)| {
        let count = dw.len() / inputs;
        let dy = View::new(&dy[i * rows..], batch, count, outputs).transposed();
        for begin in (0..inputs).step_by(COLUMNS) {
            let x = View::new(&x[begin..], batch, COLUMNS.min(inputs - begin), inputs);
            product(&mut dw[begin..], inputs, Onto::Nothing, dy, x);
        }
    });
}
