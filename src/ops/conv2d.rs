//! Two-dimensional convolution (cross-correlation, as in PyTorch) and the gradient of a bias.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Geometry of a convolution. x is `[batch, c_in, h_in, w_in]`, w is
/// `[c_out, c_in / groups, kernel_h, kernel_w]`, y is `[batch, c_out, h_out, w_out]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    pub batch: usize,
    pub c_in: usize,
    pub h_in: usize,
    pub w_in: usize,
    pub c_out: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step.
    pub stride: [usize; 2],
    /// Zeros added at the top, left, bottom and right.
    pub pad: [usize; 4],
    /// Vertical and horizontal distance of kernel taps.
    pub dilation: [usize; 2],
    /// Independent groups; channels of x and y are divided evenly among them.
    pub groups: usize,
    /// Whether the forward operator has the operand b, `[c_out]`.
    pub bias: bool,
    /// Whether the forward operator ends with max(0, .). The gradients do not look at it: they are given
    /// dy before the ReLU.
    pub relu: bool,
}

/// Output extent of a window operation, rounded down; 0 if the window does not fit.
pub(super) fn extent(len: usize, pads: usize, kernel: usize, dilation: usize, stride: usize) -> usize {
    let span = dilation * (kernel.max(1) - 1) + 1;
    if kernel == 0 || stride == 0 || len + pads < span { 0 } else { (len + pads - span) / stride + 1 }
}

impl Conv2d {
    /// Largest stride, padding and dilation: far beyond any network's, and small enough that an executor's scratch
    /// memory, which grows with them, stays small beside the tensors.
    pub const MOST: usize = 1024;

    /// Height of y.
    pub fn h_out(&self) -> usize {
        extent(self.h_in, self.pad[0] + self.pad[2], self.kernel[0], self.dilation[0], self.stride[0])
    }
    /// Width of y.
    pub fn w_out(&self) -> usize {
        extent(self.w_in, self.pad[1] + self.pad[3], self.kernel[1], self.dilation[1], self.stride[1])
    }
    /// Input channels that one output channel sees.
    pub fn c_in_group(&self) -> usize {
        self.c_in / self.groups
    }
    /// Output channels of one group.
    pub fn c_out_group(&self) -> usize {
        self.c_out / self.groups
    }
    /// Length of the sum behind one output: c_in / groups * kernel_h * kernel_w.
    pub fn depth(&self) -> usize {
        self.c_in_group() * self.kernel[0] * self.kernel[1]
    }
    /// Multiply-adds of the forward pass.
    pub fn macs(&self) -> u64 {
        (self.batch * self.c_out * self.h_out() * self.w_out()) as u64 * self.depth() as u64
    }
    pub fn x_shape(&self) -> [usize; 4] {
        [self.batch, self.c_in, self.h_in, self.w_in]
    }
    pub fn w_shape(&self) -> [usize; 4] {
        [self.c_out, self.c_in_group(), self.kernel[0], self.kernel[1]]
    }
    pub fn y_shape(&self) -> [usize; 4] {
        [self.batch, self.c_out, self.h_out(), self.w_out()]
    }
}

impl Describe for Conv2d {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, w, y) = (self.x_shape(), self.w_shape(), self.y_shape());
        match op {
            Op::Conv2dGradInput(_) => {
                vec![
                    Operand::read("dy", Kind::Gradient, y),
                    Operand::read("w", Kind::Parameter, w),
                    Operand::write("dx", Kind::Gradient, x),
                ]
            }
            Op::Conv2dGradWeight(_) => {
                vec![
                    Operand::read("x", Kind::Data, x),
                    Operand::read("dy", Kind::Gradient, y),
                    Operand::write("dw", Kind::Gradient, w),
                ]
            }
            _ => {
                let mut operands =
                    vec![Operand::read("x", Kind::Data, x), Operand::read("w", Kind::Parameter, w)];
                if self.bias {
                    operands.push(Operand::read("b", Kind::Parameter, [self.c_out]));
                }
                operands.push(Operand::write("y", Kind::Data, y));
                operands
            }
        }
    }

    fn is_product(&self) -> bool {
        true
    }

    fn flops(&self, _op: &Op) -> u64 {
        2 * self.macs()
    }

    fn check(&self, _op: &Op) -> Result<(), String> {
        let Conv2d { c_in, c_out, groups, kernel, stride, dilation, h_in, w_in, pad, .. } = *self;
        if groups == 0 || c_in % groups != 0 || c_out % groups != 0 {
            return Err(format!(
                "groups must divide {c_in} input and {c_out} output channels, found {groups}"
            ));
        }
        if c_out == 0 || kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "out_channels, kernel, stride and dilation must be positive, found {c_out}, {kernel:?}, {stride:?}, {dilation:?}"
            ));
        }
        if stride.iter().chain(&pad).chain(&dilation).any(|&n| n > Self::MOST) {
            return Err(format!(
                "stride, padding and dilation must be at most {}, found {stride:?}, {pad:?}, {dilation:?}",
                Self::MOST
            ));
        }
        if self.h_out() == 0 || self.w_out() == 0 {
            let dilated = match dilation {
                [1, 1] => String::new(),
                [h, w] => format!(" (dilation {h}x{w})"),
            };
            let padded = if pad == [0; 4] { String::new() } else { format!(" with padding {pad:?}") };
            return Err(format!(
                "kernel {}x{}{dilated} is larger than its input {h_in}x{w_in}{padded}; expected a smaller kernel, or more padding",
                kernel[0], kernel[1]
            ));
        }
        Ok(())
    }
}

/// `db[c]` = sum over n and i of `dy[n, c, i]`. `inner` is h_out * w_out for a convolution, 1 for a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BiasGrad {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
}

impl Describe for BiasGrad {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("dy", Kind::Gradient, [self.batch, self.channels, self.inner]),
            Operand::write("db", Kind::Gradient, [self.channels]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        (self.batch * self.channels * self.inner) as u64
    }
}
