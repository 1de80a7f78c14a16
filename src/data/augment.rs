//! Random views of stored images, as functions of seed, epoch and sample (`draws.rs`).

use super::corrupt::mean_luma;
use super::dataset::shape_text;
use super::draws::{DrawKind, Draws};
use super::framing::Framing;
use super::transform::Transform;
use super::trivial_augment::Change;
use crate::error::{Error, Result};
use crate::view::{Augment, Crop, LUMA, MAX_SIDE, View, Window};

/// Attempts to draw a window that fits, as in torchvision's `RandomResizedCrop` and `RandomErasing`.
const ATTEMPTS: u32 = 10;

/// Largest reduction of an image by a view. Beyond it, images would show aliasing, since views interpolate between neighbours
/// and do not average.
const MOST_REDUCTION: f64 = 2.0;

/// Computes the views through which stored images of one size become the input of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmenter {
    stored: [usize; 3],
    input: [usize; 3],
    transform: Transform,
    /// Mean and standard deviation per channel of the input.
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Stored pixels per pixel of the resized image, down and across.
    unit: [f64; 2],
    /// Whether stored images are the input itself, or six of it one below the other: their geometry was settled when
    /// they were read ([`Augmenter::framing`]).
    framed: bool,
}

impl Augmenter {
    /// An augmenter for images of `stored` and a network with `input`, both channels, height and width.
    ///
    /// An error if views cannot show such images: channels other than 1 and 3, sides over [`MAX_SIDE`], images
    /// more than twice as large as `transform.resize` makes them, or of another size where it is not given.
    pub fn new(stored: [usize; 3], input: [usize; 3], transform: &Transform) -> Result<Augmenter> {
        check_size(stored, input, transform.resize).map_err(Error::Usage)?;
        transform.check(input[0])?;
        let [_, height, width] = stored;
        let unit = match transform.resize {
            Some(side) => [height.min(width) as f64 / side as f64; 2],
            None => [height as f64 / input[1] as f64, width as f64 / input[2] as f64],
        };
        let (mean, std) = (0..input[0]).map(|channel| transform.moments(channel)).unzip();
        Ok(Augmenter { stored, input, transform: transform.clone(), mean, std, unit, framed: false })
    }

    /// For images that are brought to the network's input, or to six crops of it one below the other
    /// ([`Framing::Ten`]), when they are read: views flip them, change their colours and normalise them.
    pub fn framed(stored: [usize; 3], input: [usize; 3], transform: &Transform) -> Result<Augmenter> {
        let whole = Transform { resize: None, ..transform.clone() };
        let augmenter = Augmenter::new(input, input, &whole)?;
        check_kind(stored, input).map_err(Error::Usage)?;
        Ok(Augmenter { stored, transform: transform.clone(), framed: true, ..augmenter })
    }

    /// How training sample `sample` is framed in `epoch`, where the frame is random; otherwise as its data
    /// set defines.
    pub fn framing(&self, seed: u64, epoch: u32, sample: u32) -> Option<Framing> {
        let Transform { resize, augment: Augment { crop, scale, ratio, .. }, .. } = self.transform;
        let draws = Draws { seed, epoch, sample };
        match (self.framed, crop, resize) {
            (true, Crop::RandomResized, _) => Some(Framing::RandomResized { scale, ratio, draws }),
            (true, Crop::Random, Some(resize)) => Some(Framing::Random { resize, draws }),
            _ => None,
        }
    }

    /// How the stored pixels of training sample `sample` are changed in `epoch`, if they are.
    pub fn change(&self, seed: u64, epoch: u32, sample: u32) -> Option<Change> {
        let is_drawn = self.transform.augment.trivial_augment;
        is_drawn.then(|| Change::drawn(&Draws { seed, epoch, sample }))
    }

    /// The six crops of a stored image, if it has them one below the other ([`Framing::Ten`]).
    pub fn six(&self) -> Option<[Window; 6]> {
        let height = self.input[1];
        (self.stored[1] == 6 * height && self.framed)
            .then(|| std::array::from_fn(|n| self.window([(n * height) as f64, 0.0])))
    }

