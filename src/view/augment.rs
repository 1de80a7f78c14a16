//! What may be changed at random in a training picture, and by how much. Plain numbers: a model file says them, the
//! loader draws from them.

/// How a training picture is cut to the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crop {
    /// The middle, as in evaluation.
    Center,
    /// A part of the crop's size at a random place.
    Random,
    /// A part of random area, shape and place, brought to the crop's size (Szegedy et al., "Going deeper with
    /// convolutions", CVPR 2015; torchvision's `RandomResizedCrop`).
    RandomResized,
}

impl Crop {
    /// Every variant with its name in model files.
    pub const ALL: &'static [(&'static str, Crop)] =
        &[("center", Crop::Center), ("random", Crop::Random), ("random-resized", Crop::RandomResized)];
}

/// Random changes to training pictures; the default changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    pub crop: Crop,
    /// random-resized: smallest and largest share of the picture's area.
    pub scale: [f32; 2],
    /// random-resized: smallest and largest width / height; its logarithm is uniform.
    pub ratio: [f32; 2],
    /// Mirror left and right with probability 1/2.
    pub flip: bool,
    /// Standard deviation of the PCA colour noise (Krizhevsky et al. 2012, section 4.1); 0 is none.
    pub pca: f32,
    /// Factor of all colours, uniform in [1 - v, 1 + v], at least 0.
    pub brightness: f32,
    /// Factor of the distance from the picture's mean luma, drawn alike.
    pub contrast: f32,
    /// Factor of the distance of each pixel from its own luma, drawn alike.
    pub saturation: f32,
    /// Largest turn either way, in degrees.
    pub rotation: f32,
    /// Side of a square of the input that is set to 0, in pixels (DeVries and Taylor, arXiv 1708.04552); 0 is none.
    pub cutout: usize,
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
        }
    }
}

impl Augment {
    /// Whether anything but mirroring is asked for, which only pictures of bytes can have.
    pub fn needs_pixels(&self) -> bool {
        *self != Augment { flip: self.flip, ..Augment::default() }
    }
}

/// The principal components of a data set's colours, for the PCA colour noise: of pixels 0 to 1, red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Principal {
    /// What the noise is multiplied with along each component.
    pub values: [f32; 3],
    /// Row c is what the three components add to colour c.
    pub vectors: [[f32; 3]; 3],
}

impl Default for Principal {
    /// Of ImageNet's pictures, as fb.resnet.torch (`datasets/transforms.lua`, `Lighting`) and many after it use them.
    fn default() -> Self {
        Principal {
            values: [0.2175, 0.0188, 0.0045],
            vectors: [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
        }
    }
}
