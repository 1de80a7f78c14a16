//! Robustness: the accuracy of a network when its images are rotated, enlarged, put in another light, blurred, noisy or partly
//! covered: one evaluation for each kind of damage and each level of it.

use super::batches::BatchSource;
use super::evaluate::evaluate;
use super::metrics::Totals;
use crate::data::{Augmenter, Dataset, ViewFn, corrupt};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::program::Executor;
use crate::random::{Purpose, Stream};
use crate::view::{View, Window};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A kind of corruption. Each starts from the crop of plain evaluation, in the middle of the image; beyond its border the
/// image repeats the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Corruption {
    /// Turned counter-clockwise about the crop's centre, in degrees.
    Rotation,
    /// The object's size times this: the crop's sides divided by it, about its centre.
    Scale,
    /// v = clamp(level p, 0, 255) for every pixel p.
    Brightness,
    /// v = clamp(level p + (1 - level) m, 0, 255), where m is the mean luma (ITU-R BT.601) of the stored image.
    Contrast,
    /// Gaussian blur of the stored image ([`corrupt::blur`]) with this standard deviation, in pixels of the input.
    Blur,
    /// A normal number of this standard deviation, of 255, added to every byte ([`corrupt::noise`]).
    Noise,
    /// A rectangle of the input's shape, with this share of its area, at a random place wholly inside of it is set to 0,
    /// the mean colour. Its sides are rounded to whole pixels.
    Occlusion,
}

impl Corruption {
    /// Every kind, in the order of the tables.
    pub const ALL: [Corruption; 7] = [
        Corruption::Rotation,
        Corruption::Scale,
        Corruption::Brightness,
        Corruption::Contrast,
        Corruption::Blur,
        Corruption::Noise,
        Corruption::Occlusion,
    ];

    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Corruption::Rotation => "rotation",
            Corruption::Scale => "scale",
            Corruption::Brightness => "brightness",
            Corruption::Contrast => "contrast",
            Corruption::Blur => "blur",
            Corruption::Noise => "noise",
            Corruption::Occlusion => "occlusion",
        }
    }

    /// The unit of its levels.
    pub fn unit(self) -> &'static str {
        match self {
            Corruption::Rotation => "degrees",
            Corruption::Scale | Corruption::Brightness | Corruption::Contrast => "times",
            Corruption::Blur => "input pixels",
            Corruption::Noise => "of 255",
            Corruption::Occlusion => "of the area",
        }
    }

    /// The levels that are evaluated, rising; one of them is [`Corruption::neutral`].
    pub fn levels(self) -> &'static [f64] {
        match self {
            Corruption::Rotation => &[-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0],
            Corruption::Scale => &[0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0],
            Corruption::Brightness | Corruption::Contrast => &[0.25, 0.5, 0.75, 1.0, 1.33, 2.0, 4.0],
            Corruption::Blur => &[0.0, 0.5, 1.0, 1.5, 2.0, 3.0],
            Corruption::Noise => &[0.0, 8.0, 16.0, 32.0, 64.0],
            Corruption::Occlusion => &[0.0, 0.05, 0.1, 0.2, 0.3, 0.5],
        }
    }

    /// The level that changes nothing.
    pub fn neutral(self) -> f64 {
        match self {
            Corruption::Scale | Corruption::Brightness | Corruption::Contrast => 1.0,
            _ => 0.0,
        }
    }

    /// The view of sample number `sample`; changes the bytes of its `image` where a view cannot say it. What is
    /// random is a function of `seed` and `sample`.
    pub fn apply(
        self,
        level: f64,
        augmenter: &Augmenter,
        seed: u64,
        sample: usize,
        image: &mut [u8],
    ) -> View {
        if level == self.neutral() {
            return augmenter.plain();
        }
        let centre = augmenter.centre();
        match self {
            Corruption::Rotation => augmenter.through(&Window { angle: level, ..centre }),
            Corruption::Scale => augmenter.through(&zoomed(&centre, level)),
            Corruption::Brightness => relit(augmenter, [level, 1.0, 1.0], 0.0),
            Corruption::Contrast => {
                relit(augmenter, [1.0, level, 1.0], corrupt::mean_luma(image, augmenter.stored()))
            }
            Corruption::Blur => {
                let stored_per_input = centre.height / augmenter.input()[1] as f64;
                corrupt::blur(image, augmenter.stored(), level * stored_per_input);
                augmenter.plain()
            }
            Corruption::Noise => {
                corrupt::noise(image, level, seed, sample);
                augmenter.plain()
            }
            Corruption::Occlusion => {
                let mut stream = Stream::new(seed, Purpose::Corrupt, sample as u32);
                let [_, height, width] = augmenter.input();
                let mut range = |length: usize| {
                    let covered = ((length as f64 * level.sqrt()).round() as usize).min(length);
                    let first = stream.below((length - covered) as u32 + 1);
                    [first, first + covered as u32]
                };
                let ([top, bottom], [left, right]) = (range(height), range(width));
                View { cut: [top, left, bottom, right], ..augmenter.plain() }
            }
        }
    }
}

/// The plain view with factors of brightness, contrast (about `luma`) and saturation.
fn relit(augmenter: &Augmenter, factors: [f64; 3], luma: f64) -> View {
    let mut view = augmenter.plain();
    augmenter.recolour(&mut view, factors, luma);
    view
}

/// `window` about its centre, so that what is seen is `factor` times as large.
fn zoomed(window: &Window, factor: f64) -> Window {
    let (height, width) = (window.height / factor, window.width / factor);
    Window {
        top: window.top + (window.height - height) / 2.0,
        left: window.left + (window.width - width) / 2.0,
        height,
        width,
        ..*window
    }
}

/// The result at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub corruption: Corruption,
    pub level: f64,
    pub totals: Totals,
}

/// Evaluates every level of every [`Corruption`] over `dataset`, in order; `each` receives each result as soon as it is available.
///
/// The levels that change nothing are one and the same evaluation, the plain one. The images are read once for every
/// other level. The model must have been built for the pixels of `dataset`, which has what lies around the input where there
/// is any ([`crate::data::Splits::with_surroundings`]). Stops early, with the levels that are
/// complete, once `stop` is set.
pub fn robustness(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    seed: u64,
    stop: &AtomicBool,
    each: &mut dyn FnMut(&Outcome) -> Result<()>,
) -> Result<Vec<Outcome>> {
    if model.views.is_none() {
        let what =
            format!("robustness: expected images of bytes in data set {}, found numbers", dataset.name);
        return Err(Error::Usage(what));
    }
    let augmenter = source.augmenter(dataset)?;
    let mut plain = None;
    let mut outcomes = Vec::new();
    for corruption in Corruption::ALL {
        for &level in corruption.levels() {
            let neutral = level == corruption.neutral();
            let known = if neutral { plain } else { None };
            let totals = match known {
                Some(totals) => totals,
                None => {
                    let augmenter = augmenter.clone();
                    let view_fn = ViewFn::new(move |sample, image: &mut [u8]| {
                        corruption.apply(level, &augmenter, seed, sample, image)
                    });
                    evaluate(model, executor, dataset, &source.clone().with_view_fn(view_fn), stop)?
                }
            };
            if stop.load(Ordering::Relaxed) {
                return Ok(outcomes);
            }
            if neutral {
                plain = Some(totals);
            }
            let outcome = Outcome { corruption, level, totals };
            each(&outcome)?;
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}
