//! Convolutions and pools: which pixels a window sees.

use super::*;

/// An image and windows on it. Padding is written out here by hand, not computed.
struct Windows {
    /// `[rows, channels, height, width]`.
    x: Vec<f32>,
    dims: [usize; 4],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

impl Windows {
    /// Two rows of `[4, 7, 8]`.
    fn new(kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4]) -> Self {
        let dims = [2, 4, 7, 8];
        Windows { x: numbers(dims.iter().product(), 5), dims, kernel, stride, dilation: [1, 1], pads }
    }

    fn outputs(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let span = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            let room = self.dims[axis + 2] + self.pads[axis] + self.pads[axis + 2] - span;
            room / self.stride[axis] + 1
        })
    }

    /// The pixels of one window, row by row; padding is `None`.
    fn window(&self, row: usize, channel: usize, [oy, ox]: [usize; 2]) -> Vec<Option<f64>> {
        let [_, channels, height, width] = self.dims;
        let at = |o: usize, k: usize, axis: usize| {
            (o * self.stride[axis] + k * self.dilation[axis]).checked_sub(self.pads[axis])
        };
        let taps = (0..self.kernel[0]).flat_map(|ky| (0..self.kernel[1]).map(move |kx| (ky, kx)));
        let pixel = |(ky, kx)| {
            let y = at(oy, ky, 0).filter(|&y| y < height)?;
            let x = at(ox, kx, 1).filter(|&x| x < width)?;
            Some(f64::from(self.x[((row * channels + channel) * height + y) * width + x]))
        };
        taps.map(pixel).collect()
    }

    /// What `each` makes of the windows, `[rows, planes, out, out]`; `each` receives the row, the plane and the place.
    fn map(&self, planes: usize, each: impl Fn(usize, usize, [usize; 2]) -> f64) -> Vec<f64> {
        let [height, width] = self.outputs();
        let mut all = Vec::new();
        for row in 0..self.dims[0] {
            for plane in 0..planes {
                for y in 0..height {
                    all.extend((0..width).map(|x| each(row, plane, [y, x])));
                }
            }
        }
        all
    }

    /// A convolution in `groups` with weights `[planes, channels / groups, kernel]`.
    fn conv(&self, weights: &[f32], bias: &[f32], groups: usize) -> Vec<f64> {
        let (depth, taps) = (self.dims[1] / groups, self.kernel[0] * self.kernel[1]);
        let per_group = bias.len() / groups;
        self.map(bias.len(), |row, plane, place| {
            let mut sum = f64::from(bias[plane]);
            for d in 0..depth {
                let window = self.window(row, plane / per_group * depth + d, place);
                let weights = &weights[(plane * depth + d) * taps..][..taps];
                sum += window.iter().zip(weights).map(|(x, w)| x.unwrap_or(0.0) * f64::from(*w)).sum::<f64>();
            }
            sum
        })
    }

    fn max(&self) -> Vec<f64> {
        self.map(self.dims[1], |row, channel, place| {
            self.window(row, channel, place).into_iter().flatten().fold(f64::NEG_INFINITY, f64::max)
        })
    }

    /// Padded zeros count, or (`among_pixels`) do not.
    fn average(&self, among_pixels: bool) -> Vec<f64> {
        self.map(self.dims[1], |row, channel, place| {
            let window = self.window(row, channel, place);
            let count = if among_pixels { window.iter().flatten().count() } else { window.len() };
            window.into_iter().flatten().sum::<f64>() / count as f64
        })
    }
}

/// An attribute of two numbers.
fn pair(name: &str, values: [usize; 2]) -> AttributeProto {
    ints(name, &values.map(|n| n as i64))
}

/// A pool over `[4, 7, 8]`.
fn pool(op_type: &str, kernel: [usize; 2], stride: [usize; 2], more: Vec<AttributeProto>) -> ModelProto {
    let attributes = [vec![pair("kernel_shape", kernel), pair("strides", stride)], more].concat();
    file(&[4, 7, 8], vec![node(op_type, &["x"], "y", attributes)], vec![])
}

/// Kernel, stride, and the padding of SAME_UPPER and of SAME_LOWER.
type Same = ([usize; 2], [usize; 2], [usize; 4], [usize; 4]);

/// Where the windows of SAME_UPPER and SAME_LOWER lie on 7 x 8 pixels, by hand from the standard: ceil(extent / stride) windows; if the padding is odd,
/// the larger half is at the end (UPPER) or at the beginning (LOWER).
const SAME: [Same; 5] = [
    // 7: 4 windows to 9, padding 2; 8: 4 windows to 9, padding 1.
    ([3, 3], [2, 2], [1, 0, 1, 1], [1, 1, 1, 0]),
    // 7: 7 windows to 8, padding 1; 8: 3 windows to 10, padding 2.
    ([2, 4], [1, 3], [0, 1, 1, 1], [1, 1, 0, 1]),
    // 7: 4 windows to 8, padding 1; 8: 4 windows to 8, none.
    ([2, 2], [2, 2], [0, 0, 1, 0], [1, 0, 0, 0]),
    // 7: 4 windows to 10, padding 3; 8: 3 windows to 11, padding 3.
    ([4, 5], [2, 3], [1, 1, 2, 2], [2, 2, 1, 1]),
    // Less than a stride is needed: no padding.
    ([1, 1], [2, 3], [0; 4], [0; 4]),
];

