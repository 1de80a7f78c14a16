//! Operators in blocks of channels against the plain layout, and the same bits on any number of threads.

use super::normal;
use crate::cpu::adaptive_avg_pool2d::*;
use crate::cpu::batch_norm::*;
use crate::cpu::bias_grad::bias_grad;
use crate::cpu::layout::{BLOCK, Layout, to_blocks, to_plain};
use crate::cpu::local_response_norm::*;
use crate::cpu::pool2d::*;
use crate::ops::{AdaptiveAvgPool2d, BatchNorm2d, BiasGrad, Hyper, LocalResponseNorm, Pool2d};

/// Batches and channels.
const SIZES: [(usize, usize); 4] = [(1, 48), (5, 16), (5, 80), (1, 16)];

/// An operator's operands and results: with how many pixels in a plane, or 0 where the layout does not matter.
type Values = Vec<(usize, Vec<f32>)>;

/// Runs `op` on `inputs` in both layouts, the blocks on 1, 2 and 4 threads, and gives both results in the plain one.
/// `outputs` are the contents of what `op` writes before it runs.
fn both(
    what: &str,
    inputs: &Values,
    outputs: &Values,
    op: impl Fn(Layout, &[Vec<f32>], &mut [Vec<f32>]) + Sync,
) -> Vec<(Vec<f32>, Vec<f32>)> {
    let values = |values: &Values, change: fn(usize, &[f32], &mut [f32])| -> Vec<Vec<f32>> {
        let changed = |(pixels, values): &(usize, Vec<f32>)| {
            let mut changed = values.clone();
            if *pixels > 0 {
                change(*pixels, values, &mut changed);
            }
            changed
        };
        values.iter().map(changed).collect()
    };
    let mut plain = values(outputs, |_, from, to| to.copy_from_slice(from));
    op(Layout::Plain, &values(inputs, |_, from, to| to.copy_from_slice(from)), &mut plain);
    let blocks = [1, 2, 4].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let mut found = values(outputs, to_blocks);
        pool.install(|| op(Layout::Blocks, &values(inputs, to_blocks), &mut found));
        let found = found.into_iter().zip(outputs).map(|(found, &(pixels, _))| (pixels, found)).collect();
        values(&found, to_plain)
    });
    let bits =
        |values: &Vec<Vec<f32>>| -> Vec<u32> { values.iter().flatten().map(|v| v.to_bits()).collect() };
    for found in &blocks[1..] {
        assert_eq!(bits(found), bits(&blocks[0]), "{what}: the bits depend on the number of threads");
    }
    let [blocks, ..] = blocks;
    plain.into_iter().zip(blocks).collect()
}

