//! The values of one column in one row group.
//!
//! Pages are decompressed here and not in the library: its codec for Zstandard is written in C, and it takes memory for as many bytes as
//! a page header claims.

use super::decompress::Codec;
use super::delta;
use super::thrift::HeaderReader;
use crate::data::contain::contained;
use crate::data::read_at::read_at;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// An open file that notes where the last page was read.
#[derive(Debug)]
pub(super) struct PageFile {
    file: Arc<File>,
    length: u64,
    last: AtomicU64,
}

impl PageFile {
    pub fn new(file: File, length: u64) -> PageFile {
        PageFile { file: Arc::new(file), length, last: AtomicU64::new(0) }
    }
}

impl Length for PageFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for PageFile {
    type T = HeaderReader;

    /// What the library reads in this way are page headers.
    fn get_read(&self, start: u64) -> ParquetResult<HeaderReader> {
        Ok(HeaderReader::new(Arc::clone(&self.file), start, self.length.saturating_sub(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            let what =
                format!("expected {length} bytes from byte {start} on, found a file of {}", self.length);
            return Err(ParquetError::EOF(what));
        }
        let mut bytes = vec![0; length];
        read_at(&self.file, &mut bytes, start).map_err(|error| ParquetError::External(Box::new(error)))?;
        self.last.store(start, Ordering::Relaxed);
        Ok(bytes.into())
    }
}

/// Uncompressed pages in memory, each with its place in the file.
type Kept = Arc<Mutex<Vec<(Bytes, u64)>>>;

/// The pages of a column chunk, decompressed.
struct Pages {
    inner: SerializedPageReader<PageFile>,
    file: Arc<PageFile>,
    codec: Codec,
    /// Values that a page may claim to have.
    rows: usize,
    /// Level of a value that is not null.
    max_level: i16,
    /// Least bytes of a value in a dictionary.
    least: usize,
    kept: Kept,
}

impl Pages {
    fn page(&self, mut page: Page) -> ParquetResult<Page> {
        let wrong = |what: String| Err(ParquetError::General(what));
        // A V2 page has its levels first, which are never compressed.
        let plain = match &page {
            Page::DataPageV2 { buf, is_compressed: false, .. } => buf.len(),
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize)
            }
            _ => 0,
        };
        let (Page::DataPage { buf, .. } | Page::DataPageV2 { buf, .. } | Page::DictionaryPage { buf, .. }) =
            &mut page;
        if plain > buf.len() {
            return wrong(format!(
                "expected a page of at least {plain} bytes of levels, found {}",
                buf.len()
            ));
        }
        if self.codec == Codec::None || plain == buf.len() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((buf.clone(), self.file.last.load(Ordering::Relaxed)));
        } else {
            let mut bytes = buf[..plain].to_vec();
            self.codec.decompress(&buf[plain..], &mut bytes).map_err(ParquetError::General)?;
            *buf = bytes.into();
        }
        let length = buf.len();
        match page {
            // The library takes memory for all values of a dictionary at once.
            Page::DictionaryPage { num_values, .. } if num_values as usize > length / self.least => {
                wrong(format!("a dictionary of {length} bytes cannot hold {num_values} values"))
            }
            Page::DataPage { num_values, .. } | Page::DataPageV2 { num_values, .. }
                if num_values as usize > self.rows =>
            {
                wrong(format!("expected a page of at most {} values, found {num_values}", self.rows))
            }
            page => self.check_delta(&page).map(|()| page),
        }
    }

    /// An error if values that are written as differences are more than the page has.
    fn check_delta(&self, page: &Page) -> ParquetResult<()> {
        let wrong = |what: &str| ParquetError::General(what.into());
        let (Page::DataPage { encoding, num_values, .. } | Page::DataPageV2 { encoding, num_values, .. }) =
            page
        else {
            return Ok(());
        };
        match encoding {
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {}
            // A value repeats the start of the one before, so that a small page can stand for any number of bytes.
            Encoding::DELTA_BYTE_ARRAY => {
                return Err(wrong(
                    "expected values encoded in another way than DELTA_BYTE_ARRAY, found that; write them PLAIN",
                ));
            }
            _ => return Ok(()),
        }
        let values = match page {
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = (*def_levels_byte_len as usize).checked_add(*rep_levels_byte_len as usize);
                levels.and_then(|levels| buf.get(levels..))
            }
            Page::DataPage { buf, .. } if self.max_level == 0 => Some(&buf[..]),
            Page::DataPage { buf, def_level_encoding: Encoding::RLE, .. } => {
                let levels = buf.first_chunk().map(|&length| u32::from_le_bytes(length));
                levels.and_then(|levels| buf.get((levels as usize).checked_add(4)?..))
            }
            _ => None,
        };
        let values = values.ok_or_else(|| wrong("expected a page of levels and values, found neither"))?;
        if values.is_empty() {
            // A page of nulls alone.
            return Ok(());
        }
        delta::check(values, *num_values as usize).map_err(ParquetError::General)
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.map(|page| self.page(page)).transpose()
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<ParquetResult<Page>> {
        self.get_next_page().transpose()
    }
}

