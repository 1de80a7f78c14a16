//! A file of lines that grows with a run. A line that cannot be written (a full disk) waits for the next one, a line that
//! was written in part is taken back, and the file can be cut to a length that it had before.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file, open for writing at its end.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of the lines that are in the file.
    length: u64,
    /// Lines that are not.
    waiting: Vec<u8>,
    /// The last bytes of the file, which are not yet known to be on the disk.
    unsure: Vec<u8>,
    /// Whether forcing them to the disk has failed.
    is_lost: bool,
}

impl Journal {
    /// A new file; an error if there is one.
    pub fn create(path: &Path) -> Result<Journal> {
        Journal::at(path, OpenOptions::new().write(true).create_new(true))
    }

    /// The file at `path`, or a new one.
    pub fn reopen(path: &Path) -> Result<Journal> {
        Journal::at(path, OpenOptions::new().write(true).create(true).truncate(false))
    }

    fn at(path: &Path, options: &OpenOptions) -> Result<Journal> {
        let open = || {
            let mut file = options.open(path)?;
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file, length))
        };
        let (file, length) = open().map_err(|e| Error::io(path, e))?;
        Ok(Journal {
            path: path.to_path_buf(),
            file,
            length,
            waiting: Vec::new(),
            unsure: Vec::new(),
            is_lost: false,
        })
    }

    /// Appends the pending lines and `line`. If this fails, they stay pending.
    pub fn append(&mut self, line: &str) -> Result<()> {
        self.waiting.extend_from_slice(line.as_bytes());
        self.waiting.push(b'\n');
        self.flush()
    }

    /// Writes the pending lines.
    pub fn flush(&mut self) -> Result<()> {
        let start = SeekFrom::Start(self.length);
        match self.file.seek(start).and_then(|_| self.file.write_all(&self.waiting)) {
            Ok(()) => {
                self.length += self.waiting.len() as u64;
                self.unsure.append(&mut self.waiting);
                Ok(())
            }
            Err(error) => {
                // A part of it may have been written. Should even this fail, the next attempt starts at the same place.
                let _ = self.cut(self.length);
                Err(Error::io(&self.path, error))
            }
        }
    }

    /// Forces everything to the disk; the file's length in bytes.
    pub fn sync(&mut self) -> Result<u64> {
        self.flush()?;
        // After a failed sync the system may consider unwritten bytes clean and report success the next time: they must be
        // written again.
        let again = if self.is_lost { self.rewrite() } else { Ok(()) };
        let synced = again.and_then(|()| self.file.sync_data());
        self.is_lost = synced.is_err();
        synced.map_err(|e| Error::io(&self.path, e))?;
        self.unsure.clear();
        Ok(self.length)
    }

    /// Drops what comes after the first `length` bytes; false if there are fewer, and then at most a torn line at the end goes.
    pub fn rewind(&mut self, length: u64) -> Result<bool> {
        if self.length < length {
            let whole = self.whole_lines().map_err(|e| Error::io(&self.path, e))?;
            return self.rewind(whole).map(|_| false);
        }
        self.cut(length).map_err(|e| Error::io(&self.path, e))?;
        self.length = length;
        self.waiting.clear();
        self.unsure.clear();
        Ok(true)
    }

    /// Bytes up to the end of the last whole line.
    fn whole_lines(&self) -> io::Result<u64> {
        let mut file = BufReader::new(File::open(&self.path)?);
        let (mut whole, mut all, mut line) = (0, 0, Vec::new());
        while file.read_until(b'\n', &mut line)? > 0 {
            all += line.len() as u64;
            if line.ends_with(b"\n") {
                whole = all;
            }
            line.clear();
        }
        Ok(whole)
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.length - self.unsure.len() as u64))?;
        self.file.write_all(&self.unsure)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length)).map(|_| ())
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no line was ever written.
    pub fn is_empty(&self) -> bool {
        self.length == 0 && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_goes_on_where_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut journal = Journal::create(&path).unwrap();
        journal.append("one").unwrap();
        let length = journal.sync().unwrap();
        journal.append("two").unwrap();
        assert!(Journal::create(&path).is_err());
        let mut again = Journal::reopen(&path).unwrap();
        assert!(!again.rewind(100).unwrap() && again.rewind(length).unwrap());
        again.append("three").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
        // A torn line goes, so that the next one is whole.
        std::fs::write(&path, "one\nth").unwrap();
        let mut torn = Journal::reopen(&path).unwrap();
        assert!(!torn.rewind(100).unwrap());
        torn.append("four").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nfour\n");
    }
}
