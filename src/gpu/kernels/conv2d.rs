//! Convolutions as matrix products whose operands are computed while they are loaded (implicit GEMM).

use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels};
use super::elements::{constants, elements};
use super::gemm::{Extents, GemmFiles, GemmPlan, cut, product};
use super::limits::Limits;
use super::rounds::{LONGEST, MOST_PIECES, parts, rounds};
use super::shader::shader;
use super::slices::Slice;
use crate::error::Result;
use crate::ops::{Conv2d, Op};

const FORWARD: GemmFiles = product!(
    vec4 "conv2d/conv2d_forward",
    "conv2d/conv2d",
    "gemm/gemm_part",
    "activation/relu",
    "gemm/gemm_zero",
    "gemm/gemm_scalar_b"
);
const GRAD_INPUT: GemmFiles = product!(
    "conv2d/conv2d_grad_input",
    "conv2d/conv2d",
    "gemm/gemm_part",
    "gemm/gemm_zero",
    "gemm/gemm_scalar_a",
    "gemm/gemm_scalar_b"
);
const GRAD_WEIGHT: GemmFiles =
    product!("conv2d/conv2d_grad_weight", "conv2d/conv2d", "gemm/gemm_scalar_a", "gemm/gemm_scalar_b");

/// Elements of one image of x and of y.
fn image_sizes(conv: &Conv2d) -> [usize; 2] {
    [conv.c_in * conv.h_in * conv.w_in, conv.c_out * conv.h_out() * conv.w_out()]
}

/// Operations for one image.
fn image_flops(op: &Op, conv: &Conv2d) -> u64 {
    op.flops() / conv.batch.max(1) as u64
}

/// The overrides of `conv2d.wgsl`, for `batch` images.
fn geometry(conv: &Conv2d, batch: usize) -> Vec<(&'static str, f64)> {
    // Whether a window reaches beyond x at the top or left, or at the bottom or right.
    let beyond = |axis: usize, len: usize, outputs: usize| {
        let reach = (outputs - 1) * conv.stride[axis] + (conv.kernel[axis] - 1) * conv.dilation[axis] + 1;
        conv.pad[axis] > 0 || reach > len
    };
    let padded = beyond(0, conv.h_in, conv.h_out()) || beyond(1, conv.w_in, conv.w_out());
    constants([
        ("batch", batch),
        ("c_in", conv.c_in),
        ("h_in", conv.h_in),
        ("w_in", conv.w_in),
        ("c_out", conv.c_out),
        ("h_out", conv.h_out()),
        ("w_out", conv.w_out()),
        ("kernel_h", conv.kernel[0]),
        ("kernel_w", conv.kernel[1]),
        ("stride_h", conv.stride[0]),
        ("stride_w", conv.stride[1]),
        ("pad_h", conv.pad[0]),
        ("pad_w", conv.pad[1]),
        ("dilation_h", conv.dilation[0]),
        ("dilation_w", conv.dilation[1]),
        ("c_in_group", conv.c_in_group()),
        ("c_out_group", conv.c_out_group()),
        ("padded", usize::from(padded)),
    ])
}

pub(super) fn forward(op: &Op, conv: &Conv2d, limits: &Limits) -> Result<Kernels> {
    let sizes = image_sizes(conv);
    let mut kernels = Kernels::default();
    let slices = cut(op, conv.batch, image_flops(op, conv), &sizes, limits)?;
    let parts = parts(conv.depth());
    for (slice, part) in slices.iter().flat_map(|slice| parts.iter().map(move |part| (slice, part))) {
        // The row of a weight is read along k.
        let extents = Extents {
            m: conv.c_out_group(),
            n: slice.count * conv.h_out() * conv.w_out(),
            batches: conv.groups,
            k: part.len,
            vec4: conv.depth().is_multiple_of(4),
        };
        let GemmPlan { shader, groups, rounds } = FORWARD.plan(extents, limits);
        let mut all = geometry(conv, slice.count);
        all.extend(constants([
            ("part_first", part.first),
            ("part_len", part.len),
            ("has_bias", usize::from(conv.bias && part.last)),
            ("relu_after", usize::from(conv.relu && part.last)),
        ]));
        // Without a bias its binding must still be something: w, which is not looked at there.
        let (bias, y) = if conv.bias { (2, 3) } else { (1, 2) };
        let (x, y) = (slice.bind(0, sizes[0]), slice.bind(y, sizes[1]));
        let bindings = vec![x, Binding::operand(1), Binding::operand(bias), y];
        kernels.dispatches.push(Dispatch {
            kind: DispatchKind::Kernel,
            shader,
            constants: all,
            bindings,
            groups,
            rounds,
        });
    }
    Ok(kernels)
}

