//! Images of a batch mixed with each other.

use super::simd::vectorised;
use crate::ops::{Hyper, Mix};
use rayon::prelude::*;

/// y from x: each image mixed with the one before it, as `hyper` says.
pub fn mix(d: &Mix, x: &[f32], hyper: &[f32], y: &mut [f32]) {
    let hyper = Hyper::from_words(hyper);
    let (image, rows) = (d.image(), (hyper.rows as usize).min(d.batch));
    let [top, left, bottom, right] =
        [hyper.mix_top, hyper.mix_left, hyper.mix_bottom, hyper.mix_right].map(|side| side as usize);
    let (bottom, right) = (bottom.min(d.height), right.min(d.width));
    let has_box = hyper.mix_bottom > hyper.mix_top && hyper.mix_right > hyper.mix_left;
    let weight = hyper.mix_weight;
    let of = |n: usize| &x[n * image..(n + 1) * image];
    y.par_chunks_mut(image).enumerate().for_each(|(n, y)| {
        y.copy_from_slice(of(n));
        if n >= rows {
            return;
        }
        let partner = of((n + rows - 1) % rows);
        if has_box {
            for (y, partner) in y
                .chunks_mut(d.width)
                .zip(partner.chunks(d.width))
                .enumerate()
                .filter_map(|(line, pair)| (top..bottom).contains(&(line % d.height)).then_some(pair))
            {
                if left < right {
                    y[left..right].copy_from_slice(&partner[left..right]);
                }
            }
        } else if weight != 1.0 {
            vectorised!(|| {
                for (y, partner) in y.iter_mut().zip(partner) {
                    *y = weight * *y + (1.0 - weight) * partner;
                }
            });
        }
    });
}
