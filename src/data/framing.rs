//! Which part of an image of any size is shown, and how large: the geometry of torchvision's transforms, in whole pixels,
//! from nothing but sizes and random numbers. `fit.rs` carries it out.
//!
//! Source: torchvision 0.29, `transforms/functional.py` (`_compute_resized_output_size`, `center_crop`, `five_crop`) and
//! `transforms/transforms.py` (`RandomCrop.get_params`, `RandomResizedCrop.get_params`). Sizes and offsets are theirs for
//! every image; random draws have their distribution, but are Philox numbers of seed, epoch and sample instead of
//! PyTorch's generator.

use super::draws::{DrawKind, Draws};

/// Attempts to draw a window that fits, as in torchvision's `RandomResizedCrop`.
const ATTEMPTS: u32 = 10;

/// Where the geometry of a network's images is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fit {
    /// When they are read, by torchvision's rules: what is stored in a batch is the network's input, or a random crop of
    /// its size. `random_resized` is whether one of `RandomResizedCrop` is drawn: it resizes images of the input's size
    /// too.
    Input { random_resized: bool },
    /// When they are looked at: a batch has their middle squares, resized, and views show crops of them.
    Square,
    /// As [`Fit::Square`], by the rules from before version 2 ([`Framing::Covered`]).
    Covered,
}

impl Default for Fit {
    fn default() -> Self {
        Fit::Input { random_resized: false }
    }
}

/// How images become `[channels, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub shape: [usize; 3],
    pub framing: Framing,
}

/// What of an image is shown. `height` and `width` are the frame's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Framing {
    /// The rules from before version 2 ([`crate::view::Rules::Covered`]): the largest centred part of the frame's shape, in
    /// fractions of a pixel. Views show crops of it.
    Covered,
    /// `Resize(min(height, width))`, then `CenterCrop`: the middle of the image, of which views show crops.
    Square,
    /// The whole image after `Resize(side)`, each with its own size ([`super::Dataset::read_whole`]); where one size is asked
    /// for, as [`Framing::Square`].
    Whole { side: usize },
    /// `Resize(resize)`, then `CenterCrop(height, width)`: the network's input. Without `resize`, the least that covers
    /// the frame.
    Centre { resize: Option<usize> },
    /// `Resize(resize)`, cut to the frame so that the pixels of a `CenterCrop(crop)` of the resized image are those of
    /// a `CenterCrop(crop)` of the frame, with what lies around it.
    Around { resize: usize, crop: [usize; 2] },
    /// `Resize(resize)`, then what `TenCrop(height / 6, width)` shows, one below the other: top left, top right, bottom left,
    /// bottom right, middle, and the middle of the mirrored image (not yet mirrored: where the rest is odd, it is one pixel
    /// beside the middle).
    Ten { resize: usize },
    /// `Resize(resize)`, then `RandomCrop(height, width)`.
    Random { resize: usize, draws: Draws },
    /// `RandomResizedCrop((height, width), scale, ratio)` of the unchanged image.
    RandomResized { scale: [f32; 2], ratio: [f32; 2], draws: Draws },
}

/// A part of an image: left, top, width and height in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// One part of a frame: `source` of the image is resized to `resized` as if there were nothing around it, and `cut` of
/// the result is what is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub source: Region,
    /// Width and height.
    pub resized: [usize; 2],
    pub cut: Region,
}

impl Frame {
    /// The middle of every image, at the least size that covers `shape`.
    pub fn covering(shape: [usize; 3]) -> Frame {
        Frame { shape, framing: Framing::Centre { resize: None } }
    }