pub(super) fn grad_input(op: &Op, conv: &Conv2d, limits: &Limits) -> Result<Kernels> {
    let sizes = image_sizes(conv);
    let [phases_h, phases_w] =
        [0, 1].map(|axis| if conv.dilation[axis] == 1 { conv.stride[axis] } else { 1 });
    let pixels = conv.h_in.div_ceil(phases_h) * conv.w_in.div_ceil(phases_w);
    let products = conv.groups * phases_h * phases_w;
    let mut kernels = Kernels::default();
    let taps = conv.kernel[0].div_ceil(phases_h) * conv.kernel[1].div_ceil(phases_w);
    let slices = cut(op, conv.batch, image_flops(op, conv), &sizes, limits)?;
    let parts = parts(conv.c_out_group() * taps);
    for (slice, part) in slices.iter().flat_map(|slice| parts.iter().map(move |part| (slice, part))) {
        let extents = Extents {
            m: conv.c_in_group(),
            n: slice.count * pixels,
            batches: products,
            k: part.len,
            vec4: false,
        };
        let GemmPlan { shader, groups, rounds } = GRAD_INPUT.plan(extents, limits);
        let mut all = geometry(conv, slice.count);
        all.extend(constants([
            ("phases_h", phases_h),
            ("phases_w", phases_w),
            ("part_first", part.first),
            ("part_len", part.len),
        ]));
        let bindings = vec![slice.bind(0, sizes[1]), Binding::operand(1), slice.bind(2, sizes[0])];
        kernels.dispatches.push(Dispatch {
            kind: DispatchKind::Kernel,
            shader,
            constants: all,
            bindings,
            groups,
            rounds,
        });
    }
    Ok(kernels)
}

/// How the sum behind dw is cut into pieces: by the shape alone, so that no adapter gets other bits than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pieces {
    /// Images in a piece; 1 if an image has several pieces.
    images: usize,
    /// Rows of y in a piece; all if a piece has whole images.
    rows: usize,
    /// Pieces in one image, or 1.
    per_image: usize,
    /// Groups of `images` images.
    sets: usize,
}

impl Pieces {
    fn of(conv: &Conv2d) -> Self {
        /// Workgroups that keep a large GPU busy, as tiles of 64 x 64 sums.
        const WANTED: usize = 512;
        /// Fewer products than this are not worth the traffic of a partial sum.
        const SHORTEST: usize = 256;
        /// Most elements of all partial sums together: 64 MiB, half of the smallest binding limit.
        const SCRATCH: usize = 1 << 24;
        let (h_out, w_out, batch) = (conv.h_out(), conv.w_out(), conv.batch.max(1));
        let tiles = conv.groups * conv.c_out_group().div_ceil(64) * conv.depth().div_ceil(64);
        let size = conv.c_out * conv.depth();
        let most = (batch * h_out * w_out / SHORTEST).min(SCRATCH / size);
        let wanted = WANTED.div_ceil(tiles).min(most).max(1);
        let pieces = if wanted <= batch {
            Pieces::of_images(conv, batch.div_ceil(wanted))
        } else {
            Pieces::of_rows(conv, h_out.div_ceil(wanted.div_ceil(batch).min(h_out)))
        };
        let longest = LONGEST.max(batch * h_out * w_out / MOST_PIECES);
        if pieces.longest(conv) <= longest {
            return pieces;
        }
        // Where more partial sums would need too much memory, several dispatches continue the same sums.
        let plane = h_out * w_out;
        let shorter = if plane <= longest {
            Pieces::of_images(conv, batch.div_ceil(batch.div_ceil(longest / plane)))
        } else {
            Pieces::of_rows(conv, h_out.div_ceil(h_out.div_ceil((longest / w_out).max(1))))
        };
        if shorter.count() * size <= SCRATCH { shorter } else { pieces }
    }

