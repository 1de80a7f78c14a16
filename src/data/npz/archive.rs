//! The arrays of an NPZ file.

use super::store::StoredPart;
use super::wrong::Wrong;
use crate::error::{Error, Result};
use crate::npy::{self, NpyHeader, NpyType};
use crate::view::MAX_SIDE;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 18;

/// Most bytes that one byte of an archive can stand for: Deflate expands a byte to at most 1032 (zlib's technical details).
const EXPANSION: u64 = 1032;

/// Most bytes of an array in Fortran order, which has to be reordered in memory.
const MOST_REORDERED: usize = 1 << 30;

/// An open NPZ file.
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    zip: ZipArchive<BufReader<File>>,
}

/// The images of a part.
pub(super) struct PartImages {
    pub count: usize,
    /// Channels, height and width.
    pub shape: [usize; 3],
    pub pixels: Pixels,
}

/// The pixels of a part.
pub(super) enum Pixels {
    /// Bytes in a file.
    Stored(StoredPart),
    /// Numbers, `[samples, channels, height, width]`.
    Numbers(Vec<f32>),
}

impl Archive {
    /// Opens the archive at `path` and checks that its entries are safe to read.
    pub fn open(path: &Path) -> Result<Archive> {
        let io = |error| Error::io(path, error);
        // Before it is opened: opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::data(path, "expected an NPZ file, found a folder, a pipe or a device"));
        }
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let again = file.try_clone().map_err(io)?;
        // The library's own search for the start of the archive rejects some sound files.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, BufReader::new(again)).map_err(|e| failed(path, e))?;
        if zip.has_duplicate_names() {
            return Err(Error::data(path, "the zip archive: two entries of the same name"));
        }
        let mut unpacked = 0u64;
        for index in 0..zip.len() {
            let entry = zip.by_index_data(index).map_err(|error| failed(path, error))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let bad = |what: String| Err(Error::data(path, format!("{name}: {what}")));
            if entry.encrypted() {
                return bad("expected an entry that is not encrypted".into());
            }
            if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&entry.compression()) {
                return bad(format!("expected an entry stored or deflated, found {}", entry.compression()));
            }
            let packed = entry.compressed_size();
            if packed > length || entry.size() > packed.saturating_mul(EXPANSION) {
                return bad(format!(
                    "the {packed} bytes of the entry cannot be the {} that it claims",
                    entry.size()
                ));
            }
            unpacked = unpacked.saturating_add(entry.size());
        }
        npy::check_unpacked(length, unpacked).map_err(|what| Error::data(path, what))?;
        Ok(Archive { path: path.to_path_buf(), file: Arc::new(file), zip })
    }

    /// Names of the arrays.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned());
        names.filter_map(|name| name.strip_suffix(".npy").map(String::from)).collect()
    }

    /// The classes in the array `name`, `[samples]` or `[samples, 1]`.
    pub fn labels(&mut self, name: &str) -> Result<Vec<u32>> {
        let index = self.index(name)?;
        let mut entry = self.zip.by_index(index).map_err(|error| failed(&self.path, error))?;
        let mut read = || -> Result<Vec<u32>, Wrong> {
            let header = header(&mut entry)?;
            if !matches!(header.shape[..], [_] | [_, 1]) {
                return Err(Wrong::Value(format!(
                    "expected one class per image, [samples] or [samples, 1], found {:?}",
                    header.shape
                )));
            }
            let mut labels = Vec::with_capacity(header.count);
            let mut add = |value: i64| {
                let class = u32::try_from(value).map_err(|_| {
                    Wrong::Value(format!(
                        "label {}: expected a class (0 or above), found {value}",
                        labels.len()
                    ))
                })?;
                labels.push(class);
                Ok(())
            };
            match header.number {
                NpyType::U8 => each(&mut entry, &header, |[byte]: [u8; 1]| add(byte.into())),
                NpyType::I32 => each(&mut entry, &header, |bytes| add(i32::from_le_bytes(bytes).into())),
                NpyType::I64 => each(&mut entry, &header, |bytes| add(i64::from_le_bytes(bytes))),
                other => Err(Wrong::Value(format!("expected classes of type u1, i4 or i8, found {other:?}"))),
            }?;
            Ok(labels)
        };
        read().map_err(|wrong| wrong.at(&self.path, name))
    }

    /// The images in the array `name`.
    pub fn images(&mut self, name: &str) -> Result<PartImages> {
        let index = self.index(name)?;
        let mut entry = self.zip.by_index(index).map_err(|error| failed(&self.path, error))?;
        let is_plain = entry.compression() == CompressionMethod::Stored;
        let data = entry.data_start();
        let mut read = || -> Result<(NpyHeader, [usize; 3], ReadImages), Wrong> {
            let header = header(&mut entry)?;
            let shape = image_shape(&header.shape).map_err(Wrong::Value)?;
            let read = match (header.number, header.fortran_order) {
                (NpyType::U8, false) if is_plain => {
                    // To its end, where its checksum is compared.
                    copy(&mut entry, &header, |_| Ok(()))?;
                    ReadImages::InPlace
                }
                (NpyType::U8, false) => {
                    let mut file = tempfile::tempfile().map_err(Wrong::Temporary)?;
                    copy(&mut entry, &header, |bytes| file.write_all(bytes).map_err(Wrong::Temporary))?;
                    ReadImages::Temporary(file)
                }
                (NpyType::U8, true) => {
                    let mut file = tempfile::tempfile().map_err(Wrong::Temporary)?;
                    let bytes = reordered(&mut entry, &header)?;
                    file.write_all(&bytes).map_err(Wrong::Temporary)?;
                    ReadImages::Temporary(file)
                }
                (NpyType::F32, false) => {
                    ReadImages::Numbers(floats(&mut entry, &header, f32::from_le_bytes)?)
                }
                (NpyType::F64, false) => ReadImages::Numbers(floats(&mut entry, &header, |bytes| {
                    f64::from_le_bytes(bytes) as f32
                })?),
                (NpyType::F32 | NpyType::F64, true) => {
                    let what = "expected numbers in C order, found Fortran order; save numpy.ascontiguousarray(images)";
                    return Err(Wrong::Value(what.into()));
                }
                (other, _) => {
                    return Err(Wrong::Value(format!(
                        "expected images of type u1 (pixels), f4 or f8, found {other:?}; for pixels save \
                         images.astype(\"uint8\")"
                    )));
                }
            };
            Ok((header, shape, read))
        };
        let read = read();
        drop(entry);
        let (header, shape, read) = read.map_err(|wrong| wrong.at(&self.path, name))?;
        let count = header.shape[0];
        let part = |file: Arc<File>, start: u64| StoredPart { name: name.into(), file, start, count };
        let pixels = match read {
            ReadImages::InPlace => {
                let start = data.and_then(|data| data.checked_add(header.length as u64));
                let missing =
                    || Error::data(&self.path, format!("{name}: the entry has no place in the file"));
                Pixels::Stored(part(Arc::clone(&self.file), start.ok_or_else(missing)?))
            }
            ReadImages::Temporary(file) => Pixels::Stored(part(Arc::new(file), 0)),
            ReadImages::Numbers(values) => Pixels::Numbers(planes(values, shape)),
        };
        Ok(PartImages { count, shape, pixels })
    }

    fn index(&self, name: &str) -> Result<usize> {
        let missing = || Error::Internal(format!("no array {name} in {}", self.path.display()));
        self.zip.index_for_name(&format!("{name}.npy")).ok_or_else(missing)
    }
}

