//! Tar files of images, as WebDataset shards data sets: members with the same name up to the first dot, beside each other, are one
//! sample, such as `000017.jpg` and `000017.cls`.
//!
//! The class is the integer (or the name) in the member `.cls`, or a field of the member `.json`. When the data is opened, the headers
//! and the labels are read; images are read when they are needed. In memory remain 16 bytes for each sample, its label and its number.
//! A compressed tar file is not read.

use super::decoders::check_channels;
use super::diagnostics::Diagnostics;
use super::directory::is_image;
use super::raw::RawSplits;
use super::read_at::read_at;
use super::request::Request;
use super::shards::{self, BytePlace, OpenShard, Samples, ShardLabels, Source};
use crate::error::{Error, Result, printable};
use crate::json;
use ::tar::{Archive, Entry, EntryType, Header};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How the names of the files end.
pub(super) const EXTENSION: &str = "tar";

/// How the names of members end that are images of any kind, beside the usual ends of image files.
const IMAGE: &str = "img";

/// Bytes of a block; headers are one, data fill whole ones.
const BLOCK: u64 = 512;

/// Longest member with a label.
const MOST_LABEL: u64 = 1 << 20;

/// A shard without its images.
struct Opened {
    path: PathBuf,
    length: u64,
    labels: ShardLabels,
    /// Place and length of each image.
    places: Vec<(u64, u32)>,
}

impl OpenShard for Opened {
    fn path(&self) -> &Path {
        &self.path
    }

    fn labels(&self) -> &ShardLabels {
        &self.labels
    }

    fn label_place(&self, at: usize) -> String {
        let name = self.places.get(at).and_then(|&(place, _)| member(&self.path, place));
        format!("the label of {}", name.unwrap_or_else(|| format!("sample {at}")))
    }
}

/// Opens the shards that `source` names; images are brought to the request's frame.
pub(super) fn open(
    source: Source<'_>,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    check_channels(request.frame().shape)?;
    let found = shards::find(source, EXTENSION, diagnostics)?;
    let [train, val] =
        [&found.train, &found.val].map(|paths| shards::each(paths, |path| read(path, request)));
    let samples = |shards: Vec<Opened>| {
        let mut samples = TarSamples::default();
        for shard in shards {
            samples.firsts.push(samples.places.len());
            samples.files.push(shard.path);
            samples.lengths.push(shard.length);
            samples.places.extend(shard.places);
        }
        samples.places.shrink_to_fit();
        samples
    };
    shards::assemble(source, request, [train?, val?], Vec::new(), diagnostics, samples)
}

/// The images of all shards.
#[derive(Debug, Default)]
struct TarSamples {
    files: Vec<PathBuf>,
    /// Length of each shard when it was opened.
    lengths: Vec<u64>,
    /// Number of the first image of each shard.
    firsts: Vec<usize>,
    places: Vec<(u64, u32)>,
}

impl TarSamples {
    /// The shard of image `index`.
    fn shard(&self, index: usize) -> usize {
        self.firsts.partition_point(|&first| first <= index).saturating_sub(1)
    }
}

impl Samples for TarSamples {
    fn place(&self, index: usize) -> Result<BytePlace<'_>> {
        let missing = || Error::Internal(format!("image {index} was asked for"));
        let &(offset, length) = self.places.get(index).ok_or_else(missing)?;
        Ok(BytePlace::Shard { path: &self.files[self.shard(index)], offset, length: length.into() })
    }

    fn name(&self, index: usize) -> (PathBuf, String) {
        let path = self.files.get(self.shard(index)).cloned().unwrap_or_default();
        let name = self.places.get(index).and_then(|&(place, _)| member(&path, place));
        (path, name.unwrap_or_else(|| format!("image {index}")))
    }

    fn shards(&self) -> &[PathBuf] {
        &self.files
    }
}

/// The name of the member whose data begin at `place`, as far as its own header says it.
fn member(path: &Path, place: u64) -> Option<String> {
    let mut block = [0; BLOCK as usize];
    read_at(&File::open(path).ok()?, &mut block, place.checked_sub(BLOCK)?).ok()?;
    let name = Header::from_byte_slice(&block).path_bytes().into_owned();
    Some(printable(&String::from_utf8_lossy(&name)).into_owned())
}