/// What an operator must overwrite.
fn unset(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

fn assert_same(what: &str, results: &[(Vec<f32>, Vec<f32>)]) {
    for (k, (plain, blocks)) in results.iter().enumerate() {
        for (i, (p, b)) in plain.iter().zip(blocks).enumerate() {
            let same = p.to_bits() == b.to_bits() || (p.is_nan() && b.is_nan());
            assert!(same, "{what}: output {k}, element {i}: {p} in the plain layout, {b} in blocks");
        }
    }
}

/// Fails unless every element differs by less than 2e-6 of the largest.
fn assert_near(what: &str, results: &[(Vec<f32>, Vec<f32>)]) {
    for (k, (plain, blocks)) in results.iter().enumerate() {
        let size = plain.iter().fold(1e-30f32, |size, v| size.max(v.abs()));
        for (i, (p, b)) in plain.iter().zip(blocks).enumerate() {
            assert!(
                (p - b).abs() <= 2e-6 * size,
                "{what}: output {k}, element {i}: {p} in the plain layout, {b} in blocks"
            );
        }
    }
}

fn pools() -> Vec<Pool2d> {
    let mut pools = Vec::new();
    for (batch, channels) in SIZES {
        for (h_in, w_in, kernel, stride, pad, ceil) in [
            (13, 13, [3, 3], [2, 2], [0; 4], false),
            (28, 27, [3, 3], [2, 2], [0, 0, 1, 1], true),
            (9, 14, [3, 3], [2, 2], [1; 4], false),
            (11, 8, [2, 2], [2, 2], [0; 4], true),
            (7, 5, [2, 3], [1, 1], [1, 1, 0, 1], false),
            (12, 17, [3, 2], [4, 5], [1, 0, 1, 0], true),
            (9, 9, [9, 9], [1, 1], [0; 4], false),
            (10, 7, [7, 7], [1, 1], [3; 4], false),
            (64, 70, [3, 5], [1, 2], [1, 2, 1, 2], false),
        ] {
            let d =
                Pool2d { batch, channels, h_in, w_in, kernel, stride, pad, ceil, count_include_pad: true };
            pools.extend([d, Pool2d { count_include_pad: false, ..d }]);
        }
    }
    pools
}

/// Values with ties, and with NaNs and minus infinities among them.
fn rugged(len: usize) -> Vec<f32> {
    let mut values: Vec<f32> = normal(len, 1).iter().map(|v| (v * 4.0).round()).collect();
    for (i, v) in values.iter_mut().enumerate() {
        match i % 1009 {
            0..300 => *v = f32::NEG_INFINITY,
            400 | 401 | 450 | 499 => *v = f32::NAN,
            500 => *v = f32::INFINITY,
            _ => {}
        }
    }
    values
}

#[test]
fn max_pooling_has_the_same_winners() {
    for d in pools() {
        let what = format!("{d:?}");
        let (inputs, outputs) = (d.h_in * d.w_in, d.h_out() * d.w_out());
        let planes = d.batch * d.channels;
        let x = rugged(planes * inputs);
        let y = unset(planes * outputs);
        let forward =
            both(&what, &vec![(inputs, x)], &vec![(outputs, y.clone()), (outputs, y)], |l, i, o| {
                let (y, index) = o.split_at_mut(1);
                max_pool2d_forward(&d, l, &i[0], &mut y[0], &mut index[0]);
            });
        assert_same(&what, &forward);
        let (index, dy) = (forward[1].0.clone(), normal(planes * outputs, 2));
        let dx = unset(planes * inputs);
        let backward = both(&what, &vec![(outputs, index), (outputs, dy)], &vec![(inputs, dx)], |l, i, o| {
            max_pool2d_backward(&d, l, &i[0], &i[1], &mut o[0]);
        });
        assert_same(&what, &backward);
    }
}

#[test]
fn average_pooling_has_the_same_averages() {
    for d in pools() {
        let what = format!("{d:?}");
        let (inputs, outputs) = (d.h_in * d.w_in, d.h_out() * d.w_out());
        let planes = d.batch * d.channels;
        let (x, dy) = (normal(planes * inputs, 1), normal(planes * outputs, 2));
        let forward = both(&what, &vec![(inputs, x)], &vec![(outputs, unset(dy.len()))], |l, i, o| {
            avg_pool2d_forward(&d, l, &i[0], &mut o[0]);
        });
        assert_near(&what, &forward);
        let dx = unset(planes * inputs);
        let backward = both(&what, &vec![(outputs, dy)], &vec![(inputs, dx)], |l, i, o| {
            avg_pool2d_backward(&d, l, &i[0], &mut o[0]);
        });
        assert_near(&what, &backward);
    }
}

#[test]
fn adaptive_pooling_has_the_same_averages() {
    for (batch, channels) in SIZES {
        for (h_in, w_in, h_out, w_out) in [
            (6, 6, 6, 6),
            (13, 9, 6, 6),
            (7, 7, 1, 1),
            (3, 5, 7, 6),
            (1, 1, 2, 3),
            (90, 95, 1, 1),
            (1, 1, 70, 70),
        ] {
            let d = AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out };
            let what = format!("{d:?}");
            let (inputs, outputs, planes) = (h_in * w_in, h_out * w_out, batch * channels);
            let (x, dy) = (normal(planes * inputs, 1), normal(planes * outputs, 2));
            let forward = both(&what, &vec![(inputs, x)], &vec![(outputs, unset(dy.len()))], |l, i, o| {
                adaptive_avg_pool2d_forward(&d, l, &i[0], &mut o[0]);
            });
            assert_near(&what, &forward);
            let dx = unset(planes * inputs);
            let backward = both(&what, &vec![(outputs, dy)], &vec![(inputs, dx)], |l, i, o| {
                adaptive_avg_pool2d_backward(&d, l, &i[0], &mut o[0]);
            });
            assert_near(&what, &backward);
        }
    }
}

/// Batch normalisation and the gradient of a bias, with `rows` real rows.
fn check_sums(batch: usize, channels: usize, inner: usize, rows: usize, relu: bool) {
    let d = BatchNorm2d { batch, channels, inner, eps: 1e-5, momentum: 0.1, relu };
    let what = format!("{d:?}, {rows} rows");
    let len = batch * channels * inner;
    let x: Vec<f32> = normal(len, 1).iter().map(|v| 0.5 * v + 1.5).collect();
    let (dy, hyper) = (normal(len, 2), Hyper { rows: rows as u32, ..Hyper::default() }.as_words().to_vec());
    let [w, b, running] = [3, 4, 5].map(|i| normal(channels, i));
    let small = || (0, unset(channels));
    let outputs = vec![small(), small(), (0, running.clone()), (0, running)];
    let stats = both(&what, &vec![(inner, x.clone()), (0, hyper.clone())], &outputs, |l, i, o| {
        if let [mean, var, running_mean, running_var] = o {
            batch_norm2d_stats(&d, l, &i[0], &i[1], mean, var, running_mean, running_var);
        }
    });
    assert_near(&what, &stats);
    let (mean, var) = (stats[0].0.clone(), stats[1].0.clone());
    let inputs = vec![(inner, x.clone()), (0, w.clone()), (0, b), (0, mean.clone()), (0, var.clone())];
    let forward = both(&what, &inputs, &vec![(inner, unset(len))], |l, i, o| {
        batch_norm2d_forward(&d, l, &i[0], &i[1], &i[2], &i[3], &i[4], &mut o[0]);
    });
    assert_same(&what, &forward);
    let inputs =
        vec![(inner, x.clone()), (0, w), (0, mean), (0, var), (inner, dy.clone()), (0, hyper.clone())];
    let gradients = both(&what, &inputs, &vec![small(), small(), (0, unset(4 * channels))], |l, i, o| {
        if let [dw, db, coefficients] = o {
            batch_norm2d_grad_parameters(
                &d,
                l,
                &i[0],
                &i[1],
                &i[2],
                &i[3],
                &i[4],
                &i[5],
                dw,
                db,
                coefficients,
            );
        }
    });
    assert_near(&what, &gradients);
    let inputs = vec![(inner, x), (0, gradients[2].0.clone()), (inner, dy.clone()), (0, hyper)];
    let backward = both(&what, &inputs, &vec![(inner, unset(len))], |l, i, o| {
        batch_norm2d_grad_input(&d, l, &i[0], &i[1], &i[2], &i[3], &mut o[0]);
    });
    assert_same(&what, &backward);
    let d = BiasGrad { batch, channels, inner };
    let bias = both(&what, &vec![(inner, dy)], &vec![small()], |l, i, o| bias_grad(&d, l, &i[0], &mut o[0]));
    assert_near(&what, &bias);
}

