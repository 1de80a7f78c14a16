//! Convolutions and linear layers large enough to be cut up, against plain loops in f64.

use super::{assert_close, normal};
use crate::cpu::conv2d::{conv2d_forward, conv2d_grad_input, conv2d_grad_weight};
use crate::cpu::correlation::Correlation;
use crate::cpu::layout::{Layout, Layouts, to_blocks, to_plain};
use crate::cpu::linear::{linear_forward, linear_grad_input, linear_grad_weight};
use crate::cpu::memory::Memory;
use crate::cpu::options::CpuOptions;
use crate::cpu::winograd::{self, Pass, Tile};
use crate::ops::{Conv2d, Linear};

/// Calls `f` with the places in x, w and y of every product that a convolution consists of.
fn each_product(d: &Conv2d, mut f: impl FnMut(usize, usize, usize)) {
    let (h_out, w_out, c_in, c_out) = (d.h_out(), d.w_out(), d.c_in_group(), d.c_out_group());
    let [kernel_h, kernel_w] = d.kernel;
    for n in 0..d.batch {
        for co in 0..d.c_out {
            for (oy, ox) in (0..h_out).flat_map(|oy| (0..w_out).map(move |ox| (oy, ox))) {
                let y = ((n * d.c_out + co) * h_out + oy) * w_out + ox;
                for ci in 0..c_in {
                    let plane = n * d.c_in + co / c_out * c_in + ci;
                    for (ky, kx) in (0..kernel_h).flat_map(|ky| (0..kernel_w).map(move |kx| (ky, kx))) {
                        let row = (oy * d.stride[0] + ky * d.dilation[0]).checked_sub(d.pad[0]);
                        let column = (ox * d.stride[1] + kx * d.dilation[1]).checked_sub(d.pad[1]);
                        let (Some(row), Some(column)) = (row, column) else { continue };
                        if row < d.h_in && column < d.w_in {
                            let w = ((co * c_in + ci) * kernel_h + ky) * kernel_w + kx;
                            f((plane * d.h_in + row) * d.w_in + column, w, y);
                        }
                    }
                }
            }
        }
    }
}

const PLAIN_LAYOUTS: Layouts = Layouts { x: Layout::Plain, y: Layout::Plain };
const BLOCKS: Layouts = Layouts { x: Layout::Blocks, y: Layout::Blocks };

/// How the three passes are computed.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Directly, or one channel to a group by the kernel for that.
    Direct(Layouts),
    /// By Winograd's algorithm, whether it pays or not.
    Winograd(Tile),
}

/// `values` of images of `pixels` pixels, in `layout`.
fn laid_out(layout: Layout, pixels: usize, values: &[f32]) -> Vec<f32> {
    let mut blocks = vec![f32::NAN; values.len()];
    match layout {
        Layout::Plain => blocks.copy_from_slice(values),
        Layout::Blocks => to_blocks(pixels, values, &mut blocks),
    }
    blocks
}

/// The reverse of [`laid_out`].
fn read(layout: Layout, pixels: usize, values: &[f32]) -> Vec<f32> {
    let mut plain = vec![f32::NAN; values.len()];
    match layout {
        Layout::Plain => plain.copy_from_slice(values),
        Layout::Blocks => to_plain(pixels, values, &mut plain),
    }
    plain
}