/// The values of one column chunk, in the order of the rows.
pub(super) struct Chunk<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// Level of a value that is not null.
    max_level: i16,
    levels: Vec<i16>,
    values: Vec<T::T>,
    rows: usize,
    done: usize,
    kept: Kept,
}

impl<T: DataType> Chunk<T> {
    /// The chunk that `metadata` describes, of `rows` rows. The column is not repeated.
    pub fn new(file: PageFile, metadata: &ColumnChunkMetaData, rows: usize) -> Result<Chunk<T>, String> {
        let codec = Codec::of(metadata.compression())?;
        let descriptor = metadata.column_descr_ptr();
        if metadata.column_type() != T::get_physical_type() || descriptor.max_rep_level() > 0 {
            return Err("expected one type in all row groups, found another".into());
        }
        let starts = [metadata.dictionary_page_offset().unwrap_or(0), metadata.data_page_offset()];
        if starts.iter().any(|&start| start < 0) || metadata.compressed_size() < 0 {
            return Err("expected a column chunk at a place in the file, found negative numbers".into());
        }
        let plain =
            metadata.clone().into_builder().set_compression(Compression::UNCOMPRESSED).clear_statistics();
        let plain = plain.build().map_err(|error| text(&error))?;
        let file = Arc::new(file);
        let inner = SerializedPageReader::new(Arc::clone(&file), &plain, rows, None);
        let inner = inner.map_err(|error| text(&error))?;
        let kept = Kept::default();
        let least = std::mem::size_of::<T::T>().clamp(1, 4);
        let max_level = descriptor.max_def_level();
        let pages = Pages { inner, file, codec, rows, max_level, least, kept: Arc::clone(&kept) };
        let reader = ColumnReaderImpl::new(descriptor, Box::new(pages));
        Ok(Chunk { reader, max_level, levels: Vec::new(), values: Vec::new(), rows, done: 0, kept })
    }

    /// Gives the values of the next rows, at most `most`, to `each`: row, and the value unless it is null. Returns false once there are
    /// no more.
    pub fn read(
        &mut self,
        most: usize,
        mut each: impl FnMut(usize, Option<&T::T>) -> Result<(), String>,
    ) -> Result<bool, String> {
        if self.done == self.rows {
            return Ok(false);
        }
        self.levels.clear();
        self.values.clear();
        let most = most.min(self.rows - self.done);
        let (reader, levels, values) = (&mut self.reader, &mut self.levels, &mut self.values);
        // The library is not made for damaged files everywhere.
        let read = contained(AssertUnwindSafe(|| reader.read_records(most, Some(levels), None, values)));
        let (count, ..) = read
            .unwrap_or_else(|| Err(ParquetError::General("its bytes break the decoder".into())))
            .map_err(|error| text(&error))?;
        if count == 0 {
            return Err(format!("expected {} rows, found {}", self.rows, self.done));
        }
        let mut values = self.values.iter();
        for row in 0..count {
            let is_null =
                self.max_level > 0 && self.levels.get(row).is_none_or(|&level| level < self.max_level);
            let value = if is_null { None } else { values.next() };
            if value.is_none() && !is_null {
                return Err(format!("row {}: expected a value, found none", self.done + row));
            }
            each(self.done + row, value)?;
        }
        self.done += count;
        Ok(true)
    }

    /// The place in the file of `bytes`, a value of the rows that were read last. `None` if it does not stand in the file as it is.
    pub fn place(kept: &Kept, bytes: &[u8]) -> Option<u64> {
        let start = bytes.as_ptr().addr();
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find_map(|(page, at)| {
            let offset = start.checked_sub(page.as_ptr().addr())?;
            (offset.checked_add(bytes.len())? <= page.len()).then_some(at + offset as u64)
        })
    }

    /// Pages that values may stand in; [`Chunk::forget`] lets go of them.
    pub fn pages(&self) -> Kept {
        Arc::clone(&self.kept)
    }

    /// Lets go of all pages but the first, which may be a dictionary, and the last, which may have more values.
    pub fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let count = kept.len();
        if count > 2 {
            kept.drain(1..count - 1);
        }
    }
}

/// An error of the library without its kind.
pub(super) fn text(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) | ParquetError::NYI(text) => text.clone(),
        other => other.to_string(),
    }
}