#[test]
fn sums_over_pixels_are_the_same() {
    for (batch, channels) in SIZES {
        for (i, inner) in [169, 1, 36, 3, 1024, 2500, 35 * 33].into_iter().enumerate() {
            check_sums(batch, channels, inner, batch, i % 2 == 0);
        }
    }
    check_sums(64, 48, 169, 64, true);
    check_sums(64, 16, 36, 45, true);
    check_sums(5, 32, 2000, 2, false);
    check_sums(5, 32, 20, 0, false);
    check_sums(300, 16, 1, 290, false);
}

#[test]
fn a_variance_far_from_zero_keeps_its_digits() {
    let (batch, inner) = (8, 500);
    let d = BatchNorm2d { batch, channels: BLOCK, inner, eps: 1e-5, momentum: 0.1, relu: false };
    let hyper = Hyper { rows: batch as u32, ..Hyper::default() };
    // Images differ in their mean, so the parts do as well; one channel is constant, one is not finite.
    let mut x: Vec<f32> = normal(batch * BLOCK * inner, 1);
    for (i, v) in x.iter_mut().enumerate() {
        match i / inner % BLOCK {
            0 => *v = 0.1,
            1 => *v = if i / inner / BLOCK == 3 { f32::INFINITY } else { *v },
            _ => *v += 1000.0 + (i / inner / BLOCK) as f32,
        }
    }
    let mut blocks = unset(x.len());
    to_blocks(inner, &x, &mut blocks);
    let [mut mean, mut var, mut running_mean, mut running_var] = [0.0; 4].map(|v| vec![v; BLOCK]);
    let words = hyper.as_words();
    batch_norm2d_stats(
        &d,
        Layout::Blocks,
        &blocks,
        words,
        &mut mean,
        &mut var,
        &mut running_mean,
        &mut running_var,
    );
    assert!((mean[0] - 0.1).abs() < 1e-7 && (0.0..1e-14).contains(&var[0]), "{} {}", mean[0], var[0]);
    assert!(mean[1] == f32::INFINITY && var[1].is_nan(), "{} {}", mean[1], var[1]);
    for c in 2..BLOCK {
        let values = || (0..batch * inner).map(|i| f64::from(x[(i / inner * BLOCK + c) * inner + i % inner]));
        let n = (batch * inner) as f64;
        let centre = values().sum::<f64>() / n;
        let expected = values().map(|v| (v - centre) * (v - centre)).sum::<f64>() / n;
        let error = (f64::from(var[c]) - expected).abs() / expected;
        assert!(error < 1e-6, "channel {c}: expected {expected}, found {}", var[c]);
    }
}

#[test]
fn windows_of_channels_cross_the_blocks() {
    for (batch, channels) in SIZES {
        for (size, inner, beta) in
            [(5, 35, 0.75), (1, 16, 0.5), (2, 1, 0.75), (4, 17, 1.0), (19, 49, 0.75), (200, 20, 0.6)]
        {
            let d = LocalResponseNorm { batch, channels, inner, size, alpha: 0.3, beta, k: 2.0 };
            let what = format!("{d:?}");
            let len = batch * channels * inner;
            let [x, dy] = [1, 2].map(|i| normal(len, i));
            let y = || (inner, unset(len));
            let forward = both(&what, &vec![(inner, x.clone())], &vec![y(), y()], |l, i, o| {
                let (y, scale) = o.split_at_mut(1);
                local_response_norm_forward(&d, l, &i[0], &mut y[0], &mut scale[0]);
            });
            assert_same(&what, &forward);
            let inputs = vec![(inner, x), (inner, forward[1].0.clone()), (inner, dy)];
            let backward = both(&what, &inputs, &vec![y()], |l, i, o| {
                local_response_norm_backward(&d, l, &i[0], &i[1], &i[2], &mut o[0]);
            });
            assert_near(&what, &backward);
        }
    }
}
