//! Pooling with windows (maximum, average) and adaptive average pooling, as PyTorch defines them.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Geometry of max_pool2d and avg_pool2d. x is `[batch, channels, h_in, w_in]`.
///
/// Maximum: padding never wins; the first maximum in row-major order is the one that gets the gradient; a
/// NaN wins. The second output, `index`, `[batch, channels, h_out, w_out]`, holds the position of the maximum in its
/// window, `row * kernel_w + column`, as a whole number in an `f32`.
/// Average: padded zeros count unless `count_include_pad` is false, positions beyond the padding (`ceil`) do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2d {
    pub batch: usize,
    pub channels: usize,
    pub h_in: usize,
    pub w_in: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub pad: [usize; 4],
    /// Round the output extent up instead of down. As in PyTorch, a last window that would start in the
    /// right or bottom padding (or beyond) is dropped.
    pub ceil: bool,
    /// Whether an average counts the zeros of the padding; without effect on a maximum.
    pub count_include_pad: bool,
}

impl Pool2d {
    /// Rejects windows whose positions do not fit into `index`: above 2^24, `f32` cannot represent every whole number.
    fn check_index(&self) -> Result<(), String> {
        let [h, w] = self.kernel;
        if h.saturating_mul(w) <= 1 << 24 {
            return Ok(());
        }
        Err(format!("a kernel must have at most 16777216 places, found {h}x{w}"))
    }

    fn extent(&self, axis: usize, len: usize) -> usize {
        let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
        let (before, after) = (self.pad[axis], self.pad[axis + 2]);
        if kernel == 0 || stride == 0 || len + before + after < kernel {
            return 0;
        }
        let room = len + before + after - kernel;
        if !self.ceil {
            return room / stride + 1;
        }
        let n = room.div_ceil(stride) + 1;
        if (n - 1) * stride >= len + before { n - 1 } else { n }
    }
    /// Rows (axis 0) or columns (axis 1), counted from the edge of the padding, whose elements an average counts.
    pub fn counted(&self, axis: usize) -> [usize; 2] {
        let len = if axis == 0 { self.h_in } else { self.w_in };
        let (before, after) = (self.pad[axis], self.pad[axis + 2]);
        if self.count_include_pad { [0, before + len + after] } else { [before, before + len] }
    }
    /// Height of y.
    pub fn h_out(&self) -> usize {
        self.extent(0, self.h_in)
    }
    /// Width of y.
    pub fn w_out(&self) -> usize {
        self.extent(1, self.w_in)
    }
    pub fn x_shape(&self) -> [usize; 4] {
        [self.batch, self.channels, self.h_in, self.w_in]
    }
    pub fn y_shape(&self) -> [usize; 4] {
        [self.batch, self.channels, self.h_out(), self.w_out()]
    }
}

impl Describe for Pool2d {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, y) = (self.x_shape(), self.y_shape());
        match op {
            Op::MaxPool2dForward(_) => {
                vec![
                    Operand::read("x", Kind::Data, x),
                    Operand::write("y", Kind::Data, y),
                    Operand::write("index", Kind::Index, y),
                ]
            }
            Op::MaxPool2dBackward(_) => {
                vec![
                    Operand::read("index", Kind::Index, y),
                    Operand::read("dy", Kind::Gradient, y),
                    Operand::write("dx", Kind::Gradient, x),
                ]
            }
            Op::AvgPool2dBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, y), Operand::write("dx", Kind::Gradient, x)]
            }
            _ => vec![Operand::read("x", Kind::Data, x), Operand::write("y", Kind::Data, y)],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let outputs = self.y_shape().iter().product::<usize>() as u64;
        match op {
            Op::MaxPool2dBackward(_) => outputs,
            _ => outputs * (self.kernel[0] * self.kernel[1]) as u64,
        }
    }
    fn check(&self, op: &Op) -> Result<(), String> {
        if matches!(op, Op::MaxPool2dForward(_) | Op::MaxPool2dBackward(_)) {
            self.check_index()?;
        }
        let Pool2d { kernel, stride, pad, h_in, w_in, .. } = *self;
        if kernel.contains(&0) || stride.contains(&0) {
            return Err(format!("kernel and stride must be positive, found {kernel:?} and {stride:?}"));
        }
        // PyTorch's rule; without it a window could hold nothing but padding.
        if (0..4).any(|side| 2 * pad[side] > kernel[side % 2]) {
            return Err(format!("padding must be at most half the kernel {kernel:?}, found {pad:?}"));
        }
        if self.h_out() == 0 || self.w_out() == 0 {
            return Err(format!(
                "kernel {}x{} is larger than its input {h_in}x{w_in} with padding {pad:?}",
                kernel[0], kernel[1]
            ));
        }
        Ok(())
    }
}

/// Average pooling to a fixed output size. Output row i averages input rows
/// floor(i h_in / h_out) .. ceil((i + 1) h_in / h_out); columns alike (PyTorch's definition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptiveAvgPool2d {
    pub batch: usize,
    pub channels: usize,
    pub h_in: usize,
    pub w_in: usize,
    pub h_out: usize,
    pub w_out: usize,
}

impl Describe for AdaptiveAvgPool2d {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.channels, self.h_in, self.w_in];
        let y = [self.batch, self.channels, self.h_out, self.w_out];
        match op {
            Op::AdaptiveAvgPool2dBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, y), Operand::write("dx", Kind::Gradient, x)]
            }
            _ => vec![Operand::read("x", Kind::Data, x), Operand::write("y", Kind::Data, y)],
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        let inputs = self.batch * self.channels * self.h_in * self.w_in;
        let outputs = self.batch * self.channels * self.h_out * self.w_out;
        (inputs + outputs) as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.h_out == 0 || self.w_out == 0 {
            return Err(format!("output must be positive, found {}x{}", self.h_out, self.w_out));
        }
        Ok(())
    }
}
