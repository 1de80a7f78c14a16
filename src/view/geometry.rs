//! The rules for resizing and cropping an image of any size to a network's input. There are two versions of them; weights
//! files and checkpoints record theirs.

/// The version of the resizing and cropping rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Rules {
    /// Before version 2: the central square of the image, with a fractional side, is resized; every crop is a window of
    /// it, sampled without antialiasing.
    Covered,
    /// Pixel-exact as torchvision: `Resize`, `CenterCrop`, `RandomCrop`, `RandomResizedCrop` and `TenCrop` of the whole
    /// image.
    #[default]
    Torchvision,
}

/// How a network's images are prepared, in addition to the settings of its model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Geometry {
    pub rules: Rules,
    /// Whether the EXIF orientation of an image file is ignored, as torchvision does. Otherwise images are rotated upright.
    pub ignore_exif: bool,
}

impl Rules {
    /// The version recorded in files; `None` stands for files from before versions existed.
    pub fn version(self) -> Option<&'static str> {
        match self {
            Rules::Covered => None,
            Rules::Torchvision => Some("2"),
        }
    }
}
