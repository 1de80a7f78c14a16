//! The random changes to training images and their ranges. A model file sets them, and the loader draws from them.

/// How a training image is cropped to the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Crop {
    /// The centre crop, as in evaluation.
    Center,
    /// A part of the crop's size at a random position.
    Random,
    /// A part of random area, aspect ratio and position, resized to the crop's size (Szegedy et al., "Going deeper with
    /// convolutions", CVPR 2015; torchvision's `RandomResizedCrop`).
    RandomResized,
}

impl Crop {
    /// Every variant with its name in model files.
    pub const ALL: &'static [(&'static str, Crop)] =
        &[("center", Crop::Center), ("random", Crop::Random), ("random-resized", Crop::RandomResized)];
}

/// Random changes to training images; the default changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    pub crop: Crop,
    /// random-resized: smallest and largest share of the image's area.
    pub scale: [f32; 2],
    /// random-resized: smallest and largest width / height; its logarithm is uniform.
    pub ratio: [f32; 2],
    /// Mirror left and right with probability 1/2.
    pub flip: bool,
    /// Standard deviation of the PCA colour noise (Krizhevsky et al. 2012, section 4.1); 0 is none.
    pub pca: f32,
    /// Factor of all colours, uniform in [1 - v, 1 + v], at least 0.
    pub brightness: f32,
    /// Factor of the distance from the image's mean luma, drawn likewise.
    pub contrast: f32,
    /// Factor of the distance of each pixel from its own luma, drawn likewise.
    pub saturation: f32,
    /// Largest rotation in either direction, in degrees.
    pub rotation: f32,
    /// Side of a square of the input that is set to 0, in pixels (DeVries and Taylor, arXiv 1708.04552); 0 is none.
    pub cutout: usize,
    /// Probability that a random rectangle of the input is set to 0 (Zhong et al., arXiv 1708.04896; torchvision's `RandomErasing`
    /// with its default scale and ratio); 0 is none. Not together with `cutout`.
    pub random_erasing: f64,
    /// Change the stored pixels of each image by one of 14 operations of random strength, before everything else but the crop
    /// (Müller and Hutter, arXiv 2103.10158; torchvision's `TrivialAugmentWide` with its defaults).
    pub trivial_augment: bool,
}

impl Default for Augment {
    fn default() -> Self {
        Augment {
            crop: Crop::Center,
            scale: [0.08, 1.0],
            ratio: [0.75, 1.333_333_3],
            flip: false,
            pca: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            rotation: 0.0,
            cutout: 0,
            random_erasing: 0.0,
            trivial_augment: false,
        }
    }
}

impl Augment {
    /// True if anything but `flip` and `random_erasing` is set, which requires images of 8-bit pixels.
    pub fn needs_pixels(&self) -> bool {
        let Augment { flip, random_erasing, .. } = *self;
        *self != Augment { flip, random_erasing, ..Augment::default() }
    }
}

/// The principal components of a data set's colours for the PCA colour noise, for RGB pixels of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Principal {
    /// Factor of the noise along each component.
    pub values: [f32; 3],
    /// Row c holds the contributions of the three components to colour c.
    pub vectors: [[f32; 3]; 3],
}

impl Default for Principal {
    /// Those of ImageNet, as in fb.resnet.torch (`datasets/transforms.lua`, `Lighting`) and many later programs.
    fn default() -> Self {
        Principal {
            values: [0.2175, 0.0188, 0.0045],
            vectors: [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
        }
    }
}
