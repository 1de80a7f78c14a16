//! Downloads with the system's `curl`, since an HTTPS client would be the larger part of this program. No file is used before
//! its SHA-256 has been verified. An interrupted download resumes where it stopped.

use super::output::{Output, bytes};
use crate::error::{Error, Result};
use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};

/// A file to download.
#[derive(Debug)]
pub(super) struct Download {
    pub name: &'static str,
    /// The accepted lengths in bytes; a single one if it is known.
    pub bytes: RangeInclusive<u64>,
    /// The SHA-256 in hexadecimal, or its first digits if only they are published.
    pub sha256: &'static str,
}

impl Download {
    /// The largest accepted length in bytes.
    pub fn most(&self) -> u64 {
        *self.bytes.end()
    }
}

/// What the file has to be, for a message.
impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins = if self.sha256.len() < 64 { "that begins with " } else { "" };
        write!(f, "SHA-256 {begins}{}, ", self.sha256)?;
        match (self.bytes.start(), self.bytes.end()) {
            (least, most) if least == most => write!(f, "{most} bytes"),
            (least, most) => write!(f, "{least} to {most} bytes"),
        }
    }
}

/// curl's exit codes for a download that cannot be resumed ("range error", "bad download resume"). A server that rejects the
/// range with HTTP status 416 causes the general exit code 22.
const NO_RESUME: [i32; 2] = [33, 36];

/// Bytes read at a time.
const CHUNK: usize = 1 << 16;

/// Downloads `file` to `path` from the first mirror that has it, or only from `from`.
pub(super) fn download(
    file: &Download,
    path: &Path,
    mirrors: &[&str],
    from: Option<&str>,
    out: &Output,
) -> Result<()> {
    let part = path.with_file_name(format!("{}.part", file.name));
    let mirrors: Vec<&str> = from.map_or_else(|| mirrors.to_vec(), |from| vec![from]);
    let protocols = if from.is_some() { "=https,http,file" } else { "=https" };
    let mut first_error = None;
    for mirror in mirrors {
        let address = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        out.note(&format!("{address} ({})", bytes(file.most())));
        let result = transfer(&address, protocols, &part, file, out).and_then(|()| {
            if is_right(&part, file)? {
                return fs::rename(&part, path).map_err(|error| Error::io(path, error));
            }
            let found = format!("{}, {} bytes", sha256(&part)?, length(&part));
            // Resuming after wrong bytes cannot yield the right file.
            fs::remove_file(&part).map_err(|error| Error::io(&part, error))?;
            Err(Error::data(&address, format!("expected {file}, found {found}")))
        });
        match result {
            Ok(()) => return Ok(()),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Error::Internal(format!("no address of {}", file.name))))
}

/// Runs curl to append to `part` the missing rest of `address`, at most up to the file's length.
fn transfer(address: &str, protocols: &str, part: &Path, file: &Download, out: &Output) -> Result<()> {
    let failed = |message: String| Error::io(address, io::Error::other(message));
    let io = |error| Error::io(part, error);
    let (mut have, most) = (length(part), file.most());
    if have > most {
        fs::remove_file(part).map_err(io)?;
        have = 0;
    }
    if have == most || is_right(part, file)? {
        return Ok(());
    }
    let mut child = Command::new("curl")
        // `--disable` must come first; it ignores the user's curl configuration.
        .args(["--disable", "--fail", "--silent", "--show-error", "--location", "--max-redirs", "5"])
        .args(["--proto", protocols, "--proto-redir", protocols])
        .args(["--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60"])
        .args(["--continue-at", &have.to_string(), "--url", address])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("the program curl cannot be started ({error}); install it")))?;
    let bar = out.is_interactive().then(|| ProgressBar::new(most));
    let mut written = || -> io::Result<()> {
        let mut target = None;
        let mut stream = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?.take(most - have + 1);
        let mut chunk = vec![0; CHUNK];
        loop {
            match stream.read(&mut chunk)? {
                0 => return target.map_or(Ok(()), |target: File| target.sync_all()),
                count => {
                    // Created only when the first bytes arrive.
                    let open = || {
                        fs::create_dir_all(part.parent().unwrap_or(Path::new(".")))?;
                        OpenOptions::new().append(true).create(true).open(part)
                    };
                    let mut file = target.take().map_or_else(open, Ok)?;
                    file.write_all(&chunk[..count])?;
                    target = Some(file);
                }
            }
            if let Some(bar) = &bar {
                bar.set_position(length(part));
            }
        }
    };
    let written = written();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    // Its pipe is closed by now, so it has exited or is about to.
    let ended = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    written.map_err(io)?;
    if ended.status.success() || length(part) > most {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&ended.stderr);
    let no_range = ended.status.code() == Some(22) && message.trim_end().ends_with("416");
    if have > 0 && (no_range || ended.status.code().is_some_and(|code| NO_RESUME.contains(&code))) {
        // The server does not support resuming, so the next attempt starts over. After any other failure it resumes.
        fs::remove_file(part).map_err(io)?;
    }
    Err(failed(match message.lines().next() {
        Some(line) => line.to_string(),
        None => format!("curl: {}", ended.status),
    }))
}

/// The length of a file; 0 if there is none.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// Whether `path` is `file`, by its length and its SHA-256.
pub(super) fn is_right(path: &Path, file: &Download) -> Result<bool> {
    Ok(file.bytes.contains(&length(path)) && sha256(path)?.starts_with(file.sha256))
}

/// The SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> Result<String> {
    let io = |error| Error::io(path, error);
    let (mut file, mut hash, mut chunk) = (File::open(path).map_err(io)?, Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).map_err(io)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&chunk[..count]),
        }
    }
}