    /// Channels, height and width of the stored images.
    pub fn stored(&self) -> [usize; 3] {
        self.stored
    }

    /// Channels, height and width of the network's input.
    pub fn input(&self) -> [usize; 3] {
        self.input
    }

    /// The view of evaluation: the centre crop, with unchanged colours.
    pub fn plain(&self) -> View {
        self.through(&self.centre())
    }

    /// `window` of a stored image as network input, colours as they are.
    pub fn through(&self, window: &Window) -> View {
        let [channels, height, width] = self.input;
        let mut view = View::new(window, [height, width]);
        if channels != self.stored[0] {
            self.recolour(&mut view, [1.0; 3], 0.0);
        }
        view.normalised(self.transform.scale, &self.mean, &self.std)
    }

    /// The middle part of a stored image that evaluation shows. Its place in the resized image is whole, as in
    /// torchvision's `CenterCrop`.
    pub fn centre(&self) -> Window {
        match self.six() {
            Some([.., middle, _]) => middle,
            None => self.window(self.room().map(|room| (room / 2.0).round_ties_even())),
        }
    }

    /// The part of a stored image whose top left corner is at `corner` of the resized image.
    pub fn window(&self, [top, left]: [f64; 2]) -> Window {
        let [_, height, width] = self.input;
        Window {
            top: top * self.unit[0],
            left: left * self.unit[1],
            height: height as f64 * self.unit[0],
            width: width as f64 * self.unit[1],
            angle: 0.0,
            mirror: false,
        }
    }

    /// How far the crop can be moved down and to the right in the resized image, in its pixels.
    pub fn room(&self) -> [f64; 2] {
        if self.framed {
            return [0.0; 2];
        }
        let [_, h, w] = self.stored.map(|side| side as f64);
        let [_, height, width] = self.input.map(|side| side as f64);
        // A room that is whole stays whole, however the divisions before were rounded.
        let room = |resized: f64, crop: f64| {
            let room = (resized - crop).max(0.0);
            if (room - room.round()).abs() < 1e-9 { room.round() } else { room }
        };
        [room(h / self.unit[0], height), room(w / self.unit[1], width)]
    }

    /// A random view of training sample `sample`, whose bytes, after [`Augmenter::change`], are `image`, in `epoch`.
    pub fn draw(&self, seed: u64, epoch: u32, sample: u32, image: &[u8]) -> View {
        let random = Draws { seed, epoch, sample };
        let augment = &self.transform.augment;
        let [u, v, w, angle] = random.uniforms(DrawKind::Colour, 0);
        let window = Window {
            angle: f64::from(augment.rotation) * (2.0 * angle - 1.0),
            mirror: augment.flip && flips(seed, epoch, sample),
            ..self.place(&random)
        };
        let mut view = self.through(&window);
        let factors = [(augment.brightness, u), (augment.contrast, v), (augment.saturation, w)]
            .map(|(amount, uniform)| factor(amount.into(), uniform));
        if factors != [1.0; 3] {
            let luma = if factors[1] == 1.0 { 0.0 } else { mean_luma(image, self.stored) };
            self.recolour(&mut view, factors, luma);
        }
        if augment.pca > 0.0 {
            self.add_noise(&mut view, random.normals());
        }
        if augment.cutout > 0 {
            view.cut = self.hole(&random);
        } else if let Some(rectangle) =
            erased(augment.random_erasing, [self.input[1], self.input[2]], &random)
        {
            view.cut = rectangle;
        }
        view
    }

    /// Which part of the stored image is seen.
    fn place(&self, random: &Draws) -> Window {
        match self.transform.augment.crop {
            _ if self.framed => self.centre(),
            Crop::Center => self.centre(),
            Crop::Random => {
                let [u, v, ..] = random.uniforms(DrawKind::Place, 0);
                let [down, right] = self.room();
                self.window([(u * (down + 1.0).floor()).floor(), (v * (right + 1.0).floor()).floor()])
            }
            Crop::RandomResized => self.random_resized(random),
        }
    }

