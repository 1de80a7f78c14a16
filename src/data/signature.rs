//! What a file is, by its first bytes. Names mislead: ImageNet has a PNG called .JPEG, and browsers save WebP as .jpg.

/// The types of images that are read, as messages name them.
pub(super) const READ: &str = "JPEG, PNG, TIFF, BMP, WebP or GIF";

/// A type of images that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageKind {
    Jpeg,
    Png,
    Tiff,
    Bmp,
    WebP,
    Gif,
}

impl ImageKind {
    /// The type of the image that begins with these bytes; `None` for anything else.
    pub fn of(file: &[u8]) -> Option<ImageKind> {
        let at = |from: usize, text: &[u8]| file.get(from..).is_some_and(|rest| rest.starts_with(text));
        Some(match file {
            _ if at(0, b"\xff\xd8\xff") => ImageKind::Jpeg,
            _ if at(0, b"\x89PNG\r\n\x1a\n") => ImageKind::Png,
            // 43 is BigTIFF.
            _ if at(0, b"II*\0") || at(0, b"MM\0*") || at(0, b"II+\0") || at(0, b"MM\0+") => ImageKind::Tiff,
            _ if at(0, b"RIFF") && at(8, b"WEBP") => ImageKind::WebP,
            _ if at(0, b"GIF87a") || at(0, b"GIF89a") => ImageKind::Gif,
            _ if at(0, b"BM") => ImageKind::Bmp,
            _ => return None,
        })
    }
}

/// What a file of no such type is.
pub(super) fn described(file: &[u8]) -> String {
    let at = |from: usize, text: &[u8]| file.get(from..).is_some_and(|rest| rest.starts_with(text));
    // The brands of ISO media files (ISO/IEC 14496-12, 4.3).
    let brand = |names: &[&[u8]]| at(4, b"ftyp") && names.iter().any(|name| at(8, name));
    let kind = match file {
        _ if brand(&[b"avif", b"avis"]) => "an AVIF image",
        _ if brand(&[b"hei", b"hev", b"mif1", b"msf1"]) => "a HEIC image",
        _ if at(4, b"ftyp") => "a video",
        _ if at(0, b"\xff\x0a") || at(4, b"JXL \r\n\x87\n") => "a JPEG XL image",
        _ if at(4, b"jP  \r\n\x87\n") || at(0, b"\xff\x4f\xff\x51") => "a JPEG 2000 image",
        _ if at(0, b"8BPS") => "a Photoshop image",
        _ if at(0, b"\0\0\x01\0") => "an icon (ICO)",
        _ if at(0, b"DDS ") => "a DDS image",
        _ if at(0, b"qoif") => "a QOI image",
        [b'P', b'1'..=b'7', b'\n' | b' ' | b'\r' | b'\t', ..] => "a PBM, PGM or PPM image",
        _ if at(0, b"%PDF") => "a PDF document",
        _ if at(0, b"%!PS") => "a PostScript document",
        _ if at(0, b"<svg")
            || (at(0, b"<?xml") && file.windows(4).take(2000).any(|four| four == b"<svg")) =>
        {
            "an SVG image"
        }
        _ if at(0, b"version https://git-lfs") => {
            return "a pointer of Git LFS in the place of the file (`git lfs pull` fetches it)".into();
        }
        _ if at(0, b"<") => "a text in HTML or XML",
        _ if at(0, b"PK\x03\x04") => "a ZIP archive",
        _ if at(0, b"\x1f\x8b") => "a gzip archive",
        _ => {
            let start: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return format!("a file that begins {}", start.join(" "));
        }
    };
    kind.into()
}