    /// Pieces of whole images.
    fn of_images(conv: &Conv2d, images: usize) -> Self {
        Pieces { images, rows: conv.h_out(), per_image: 1, sets: conv.batch.max(1).div_ceil(images) }
    }

    /// Pieces of some rows of an image.
    fn of_rows(conv: &Conv2d, rows: usize) -> Self {
        Pieces { images: 1, rows, per_image: conv.h_out().div_ceil(rows), sets: conv.batch.max(1) }
    }

    /// Products of the longest piece.
    fn longest(&self, conv: &Conv2d) -> usize {
        self.images.min(conv.batch) * self.rows * conv.w_out()
    }

    fn count(&self) -> usize {
        self.sets * self.per_image
    }
}

/// The images of one dispatch of grad_weight.
struct ImagePart {
    /// Number of the first set, and how many sets.
    sets: [usize; 2],
    /// Number of the first image, and how many images.
    images: [usize; 2],
    /// Whether these images only continue the sums of their set.
    accumulate: bool,
}

/// Dispatches that treat whole sets if one set can be bound and done at once, else some images of a set at a time.
fn image_parts(op: &Op, conv: &Conv2d, pieces: &Pieces, limits: &Limits) -> Result<Vec<ImagePart>> {
    let sizes = image_sizes(conv);
    let set = sizes.map(|image| image * pieces.images);
    let flops = image_flops(op, conv) * pieces.images as u64;
    let by_sets = cut(op, pieces.sets, flops, &set, limits);
    // Images can be bound one by one only if every set begins where a binding may.
    let divisible = pieces.images > 1 && set.iter().all(|size| size % limits.align == 0);
    if !divisible || (by_sets.is_ok() && flops <= limits.work) {
        let whole = |slice: &Slice| {
            let first = slice.first * pieces.images;
            let images = (slice.count * pieces.images).min(conv.batch - first);
            ImagePart { sets: [slice.first, slice.count], images: [first, images], accumulate: false }
        };
        return Ok(by_sets?.iter().map(whole).collect());
    }
    let mut parts = Vec::new();
    for number in 0..pieces.sets {
        let first = number * pieces.images;
        let count = pieces.images.min(conv.batch - first);
        for slice in cut(op, count, image_flops(op, conv), &sizes, limits)? {
            let images = [first + slice.first, slice.count];
            parts.push(ImagePart { sets: [number, 1], images, accumulate: slice.first > 0 });
        }
    }
    Ok(parts)
}

pub(super) fn grad_weight(op: &Op, conv: &Conv2d, limits: &Limits) -> Result<Kernels> {
    let pieces = Pieces::of(conv);
    let sizes = image_sizes(conv);
    let size = conv.c_out * conv.depth();
    let several = pieces.count() > 1;
    let mut kernels = Kernels::default();
    for ImagePart { sets, images, accumulate } in image_parts(op, conv, &pieces, limits)? {
        let bind = |operand: usize, size: usize| {
            if images[1] == conv.batch {
                Binding::operand(operand)
            } else {
                Binding::slice(operand, images[0] * size, images[1] * size)
            }
        };
        let count = sets[1] * pieces.per_image;
        let depth = pieces.images.min(images[1]) * pieces.rows * conv.w_out();
        for first in (0..depth.max(1)).step_by(LONGEST) {
            let len = LONGEST.min(depth - first);
            let extents = Extents {
                m: conv.c_out_group(),
                n: conv.depth(),
                batches: count * conv.groups,
                k: len,
                vec4: false,
            };
            let GemmPlan { shader, groups, rounds } = GRAD_WEIGHT.plan(extents, limits);
            let mut all = geometry(conv, images[1]);
            all.extend(constants([
                ("images", pieces.images),
                ("piece_rows", pieces.rows),
                ("pieces_per_image", pieces.per_image),
                ("first_piece", sets[0] * pieces.per_image),
                ("pieces", count),
                ("accumulate", usize::from(accumulate || first > 0)),
                ("part_first", first),
                ("part_len", len),
                ("reduction_unit", if depth > LONGEST { 1 } else { conv.w_out() }),
            ]));
            let dw = if several { Binding::scratch(0) } else { Binding::operand(2) };
            let bindings = vec![bind(0, sizes[0]), bind(1, sizes[1]), dw];
            kernels.dispatches.push(Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants: all,
                bindings,
                groups,
                rounds,
            });
        }
    }
    if several {
        kernels.scratch.push(pieces.count() * size);
        kernels.dispatches.push(sum_partials(pieces.count(), size, 2, limits));
    }
    Ok(kernels)
}

