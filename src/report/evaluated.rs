//! The answers of a network to samples, with the images of wrong ones as the network sees them.

use super::canvas::{Canvas, RgbImage};
use super::mistakes::{MistakePanel, mistake_sheet};
use super::page::Thumbnail;
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::inference::{Assessment, Mistake, Scores};
use std::sync::Arc;

/// The longer side of an image on a page, in pixels.
const SIDE: usize = 112;

/// The answers of a network to samples with classes.
#[derive(Clone, Debug)]
pub struct Evaluated {
    pub assessment: Assessment,
    /// The samples that the answers are to.
    pub data: Arc<Dataset>,
    /// Which samples they are, in words: `the 10000 validation samples of fashion-mnist`.
    pub samples: String,
    /// Shape of the network's input.
    pub input: [usize; 3],
}

impl Evaluated {
    /// The answers to the validation samples `data` of a network whose input has the shape `input`.
    pub fn of_validation(assessment: Assessment, data: Arc<Dataset>, input: [usize; 3]) -> Evaluated {
        let samples = format!("the {} validation samples of {}", data.len(), data.name);
        Evaluated { assessment, data, samples, input }
    }

    /// The name of class `class`.
    pub fn name(&self, class: usize) -> String {
        self.data.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The number of a mistake as text.
    fn value(&self, mistake: &Mistake) -> String {
        match self.assessment.scores() {
            _ if !mistake.score.is_finite() => "-".into(),
            Scores::Values => format!("{:.3}", mistake.score),
            _ => format!("{:.1} %", 100.0 * mistake.score),
        }
    }

    /// Whether the samples are images, so that mistakes can be shown.
    pub fn has_images(&self) -> bool {
        let [_, height, width] = self.data.shape;
        height > 1 && width > 1
    }

    /// A line on the mistakes that are shown, where at most `most` are.
    pub fn heading(&self, most: usize) -> String {
        let (wrong, on) = (self.assessment.wrong(), &self.samples);
        let shown = self.assessment.mistakes().len().min(most);
        match wrong {
            0 => format!("No mistakes on {on}"),
            1 => format!("The only mistake on {on}"),
            _ if shown as u64 == wrong => format!("All {wrong} mistakes on {on}, the most confident first"),
            _ => format!("The {shown} most confident of {wrong} mistakes on {on}"),
        }
    }

    /// A sheet of the most confident mistakes.
    pub fn mistakes_sheet(&self) -> Result<Canvas> {
        let panel = |mistake: &Mistake| MistakePanel {
            image: sample_image(&self.data, mistake.sample, self.input),
            answer: self.name(mistake.answer),
            value: self.value(mistake),
            truth: self.name(mistake.truth),
        };
        let panels: Vec<MistakePanel> = self.assessment.mistakes().iter().map(panel).collect();
        mistake_sheet(&self.heading(usize::MAX), &panels)
    }

    /// The first `most` mistakes for a page.
    pub fn thumbnails(&self, most: usize) -> Result<Vec<Thumbnail>> {
        let thumbnail = |mistake: &Mistake| {
            let image = sample_image(&self.data, mistake.sample, self.input);
            let small = image
                .map(|image| if image.width.max(image.height) > SIDE { image.within(SIDE) } else { image });
            let png = small.map(|image| Ok::<_, Error>((image.png()?, image.width))).transpose()?;
            Ok(Thumbnail {
                png,
                answer: self.name(mistake.answer),
                value: self.value(mistake),
                truth: self.name(mistake.truth),
            })
        };
        self.assessment.mistakes().iter().take(most).map(thumbnail).collect()
    }
}

/// The image of `sample` of `data`, as evaluation shows it to a network whose input has the shape `input`: the middle of what `data` has; `None` if it cannot be read any more. Numbers
/// are stretched from the least (black) to the greatest (white); of other than three channels the first is shown as grey.
pub fn sample_image(data: &Dataset, sample: usize, input: [usize; 3]) -> Option<RgbImage> {
    let ([channels, height, width], size) = (data.shape, data.image_len());
    let planes = match &data.images {
        Images::F32(values) | Images::Levels(values) => {
            let values = values.get(sample.checked_mul(size)?..)?.get(..size)?;
            let finite = || values.iter().copied().filter(|value| value.is_finite());
            let (low, high) =
                (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
            let grey = |&value: &f32| (255.0 * (value - low) / (high - low).max(f32::MIN_POSITIVE)) as u8;
            values.iter().map(grey).collect()
        }
        _ => {
            let mut pixels = vec![0; size];
            data.read_pixels(sample, &mut pixels).ok()?;
            pixels
        }
    };
    let plane = height * width;
    let pixels =
        (0..plane).flat_map(|at| colour((0..channels).map(|c| planes[c * plane + at]).collect())).collect();
    Some(RgbImage { width, height, pixels }.middle(input[2], input[1]))
}

/// The colour of a pixel: of three channels their values, else the first one as grey.
fn colour(channels: Vec<u8>) -> [u8; 3] {
    match channels[..] {
        [red, green, blue] => [red, green, blue],
        _ => [channels.first().copied().unwrap_or(0); 3],
    }
}
