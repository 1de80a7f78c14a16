//! Windows that slide over images: what convolution and pooling share.
//!
//! Both read an image through copies of a few of its rows that are padded, and split by the phase of the horizontal
//! step: columns 0, s, 2s, ... first, then 1, s + 1, ... So the values that one kernel tap sees along an output row
//! are contiguous, for every step, dilation and padding, and the inner loops need no tests for the border.

/// Geometry of sliding windows: output (oy, ox) and tap (ky, kx) meet at input row
/// oy * stride + ky * dilation + origin, and columns alike. Positions outside the image are padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    pub h_in: usize,
    pub w_in: usize,
    pub h_out: usize,
    pub w_out: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Where the first window begins: minus the padding at the top and left.
    pub origin: [isize; 2],
}

impl Windows {
    /// Elements of one input image.
    pub fn inputs(&self) -> usize {
        self.h_in * self.w_in
    }

    /// Elements of one output image.
    pub fn outputs(&self) -> usize {
        self.h_out * self.w_out
    }

    /// Taps of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Input rows that `rows` neighbouring output rows see.
    pub fn rows_seen(&self, rows: usize) -> usize {
        (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
    }

    /// Columns of one phase of a split row.
    pub fn phase_len(&self) -> usize {
        let width = (self.w_out - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1;
        width.div_ceil(self.stride[1])
    }

    /// Length of a split row.
    pub fn pitch(&self) -> usize {
        self.stride[1] * self.phase_len()
    }

    /// Where tap column `kx` of output column 0 lies in a split row.
    pub fn tap_column(&self, kx: usize) -> usize {
        let column = kx * self.dilation[1];
        column % self.stride[1] * self.phase_len() + column / self.stride[1]
    }

    /// Elements `low .. high` of a phase of a split row lie in the image, the first of them at `column`.
    #[inline(always)]
    fn phase_range(&self, phase: usize) -> (usize, usize, usize) {
        let (step, len, width) = (self.stride[1], self.phase_len(), self.w_in as isize);
        // Element q of the phase is input column q * step + begin.
        let begin = phase as isize + self.origin[1];
        let low = begin.min(0).unsigned_abs().div_ceil(step).min(len);
        let high = ((width - begin).max(0) as usize).div_ceil(step).clamp(low, len);
        (low, high, ((low * step) as isize + begin).max(0) as usize)
    }

    /// Writes input rows `first .. first + rows` of `image` to `out`, padded with `fill` and split by phase.
    #[inline(always)]
    pub fn split_rows(&self, image: &[f32], first: isize, rows: usize, fill: f32, out: &mut [f32]) {
        let (step, len) = (self.stride[1], self.phase_len());
        for phase in 0..step {
            let (low, high, column) = self.phase_range(phase);
            let lines = out.chunks_exact_mut(self.pitch()).take(rows);
            for (row, line) in (first..).zip(lines) {
                let line = &mut line[phase * len..(phase + 1) * len];
                if row < 0 || row >= self.h_in as isize || low == high {
                    line.fill(fill);
                    continue;
                }
                let start = row as usize * self.w_in + column;
                line[..low].fill(fill);
                line[high..].fill(fill);
                let line = &mut line[low..high];
                match step {
                    1 => line.copy_from_slice(&image[start..start + line.len()]),
                    2 => {
                        // Whole pairs vectorise; the last value may stand at the very end, without its pair.
                        let (pairs, last) = image[start..].as_chunks::<2>();
                        let count = line.len().min(pairs.len());
                        for (v, pair) in line.iter_mut().zip(pairs) {
                            *v = pair[0];
                        }
                        if let (Some(v), Some(&x)) = (line.get_mut(count), last.first()) {
                            *v = x;
                        }
                    }
                    _ => {
                        for (v, &x) in line.iter_mut().zip(image[start..].iter().step_by(step)) {
                            *v = x;
                        }
                    }
                }
            }
        }
    }

    /// The reverse of `split_rows`: writes what lies in the image to it, 0 where no window sees it. `line` is
    /// scratch memory for one row.
    #[inline(always)]
    pub fn join_rows(&self, split: &[f32], first: isize, line: &mut [f32], image: &mut [f32]) {
        let (step, len) = (self.stride[1], self.phase_len());
        // Columns low .. low + count of a row of windows lie in the image, the first of them at `column`.
        let low = self.origin[1].min(0).unsigned_abs().min(self.pitch());
        let column = self.origin[1].max(0) as usize;
        let count = (self.pitch() - low).min(self.w_in.saturating_sub(column));
        image.fill(0.0);
        for (row, phases) in (first..).zip(split.chunks_exact(self.pitch())) {
            if row < 0 || row >= self.h_in as isize {
                continue;
            }
            let target = &mut image[row as usize * self.w_in + column..][..count];
            match step {
                1 => target.copy_from_slice(&phases[low..low + count]),
                2 => {
                    let (pairs, _) = line.as_chunks_mut::<2>();
                    for ((pair, &even), &odd) in pairs.iter_mut().zip(&phases[..len]).zip(&phases[len..]) {
                        *pair = [even, odd];
                    }
                    target.copy_from_slice(&line[low..low + count]);
                }
                _ => {
                    for (phase, values) in phases.chunks_exact(len).enumerate() {
                        for (v, &value) in line[phase..].iter_mut().step_by(step).zip(values) {
                            *v = value;
                        }
                    }
                    target.copy_from_slice(&line[low..low + count]);
                }
            }
        }
    }
}