/// What became of an array of images.
enum ReadImages {
    InPlace,
    Temporary(File),
    Numbers(Vec<f32>),
}

fn failed(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
        other => Error::data(path, format!("expected a whole zip archive: {other}")),
    }
}

/// The header at the start of `entry`, if the rest of the entry has just the bytes of the array.
fn header<R: Read>(entry: &mut ZipFile<'_, R>) -> Result<NpyHeader, Wrong> {
    let header = npy::read(entry)?;
    let claimed = header.count as u64 * header.number.size() as u64;
    let found = entry.size().saturating_sub(header.length as u64);
    if claimed != found {
        let what = format!("the shape {:?} needs {claimed} bytes, found {found}", header.shape);
        return Err(Wrong::Value(what));
    }
    Ok(header)
}

/// Gives the bytes of an array to `to` in pieces of whole elements.
fn copy(
    from: &mut impl Read,
    header: &NpyHeader,
    mut to: impl FnMut(&[u8]) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    let mut left = header.count * header.number.size();
    let mut chunk = vec![0; CHUNK.min(left)];
    while left > 0 {
        let take = chunk.len().min(left);
        from.read_exact(&mut chunk[..take])?;
        to(&chunk[..take])?;
        left -= take;
    }
    // The zip reader compares an entry's checksum only at its end.
    if from.read(&mut [0])? > 0 {
        return Err(Wrong::Value("expected no bytes after the array".into()));
    }
    Ok(())
}

