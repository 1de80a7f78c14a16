//! Where the bytes of each image are.
//!
//! All pages with images are read once, when the first image is asked for: each value of an uncompressed page has a place in its file,
//! from which it is read from then on. Those of compressed pages are written to a temporary file. In memory remain 16 bytes for each
//! sample.

use super::chunk::{Chunk, PageFile};
use crate::data::shards::{BytePlace, Samples};
use crate::error::{Error, Result};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::metadata::ColumnChunkMetaData;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Threads that read pages; each holds one page or two in memory.
const THREADS: usize = 4;

/// How many times the bytes of a column chunk its images may have in the temporary file: one in a dictionary can stand in any number of
/// rows.
const EXPANSION: u64 = 1024;

/// Marks the place of an image in the temporary file.
const SPILLED: u64 = 1 << 63;

/// Marks a row without an image.
const NULL: u64 = u64::MAX;

/// A row group of one of the files.
#[derive(Debug)]
pub(super) struct Group {
    /// Number of the file.
    pub file: usize,
    /// Number of its first row, in its file and in all files.
    pub first_in_file: usize,
    pub first: usize,
    pub rows: usize,
    /// The column chunk with the images.
    pub chunk: ColumnChunkMetaData,
}

/// The images in Parquet files.
#[derive(Debug)]
pub(super) struct ParquetSamples {
    files: Vec<PathBuf>,
    /// Length of each file when it was opened.
    lengths: Vec<u64>,
    groups: Vec<Group>,
    column: String,
    /// Made when the first image is asked for; the error is one of the temporary file.
    index: OnceLock<io::Result<Index>>,
}

/// The places of all images.
#[derive(Debug)]
struct Index {
    groups: Vec<GroupIndex>,
    spill: Option<File>,
}

/// The places of the images of a row group, as far as it can be read.
#[derive(Debug, Default)]
struct GroupIndex {
    /// Place and length.
    places: Vec<(u64, u32)>,
    /// What is wrong with the rest.
    wrong: Option<String>,
}

/// A temporary file that several threads append to. It has no name, or loses it when it is closed.
struct Spill(Mutex<Option<(File, u64)>>);

impl ParquetSamples {
    pub fn new(files: Vec<PathBuf>, lengths: Vec<u64>, groups: Vec<Group>, column: String) -> ParquetSamples {
        ParquetSamples { files, lengths, groups, column, index: OnceLock::new() }
    }

    /// The row group of image `index`.
    fn group(&self, index: usize) -> Option<(usize, &Group)> {
        let number = self.groups.partition_point(|group| group.first <= index).checked_sub(1)?;
        self.groups.get(number).filter(|group| index < group.first + group.rows).map(|group| (number, group))
    }