/// y, dx and dw as they are found and as they should be.
fn passes(d: Conv2d, way: Way) -> [(&'static str, Vec<f32>, Vec<f64>); 3] {
    let (x_len, w_len) = (d.x_shape().iter().product(), d.w_shape().iter().product());
    let y_len: usize = d.y_shape().iter().product();
    let (x, w, b, dy) = (normal(x_len, 0), normal(w_len, 1), normal(d.c_out, 2), normal(y_len, 3));
    let product = |a: f32, b: f32| f64::from(a) * f64::from(b);

    let inner = d.h_out() * d.w_out();
    let mut y: Vec<f64> =
        (0..y_len).map(|i| if d.bias { f64::from(b[i / inner % d.c_out]) } else { 0.0 }).collect();
    let (mut dx, mut dw) = (vec![0.0; x_len], vec![0.0; w_len]);
    each_product(&d, |i, j, k| {
        y[k] += product(x[i], w[j]);
        dx[i] += product(dy[k], w[j]);
        dw[j] += product(dy[k], x[i]);
    });
    if d.relu {
        y.iter_mut().for_each(|v| *v = v.max(0.0));
    }

    let layouts = match way {
        Way::Direct(layouts) => layouts,
        Way::Winograd(_) => BLOCKS,
    };
    let (inputs, outputs) = (d.h_in * d.w_in, d.h_out() * d.w_out());
    let (x, dy) = (laid_out(layouts.x, inputs, &x), laid_out(layouts.y, outputs, &dy));
    // What is left in the workspace is not to be taken for a value.
    let mut workspace = Memory::zeros(1 << 20).expect("memory");
    workspace.fill(f32::NAN);
    let (mut found_y, mut found_dx) = (vec![f32::NAN; y_len], vec![f32::NAN; x_len]);
    let mut found_dw = vec![f32::NAN; w_len];
    let b = d.bias.then_some(b.as_slice());
    match way {
        Way::Direct(layouts) => {
            let options = CpuOptions { winograd: false };
            conv2d_forward(&d, layouts, options, &x, &w, b, &mut workspace, &mut found_y);
            conv2d_grad_input(&d, layouts, options, &dy, &w, &mut workspace, &mut found_dx);
            conv2d_grad_weight(&d, layouts, options, &x, &dy, &mut workspace, &mut found_dw);
        }
        Way::Winograd(tile) => {
            let (forward, backward) = (Correlation::new(&d), Correlation::turned(&d));
            assert!(winograd::knows(&forward, tile) && winograd::knows(&backward, tile), "{d:?}");
            winograd::forward(&d, tile, &x, &w, b, &mut workspace, &mut found_y);
            winograd::grad_input(&d, tile, &dy, &w, &mut workspace, &mut found_dx);
            winograd::grad_weight(&d, tile, &x, &dy, &mut workspace, &mut found_dw);
        }
    }
    let (found_y, found_dx) = (read(layouts.y, outputs, &found_y), read(layouts.x, inputs, &found_dx));
    [("y", found_y, y), ("dx", found_dx, dx), ("dw", found_dw, dw)]
}

fn check(d: Conv2d, way: Way) {
    for (name, found, expected) in passes(d, way) {
        assert_close(&format!("{name} of {d:?}, {way:?}"), &found, &expected, 1e-5);
    }
}

/// Directly, in every layout that the channels allow.
fn check_directly(d: Conv2d) {
    for x in [Layout::Plain, Layout::Blocks] {
        for y in [Layout::Plain, Layout::Blocks] {
            // No block of channels may be shared by two groups, unless each channel is one.
            let is_whole = |channels: usize| (channels / d.groups).is_multiple_of(16);
            let is_possible = |layout, channels| layout == Layout::Plain || is_whole(channels);
            let is_depthwise = d.groups == d.c_in && d.c_out == d.c_in && d.c_in.is_multiple_of(16);
            let are_blocks = x == Layout::Blocks && y == Layout::Blocks;
            if is_possible(x, d.c_in) && is_possible(y, d.c_out) || is_depthwise && are_blocks {
                check(d, Way::Direct(Layouts { x, y }));
            }
        }
    }
}

const PLAIN: Conv2d = Conv2d {
    batch: 1,
    c_in: 1,
    h_in: 1,
    w_in: 1,
    c_out: 1,
    kernel: [3, 3],
    stride: [1, 1],
    pad: [1; 4],
    dilation: [1, 1],
    groups: 1,
    bias: true,
    relu: true,
};

#[test]
fn tiles_that_span_images_and_sums_in_several_pieces() {
    // 35 images of 7 x 5 pixels: tasks of two images, and a last one of one; 62 channels make sums of 558 terms.
    check_directly(Conv2d { batch: 35, c_in: 62, h_in: 7, w_in: 5, c_out: 19, ..PLAIN });
}

#[test]
fn an_image_of_several_tiles() {
    check_directly(Conv2d { batch: 2, c_in: 3, h_in: 61, w_in: 70, c_out: 5, ..PLAIN });
    check_directly(Conv2d { batch: 1, c_in: 58, h_in: 33, w_in: 29, c_out: 70, ..PLAIN });
}

#[test]
fn steps_dilation_groups_and_uneven_padding() {
    let d = Conv2d { batch: 33, c_in: 12, h_in: 17, w_in: 14, c_out: 8, groups: 2, ..PLAIN };
    check_directly(Conv2d { kernel: [3, 5], stride: [2, 3], pad: [1, 2, 0, 3], ..d });
    check_directly(Conv2d { kernel: [2, 3], dilation: [3, 2], pad: [3, 0, 1, 5], ..d });
    check_directly(Conv2d { kernel: [1, 2], stride: [4, 5], pad: [0; 4], ..d });
    check_directly(Conv2d {
        kernel: [5, 5],
        stride: [2, 1],
        dilation: [1, 2],
        pad: [6, 4, 6, 4],
        groups: 4,
        ..d
    });
}

#[test]
fn one_tap_with_and_without_lowering() {
    let d = Conv2d { kernel: [1, 1], pad: [0; 4], c_in: 20, c_out: 24, ..PLAIN };
    check_directly(Conv2d { batch: 3, h_in: 23, w_in: 24, groups: 4, ..d });
    check_directly(Conv2d { batch: 20, h_in: 5, w_in: 4, ..d });
    check_directly(Conv2d { batch: 2, h_in: 30, w_in: 31, stride: [2, 2], ..d });
    check_directly(Conv2d { batch: 2, h_in: 12, w_in: 13, pad: [1; 4], ..d });
}

#[test]
fn linear_layers_of_several_blocks() {
    for (batch, inputs, outputs) in
        [(1, 900, 300), (2, 17, 3), (37, 1600, 290), (130, 800, 33), (64, 40, 10), (300, 20, 5)]
    {
        let d = Linear { batch, inputs, outputs, bias: true, relu: true };
        let (x, w) = (normal(batch * inputs, 0), normal(outputs * inputs, 1));
        let (b, dy) = (normal(outputs, 2), normal(batch * outputs, 3));
        let mut y: Vec<f64> = (0..batch * outputs).map(|i| f64::from(b[i % outputs])).collect();
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        for n in 0..batch {
            for o in 0..outputs {
                for i in 0..inputs {
                    let (x, w) = (f64::from(x[n * inputs + i]), f64::from(w[o * inputs + i]));
                    let dy = f64::from(dy[n * outputs + o]);
                    y[n * outputs + o] += x * w;
                    dx[n * inputs + i] += dy * w;
                    dw[o * inputs + i] += dy * x;
                }
            }
        }
        y.iter_mut().for_each(|v| *v = v.max(0.0));
        let mut workspace = Memory::zeros(1 << 20).expect("memory");
        workspace.fill(f32::NAN);
        let mut found = vec![f32::NAN; y.len()];
        linear_forward(&d, &x, &w, Some(&b), &mut workspace, &mut found);
        assert_close("y", &found, &y, 1e-5);
        let mut found = vec![f32::NAN; x.len()];
        linear_grad_input(&d, &dy, &w, &mut workspace, &mut found);
        assert_close("dx", &found, &dx, 1e-5);
        let mut found = vec![f32::NAN; w.len()];
        linear_grad_weight(&d, &x, &dy, &mut found);
        assert_close("dw", &found, &dw, 1e-5);
    }
}

/// Blocks of channels: whole, ragged and several to a tile, in one group and in several, with and without copies.
#[test]
fn blocks_of_channels() {
    let d = Conv2d { batch: 5, c_in: 48, h_in: 9, w_in: 11, c_out: 80, ..PLAIN };
    let geometries = [
        d,
        Conv2d { batch: 40, h_in: 3, w_in: 2, ..d },
        Conv2d { c_in: 16, c_out: 192, stride: [2, 3], pad: [1, 2, 0, 3], ..d },
        Conv2d { c_in: 32, c_out: 64, kernel: [2, 3], dilation: [3, 2], pad: [3, 0, 1, 5], bias: false, ..d },
        Conv2d { c_in: 64, c_out: 96, groups: 2, ..d },
        Conv2d { c_in: 48, c_out: 96, groups: 4, stride: [2, 2], ..d },
        Conv2d { c_in: 96, c_out: 32, kernel: [1, 1], pad: [0; 4], relu: false, ..d },
        Conv2d { c_in: 16, c_out: 16, kernel: [1, 1], pad: [0; 4], stride: [3, 2], ..d },
        Conv2d { c_in: 16, c_out: 16, h_in: 64, w_in: 70, batch: 1, kernel: [5, 5], pad: [2; 4], ..d },
        Conv2d { c_in: 3, c_out: 64, h_in: 39, w_in: 41, kernel: [11, 11], stride: [4, 4], pad: [2; 4], ..d },
        Conv2d { c_in: 1, c_out: 16, kernel: [5, 5], pad: [2; 4], ..d },
        Conv2d { c_in: 64, c_out: 10, ..d },
        Conv2d { batch: 1, c_in: 16, c_out: 256, h_in: 6, w_in: 6, ..d },
    ];
    for d in geometries {
        check_directly(d);
    }
}

#[test]
fn one_channel_to_a_group() {
    let d = Conv2d { batch: 3, c_in: 48, h_in: 9, w_in: 11, c_out: 48, groups: 48, ..PLAIN };
    let geometries = [
        d,
        Conv2d { kernel: [5, 5], pad: [2; 4], batch: 20, ..d },
        Conv2d { stride: [2, 2], relu: false, ..d },
        Conv2d { kernel: [3, 2], dilation: [2, 3], pad: [1, 0, 2, 3], bias: false, ..d },
        Conv2d {
            h_in: 70,
            w_in: 65,
            batch: 1,
            kernel: [7, 7],
            pad: [3; 4],
            c_in: 16,
            c_out: 16,
            groups: 16,
            ..d
        },
        Conv2d { c_in: 16, c_out: 32, groups: 16, ..d },
    ];
    for d in geometries {
        check_directly(d);
    }
}

/// Networks' own geometries and others: several images to a plane and one, seams, groups, one block and several to a tile.
#[test]
fn winograd_for_every_geometry() {
    let three = Conv2d { batch: 9, c_in: 48, h_in: 13, w_in: 13, c_out: 32, ..PLAIN };
    let five =
        Conv2d { kernel: [5, 5], pad: [2; 4], batch: 3, c_in: 32, h_in: 27, w_in: 27, c_out: 16, ..PLAIN };
    let geometries = [
        three,
        Conv2d { batch: 37, h_in: 5, w_in: 3, ..three },
        Conv2d { batch: 40, h_in: 6, w_in: 6, c_in: 16, c_out: 80, ..three },
        Conv2d { groups: 2, c_in: 96, c_out: 64, bias: false, relu: false, ..three },
        Conv2d { pad: [0, 1, 2, 1], h_in: 12, w_in: 30, ..three },
        Conv2d { pad: [0; 4], ..three },
        Conv2d { batch: 2, h_in: 40, w_in: 35, c_in: 16, c_out: 48, ..three },
        Conv2d { batch: 1, c_out: 256, c_in: 16, ..three },
        five,
        Conv2d { pad: [0, 4, 4, 0], ..five },
        Conv2d { batch: 20, h_in: 7, w_in: 6, groups: 2, c_in: 32, c_out: 64, ..five },
    ];
    for d in geometries {
        let tiles = if d.kernel == [3, 3] {
            &[Tile::F2x3, Tile::F3x3, Tile::F4x3][..]
        } else {
            &[Tile::F2x5, Tile::F4x5]
        };
        for &tile in tiles {
            check(d, Way::Winograd(tile));
        }
    }
}

/// The bounds that `winograd` states, with as many channels as AlexNet has, and for sums over many tiles.
#[test]
fn rounding_stays_within_what_is_stated() {
    let three = Conv2d { h_in: 13, w_in: 13, ..PLAIN };
    let five = Conv2d { kernel: [5, 5], pad: [2; 4], h_in: 27, w_in: 27, ..PLAIN };
    let geometries = [
        (Conv2d { batch: 4, c_in: 192, c_out: 64, ..three }, 2e-6),
        (Conv2d { batch: 256, c_in: 16, c_out: 16, ..three }, 2e-6),
        (Conv2d { batch: 2, c_in: 64, c_out: 32, ..five }, 4e-6),
        (Conv2d { batch: 64, c_in: 16, c_out: 16, ..five }, 4e-6),
    ];
    for (d, bound) in geometries {
        let tiles = if d.kernel == [3, 3] {
            &[Tile::F2x3, Tile::F3x3, Tile::F4x3][..]
        } else {
            &[Tile::F2x5, Tile::F4x5]
        };
        let filtered = tiles.iter().map(|&tile| (Way::Winograd(tile), bound));
        for (way, bound) in filtered.chain([(Way::Direct(BLOCKS), 1e-6), (Way::Direct(PLAIN_LAYOUTS), 1e-6)])
        {
            for (name, found, expected) in passes(d, way) {
                let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
                let pairs = found.iter().zip(&expected);
                let error = squares(&mut pairs.map(|(&f, e)| f64::from(f) - e));
                let error = (error / squares(&mut expected.iter().copied())).sqrt();
                println!("{name}: {error:.1e} of {bound:.0e}, {way:?}, {:?}, {} channels", d.kernel, d.c_in);
                assert!(error <= bound, "{name} of {d:?}, {way:?}: {error:.1e} of the norm");
            }
        }
    }
}

#[test]
fn winograd_is_taken_where_it_pays_only() {
    let best = |d: &Conv2d, pass| winograd::best(d, BLOCKS, CpuOptions::default(), pass);
    let passes = [Pass::Forward, Pass::GradInput, Pass::GradWeight];
    // The first is the case of the self-test that is there for it.
    let d = Conv2d { batch: 8, c_in: 96, h_in: 13, w_in: 13, c_out: 128, ..PLAIN };
    let five =
        Conv2d { batch: 2, c_in: 96, h_in: 27, w_in: 27, c_out: 128, kernel: [5, 5], pad: [2; 4], ..PLAIN };
    for d in [d, five] {
        assert!(passes.iter().all(|&pass| best(&d, pass).is_some()), "{d:?}");
        assert_eq!(winograd::best(&d, PLAIN_LAYOUTS, CpuOptions::default(), Pass::Forward), None);
        assert_eq!(winograd::best(&d, BLOCKS, CpuOptions { winograd: false }, Pass::Forward), None);
    }
    // Two tiles of three cover six pixels.
    let six = Conv2d { batch: 64, c_in: 64, h_in: 6, w_in: 6, c_out: 64, ..PLAIN };
    assert_eq!(best(&six, Pass::Forward), Some(Tile::F3x3));
    let others = [
        Conv2d { stride: [2, 2], ..d },
        Conv2d { dilation: [2, 2], pad: [2; 4], ..d },
        Conv2d { pad: [3; 4], ..d },
        Conv2d { kernel: [1, 1], pad: [0; 4], ..d },
        Conv2d { kernel: [3, 5], ..d },
        Conv2d { c_in: 24, ..d },
        Conv2d { batch: 1, c_in: 512, c_out: 512, h_in: 7, w_in: 7, ..d },
    ];
    for d in others {
        assert!(passes.iter().all(|&pass| best(&d, pass).is_none()), "{d:?}");
    }
}

/// One chain of 70,001 additions of 0.1 errs by 6.4e-4.
#[test]
fn very_long_sums_are_added_up_in_parts() {
    let c_in = 70_001;
    let d = Conv2d {
        batch: 1,
        c_in,
        h_in: 1,
        w_in: 1,
        c_out: 2,
        kernel: [1, 1],
        stride: [1, 1],
        pad: [0; 4],
        dilation: [1, 1],
        groups: 1,
        bias: false,
        relu: false,
    };
    let (x, w) = (vec![1.0; c_in], vec![0.1; 2 * c_in]);
    let mut y = vec![f32::NAN; 2];
    conv2d_forward(&d, PLAIN_LAYOUTS, CpuOptions::default(), &x, &w, None, &mut Memory::new(), &mut y);
    let exact = c_in as f64 * f64::from(0.1f32);
    for y in y {
        let error = ((f64::from(y) - exact) / exact).abs();
        assert!(error < 1e-4, "{error}");
    }
}