/// The members of one sample so far.
#[derive(Debug, Default)]
struct Sample {
    /// The name up to the first dot.
    key: Vec<u8>,
    image: Option<(u64, u32)>,
    label: Option<Label>,
    /// Ends of the names of its members, for messages.
    ends: Vec<String>,
}

#[derive(Debug)]
enum Label {
    Number(i64),
    Text(String),
    None,
}

/// How samples are read.
struct Rules<'a> {
    /// The end of the names of images, if the request names it.
    image: Option<&'a str>,
    /// The field of `.json`, if the request names one.
    field: Option<&'a str>,
}

/// Headers and labels of the shard at `path`.
fn read(path: &Path, request: &Request) -> Result<Opened> {
    let io = |error| Error::io(path, error);
    let bad = |what: String| Error::data(path, printable(&what));
    // Before it is opened: opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(bad("expected a tar file, found a folder, a pipe or a device".into()));
    }
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let rules = Rules { image: request.image_column.as_deref(), field: request.label_column.as_deref() };
    let mut opened =
        Opened { path: path.to_path_buf(), length, labels: ShardLabels::default(), places: Vec::new() };
    let wrong = |error: io::Error| match error.raw_os_error() {
        Some(_) => Error::io(path, error),
        None => bad(format!("expected a whole tar file: {error}")),
    };
    let mut sample = Sample::default();
    let mut end = 0;
    let mut archive = Archive::new(&file);
    for entry in archive.entries_with_seek().map_err(wrong)? {
        let mut entry = entry.map_err(wrong)?;
        let (start, size) = (entry.raw_file_position(), entry.size());
        let name = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&name).into_owned();
        let stop = start.checked_add(size).filter(|&stop| stop <= length);
        let stop =
            stop.ok_or_else(|| bad(format!("{shown}: expected {size} bytes, found the end of the file")))?;
        end = stop.next_multiple_of(BLOCK);
        if entry.header().entry_type() == EntryType::GNUSparse {
            return Err(bad(format!("{shown}: expected a plain file, found a sparse one")));
        }
        let is_file = matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous);
        let Some((key, ends)) = parts(&name).filter(|_| is_file) else { continue };
        if key != sample.key {
            opened.add(std::mem::take(&mut sample), &rules).map_err(bad)?;
            sample.key = key.to_vec();
        }
        sample.add(&ends, (start, size), &mut entry, &rules).map_err(|what| match what {
            Fault::Io(error) => wrong(error),
            Fault::Value(what) => bad(format!("{shown}: {what}")),
        })?;
    }
    opened.add(sample, &rules).map_err(bad)?;
    check_end(&mut file, end, length).map_err(io)?.map_or(Ok(()), |what| Err(bad(what)))?;
    Ok(opened)
}

/// What is wrong with a member.
enum Fault {
    Io(io::Error),
    Value(String),
}

impl From<&str> for Fault {
    fn from(what: &str) -> Fault {
        Fault::Value(what.into())
    }
}

/// The key of a member and the rest of its name in lower case, without the dot. None for hidden files and names without a dot.
fn parts(name: &[u8]) -> Option<(&[u8], String)> {
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let dot = base + name[base..].iter().position(|&byte| byte == b'.')?;
    (dot > base).then(|| (&name[..dot], String::from_utf8_lossy(&name[dot + 1..]).to_lowercase()))
}