/// Gives the elements of an array, each as its bytes in little-endian order, to `to`.
fn each<const N: usize>(
    from: &mut impl Read,
    header: &NpyHeader,
    mut to: impl FnMut([u8; N]) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    copy(from, header, |bytes| {
        let (elements, _) = bytes.as_chunks::<N>();
        elements.iter().try_for_each(|&element| {
            let mut element = element;
            if header.big_endian {
                element.reverse();
            }
            to(element)
        })
    })
}

fn floats<const N: usize>(
    from: &mut impl Read,
    header: &NpyHeader,
    value: impl Fn([u8; N]) -> f32,
) -> Result<Vec<f32>, Wrong> {
    let width: usize = header.shape[1..].iter().product();
    let mut values = Vec::with_capacity(header.count);
    each(from, header, |bytes| {
        let value = value(bytes);
        if !value.is_finite() {
            let image = values.len() / width.max(1);
            return Err(Wrong::Value(format!("image {image}: expected finite numbers, found {value}")));
        }
        values.push(value);
        Ok(())
    })?;
    Ok(values)
}

/// The bytes of an array in Fortran order (the first axis varies fastest), in C order (the last axis does).
fn reordered(from: &mut impl Read, header: &NpyHeader) -> Result<Vec<u8>, Wrong> {
    if header.count > MOST_REORDERED {
        return Err(Wrong::Value(format!(
            "expected at most {MOST_REORDERED} bytes in Fortran order, found {}; save numpy.ascontiguousarray(images)",
            header.count
        )));
    }
    let mut bytes = Vec::new();
    copy(from, header, |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    let count = header.shape[0];
    let inner: Vec<usize> = header.shape[1..].to_vec();
    let mut ordered = Vec::with_capacity(bytes.len());
    for sample in 0..count {
        for element in 0..inner.iter().product() {
            // The place of the element along each axis, from the last, and with it the place in Fortran order.
            let (mut rest, mut at, mut stride) = (element, sample, bytes.len());
            for &extent in inner.iter().rev() {
                stride /= extent;
                at += rest % extent * stride;
                rest /= extent;
            }
            ordered.push(bytes[at]);
        }
    }
    Ok(ordered)
}

/// `[samples, height, width, channels]` as `[samples, channels, height, width]`.
fn planes(values: Vec<f32>, shape: [usize; 3]) -> Vec<f32> {
    let [channels, height, width] = shape;
    if channels == 1 {
        return values;
    }
    let images = values.chunks_exact(channels * height * width);
    images
        .flat_map(|image| (0..channels).flat_map(|c| image.iter().skip(c).step_by(channels)))
        .copied()
        .collect()
}

/// Channels, height and width of the images in an array of `shape`.
fn image_shape(shape: &[usize]) -> Result<[usize; 3], String> {
    let found = match *shape {
        [_, height, width] => [1, height, width],
        [_, height, width, channels @ (1 | 3)] => [channels, height, width],
        _ => {
            let hint = match shape {
                [_, 1 | 3, _, _] => "; channels come last: save numpy.moveaxis(images, 1, -1)",
                _ => "",
            };
            return Err(format!(
                "expected images [samples, height, width] or [samples, height, width, 1 or 3 channels], found {shape:?}{hint}"
            ));
        }
    };
    if shape.contains(&0) || shape[0] > u32::MAX as usize / 2 || found[1].max(found[2]) > MAX_SIDE {
        return Err(format!(
            "expected at most {} images with sides of 1 to {MAX_SIDE}, found {shape:?}",
            u32::MAX / 2
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_images_with_channels_last() {
        assert_eq!(image_shape(&[5, 9, 7]), Ok([1, 9, 7]));
        assert_eq!(image_shape(&[5, 9, 7, 3]), Ok([3, 9, 7]));
        assert_eq!(image_shape(&[5, 9, 7, 1]), Ok([1, 9, 7]));
        assert!(image_shape(&[5, 3, 9, 7]).unwrap_err().contains("moveaxis"));
        for wrong in
            [&[5][..], &[5, 9], &[5, 9, 7, 4], &[5, 9, 7, 7, 7], &[0, 9, 7], &[5, 0, 7], &[5, 9, 1 << 40]]
        {
            assert!(image_shape(wrong).is_err(), "{wrong:?}");
        }
    }
}
