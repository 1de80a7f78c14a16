//! Images of a batch mixed with each other.

use super::OperatorCheck;
use crate::ops::{Hyper, Mix, Op};
use crate::verify::cases::{Case, Data, default_hyper};

pub fn mix(d: &Mix) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        mix_reference(d, hyper, inputs, outputs);
    };
    OperatorCheck::new(None, reference, |run| vec![error_scale(d, run.hyper, run.before)])
}

/// The element of `x` at the same place of the partner of image `n`.
fn partner(d: &Mix, hyper: &Hyper, x: &[f64], n: usize, at: usize) -> f64 {
    let before = if n == 0 { hyper.rows as usize - 1 } else { n - 1 };
    x[before * d.channels * d.height * d.width + at]
}

fn has_box(hyper: &Hyper) -> bool {
    hyper.mix_top < hyper.mix_bottom && hyper.mix_left < hyper.mix_right
}

fn mix_reference(d: &Mix, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    let weight = f64::from(hyper.mix_weight);
    for n in 0..d.batch {
        for c in 0..d.channels {
            for row in 0..d.height {
                for column in 0..d.width {
                    let at = (c * d.height + row) * d.width + column;
                    let i = n * d.channels * d.height * d.width + at;
                    outputs[0][i] = x[i];
                    if n >= hyper.rows as usize {
                        continue;
                    }
                    let other = partner(d, hyper, x, n, at);
                    let (top, bottom) = (hyper.mix_top as usize, hyper.mix_bottom as usize);
                    let (left, right) = (hyper.mix_left as usize, hyper.mix_right as usize);
                    if has_box(hyper) {
                        if row >= top && row < bottom && column >= left && column < right {
                            outputs[0][i] = other;
                        }
                    } else if weight != 1.0 {
                        outputs[0][i] = weight * x[i] + (1.0 - weight) * other;
                    }
                }
            }
        }
    }
}

/// Both terms of a weighted mean; copies are exact.
fn error_scale(d: &Mix, hyper: &Hyper, before: &[Vec<f64>]) -> Vec<f64> {
    let image = d.channels * d.height * d.width;
    let weight = f64::from(hyper.mix_weight);
    let size = |i: usize| {
        let n = i / image;
        if has_box(hyper) || weight == 1.0 || n >= hyper.rows as usize {
            return 0.0;
        }
        let other = partner(d, hyper, &before[0], n, i % image);
        weight * before[0][i].abs() + (1.0 - weight) * other.abs()
    };
    (0..before[0].len()).map(size).collect()
}

pub fn cases() -> Vec<Case> {
    let d = |batch, channels, height, width| Mix { batch, channels, height, width };
    let mean = |weight| (weight, [0, 0, 0, 0]);
    // Weight, and top, left, bottom, right.
    let of = |what: &str, d: Mix, rows: u32, (mix_weight, sides): (f32, [u32; 4])| {
        let [mix_top, mix_left, mix_bottom, mix_right] = sides;
        let hyper = Hyper { rows, mix_weight, mix_top, mix_left, mix_bottom, mix_right, ..default_hyper() };
        Case::new(Op::Mix(d), what, 2).with_hyper(hyper)
    };
    vec![
        of("one_pixel", d(2, 1, 1, 1), 2, mean(0.3)),
        of("one_image", d(1, 3, 5, 4), 1, mean(0.7)),
        of("mean", d(7, 3, 13, 11), 7, mean(0.21)),
        of("mean_part_of_a_batch", d(9, 3, 8, 9), 5, mean(0.5)),
        of("mean_one_of_a_batch", d(5, 1, 7, 3), 1, mean(0.9)),
        of("partner_alone", d(4, 2, 5, 6), 4, mean(0.0)),
        of("nothing", d(6, 3, 9, 7), 6, mean(1.0)),
        // Partners that are not finite do not matter.
        of("nothing_nan", d(6, 3, 9, 7), 6, mean(1.0)).with_data(Data::Nan),
        of("mean_nan", d(6, 3, 9, 7), 5, mean(0.4)).with_data(Data::Nan),
        of("box", d(7, 3, 13, 11), 7, (0.8, [2, 3, 9, 8])),
        of("box_part_of_a_batch", d(33, 3, 16, 17), 31, (0.6, [0, 5, 16, 6])),
        of("box_of_all", d(3, 2, 6, 5), 3, (0.0, [0, 0, 6, 5])),
        of("box_corner", d(5, 1, 31, 29), 4, (0.9, [30, 28, 31, 29])),
        of("empty_box", d(5, 3, 8, 8), 5, (1.0, [4, 4, 4, 7])),
    ]
}
