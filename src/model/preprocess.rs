//! Preprocessing and augmentation of images: the tables `[preprocess]` (always) and `[augment]` (at random, in training) of a model
//! file.

use super::reader::Table;
use crate::error::Result;
use crate::view::{Augment, Crop, MAX_SIDE, Principal};

/// From pixels 0..255 to x: (pixel * scale - mean) / std for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Length that the shorter side is resized to, in pixels.
    pub resize: Option<usize>,
    /// Side of the square that is cut out, in pixels: the side of the network's input.
    pub crop: Option<usize>,
    /// Whether crops, random ones and those of ten, are cut from the middle square of the resized image, as in Krizhevsky
    /// et al. 2012, and not from all of it, as in torchvision.
    pub square: bool,
    pub scale: f32,
    /// One value per channel of the network's input.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
    /// Principal components of the colours, for the PCA colour noise.
    pub principal: Principal,
}

impl Preprocess {
    /// The default: pixel / 255.
    pub fn plain(channels: usize) -> Self {
        Preprocess {
            resize: None,
            crop: None,
            square: false,
            scale: 1.0 / 255.0,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            principal: Principal::default(),
        }
    }

    pub(super) fn read(table: Option<Table<'_>>, input: [usize; 3]) -> Result<Self> {
        let [channels, height, width] = input;
        let default = Preprocess::plain(channels);
        let Some(t) = table else { return Ok(default) };
        let p = Preprocess {
            resize: t.get("resize")?,
            crop: t.get("crop")?,
            square: t.or("square", default.square)?,
            scale: t.or("scale", default.scale)?,
            mean: t.or("mean", default.mean)?,
            std: t.or("std", default.std)?,
            principal: read_principal(&t)?,
        };
        for (key, list) in [("mean", &p.mean), ("std", &p.std)] {
            if list.len() != channels {
                return Err(t.error(key, format!("expected {channels} values, found {}", list.len())));
            }
        }
        if p.std.contains(&0.0) {
            return Err(t.error("std", "expected values other than 0"));
        }
        if let Some(crop) = p.crop.filter(|&crop| [crop, crop] != [height, width]) {
            return Err(t.error("crop", format!("expected the sides of the input {input:?}, found {crop}")));
        }
        if p.square && p.resize.is_none() {
            return Err(t.error("square", "true needs a resize, which is its side"));
        }
        let longest = height.max(width);
        if let Some(resize) = p.resize.filter(|resize| !(longest..=MAX_SIDE).contains(resize)) {
            let range = format!("{longest} (the input's longer side) to {MAX_SIDE}");
            return Err(t.error("resize", format!("expected {range}, found {resize}")));
        }
        t.finish()?;
        Ok(p)
    }
}

fn read_principal(t: &Table<'_>) -> Result<Principal> {
    let default = Principal::default();
    let values = match t.get::<Vec<f32>>("pca_eigenvalues")? {
        Some(list) => <[f32; 3]>::try_from(list)
            .map_err(|list| t.error("pca_eigenvalues", format!("expected 3 values, found {}", list.len())))?,
        None => default.values,
    };
    let vectors = match t.get::<Vec<Vec<f32>>>("pca_eigenvectors")? {
        Some(rows) => {
            let wrong = || t.error("pca_eigenvectors", "expected 3 rows (red, green, blue) of 3 values");
            let rows: Option<Vec<[f32; 3]>> = rows.into_iter().map(|row| row.try_into().ok()).collect();
            rows.and_then(|rows| rows.try_into().ok()).ok_or_else(wrong)?
        }
        None => default.vectors,
    };
    Ok(Principal { values, vectors })
}

pub(super) fn read_augment(
    table: Option<Table<'_>>,
    preprocess: &Preprocess,
    [channels, height, width]: [usize; 3],
) -> Result<Augment> {
    let d = Augment::default();
    let Some(t) = table else { return Ok(d) };
    let augment = Augment {
        crop: t.word("crop", Crop::ALL, d.crop)?,
        scale: range(&t, "scale", d.scale, 1.0)?,
        ratio: range(&t, "ratio", d.ratio, 100.0)?,
        flip: t.or("flip", d.flip)?,
        pca: amount(&t, "pca", 10.0)?,
        brightness: amount(&t, "brightness", 10.0)?,
        contrast: amount(&t, "contrast", 10.0)?,
        saturation: amount(&t, "saturation", 10.0)?,
        rotation: amount(&t, "rotation", 180.0)?,
        cutout: t.or("cutout", d.cutout)?,
        random_erasing: t.or("random_erasing", d.random_erasing)?,
        trivial_augment: t.or("trivial_augment", d.trivial_augment)?,
    };
    if !(0.0..=1.0).contains(&augment.random_erasing) {
        let what = format!("expected 0 to 1, found {}", augment.random_erasing);
        return Err(t.error("random_erasing", what));
    }
    if augment.random_erasing > 0.0 && augment.cutout > 0 {
        let what = format!("expected no cutout beside it, found cutout = {}", augment.cutout);
        return Err(t.error("random_erasing", what));
    }
    if augment.crop == Crop::Random && preprocess.resize.is_none() {
        let what = "\"random\" needs a resize in [preprocess] that leaves room around the crop";
        return Err(t.error("crop", what));
    }
    if augment.cutout > height.min(width) {
        let side = height.min(width);
        let what = format!("expected at most {side} (the input's shorter side), found {}", augment.cutout);
        return Err(t.error("cutout", what));
    }
    if augment.needs_pixels() && ![1, 3].contains(&channels) {
        let what = format!(
            "only flip and random_erasing are known for an input of {channels} channels, the rest for 1 and 3"
        );
        return Err(t.error("crop", what));
    }
    t.finish()?;
    Ok(augment)
}

/// A number from 0 to `most`; 0 if the key is not there.
fn amount(t: &Table<'_>, key: &'static str, most: f32) -> Result<f32> {
    let value = t.or(key, 0.0)?;
    if (0.0..=most).contains(&value) {
        Ok(value)
    } else {
        Err(t.error(key, format!("expected 0 to {most}, found {value}")))
    }
}

/// Two rising numbers above 0 and at most `most`.
fn range(t: &Table<'_>, key: &'static str, default: [f32; 2], most: f32) -> Result<[f32; 2]> {
    let Some(list) = t.get::<Vec<f32>>(key)? else { return Ok(default) };
    match *list {
        [low, high] if low > 0.0 && low <= high && high <= most => Ok([low, high]),
        _ => Err(t.error(key, format!("expected [low, high], above 0 and at most {most}, found {list:?}"))),
    }
}