#[test]
fn auto_pad_of_pools() {
    for (kernel, stride, upper, lower) in SAME {
        for (mode, pads) in [("SAME_UPPER", upper), ("SAME_LOWER", lower), ("VALID", [0; 4])] {
            let windows = Windows::new(kernel, stride, pads);
            let same = vec![text("auto_pad", mode)];
            assert_answers(&pool("MaxPool", kernel, stride, same.clone()), &windows.x, &windows.max());
            let counting = [same, vec![int("count_include_pad", 1)]].concat();
            let average = pool("AveragePool", kernel, stride, counting);
            assert_answers(&average, &windows.x, &windows.average(false));
        }
    }
    let unknown = pool("MaxPool", [2, 2], [2, 2], vec![text("auto_pad", "SAME")]);
    assert!(refusal(&unknown).contains("attribute auto_pad: unknown value SAME"));
}

/// A convolution of `windows` with drawn weights, and its answer.
fn conv(windows: &Windows, groups: usize, more: Vec<AttributeProto>) -> (ModelProto, Vec<f64>) {
    let depth = windows.dims[1] / groups;
    let weights = numbers(6 * depth * windows.kernel[0] * windows.kernel[1], 7);
    let bias = numbers(6, 8);
    let dims = [6, depth as i64, windows.kernel[0] as i64, windows.kernel[1] as i64];
    let attributes = vec![
        pair("strides", windows.stride),
        pair("dilations", windows.dilation),
        int("group", groups as i64),
    ];
    let model = file(
        &[4, 7, 8],
        vec![node("Conv", &["x", "w", "b"], "y", [attributes, more].concat())],
        vec![floats("w", &dims, &weights), floats("b", &[6], &bias)],
    );
    (model, windows.conv(&weights, &bias, groups))
}

#[test]
fn auto_pad_of_convolutions() {
    let check = |windows: Windows, mode| {
        let (model, expected) = conv(&windows, 1, vec![text("auto_pad", mode)]);
        assert_answers(&model, &windows.x, &expected);
    };
    for (kernel, stride, upper, lower) in SAME {
        for (mode, pads) in [("SAME_UPPER", upper), ("SAME_LOWER", lower), ("VALID", [0; 4])] {
            check(Windows::new(kernel, stride, pads), mode);
        }
    }
    // Dilated by 2 a kernel of [3, 2] spans [5, 3]. 7: 4 windows to 11, padding 4; 8: 4 windows to 9, padding 1.
    for (mode, pads) in [("SAME_UPPER", [2, 0, 2, 1]), ("SAME_LOWER", [2, 1, 2, 0])] {
        check(Windows { dilation: [2, 2], ..Windows::new([3, 2], [2, 2], pads) }, mode);
    }
}

#[test]
fn padding_of_each_side() {
    let pads = [0, 3, 2, 1];
    let given = || vec![ints("pads", &pads.map(|n| n as i64))];
    for groups in [1, 2] {
        for dilation in [[1, 1], [2, 1]] {
            let windows = Windows { dilation, ..Windows::new([3, 2], [1, 2], pads) };
            let (model, expected) = conv(&windows, groups, given());
            assert_answers(&model, &windows.x, &expected);
        }
    }
    // Of a pool, at most half the window.
    let (kernel, stride, pads) = ([4, 6], [2, 3], [0, 3, 2, 1]);
    let windows = Windows::new(kernel, stride, pads);
    let given = vec![ints("pads", &pads.map(|n| n as i64))];
    assert_answers(&pool("MaxPool", kernel, stride, given.clone()), &windows.x, &windows.max());
    let counting = [given, vec![int("count_include_pad", 1)]].concat();
    assert_answers(&pool("AveragePool", kernel, stride, counting), &windows.x, &windows.average(false));
}