    /// Reads the pages of all images.
    fn read(&self) -> io::Result<Index> {
        let slots: Vec<Mutex<GroupIndex>> = self.groups.iter().map(|_| Mutex::default()).collect();
        let (next, spill, failed) = (AtomicUsize::new(0), Spill(Mutex::default()), OnceLock::new());
        let work = || {
            while failed.get().is_none() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let (Some(group), Some(slot)) = (self.groups.get(number), slots.get(number)) else { break };
                match self.read_group(group, &spill) {
                    Ok(found) => *slot.lock().unwrap_or_else(PoisonError::into_inner) = found,
                    // Nothing that is wrong with a file, so no image is bad for it.
                    Err(error) => {
                        let _ = failed.set(error);
                    }
                }
            }
        };
        // Not on rayon's threads: one that waits there may take up work that waits for this.
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS));
        std::thread::scope(|scope| {
            for _ in 1..threads.min(self.groups.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failed.into_inner() {
            return Err(error);
        }
        let groups = slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        let spill = spill.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Index { groups: groups.collect(), spill: spill.map(|(file, _)| file) })
    }

    /// The places of the images of `group`. An error only for the temporary file.
    fn read_group(&self, group: &Group, spill: &Spill) -> io::Result<GroupIndex> {
        // Grows as rows arrive: the file only claims how many there are.
        let mut found = GroupIndex::default();
        let mut chunk = match self.chunk(group) {
            Ok(chunk) => chunk,
            Err(error) => return Ok(GroupIndex { wrong: Some(error), ..found }),
        };
        let pages = chunk.pages();
        let most = (group.chunk.compressed_size() as u64).saturating_mul(EXPANSION);
        let mut spilled = 0;
        loop {
            let mut failed = None;
            // One row at a time: the pages that its bytes stand in are all that is held in memory.
            let read = chunk.read(1, |_, value| {
                let place = match value.map(ByteArray::data) {
                    None => (NULL, 0),
                    Some(bytes) => {
                        let length = u32::try_from(bytes.len()).map_err(|_| "an image of 4 GiB or more")?;
                        match Chunk::<ByteArrayType>::place(&pages, bytes) {
                            Some(at) => (at, length),
                            None => {
                                spilled += u64::from(length);
                                if spilled > most {
                                    return Err(format!(
                                        "expected images of at most {most} bytes, found more"
                                    ));
                                }
                                match spill.append(bytes) {
                                    Ok(at) => (at | SPILLED, length),
                                    Err(error) => {
                                        failed = Some(error);
                                        return Err(String::new());
                                    }
                                }
                            }
                        }
                    }
                };
                found.places.push(place);
                Ok(())
            });
            chunk.forget();
            match (read, failed) {
                (_, Some(error)) => return Err(error),
                (Ok(true), None) => {}
                (Ok(false), None) => return Ok(found),
                (Err(error), None) => return Ok(GroupIndex { wrong: Some(error), ..found }),
            }
        }
    }

    fn chunk(&self, group: &Group) -> Result<Chunk<ByteArrayType>, String> {
        let (path, length) = (&self.files[group.file], self.lengths[group.file]);
        let file = open(path, length)?;
        Chunk::new(PageFile::new(file, length), &group.chunk, group.rows)
    }
}

/// Opens the file, which had `length` bytes before.
fn open(path: &Path, length: u64) -> Result<File, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let found = file.metadata().map_err(|error| error.to_string())?.len();
    if found != length {
        return Err(format!("expected {length} bytes as when it was opened, found {found}"));
    }
    Ok(file)
}

impl Spill {
    /// Appends `bytes`; returns their place.
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, end) = match &mut *state {
            Some(state) => state,
            none => none.insert((tempfile::tempfile()?, 0)),
        };
        file.write_all(bytes)?;
        let at = *end;
        *end += bytes.len() as u64;
        Ok(at)
    }
}

impl Samples for ParquetSamples {
    fn place(&self, index: usize) -> Result<BytePlace<'_>> {
        let missing = || Error::Internal(format!("image {index} was asked for"));
        let (number, group) = self.group(index).ok_or_else(missing)?;
        let path = &self.files[group.file];
        let wrong = |what: &str| {
            let (shard, row) = self.name(index);
            Error::data(shard, format!("{row}: {what}"))
        };
        let read = self.index.get_or_init(|| self.read()).as_ref();
        let all = read.map_err(|error| {
            let what = format!("images are decompressed into a temporary file here: {error}");
            Error::io(std::env::temp_dir(), io::Error::new(error.kind(), what))
        })?;
        let places = &all.groups[number];
        match (places.places.get(index - group.first), &all.spill) {
            (None, _) => Err(wrong(
                places.wrong.as_deref().unwrap_or("expected an image, found the end of the column"),
            )),
            (Some(&(NULL, _)), _) => Err(wrong("expected the bytes of an image, found null")),
            (Some(&(place, length)), Some(file)) if place & SPILLED != 0 => {
                Ok(BytePlace::Open { file, offset: place & !SPILLED, length: length.into() })
            }
            (Some(&(offset, length)), _) => Ok(BytePlace::Shard { path, offset, length: length.into() }),
        }
    }

    fn name(&self, index: usize) -> (PathBuf, String) {
        match self.group(index) {
            Some((_, group)) => {
                let row = group.first_in_file + index - group.first;
                (self.files[group.file].clone(), format!("row {row}, column {}", self.column))
            }
            None => (PathBuf::new(), format!("image {index}")),
        }
    }

    fn shards(&self) -> &[PathBuf] {
        &self.files
    }
}