    /// torchvision's `RandomResizedCrop.get_params`: a window of whole pixels of the stored image.
    fn random_resized(&self, random: &Draws) -> Window {
        let Augment { scale, ratio, .. } = self.transform.augment;
        let [_, h, w] = self.stored.map(|side| side as f64);
        let between = |[low, high]: [f64; 2], uniform: f64| low + (high - low) * uniform;
        let log_ratio = ratio.map(|ratio| f64::from(ratio).ln());
        let window =
            |top, left, height, width| Window { top, left, height, width, angle: 0.0, mirror: false };
        for attempt in 0..ATTEMPTS {
            let [area, shape, down, right] = random.uniforms(DrawKind::Place, attempt);
            let area = h * w * between(scale.map(f64::from), area);
            let ratio = between(log_ratio, shape).exp();
            let (width, height) = ((area * ratio).sqrt().round(), (area / ratio).sqrt().round());
            if (1.0..=w).contains(&width) && (1.0..=h).contains(&height) {
                let top = (down * (h - height + 1.0)).floor();
                let left = (right * (w - width + 1.0)).floor();
                return window(top, left, height, width);
            }
        }
        // The whole image, but no longer or flatter than the ratios allow.
        let [narrowest, widest] = ratio.map(f64::from);
        let width = (h * widest).round().clamp(1.0, w);
        let height = (w / narrowest).round().clamp(1.0, h);
        window(((h - height) / 2.0).floor(), ((w - width) / 2.0).floor(), height, width)
    }

    /// Puts brightness, contrast (about `luma`, the mean of the stored image) and saturation, in this order, and
    /// the change of channels into one matrix.
    pub fn recolour(&self, view: &mut View, [brightness, contrast, saturation]: [f64; 3], luma: f64) {
        let (light, offset) = (brightness * contrast, (1.0 - contrast) * brightness * luma);
        for (out, row) in view.colour.iter_mut().enumerate() {
            for (colour, weight) in row.iter_mut().take(3).enumerate() {
                let same = if out == colour { 1.0 } else { 0.0 };
                let luma = f64::from(LUMA[colour]);
                *weight = match (self.stored[0], self.input[0]) {
                    // All three colours of a grey image are its grey.
                    (1, _) => light * same,
                    // Saturation does not change luma.
                    (_, 1) => light * luma,
                    _ => light * (saturation * same + (1.0 - saturation) * luma),
                } as f32;
            }
            row[3] = offset as f32;
        }
        view.recolour = 1;
    }

    /// The colour noise of Krizhevsky et al. 2012, section 4.1, with colours from 0 to 1: `normals` times `pca` are
    /// the alphas.
    fn add_noise(&self, view: &mut View, normals: [f64; 3]) {
        let Transform { scale, augment, principal, .. } = &self.transform;
        let alpha: [f64; 3] =
            std::array::from_fn(|k| normals[k] * f64::from(augment.pca) * f64::from(principal.values[k]));
        let colours: [f64; 3] = std::array::from_fn(|c| {
            (0..3).map(|k| f64::from(principal.vectors[c][k]) * alpha[k]).sum::<f64>()
        });
        let grey = (0..3).map(|c| f64::from(LUMA[c]) * colours[c]).sum();
        for (c, std) in self.std.iter().enumerate() {
            let shift = if self.input[0] == 1 { grey } else { colours[c] };
            let shift = shift * 255.0 * f64::from(*scale) / f64::from(*std);
            view.bias[c] = (f64::from(view.bias[c]) + shift) as f32;
        }
    }

