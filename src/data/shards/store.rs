//! Images in shards, each read by its place in a file when it is needed, and decoded exactly as image files are.

use crate::data::dataset::Store;
use crate::data::decode::Decoder;
use crate::data::decoders::Decoders;
use crate::data::framing::Frame;
use crate::data::image_source::{ImageSource, check_length};
use crate::data::read_at::read_at;
use crate::error::{Error, Result};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where the bytes of an image are.
#[derive(Debug)]
pub(in super::super) enum BytePlace<'a> {
    /// In a shard, which is opened for each image: there may be more shards than a process may have open files.
    Shard { path: &'a Path, offset: u64, length: u64 },
    /// In an open file.
    #[cfg_attr(
        not(feature = "parquet"),
        allow(dead_code, reason = "only images of Parquet files are stored so")
    )]
    Open { file: &'a File, offset: u64, length: u64 },
}

/// Samples in shards, without their labels.
pub(in super::super) trait Samples: fmt::Debug + Send + Sync {
    /// Where the bytes of image `index` are.
    fn place(&self, index: usize) -> Result<BytePlace<'_>>;

    /// The shard of image `index`, and what the image is called in it.
    fn name(&self, index: usize) -> (PathBuf, String);

    /// All shards.
    fn shards(&self) -> &[PathBuf];
}

/// Encoded images in shards.
#[derive(Debug)]
pub(in super::super) struct ShardStore<S> {
    samples: S,
    frame: Frame,
    decoders: Decoders,
}

impl<S: Samples> ShardStore<S> {
    /// A store of `samples`, fitted to `frame` and turned upright unless `ignore_exif`.
    pub fn new(samples: S, frame: Frame, ignore_exif: bool) -> ShardStore<S> {
        ShardStore { samples, frame, decoders: Decoders::new(ignore_exif) }
    }

    fn decode<T>(
        &self,
        index: usize,
        decode: impl FnOnce(&mut Decoder, &dyn ImageSource) -> Result<T>,
    ) -> Result<T> {
        self.decoders.with(|decoder| decode(decoder, &Sample { samples: &self.samples, index }))
    }
}

/// One image.
struct Sample<'a, S> {
    samples: &'a S,
    index: usize,
}

impl<S: Samples> ImageSource for Sample<'_, S> {
    fn load(&self, into: &mut Vec<u8>) -> Result<()> {
        let place = self.samples.place(self.index)?;
        let (BytePlace::Shard { length, .. } | BytePlace::Open { length, .. }) = place;
        check_length(length).map_err(|message| self.wrong(&message))?;
        into.clear();
        into.resize(length as usize, 0);
        let read = match place {
            BytePlace::Shard { path, offset, .. } => {
                File::open(path).and_then(|file| read_at(&file, into, offset))
            }
            BytePlace::Open { file, offset, .. } => read_at(file, into, offset),
        };
        read.map_err(|error| match error.kind() {
            // It was cut while it was in use.
            io::ErrorKind::UnexpectedEof => {
                self.wrong(&format!("expected {length} bytes, found the end of the file"))
            }
            _ => Error::io(self.samples.name(self.index).0, error),
        })
    }

    fn wrong(&self, message: &str) -> Error {
        let (shard, name) = self.samples.name(self.index);
        Error::data(shard, format!("{name}: {message}"))
    }
}

impl<S: Samples> Store for ShardStore<S> {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        self.read_framed(index, &self.frame, into)
    }

    fn read_framed(&self, index: usize, frame: &Frame, into: &mut [u8]) -> Result<()> {
        self.decode(index, |decoder, source| decoder.read_framed_from(source, frame, into))
    }

    fn read_whole(
        &self,
        index: usize,
        channels: usize,
        side: usize,
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        self.decode(index, |decoder, source| decoder.read_whole_from(source, channels, side, into))
    }

    fn size(&self, index: usize) -> Result<[usize; 3]> {
        self.decode(index, |decoder, source| decoder.size_of(source))
    }

    fn has_sizes(&self) -> bool {
        true
    }

    fn shards(&self) -> &[PathBuf] {
        self.samples.shards()
    }

    fn name(&self, index: usize) -> Option<String> {
        let (shard, name) = self.samples.name(index);
        Some(format!("{}, {name}", crate::error::printable_path(&shard)))
    }
}