impl Sample {
    /// Adds the member whose name ends in `ends`, with its place.
    fn add(
        &mut self,
        ends: &str,
        (start, size): (u64, u64),
        entry: &mut Entry<'_, &File>,
        rules: &Rules<'_>,
    ) -> Result<(), Fault> {
        let last = ends.rsplit('.').next().unwrap_or_default();
        let is_image = match rules.image {
            Some(image) => image.eq_ignore_ascii_case(ends),
            None => last == IMAGE || is_image(OsStr::new(&format!("x.{last}"))),
        };
        self.ends.push(ends.to_string());
        if is_image {
            let size = u32::try_from(size)
                .map_err(|_| Fault::from("expected an image of less than 4 GiB, found more"))?;
            if self.image.replace((start, size)).is_some() {
                return Err("expected one image in each sample, found two; image-column names the one to use by the end of its \
                            name (such as jpg)"
                    .into());
            }
            return Ok(());
        }
        let is_label = match rules.field {
            Some(_) => ends == "json",
            None => ends == "cls",
        };
        if !is_label {
            return Ok(());
        }
        if size > MOST_LABEL {
            return Err(Fault::Value(format!(
                "expected a label of at most {MOST_LABEL} bytes, found {size}"
            )));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(Fault::Io)?;
        let label = match rules.field {
            Some(field) => field_of(&bytes, field).map_err(Fault::Value)?,
            None => {
                let text = std::str::from_utf8(&bytes)
                    .map_err(|_| Fault::from("expected a class as text, found bytes"))?;
                match (text.trim(), text.trim().parse()) {
                    ("", _) => Label::None,
                    (_, Ok(number)) => Label::Number(number),
                    (text, Err(_)) => Label::Text(text.into()),
                }
            }
        };
        if self.label.replace(label).is_some() {
            return Err("expected one label in each sample, found two".into());
        }
        Ok(())
    }
}

/// The label in the field `field` of the JSON object `bytes`.
fn field_of(bytes: &[u8], field: &str) -> Result<Label, String> {
    let value: Value = json::check_keys(bytes)
        .and_then(|()| serde_json::from_slice(bytes))
        .map_err(|error| format!("expected JSON: {error}"))?;
    match value.as_object().and_then(|object| object.get(field)) {
        Some(Value::String(text)) => Ok(Label::Text(text.clone())),
        Some(Value::Null) => Ok(Label::None),
        Some(Value::Number(number)) if number.is_i64() => {
            Ok(Label::Number(number.as_i64().unwrap_or_default()))
        }
        Some(_) => Err(format!("field {field}: expected an integer or a text, found another value")),
        None => {
            let names: Vec<&str> =
                value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let found = if names.is_empty() { "none".into() } else { names.join(", ") };
            Err(format!("expected the field {field}, found {found}"))
        }
    }
}

impl Opened {
    /// Adds a whole sample; one without any image or label is not a sample.
    fn add(&mut self, sample: Sample, rules: &Rules<'_>) -> Result<(), String> {
        let label = match (rules.field, rules.image) {
            (Some(field), _) => format!(".json (with {field})"),
            (None, _) => ".cls".into(),
        };
        let (image, found) = match (sample.image, sample.label) {
            (None, None) => return Ok(()),
            (Some(image), Some(found)) => (image, found),
            _ => {
                let key = String::from_utf8_lossy(&sample.key);
                return Err(format!(
                    "sample {key}: expected an image and a label ({label}) beside each other, found .{}; label-column names a \
                     field of .json as the label, and members of a sample have to follow each other (tar --sort=name)",
                    sample.ends.join(", .")
                ));
            }
        };
        match found {
            Label::Number(number) => self.labels.add_number(number),
            Label::Text(text) => {
                self.labels
                    .add_text(text.as_bytes())
                    .map_err(|what| format!("sample {}: {what}", String::from_utf8_lossy(&sample.key)))?;
            }
            Label::None => self.labels.add_none(),
        }
        self.places.push(image);
        Ok(())
    }
}

/// What is wrong with the end of a shard whose last member ends at `end`: a cut one lacks the empty blocks, and after them there has to
/// be nothing else, such as a second archive.
fn check_end(file: &mut File, end: u64, length: u64) -> io::Result<Option<String>> {
    if length < end.saturating_add(BLOCK) {
        return Ok(Some("expected a whole tar file with two empty blocks at its end, found none".into()));
    }
    file.seek(SeekFrom::Start(end))?;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(None);
        }
        if chunk[..count].iter().any(|&byte| byte != 0) {
            return Ok(Some(
                "expected nothing after the end of the archive, found more; is it several archives in one?"
                    .into(),
            ));
        }
    }
}
