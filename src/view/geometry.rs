//! By which rules a picture of any size is brought to a network's input, where several have been in use: files of
//! weights and checkpoints say which ones are theirs.

/// How pictures are resized and cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Rules {
    /// Before version 2: the picture is cut around its centre to a square of a side in fractions of a pixel, and that
    /// square is resized; every crop is a window of it, seen without averaging.
    Covered,
    /// torchvision's, to the pixel: `Resize`, `CenterCrop`, `RandomCrop`, `RandomResizedCrop` and `TenCrop` of the whole
    /// picture.
    #[default]
    Torchvision,
}

/// How the pictures of a network are looked at, beside what its model file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Geometry {
    pub rules: Rules,
    /// Whether the orientation that a file's EXIF metadata name is left alone, as torchvision leaves it. Otherwise
    /// pictures are turned upright.
    pub ignore_exif: bool,
}

impl Rules {
    /// The version that files name; `None` is from before there was one.
    pub fn version(self) -> Option<&'static str> {
        match self {
            Rules::Covered => None,
            Rules::Torchvision => Some("2"),
        }
    }
}
