//! Images that any model can be tried with, without data. Each class has a wave with its own direction, length
//! and phase per channel; a sample is its class's wave, brighter or darker, under noise. So there is something to
//! learn, and something to get wrong.

use super::dataset::{Dataset, Images, Labels, shape_text};
use super::raw::{RawSplit, RawSplits};
use super::request::Request;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use rayon::prelude::*;
use std::f32::consts::TAU;
use std::path::PathBuf;

/// Samples where no limit is given.
const TRAIN: usize = 2048;
const VAL: usize = 512;

/// Classes where no model says how many.
const DEFAULT_CLASSES: usize = 10;

/// Half the height of the waves, of the noise and of the changes in brightness, in grey levels of 255.
const WAVE: f32 = 60.0;
const NOISE: f32 = 45.0;
const BRIGHTNESS: f32 = 20.0;

/// Streams of validation samples start here, so that they share none with training samples.
const VAL_STREAM: u32 = 1 << 30;

/// Streams of classes start here.
const CLASS_STREAM: u32 = 1 << 31;

/// Images of the size that the model takes, classes in turn. The waves are the same for every seed, so that
/// weights trained under one seed fit the data of another.
pub(super) fn open(request: &Request) -> Result<RawSplits> {
    let train = make(request, request.limit_train.unwrap_or(TRAIN), 0)?;
    let val = make(request, request.limit_val.unwrap_or(VAL), VAL_STREAM)?;
    Ok(RawSplits { train, val: Some(val) })
}

fn make(request: &Request, count: usize, first_stream: u32) -> Result<RawSplit> {
    let shape = request.image_shape;
    let image_len: usize = shape.iter().product();
    let too_large = || {
        Error::Memory(format!("synthetic data: {count} images of {} do not fit in memory", shape_text(shape)))
    };
    if count as u64 >= u64::from(VAL_STREAM) {
        return Err(too_large());
    }
    let bytes = count.checked_mul(image_len).ok_or_else(too_large)?;
    let mut pixels: Vec<u8> = Vec::new();
    pixels.try_reserve_exact(bytes).map_err(|_| too_large())?;
    pixels.resize(bytes, 0);
    // One output takes 0 and 1 as values.
    let outputs = request.model.map_or(DEFAULT_CLASSES, |wanted| wanted.outputs);
    let classes = outputs.max(2) as u32;
    pixels.par_chunks_mut(image_len.max(1)).enumerate().for_each(|(sample, image)| {
        let sample = sample as u32;
        draw(
            image,
            shape,
            sample % classes,
            Stream::new(request.seed, Purpose::Synthetic, first_stream + sample),
        );
    });
    let classes_in_turn = (0..count as u32).map(|sample| sample % classes);
    let labels = if outputs == 1 {
        Labels::Values { width: 1, values: classes_in_turn.map(|class| class as f32).collect() }
    } else {
        Labels::Classes(classes_in_turn.collect())
    };
    let dataset = Dataset {
        name: "synthetic".into(),
        shape,
        classes: 0,
        class_names: Vec::new(),
        images: Images::U8(pixels),
        labels,
    };
    Ok(RawSplit { dataset, images_path: PathBuf::from("synthetic"), labels_path: PathBuf::from("synthetic") })
}

fn draw(image: &mut [u8], [_, height, width]: [usize; 3], class: u32, mut noise: Stream) {
    let mut waves = Stream::new(0, Purpose::Synthetic, CLASS_STREAM + class);
    let brightness = 127.5 + BRIGHTNESS * (2.0 * noise.uniform() - 1.0);
    for plane in image.chunks_mut((height * width).max(1)) {
        // Up to four periods across the image each way.
        let (across, down) = (8.0 * waves.uniform() - 4.0, 8.0 * waves.uniform() - 4.0);
        let phase = TAU * waves.uniform();
        let columns: Vec<_> =
            (0..width).map(|x| (TAU * across * x as f32 / width as f32).sin_cos()).collect();
        for (y, row) in plane.chunks_mut(width.max(1)).enumerate() {
            let (sin_y, cos_y) = (TAU * down * y as f32 / height as f32 + phase).sin_cos();
            let mut random = [0u8; 4];
            for (x, (pixel, (sin_x, cos_x))) in row.iter_mut().zip(&columns).enumerate() {
                if x % 4 == 0 {
                    random = noise.next_u32().to_le_bytes();
                }
                let uniform = f32::from(random[x % 4]) / 127.5 - 1.0;
                let wave = sin_x * cos_y + cos_x * sin_y;
                *pixel = (brightness + WAVE * wave + NOISE * uniform) as u8;
            }
        }
    }
}