    /// The placements that fill the frame from top to bottom, for an upright image of `size`, width and height.
    ///
    /// Meaningless for [`Framing::Covered`], which is not in whole pixels: the answer is that of [`Framing::Square`].
    pub fn placements(&self, size: [usize; 2]) -> Vec<Placement> {
        let [_, height, width] = self.shape;
        let whole = |resized: [usize; 2], [left, top]: [usize; 2], height: usize| Placement {
            source: Region { left: 0, top: 0, width: size[0], height: size[1] },
            resized,
            cut: Region { left, top, width, height },
        };
        let centred = |[w, h]: [usize; 2], height: usize| [centre(w, width), centre(h, height)];
        match self.framing {
            Framing::Covered | Framing::Square | Framing::Whole { .. } | Framing::Centre { resize: None } => {
                let resized = covering(size, [width, height]);
                vec![whole(resized, centred(resized, height), height)]
            }
            Framing::Centre { resize: Some(side) } => {
                let resized = resize(size, side);
                vec![whole(resized, centred(resized, height), height)]
            }
            Framing::Around { resize: side, crop: [crop_height, crop_width] } => {
                let resized = resize(size, side);
                let offset = |resized: usize, frame: usize, crop: usize| {
                    centre(resized, crop)
                        .saturating_sub(centre(frame, crop))
                        .min(resized.saturating_sub(frame))
                };
                let left = offset(resized[0], width, crop_width);
                let top = offset(resized[1], height, crop_height);
                vec![whole(resized, [left, top], height)]
            }
            Framing::Ten { resize: side } => {
                let resized = resize(size, side);
                let height = height / 6;
                let (right, bottom) = (resized[0].saturating_sub(width), resized[1].saturating_sub(height));
                let [left, top] = centred(resized, height);
                let mirrored = [right - left, top];
                [[0, 0], [right, 0], [0, bottom], [right, bottom], [left, top], mirrored]
                    .map(|corner| whole(resized, corner, height))
                    .to_vec()
            }
            Framing::Random { resize: side, draws } => {
                let resized = resize(size, side);
                let [down, right, ..] = draws.uniforms(DrawKind::Place, 0);
                let corner = [
                    below(right, resized[0].saturating_sub(width)),
                    below(down, resized[1].saturating_sub(height)),
                ];
                vec![whole(resized, corner, height)]
            }
            Framing::RandomResized { scale, ratio, draws } => vec![Placement {
                source: random_resized(size, scale, ratio, draws),
                resized: [width, height],
                cut: Region { left: 0, top: 0, width, height },
            }],
        }
    }
}

/// Width and height of an image of `size` once its shorter side is `side`: `Resize(side)` rounds the longer one down.
pub(super) fn resize([width, height]: [usize; 2], side: usize) -> [usize; 2] {
    let long = |long: usize, short: usize| (side as u128 * long as u128 / short.max(1) as u128) as usize;
    if width <= height { [side, long(height, width)] } else { [long(width, height), side] }
}

/// [`resize`] to the least side with which the image covers `frame`, width and height.
fn covering(size: [usize; 2], frame: [usize; 2]) -> [usize; 2] {
    let [short, long] = if size[0] <= size[1] { size } else { [size[1], size[0]] };
    let [across, along] = if size[0] <= size[1] { frame } else { [frame[1], frame[0]] };
    // The longer side is rounded down, so the least side for it is rounded up.
    let side = across.max((along as u128 * short as u128).div_ceil(long.max(1) as u128) as usize);
    resize(size, side)
}

/// Where the middle `crop` pixels of `side` begin: `CenterCrop` rounds half of the difference to even.
fn centre(side: usize, crop: usize) -> usize {
    let rest = side.saturating_sub(crop);
    let (half, is_odd) = (rest / 2, rest % 2 == 1);
    half + usize::from(is_odd && half % 2 == 1)
}

/// A whole number from 0 to `most`.
fn below(uniform: f64, most: usize) -> usize {
    ((uniform * (most as f64 + 1.0)) as usize).min(most)
}

/// The window that `RandomResizedCrop` draws.
fn random_resized([w, h]: [usize; 2], scale: [f32; 2], ratio: [f32; 2], draws: Draws) -> Region {
    let between = |[low, high]: [f64; 2], uniform: f64| low + (high - low) * uniform;
    let log_ratio = ratio.map(|ratio| f64::from(ratio).ln());
    let area = w as f64 * h as f64;
    for attempt in 0..ATTEMPTS {
        let [share, shape, down, right] = draws.uniforms(DrawKind::Place, attempt);
        let area = area * between(scale.map(f64::from), share);
        let ratio = between(log_ratio, shape).exp();
        let side = |square: f64| square.sqrt().round_ties_even();
        let (width, height) = (side(area * ratio), side(area / ratio));
        if (1.0..=w as f64).contains(&width) && (1.0..=h as f64).contains(&height) {
            let (width, height) = (width as usize, height as usize);
            return Region { left: below(right, w - width), top: below(down, h - height), width, height };
        }
    }
    fallback([w, h], ratio)
}

/// The window of `RandomResizedCrop` where no random one fits: the middle, as much of it as the ratios allow.
fn fallback([w, h]: [usize; 2], ratio: [f32; 2]) -> Region {
    let [narrowest, widest] = ratio.map(f64::from);
    let own = w as f64 / h as f64;
    let side = |length: f64, most: usize| (length.round_ties_even() as usize).clamp(1, most);
    let (width, height) = if own < narrowest {
        (w, side(w as f64 / narrowest, h))
    } else if own > widest {
        (side(h as f64 * widest, w), h)
    } else {
        (w, h)
    };
    Region { left: (w - width) / 2, top: (h - height) / 2, width, height }
}
