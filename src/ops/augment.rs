//! Stored images (bytes) to network input: position, colour, normalisation and cut-out in one pass.

use super::{Describe, Op, Operand, OperandKind as Kind};
use crate::view::{MAX_SIDE, View};

/// x[n, c, oy, ox] = 0 where `cut` covers (oy, ox), else `gain[c] v[c] + bias[c]`: image n transformed by row n of
/// `views`. Positions, colours and their order of operations are the formula of [`View`]; positions wrap around at 32
/// bits.
///
/// `pixels` is `[batch, words]`: row n holds image n as bytes, `[c_in, h_in, w_in]` without gaps, four to a word, the
/// first in the lowest bits; the rest of the last word is ignored. `views` is `[batch, View::WORDS]`. Both are bit
/// patterns in the place of f32. x is `[batch, c_out, h_out, w_out]`.
///
/// The interpolation is the usual one with the centres of pixels at whole numbers and the border repeated (torch's
/// `grid_sample`, bilinear, `padding_mode="border"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Augment {
    pub batch: usize,
    pub c_in: usize,
    pub h_in: usize,
    pub w_in: usize,
    pub c_out: usize,
    pub h_out: usize,
    pub w_out: usize,
}

impl Augment {
    /// Words of one image.
    pub fn words(&self) -> usize {
        (self.c_in * self.h_in * self.w_in).div_ceil(4)
    }

    /// Whether colours always go through `View::colour`.
    pub fn recolours(&self) -> bool {
        self.c_in != self.c_out
    }
}

impl Describe for Augment {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("pixels", Kind::Bytes, [self.batch, self.words()]),
            Operand::read("views", Kind::Views, [self.batch, View::WORDS]),
            Operand::write("x", Kind::Data, [self.batch, self.c_out, self.h_out, self.w_out]),
        ]
    }

    /// Three interpolations of three operations per channel read, a multiply-add per channel written. Colour depends on
    /// the views and is not counted.
    fn flops(&self, _op: &Op) -> u64 {
        let per_pixel = 9 * self.c_in + 2 * self.c_out;
        per_pixel as u64 * (self.batch * self.h_out * self.w_out) as u64
    }

    fn check(&self, _op: &Op) -> Result<(), String> {
        for (what, channels) in [("images", self.c_in), ("an input", self.c_out)] {
            if channels != 1 && channels != 3 {
                return Err(format!("{what} must have 1 or 3 channels, found {channels}"));
            }
        }
        for (what, side) in [
            ("height of the images", self.h_in),
            ("width of the images", self.w_in),
            ("height of the input", self.h_out),
            ("width of the input", self.w_out),
        ] {
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("the {what} must be 1 to {MAX_SIDE}, found {side}"));
            }
        }
        Ok(())
    }
}
