//! Extraction of known files from a downloaded archive (gzipped tar).

use super::sources::Member;
use crate::atomic::NewFile;
use crate::error::{Error, Result};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Most bytes that an archive may unpack to.
const MOST_UNPACKED: u64 = 1 << 30;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 16;

/// Extracts `members` from the archive to `folder`. A member is a file of its name, one folder deep, of the expected length;
/// everything else is ignored.
pub(super) fn unpack(archive: &Path, folder: &Path, members: &[Member]) -> Result<()> {
    let damaged = |error: io::Error| Error::data(archive, format!("the archive: {error}"));
    let file = File::open(archive).map_err(|error| Error::io(archive, error))?;
    let mut tar = tar::Archive::new(GzDecoder::new(file).take(MOST_UNPACKED));
    let mut missing: Vec<&Member> = members.iter().collect();
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let named = |member: &&Member| path.components().count() == 2 && path.ends_with(member.name);
        let Some(index) = missing.iter().position(named) else { continue };
        let member = missing.swap_remove(index);
        let found = entry.size();
        if !entry.header().entry_type().is_file() || !member.lengths.contains(&found) {
            let (least, most) = (member.lengths.start(), member.lengths.end());
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            return Err(Error::data(
                archive,
                format!("{}: expected a file of {expected} bytes, found {found} bytes", member.name),
            ));
        }
        let target = folder.join(member.name);
        let mut new = NewFile::create(&target)?;
        let copied = copy(&mut entry, &mut new, damaged, |error| Error::io(&target, error))?;
        if copied != found {
            return Err(damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        new.commit()?;
    }
    match missing.first() {
        None => Ok(()),
        Some(member) => Err(Error::data(archive, format!("expected {} in it, found none", member.name))),
    }
}

/// Copies `from` to `to` and returns the number of bytes. Errors of reading and of writing (a full disk) are distinct.
fn copy(
    from: &mut impl Read,
    to: &mut impl Write,
    unreadable: impl Fn(io::Error) -> Error,
    unwritable: impl Fn(io::Error) -> Error,
) -> Result<u64> {
    let (mut chunk, mut copied) = (vec![0; CHUNK], 0);
    loop {
        let count = from.read(&mut chunk).map_err(&unreadable)?;
        if count == 0 {
            return Ok(copied);
        }
        to.write_all(&chunk[..count]).map_err(&unwritable)?;
        copied += count as u64;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const MEMBERS: &[Member] =
        &[Member { name: "a", lengths: 5..=5 }, Member { name: "b", lengths: 0..=100 }];

    /// An archive with the members `a` and `b`, and two entries to ignore.
    pub fn archive() -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(encoder);
        for (name, content) in
            [("set/a", "first"), ("set/c", "unknown"), ("set/deep/a", "too deep"), ("set/b", "second")]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_full_disk_is_not_reported_as_a_damaged_archive() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::InvalidData.into())
            }
        }
        let damaged = |error: io::Error| Error::data("archive", error.to_string());
        let unwritable = |error| Error::io("target", error);
        let full = copy(&mut &b"bytes"[..], &mut Full, damaged, unwritable).unwrap_err();
        assert!(full.exit_code() == 3 && full.to_string().starts_with("target: "), "{full}");
        let broken = copy(&mut Broken, &mut Vec::new(), damaged, unwritable).unwrap_err();
        assert!(broken.exit_code() == 4 && broken.to_string().starts_with("archive: "), "{broken}");
        assert_eq!(copy(&mut &b"bytes"[..], &mut Vec::new(), damaged, unwritable).unwrap(), 5);
    }

    #[test]
    fn an_archive_without_or_with_too_long_members_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("set.tar.gz");
        std::fs::write(&path, archive()).unwrap();
        let refuse = |members: &[Member], expected: &str| {
            let error = unpack(&path, home.path(), members).unwrap_err();
            assert!(error.exit_code() == 4 && error.to_string().contains(expected), "{error}");
        };
        refuse(&[Member { name: "d", lengths: 5..=5 }], "expected d in it, found none");
        refuse(&[Member { name: "a", lengths: 4..=4 }], "a: expected a file of 4 bytes, found 5");
        refuse(&[Member { name: "a", lengths: 6..=9 }], "a: expected a file of 6 to 9 bytes, found 5");
        std::fs::write(&path, &archive()[..60]).unwrap();
        refuse(MEMBERS, "set.tar.gz: ");
        assert!(!home.path().join("b").exists());
    }
}