/// Averages that leave padding out, which is what other exporters write for "same": known where only the ends are padded and a window is cut off there.
#[test]
fn averages_of_pixels_alone() {
    let make =
        |kernel, stride, pads: [i64; 4]| pool("AveragePool", kernel, stride, vec![ints("pads", &pads)]);
    // 7: windows of 2 at 0, 2, 4 and 6, the last cut off; 8: at 0, 3 and 6.
    let windows = Windows::new([2, 2], [2, 3], [0, 0, 1, 0]);
    assert_answers(&make([2, 2], [2, 3], [0, 0, 1, 0]), &windows.x, &windows.average(true));
    // 8: windows of 3 at 0, 2, 4 and 6, the last cut off; 7: at 0, 2 and 4.
    let windows = Windows::new([3, 3], [2, 2], [0, 0, 0, 1]);
    assert_answers(&make([3, 3], [2, 2], [0, 0, 0, 1]), &windows.x, &windows.average(true));
    // Padding that no window reaches.
    let windows = Windows::new([3, 2], [2, 2], [0, 0, 1, 1]);
    assert_answers(&make([3, 2], [2, 2], [0, 0, 1, 1]), &windows.x, &windows.average(true));
    let same = vec![text("auto_pad", "SAME_UPPER"), int("count_include_pad", 0)];
    let windows = Windows::new([2, 2], [2, 2], [0, 0, 1, 0]);
    assert_answers(&pool("AveragePool", [2, 2], [2, 2], same), &windows.x, &windows.average(true));
    // Padding in front.
    let windows = Windows::new([3, 3], [2, 2], [1, 0, 1, 1]);
    assert_answers(&make([3, 3], [2, 2], [1, 0, 1, 1]), &windows.x, &windows.average(true));
    // Windows of which more than one is cut off.
    let message = refusal(&make([3, 3], [1, 1], [0, 0, 2, 2]));
    assert!(message.contains("padding must be at most half the kernel"), "{message}");
}

#[test]
fn global_pools_and_means() {
    let windows = Windows::new([7, 8], [1, 1], [0; 4]);
    let make = |op_type, attributes| file(&[4, 7, 8], vec![node(op_type, &["x"], "y", attributes)], vec![]);
    assert_answers(&make("GlobalMaxPool", vec![]), &windows.x, &windows.max());
    assert_answers(&make("GlobalAveragePool", vec![]), &windows.x, &windows.average(false));
    for attributes in [vec![ints("axes", &[-1, 2]), int("keepdims", 0)], vec![ints("axes", &[2, 3])]] {
        assert_answers(&make("ReduceMean", attributes), &windows.x, &windows.average(false));
    }
    let other = make("ReduceMean", vec![ints("axes", &[1, 2])]);
    assert!(refusal(&other).contains("expected the mean over height and width"));
}

/// An adaptive pool over `[4, 7, 8]` to 3 x 5, as products with the matrices that average, by hand: windows of 7 to 3 are 0..3, 2..5 and 4..7; of 8 to 5
/// they are 0..2, 1..4, 3..5, 4..7 and 6..8.
#[test]
fn products_with_averages_are_an_adaptive_pool() {
    let averaging = |len: usize, windows: &[[usize; 2]]| -> Vec<f32> {
        let row = |&[begin, end]: &[usize; 2]| {
            let share = 1.0 / (end - begin) as f32;
            (0..len).map(move |i| if (begin..end).contains(&i) { share } else { 0.0 })
        };
        windows.iter().flat_map(row).collect()
    };
    let (tall, wide) = ([[0, 3], [2, 5], [4, 7]], [[0, 2], [1, 4], [3, 5], [4, 7], [6, 8]]);
    let rows = averaging(7, &tall);
    let columns: Vec<f32> = {
        let matrix = averaging(8, &wide);
        (0..8).flat_map(|i| (0..5).map(|o| matrix[o * 8 + i]).collect::<Vec<_>>()).collect()
    };
    let make = |rows: &[f32], columns: &[f32]| {
        let nodes =
            vec![node("MatMul", &["rows", "x"], "r", vec![]), node("MatMul", &["r", "columns"], "y", vec![])];
        let (tall, wide) = (rows.len() as i64 / 7, columns.len() as i64 / 8);
        file(
            &[4, 7, 8],
            nodes,
            vec![floats("rows", &[tall, 7], rows), floats("columns", &[8, wide], columns)],
        )
    };
    let model = make(&rows, &columns);
    assert_eq!(
        layers(&model),
        [
            LayerOp::AdaptiveAvgPool2d(layers::AdaptiveAvgPool2d { output: [3, 5] }),
            LayerOp::Flatten(layers::Flatten)
        ]
    );
    let x = numbers(2 * 4 * 7 * 8, 5);
    let mut expected = Vec::new();
    for plane in x.chunks(56) {
        for [top, bottom] in tall {
            for [left, right] in wide {
                let pixels =
                    (top..bottom).flat_map(|y| (left..right).map(move |x| f64::from(plane[y * 8 + x])));
                expected.push(pixels.sum::<f64>() / ((bottom - top) * (right - left)) as f64);
            }
        }
    }
    assert_answers(&model, &x, &expected);
    let mut other = rows.clone();
    other[1] = 0.5;
    assert!(refusal(&make(&other, &columns)).contains("averages as an adaptive pooling does"));
    assert!(refusal(&make(&rows[..14], &columns)).contains("averages as an adaptive pooling does"));
    let mut model = make(&rows, &columns);
    model.graph.as_mut().unwrap().initializer[0] = floats("rows", &[3, 6], &[0.25; 18]);
    assert!(refusal(&model).contains("expected a matrix that averages 7 rows or columns, found [3, 6]"));
}