/// Adds up the `pieces` times `len` partial sums of scratch buffer 0 into `operand`.
pub(super) fn sum_partials(pieces: usize, len: usize, operand: usize, limits: &Limits) -> Dispatch {
    let bindings = vec![Binding::scratch(0), Binding::operand(operand)];
    let shader = shader!("shared/sum_partials", "shared/elements");
    let dispatch =
        elements(shader, len, rounds(pieces, 0), constants([("pieces", pieces)]), bindings, limits);
    Dispatch { kind: DispatchKind::SumPartials(pieces), ..dispatch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernels::kernels;

    fn conv(batch: usize, c_in: usize, size: usize, c_out: usize, kernel: usize) -> Conv2d {
        Conv2d {
            batch,
            c_in,
            h_in: size,
            w_in: size,
            c_out,
            kernel: [kernel, kernel],
            stride: [1, 1],
            pad: [0; 4],
            dilation: [1, 1],
            groups: 1,
            bias: false,
            relu: false,
        }
    }

    #[test]
    fn pieces_cover_every_row_of_every_image_once() {
        let shapes = [
            (128, 64, 31, 192, 5),
            (1, 3, 224, 64, 3),
            (7, 3, 50, 8, 3),
            (300, 1, 28, 6, 5),
            (2, 8, 9, 8, 3),
            // Longer than one dispatch may be: more pieces than keep a GPU busy.
            (256, 256, 14, 1024, 3),
            (3, 64, 300, 1500, 3),
        ];
        for (batch, c_in, size, c_out, kernel) in shapes {
            let conv = conv(batch, c_in, size, c_out, kernel);
            let pieces = Pieces::of(&conv);
            let mut seen = vec![0; batch * conv.h_out()];
            for piece in 0..pieces.count() {
                // As reduction_length() and term() of conv2d_grad_weight.wgsl.
                let first_image = piece / pieces.per_image * pieces.images;
                let first_row = piece % pieces.per_image * pieces.rows;
                let images = pieces.images.min(batch - first_image);
                let rows = pieces.rows.min(conv.h_out() - first_row);
                for line in 0..images * rows {
                    let image = first_image + line / pieces.rows;
                    seen[image * conv.h_out() + first_row + line % pieces.rows] += 1;
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "{conv:?} {pieces:?}");
            assert!(pieces.images == 1 || pieces.per_image == 1);
            assert!(pieces.longest(&conv) <= LONGEST);
        }
    }

    #[test]
    fn the_cut_of_a_sum_does_not_depend_on_the_adapter() {
        let conv = conv(64, 16, 16, 32, 3);
        let op = Op::Conv2dGradWeight(conv);
        let whole = kernels(&op, &Limits::default()).unwrap();
        let cut = kernels(&op, &Limits { binding: 40_000, work: 1_000_000, ..Limits::default() }).unwrap();
        assert!(cut.dispatches.len() > whole.dispatches.len());
        assert_eq!(whole.scratch, cut.scratch);
        assert!(whole.scratch[0] > conv.c_out * conv.depth(), "this sum has several pieces");
    }
}