    /// A square about a pixel of the input, cut at its borders.
    fn hole(&self, random: &Draws) -> [u32; 4] {
        let [_, height, width] = self.input;
        let side = self.transform.augment.cutout;
        let [u, v, ..] = random.uniforms(DrawKind::Hole, 0);
        let range = |uniform: f64, length: usize| {
            let centre = (uniform * length as f64) as usize;
            let first = centre.saturating_sub(side / 2);
            let end = (centre + side - side / 2).min(length);
            [first as u32, end as u32]
        };
        let ([top, bottom], [left, right]) = (range(u, height), range(v, width));
        [top, left, bottom, right]
    }
}

/// The reason why no view can show images like `stored` as an input of `input`, if there is one.
pub(super) fn check_kind(stored: [usize; 3], input: [usize; 3]) -> std::result::Result<(), String> {
    let known = |shape: [usize; 3]| [1, 3].contains(&shape[0]) && shape.iter().all(|&n| n > 0);
    if !known(stored) || !known(input) {
        let (stored, input) = (shape_text(stored), shape_text(input));
        return Err(format!("expected images and an input of 1 or 3 channels, found {stored} and {input}"));
    }
    match stored.into_iter().chain(input).find(|&side| side > MAX_SIDE) {
        Some(side) => Err(format!("expected sides of at most {MAX_SIDE} pixels, found {side}")),
        None => Ok(()),
    }
}

/// The reason why images of `stored` cannot be shown as an input of `input`, if there is one.
pub(super) fn check_size(
    stored: [usize; 3],
    input: [usize; 3],
    resize: Option<usize>,
) -> std::result::Result<(), String> {
    check_kind(stored, input)?;
    let [_, height, width] = stored;
    match resize {
        None if stored[1..] != input[1..] => Err(format!(
            "expected images of {}x{} as the model takes them (it has no resize), found {height}x{width}",
            input[1], input[2]
        )),
        Some(side) if height.min(width) as f64 > MOST_REDUCTION * side as f64 => Err(format!(
            "expected images of at most {} pixels (twice the model's resize), found {height}x{width}; `striate dataset pack --size {side}` makes them smaller",
            2 * side
        )),
        _ => Ok(()),
    }
}

/// The rectangle of an input of `[height, width]` that is erased with `probability`: top, left, bottom, right. torchvision's
/// `RandomErasing` with its default scale and ratio; after as many attempts as it makes, nothing is erased.
pub(super) fn erased(probability: f64, [height, width]: [usize; 2], random: &Draws) -> Option<[u32; 4]> {
    const SCALE: [f64; 2] = [0.02, 0.33];
    const RATIO: [f64; 2] = [0.3, 3.3];
    if random.uniforms(DrawKind::Erase, 0)[0] >= probability {
        return None;
    }
    let between = |[low, high]: [f64; 2], uniform: f64| low + (high - low) * uniform;
    let (rows, columns) = (height as f64, width as f64);
    (0..ATTEMPTS).find_map(|attempt| {
        let [area, shape, down, right] = random.uniforms(DrawKind::Rectangle, attempt);
        let area = rows * columns * between(SCALE, area);
        let ratio = between(RATIO.map(f64::ln), shape).exp();
        let (h, w) = ((area * ratio).sqrt().round_ties_even(), (area / ratio).sqrt().round_ties_even());
        if h >= rows || w >= columns {
            return None;
        }
        let top = (down * (rows - h + 1.0)).floor();
        let left = (right * (columns - w + 1.0)).floor();
        Some([top, left, top + h, left + w].map(|side| side as u32))
    })
}

/// Whether `sample` is mirrored in `epoch`: half of them are.
pub(super) fn flips(seed: u64, epoch: u32, sample: u32) -> bool {
    Draws { seed, epoch, sample }.words(DrawKind::Mirror, 0)[0] >> 31 == 1
}

/// Uniform in [1 - amount, 1 + amount], at least 0.
fn factor(amount: f64, uniform: f64) -> f64 {
    if amount == 0.0 {
        return 1.0;
    }
    let low = (1.0 - amount).max(0.0);
    low + (1.0 + amount - low) * uniform
}
